#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The faces of the registry: formats, negotiation, births, label values, /v1/stats, identities."""
import re

import tap
from fake_backend import FakeBackend
from harness import OPENMETRICS, Counting, Daemon, Rig, backend, pair, shared, wait_until
from prometheus_text import Metrics
from stats_check import check_stats
from tap import eq, ok

MODEL = "llama3:70b"
CLASSIC_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BOLD = {
    "nexus_requests_total": "counter", "nexus_request_duration_seconds": "histogram",
    "nexus_errors_total": "counter", "nexus_fallbacks_total": "counter",
    "nexus_backend_latency_seconds": "histogram", "nexus_tokens_total": "histogram",
    "nexus_pending_requests": "gauge", "nexus_backends_total": "gauge",
    "nexus_backends_healthy": "gauge", "nexus_models_available": "gauge",
    "gateway_requests_total": "counter", "gateway_request_duration_seconds": "histogram",
    "gateway_active_requests": "gauge"}
DURATION = "0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 60.0 120.0 300.0 +Inf".split()
TOKENS = ("10.0 50.0 100.0 500.0 1000.0 2000.0 4000.0 8000.0 16000.0 32000.0 64000.0 128000.0 "
          "+Inf").split()
GATEWAY = ("0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 15.0 30.0 60.0 120.0 300.0 "
           "+Inf").split()


@shared
def two():
    return pair()


def samples(text):
    """The sample lines of families that do not change by being looked at."""
    moving = re.compile(r"^(gateway_|process_|nexus_uptime|nexus_client_conn|nexus_sent_bytes|"
                        r"nexus_received_bytes|nexus_metrics_render|nexus_event_loop|"
                        r"nexus_backend_latency|nexus_health_checks)")
    return [l for l in text.splitlines() if l and not l.startswith("#") and not moving.match(l)]


def test_both_formats_say_the_same():
    daemon, a, _ = two()
    for fields in ({}, {"tools": []}, {"x_fake": {"*": {"status": 404}}}):
        daemon.chat(MODEL, **fields)
    daemon.stream(MODEL).all_data()
    daemon.chat("unknown")
    daemon.settled()
    classic = daemon.get("/metrics")
    modern = daemon.get("/metrics", {"Accept": OPENMETRICS})
    eq(classic.header("content-type"), CLASSIC_TYPE, "classic content type")
    eq(modern.header("content-type"), OPEN_TYPE, "OpenMetrics content type")
    eq(samples(modern.body.decode()), samples(classic.body.decode()), "the same sample lines")
    ok(modern.body.endswith(b"\n# EOF\n") and modern.body.count(b"# EOF") == 1, "# EOF ends it")
    ok(classic.body.endswith(b"\n") and b"# EOF" not in classic.body, "and not the classic one")
    for answer in (classic, modern):
        eq(answer.header("cache-control"), "no-store", "Cache-Control")
        eq({v.strip().lower() for v in (answer.header("vary") or "").split(",")},
           {"accept", "accept-encoding"}, "Vary")
        eq(answer.header("transfer-encoding"), "chunked", "in chunks")
    check_metadata(classic.body.decode(), modern.body.decode())


def check_metadata(classic, modern):
    old, new = Metrics(classic), Metrics(modern)
    for name, kind in BOLD.items():
        eq(old.types.get(name), kind, f"{name}: classic type")
        base = name.removesuffix("_total") if kind == "counter" else name
        eq(new.types.get(base), kind, f"{name}: OpenMetrics type")
    ok(f"# HELP {list(BOLD)[0]} " in classic, "HELP")
    for text, first in ((classic, "HELP"), (modern, "TYPE")):
        seen, current, wrong = set(), None, []
        for line in text.splitlines():
            if line.startswith(f"# {first} "):
                current = line.split(" ")[2]
                wrong += [current] if current in seen else []
                seen.add(current)
            elif line and not line.startswith("#") and not line.startswith(current):
                wrong.append(line)
        eq(wrong, [], f"families are contiguous, {first} first")
    ok("# UNIT nexus_request_duration_seconds seconds" in modern, "UNIT in OpenMetrics")
    ok("# UNIT" not in classic, "and not in classic")
    eq(new.types.get("nexus_build"), "info", "info in OpenMetrics")
    eq(old.types.get("nexus_build_info"), "gauge", "gauge in classic")
    eq(new.get("nexus_uptime_seconds") is not None, True, "nexus_uptime_seconds")


