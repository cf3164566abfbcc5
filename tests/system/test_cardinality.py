#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clients invent and what backends list stays within the budget of series and memory."""
import json
import re

import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, chat_body, pair, shared, wait_until
from tap import eq, ok

MODEL = "llama3:70b"
GROWTH_MAX = 4 << 20


@shared
def two():
    return pair()


def send_all(daemon, requests):
    """Sends (method, target, headers, body) one after the other; {status: how many}."""
    statuses = {}
    connection = daemon.connect()
    for method, target, headers, body in requests:
        connection.request(method, target, headers, body)
        answer = connection.read_response(head_only=method == "HEAD")
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if (answer.header("connection") or "").lower() == "close":
            connection.close()
            connection = daemon.connect()
    connection.close()
    return statuses


def check_bounded(daemon, requests, statuses, added_series):
    """The requests end with these statuses; at most so many series appear, and no memory grows."""
    requests = list(requests)
    send_all(daemon, requests[:50])
    series, resident, n_lines = (daemon.settled().get("nexus_metric_series"),
                                 daemon.resident_bytes(), len(daemon.stderr_lines))
    eq(send_all(daemon, requests[50:]), statuses, "each is answered")
    metrics = daemon.settled()
    grown = metrics.get("nexus_metric_series") - series
    ok(grown <= added_series, f"at most {added_series} more series", grown)
    growth = daemon.resident_bytes() - resident
    ok(growth < GROWTH_MAX or daemon.is_sanitized(), "memory stays", growth)
    eq(daemon.stderr_lines[n_lines:][:3], [], "the log stays quiet")
    return metrics


def chat_requests(names, headers=lambda n: None):
    for n, name in enumerate(names):
        yield ("POST", "/v1/chat/completions", headers(n), json.dumps(chat_body(name)).encode())


def test_bogus_models():
    daemon, *_ = two()
    with Counting(daemon) as added:
        check_bounded(daemon, chat_requests(f"gpt-{n}" for n in range(10_050)), {404: 10_000}, 0)
    added.check("nexus_requests_total", 10_050, model="_unknown", backend="none", status="404")
    added.check("nexus_errors_total", 10_050, model="_unknown", error_type="model_not_found")
    ok(not added.after.select("nexus_requests_total", model="gpt_7"), "none became a label")


def test_bogus_methods_and_paths():
    daemon, *_ = two()
    with Counting(daemon) as added:
        check_bounded(daemon, ((f"VERB{n}", "/v1/models", None, None) for n in range(2_050)),
                      {405: 2_000}, 0)
        check_bounded(daemon, (("GET", f"/nowhere/{n}?q={n}", None, None) for n in range(2_050)),
                      {404: 2_000}, 0)
        check_bounded(daemon, (("GET", f"/v1/models/m{n}", None, None) for n in range(2_050)),
                      {404: 2_000}, 0)
    added.check("gateway_requests_total", 2_050, method="other", path="/v1/models", status="405")
    added.check("gateway_requests_total", 2_050, method="GET", path="unknown", status="404")
    added.check("gateway_requests_total", 2_050, method="GET", path="/v1/models/{id}",
                status="404")


def test_bogus_request_ids():
    daemon, *_ = two()
    names = [MODEL] * 2_050
    with Counting(daemon) as added:
        check_bounded(daemon, chat_requests(names, lambda n: {"X-Request-Id": f"id-{n}"}),
                      {200: 2_000}, 0)
    added.check("nexus_requests_total", 2_050, status="200")