def test_negotiation():
    daemon, *_ = two()
    cases = {
        None: CLASSIC_TYPE, "": CLASSIC_TYPE, "*/*": CLASSIC_TYPE, "text/plain": CLASSIC_TYPE,
        "application/openmetrics-text": OPEN_TYPE, OPENMETRICS: OPEN_TYPE,
        OPENMETRICS + "; charset=utf-8": OPEN_TYPE, "image/png": CLASSIC_TYPE,
        "application/openmetrics-text; version=0.0.1": CLASSIC_TYPE,
        "application/openmetrics-text; version=2.0.0": CLASSIC_TYPE,
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3": OPEN_TYPE,
        "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.3": CLASSIC_TYPE,
        "application/openmetrics-text;version=1.0.0;q=0": CLASSIC_TYPE,
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
        "encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,"
        "*/*;q=0.2": OPEN_TYPE,
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": CLASSIC_TYPE,
        "garbage;;;q=x,,": CLASSIC_TYPE}
    for accept, want in cases.items():
        answer = daemon.get("/metrics", {} if accept is None else {"Accept": accept})
        eq((answer.status, answer.header("content-type")), (200, want), f"Accept: {accept}")


def test_buckets():
    daemon, *_ = two()
    daemon.chat(MODEL)
    daemon.settled()
    text = daemon.get("/metrics").body.decode()
    wanted = {"nexus_request_duration_seconds": DURATION, "nexus_backend_latency_seconds": DURATION,
              "nexus_tokens_total": TOKENS, "gateway_request_duration_seconds": GATEWAY}
    for name, bounds in wanted.items():
        lines = re.findall(rf'^{name}_bucket{{(.*),?le="([^"]+)"}} (\d+)$', text, re.M)
        per_set = {}
        for labels, bound, count in lines:
            per_set.setdefault(labels, []).append((bound, int(count)))
        ok(per_set and all([b for b, _ in found] == bounds for found in per_set.values()),
           f"{name}: its bounds in order, le last", lines[:20])
        ok(all([c for _, c in found] == sorted(c for _, c in found) for found in per_set.values()),
           f"{name}: cumulative")
        metrics = Metrics(text)
        for labels, count in metrics.select(f"{name}_count"):
            if metrics.sum(f"{name}_bucket", le="+Inf", **labels) != count:
                ok(False, f"{name}: count is +Inf", labels)


def test_own_buckets_and_names():
    bounds = {"duration": [0.25, 2.0], "gateway": [1, 2, 3], "tokens": [1, 100],
              "first_token": [0.5], "per_token": [0.125, 0.5], "phase": [3], "overhead": [0.001]}
    wanted = {"nexus_request_duration_seconds": ["0.25", "2.0"],
              "nexus_backend_latency_seconds": ["0.25", "2.0"],
              "gateway_request_duration_seconds": ["1.0", "2.0", "3.0"],
              "nexus_request_tokens": ["1.0", "100.0"],
              "nexus_time_to_first_token_seconds": ["0.5"],
              "nexus_time_per_output_token_seconds": ["0.125", "0.5"],
              "nexus_inter_chunk_seconds": ["0.125", "0.5"],
              "nexus_upstream_phase_seconds": ["3.0"],
              "nexus_gateway_overhead_seconds": ["0.001"],
              "nexus_event_loop_lag_seconds": ["0.001"]}
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)],
             metrics={"naming": "clean", "buckets": bounds}) as (daemon, _):
        daemon.chat(MODEL)
        metrics = daemon.settled()
        text = daemon.get("/metrics").body.decode()
        for name, want in wanted.items():
            found = re.findall(rf'^{name}_bucket{{.*le="([^"]+)"}} ', text, re.M)
            eq(found[:len(want) + 1], [*want, "+Inf"], f"{name}: the buckets of the configuration")
        eq(metrics.get("nexus_request_tokens_count", model="llama3_70b", backend="a",
                       type="prompt"), 1, "metrics.naming: nexus_request_tokens")
        eq(metrics.get("nexus_backends_registered"), 1, "nexus_backends_registered")
        ok(not re.search("nexus_tokens_total|nexus_backends_total", text), "no old name is left")
        eq([row["tokens"]["prompt"] > 0 for row in daemon.stats()["models"]], [True],
           "/v1/stats stays as it is")


def test_births():
    a = FakeBackend("a", ["m1", "m2"])
    c = FakeBackend("c", [f"c{n}" for n in range(40)])
    with Daemon(backends=[backend(a), backend(c, discover=True)],
                metrics={"birth_models": 32}) as daemon:
        metrics = daemon.metrics()
        for model in ("m1", "m2"):
            eq(metrics.get("nexus_requests_total", model=model, backend="a", status="200"), 0,
               f"{model}: stated in the configuration, born at 0")
            eq(metrics.get("nexus_request_duration_seconds_count", model=model, backend="a"), 0,
               f"{model}: its histograms, too")
            eq(metrics.get("nexus_tokens_total_count", model=model, backend="a", type="prompt"), 0,
               f"{model}: tokens")
        eq(metrics.select("nexus_requests_total", backend="c"), [],
           "a backend with more than birth_models models bears none unasked")
        daemon.wait_models(*a.models, *c.models)
        daemon.chat("c7")
        eq(daemon.settled().get("nexus_requests_total", model="c7", backend="c", status="200"), 1,
           "but on first use")
    a.stop()
    c.stop()


def test_label_values():
    names = ["llama3:70b", "llama3/70b", "123model", "a\"b\\c", "é"]
    a = FakeBackend("ollama.1", names)
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        for name in names:
            eq(daemon.chat(name).status, 200, f"{name} is served")
        metrics = daemon.settled()
        eq(metrics.get("nexus_requests_total", model="llama3_70b", backend="ollama_1",
                       status="200"), 2, "two names that become equal are added up")
        eq(metrics.get("nexus_requests_total", model="_123model", backend="ollama_1",
                       status="200"), 1, "a leading digit")
        models = {m["name"]: m["requests"] for m in daemon.stats()["models"]}
        eq({n: models.get(n) for n in names}, {n: 1 for n in names}, "/v1/stats has the real names")
        infos = {(l["model"], l["name"].encode().decode("unicode_escape").encode("latin-1").decode())
                 for l, _ in metrics.select("nexus_model_info")}
        ok(("llama3_70b", "llama3:70b") in infos and ("llama3_70b", "llama3/70b") in infos,
           "nexus_model_info joins them", infos)
        eq([l["name"] for l, _ in metrics.select("nexus_backend_info", backend="ollama_1")],
           ["ollama.1"], "nexus_backend_info")
    a = FakeBackend("ollama.1", names)
    with Rig([a], backends=[backend(a)], metrics={"label_values": "raw"}) as (daemon, _):
        daemon.chat("llama3:70b")
        daemon.chat("a\"b\\c")
        metrics = daemon.settled()
        eq(metrics.get("nexus_requests_total", model="llama3:70b", backend="ollama.1",
                       status="200"), 1, "raw names")
        eq(metrics.get("nexus_requests_total", model='a\\"b\\\\c', backend="ollama.1",
                       status="200"), 1, "are escaped")


def test_budget():
    names = [f"m{n}" for n in range(30)]
    a = FakeBackend("a", names)
    with Rig([a], backends=[backend(a, discover=True)],
             metrics={"max_series_per_family": 12, "birth_models": 0}) as (daemon, _):
        daemon.wait_models(*names)
        for name in names:
            daemon.chat(name)
        metrics = daemon.settled()
        eq(metrics.sum("nexus_requests_total"), 30, "nothing is lost past the budget")
        n_series = len(metrics.select("nexus_requests_total"))
        ok(n_series <= 14, "the family stays within its budget", n_series)
        ok(metrics.sum("nexus_requests_total", model="_other") >= 16, "the rest is _other",
           metrics.select("nexus_requests_total"))
        ok(n_series < metrics.get("nexus_metric_series") < 2000, "nexus_metric_series")
        ok(metrics.sum("nexus_metric_overflow_total", metric="nexus_requests_total") >= 1,
           "nexus_metric_overflow_total", metrics.select("nexus_metric_overflow_total"))
        eq(daemon.stats()["requests"]["total"], 30, "/v1/stats agrees")


def test_stats_document():
    daemon, a, b = two()
    with Counting(daemon):
        daemon.chat(MODEL)
        daemon.chat("mistral:7b")
        daemon.chat(MODEL, x_fake={"*": {"status": 404}})
        daemon.chat("nope")
    document = daemon.stats()
    eq(list(document)[:4], ["uptime_seconds", "requests", "backends", "models"],
       "the four members, in order")
    eq(list(document["requests"]), ["total", "success", "errors"], "requests")
    ok(isinstance(document["uptime_seconds"], int), "uptime_seconds is an integer")
    eq(document["requests"]["errors"],
       document["requests"]["total"] - document["requests"]["success"],
       "[repair] errors are counted")
    ids = [row["id"] for row in document["backends"]]
    eq(ids, sorted(ids), "backends sorted by id")
    ok({"a", "b"} <= set(ids), "[repair] with their configured names", ids)
    for row in document["backends"]:
        eq(list(row)[:4], ["id", "requests", "average_latency_ms", "pending"],
           f"backend {row['id']}: its first members")
    rows = [(-m["requests"], m["name"]) for m in document["models"]]
    eq(rows, sorted(rows), "models by requests, then name")
    for row in document["models"]:
        eq(list(row)[:3], ["name", "requests", "average_duration_ms"], f"model {row['name']}")
    named = {m["name"]: m for m in document["models"]}
    ok(named[MODEL]["requests"] >= 2 and named["mistral:7b"]["requests"] >= 1,
       "[repair] per-model numbers are real", document["models"])
    text = daemon.get("/v1/stats").body.decode()
    averages = re.findall(r'"average_(?:latency|duration)_ms": ?([^,}]+)', text)
    ok(averages and all(re.fullmatch(r"\d+\.\d", x) for x in averages),
       "averages have one decimal", averages)