def test_budget_is_told_once():
    names = [f"m{n}" for n in range(400)]
    a = FakeBackend("a", names)
    with Rig([a], backends=[backend(a, discover=True)], log={"level": "notice"},
             metrics={"max_series_per_family": 100}) as (daemon, _):
        daemon.wait_models(*names)
        eq(send_all(daemon, chat_requests(names * 2)), {200: 800}, "400 models answer, twice each")
        metrics = daemon.settled()
        eq(metrics.sum("nexus_requests_total"), 800, "all are counted")
        told = [re.search(r"(\w+): no room", line) for line in daemon.stderr_lines]
        told = [match[1] for match in told if match]
        eq(sorted(told), sorted(set(told)), "one line for each family past its budget")
        overflowed = {labels["metric"] for labels, n in
                      metrics.select("nexus_metric_overflow_total") if n}
        eq(set(told), overflowed, "the same that nexus_metric_overflow_total names")
        ok({"nexus_requests_total", "nexus_tokens_total"} <= overflowed, "such as", overflowed)
        for name in ("nexus_requests_total", "nexus_request_duration_seconds_count"):
            ok(len(metrics.select(name)) <= 101, f"{name}: within the budget",
               len(metrics.select(name)))


def test_many_backends_and_models():
    names = [f"model-{n}" for n in range(200)]
    fakes = [FakeBackend(f"b{n:02}", names) for n in range(50)]
    rows = [backend(fake, discover=True) for fake in fakes]
    with Rig(fakes, backends=rows, routing={"strategy": "round_robin"}) as (daemon, *_):
        ok(wait_until(lambda: daemon.metrics().get("nexus_backends_healthy") == len(fakes)),
           "50 backends answer their health checks")
        ok(wait_until(lambda: [len(row["backends"]) for row in
                               daemon.get("/v1/models").json()["data"]] == [50] * 200),
           "and each lists 200 models")
        before = daemon.settled().get("nexus_metric_series")
        ok(before < 1500, "which bear no series by themselves", before)
        eq(send_all(daemon, chat_requests([n for n in names for _ in range(5)])), {200: 1000},
           "all of them answer")
        metrics = daemon.settled()
        eq(len(metrics.select("nexus_requests_total", status="200")), 1000,
           "each pair that was used has its series")
        with Counting(daemon) as added:
            daemon.config_path.write_text(daemon.config_path.read_text() + "\n")
            daemon.kill(1)
            ok(wait_until(lambda: daemon.metrics().sum("nexus_config_reloads_total",
                                                       result="success") == 1), "a reload")
        eq(added.after.sum("nexus_requests_total"), 1000, "keeps every count")
        eq(len(daemon.stats()["models"]), 200, "/v1/stats lists them")


def is_known(daemon, name):
    ok(wait_until(lambda: daemon.get(f"/v1/models/{name}").status == 200), f"{name} is known")


def n_models(daemon):
    return daemon.get("/health").json()["models"]["total"]


def test_a_backend_that_lists_others_each_time():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["kept"])
    with Rig([a, b], backends=[backend(a, discover=True), backend(b, discover=True)],
             health={"interval": 0.1}) as (daemon, *_):
        daemon.wait_models("m", "kept")
        b.models = ["other"]
        is_known(daemon, "other")
        for n in range(3):
            a.models = [f"m{n}-{i}" for i in range(1500)]
            is_known(daemon, f"m{n}-1499")
        eq(n_models(daemon), 1500 + 1000 + 2, "what is known has an end")
        former = next(model["id"] for model in daemon.get("/v1/models").json()["data"]
                      if model["id"].startswith("m1-"))
        with Counting(daemon) as added:
            eq([daemon.chat(name).status for name in ("m2-7", former, "kept", "m0-7")],
               [200, 503, 503, 404], "listed, listed before, by another backend, long ago")
        added.check("nexus_requests_total", 1, model="_unknown", status="404")
        metrics = daemon.metrics()
        eq(len(metrics.select("nexus_model_info")), 2000 + 1, "the real names are within a budget")
        eq(metrics.sum("nexus_model_info", model="_other"), 1, "that tells what it lacks")
        eq(daemon.metrics().get("nexus_metric_overflow_total", metric="nexus_model_info") -
           metrics.get("nexus_metric_overflow_total", metric="nexus_model_info"), 502,
           "as many as there are, with each scrape")
        a.models = ["last"]
        is_known(daemon, "last")
        eq(n_models(daemon), 1 + 1000 + 2, "the end of the list is no way around it")


if __name__ == "__main__":
    tap.run(globals())