def test_average_latency_is_of_requests():
    a = FakeBackend("a", ["m"])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        row = daemon.stats()["backends"][0]
        eq(row["average_latency_ms"], 0.0, "[repair] probes are not counted in the average")
        a.behave({"fault": "slow_head", "gap": 0.002})
        daemon.chat("m")
        daemon.settled()
        row = daemon.stats()["backends"][0]
        ok(row["average_latency_ms"] >= 10, "a slow answer is", row)


def test_durations():
    daemon, a, _ = two()
    a.behave({"fault": "slow_head", "gap": 0.002})
    with Counting(daemon) as added:
        daemon.chat(MODEL)
    seconds = added.delta.sum("nexus_request_duration_seconds_sum", backend="a")
    ok(0.05 < seconds < 20, "nexus_request_duration_seconds is in seconds", seconds)
    gateway = added.delta.sum("gateway_request_duration_seconds_sum",
                              path="/v1/chat/completions", method="POST")
    ok(abs(gateway - seconds) < 0.05, "gateway_request_duration_seconds agrees", gateway)
    metrics = added.after
    ok(metrics.sum("nexus_uptime_seconds") > 0, "nexus_uptime_seconds")


def check_identities(metrics, stats):
    """What must hold at rest, from 04-metrics: every face and family tells the same."""
    requests = metrics.select("nexus_requests_total")
    total = sum(n for _, n in requests)
    good = sum(n for labels, n in requests if labels["status"].startswith("2"))
    eq(metrics.sum("nexus_errors_total"), total - good, "errors = requests that are not 2xx")
    per_pair = {}
    for labels, n in requests:
        key = (labels["model"], labels["backend"])
        per_pair[key] = per_pair.get(key, 0) + n
    counts = {(l["model"], l["backend"]): n
              for l, n in metrics.select("nexus_request_duration_seconds_count")}
    eq({k: n for k, n in counts.items() if n}, {k: n for k, n in per_pair.items() if n},
       "histogram count = requests, per model and backend")
    for kind in ("prompt", "completion"):
        eq(metrics.sum("nexus_tokens_total_sum", type=kind),
           metrics.sum(f"nexus_{kind}_tokens_total"), f"{kind} tokens in both families")
    check_stats(metrics, stats)
    if metrics.has_family("nexus_upstream_requests_total"):
        attempts = metrics.select("nexus_upstream_requests_total")
        ok(sum(n for _, n in attempts) >= good, "no success without an attempt")


def test_identities_after_everything():
    daemon, a, b = two()
    for number in range(40):
        behaviour = [{}, {"status": 500}, {"status": 404}, {"fault": "rst"}][number % 4]
        daemon.chat(MODEL if number % 3 else "mistral:7b", x_fake={"a": behaviour})
    daemon.post("/v1/chat/completions", b"{")
    daemon.settled()
    check_identities(daemon.settled(), daemon.stats())


def test_disabled_and_moved():
    for options, statuses in (({"enabled": False}, (404, 404)), ({"path": "/prom"}, (404, 200))):
        with Daemon(backends=[{"name": "demo", "type": "demo"}], metrics=options) as daemon:
            got = (daemon.get("/metrics").status, daemon.get("/prom").status)
            eq(got, statuses, f"metrics = {options}")
            eq(daemon.get("/v1/stats").status, 200, "/v1/stats stays")


def test_scrapes_are_requests():
    daemon, *_ = two()
    with Counting(daemon) as added:
        for _ in range(5):
            daemon.get("/v1/stats")
    added.check("gateway_requests_total", 5, method="GET", path="/v1/stats", status="200")
    added.check("gateway_request_duration_seconds_count", 5, method="GET", path="/v1/stats")
    eq(added.delta.select("nexus_requests_total"), [], "but no model requests")


if __name__ == "__main__":
    tap.run(globals())
