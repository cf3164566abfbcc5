#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How /metrics is handed over: compressed, selected, head only, and never at others' expense."""
import os
import re
import signal
import time

import tap
from exposition_judge import Judge
from fake_backend import FakeBackend
from harness import OPENMETRICS, Counting, Rig, backend, openmetrics_judge, pair, shared, wait_until
from prometheus_text import Metrics
from tap import Skip, eq, ok

MODEL = "llama3:70b"
GZIP = {"Accept-Encoding": "gzip"}
two = shared(pair)


def samples(answer):
    return Metrics(answer.content().decode())


def large(n_models=300, **options):
    """A fleet whose rendering does not fit into the buffers of a connection."""
    a = FakeBackend("a", [f"model-{n}" for n in range(n_models)])
    return Rig([a], backends=[backend(a)], **options)


def stopping_reader(daemon):
    """A connection with next to no room on the way, on either side."""
    return daemon.connect(rcvbuf=2048, mss=536)


def test_the_judge_judges():
    program = openmetrics_judge()
    if not program.is_file():
        raise Skip("openmetrics_judge is not built")
    judge = Judge(program)
    eq(judge.ask(b"openmetrics", b"# TYPE a counter\na_total 1\n# EOF\n"), "ok", "a sound text")
    eq(judge.ask(b"classic", b"# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1.0\n"
                             b"a_count 1\n"),
       "line 4: the count is not the +Inf bucket", "and one that is not")


def test_gzip():
    daemon, *_ = two()
    daemon.chat(MODEL)
    daemon.settled()
    for accept in (None, OPENMETRICS):
        headers = {"Accept": accept} if accept else {}
        plain = daemon.get("/metrics", headers)
        ok(len(plain.body) > 8192, "a rendering worth compressing", len(plain.body))
        coded = daemon.get("/metrics", {**headers, **GZIP})
        eq((coded.status, coded.header("content-encoding"), coded.header("content-length")),
           (200, "gzip", None), "compressed, of unknown length")
        eq(coded.header("transfer-encoding"), "chunked", "in chunks")
        for name in ("content-type", "vary", "cache-control"):
            eq(coded.header(name), plain.header(name), f"{name} as without")
        ok(len(coded.body) * 4 < len(plain.body), "and much smaller",
           (len(coded.body), len(plain.body)))
        eq(samples(coded).get("nexus_requests_total", model="llama3_70b", backend="a",
                              status="200"),
           samples(plain).get("nexus_requests_total", model="llama3_70b", backend="a",
                              status="200"), "with the same numbers")
    eq(plain.header("vary"), "Accept, Accept-Encoding", "Vary tells of both")
    ok(daemon.get("/v1/stats", GZIP).json()["requests"]["total"] >= 1, "/v1/stats is still JSON")


def test_identity():
    daemon, *_ = two()
    for encoding in ("", "identity", "br, deflate", "gzip;q=0", "identity, gzip;q=0.5",
                     "*;q=0", "gzip;q=2"):
        answer = daemon.get("/metrics", {"Accept-Encoding": encoding})
        eq((answer.header("content-encoding"), answer.header("transfer-encoding")),
           (None, "chunked"), f"Accept-Encoding: {encoding}: as it is")
        ok(samples(answer).has_family("nexus_requests_total"), "whole")
    small = daemon.get("/metrics?name[]=nexus_backends_total", GZIP)
    eq((small.header("content-encoding"), small.header("content-length")),
       (None, str(len(small.body))), "what is small stays as it is")


def test_gzip_on_one_connection():
    """The stream ends properly, so that the next request follows on the same connection."""
    daemon, *_ = two()
    with Counting(daemon) as added, daemon.connect() as connection:
        for _ in range(3):
            connection.request("GET", "/metrics", GZIP)
            eq(connection.read_response().status, 200, "one after the other")
        connection.request("HEAD", "/metrics", GZIP)
        head = connection.read_response(head_only=True)
        eq((head.status, head.header("transfer-encoding")), (200, None), "the head alone")
        connection.request("GET", "/livez")
        eq(connection.read_response().status, 200, "without anything behind it")
    added.check("gateway_requests_total", 1, method="HEAD", path="/metrics", status="200")
    eq(added.delta.sum("gateway_requests_total", status="499"), 0, "all of them were delivered")
    eq(added.delta.sum("nexus_client_disconnects_total"), 0, "to clients that stayed")


def test_http_1_0():
    daemon, *_ = two()
    for header, coding in ((b"", None), (b"Accept-Encoding: gzip\r\n", "gzip")):
        with daemon.connect() as connection:
            connection.send(b"GET /metrics HTTP/1.0\r\n" + header + b"\r\n")
            answer = connection.read_response()
        eq((answer.status, answer.header("transfer-encoding"), answer.header("content-encoding")),
           (200, None, coding), "the end of the connection ends it")
        ok(samples(answer).has_family("nexus_requests_total"), "whole")


def test_large_gzip():
    with large() as (daemon, _):
        plain, coded = daemon.get("/metrics"), daemon.get("/metrics", GZIP)
        ok(len(plain.body) > 4 * 65536, "many pieces", len(plain.body))
        eq([len(samples(answer).select("nexus_requests_total")) for answer in (plain, coded)],
           [300, 300], "every sample arrives")


def test_a_reader_that_stops_delays_nobody():
    with large(workers=1) as (daemon, _):
        for headers in ({}, GZIP):
            with Counting(daemon) as added:
                with stopping_reader(daemon) as slow:
                    slow.request("GET", "/metrics", headers)
                    eq(slow.read_head().status, 200, f"a scraper that reads no further {headers}")
                    for _ in range(5):
                        eq(daemon.chat("model-7").status, 200, "a request meanwhile")
                    eq(daemon.get("/metrics", GZIP).status, 200, "another scraper meanwhile")
                ok(wait_until(lambda: daemon.metrics().sum(
                    "nexus_client_disconnects_total", stage="streaming") >
                    added.before.sum("nexus_client_disconnects_total", stage="streaming")),
                   "its leaving is seen")
            added.check("gateway_requests_total", 1, path="/metrics", status="499")


def send_while_frozen(daemon, connections, target):
    """All of them are there before the daemon looks at one."""
    daemon.kill(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.pid, os.WSTOPPED | os.WNOWAIT)
    for connection in connections:
        connection.request("GET", target)
    daemon.kill(signal.SIGCONT)


def test_readers_at_once():
    """Of many that come at the same moment none is slow: who is let in gets all of it."""
    with large(30, workers=1) as (daemon, _):
        connections = [daemon.connect() for _ in range(12)]
        for connection in connections:
            eq(connection.request("GET", "/livez").read_response().status, 200, "is accepted")
        with Counting(daemon) as added:
            send_while_frozen(daemon, connections, "/metrics")
            answers = [connection.read_response() for connection in connections]
            eq(sorted(answer.status if answer else None for answer in answers),
               [200] * 8 + [503] * 4, "eight are served, whole, the others told to come again")
        for answer in answers:
            if answer.status == 503:
                eq((answer.json()["error"]["code"], answer.header("retry-after")),
                   ("overloaded", "1"), "which is overload")
        added.check("nexus_client_disconnects_total", 0)
        for connection in connections:
            connection.close()


def enter(daemon, target):
    """A reader that stops, once it is let in; and how often it was refused before."""
    refusals = []

    def is_let_in():
        connection = stopping_reader(daemon).request("GET", target)
        status = connection.read_head().status
        if status == 503:
            refusals.append(connection)
            connection.close()
        return connection if status == 200 else None
    return wait_until(is_let_in), len(refusals)


def test_slow_readers_shut_out_nobody():
    """A worker renders eight at a time; those that take nothing make room for who does."""
    with large(workers=1) as (daemon, _):
        with Counting(daemon) as added:
            slow = [enter(daemon, ("/metrics", "/v1/stats")[n % 2]) for n in range(12)]
            ok(all(connection for connection, _ in slow), "each finds room, sooner or later")
            ok(wait_until(lambda: daemon.get("/metrics").status == 200), "so does who reads")
            for path in ("/metrics", "/v1/stats"):
                eq([daemon.get(path).status for _ in range(5)], [200] * 5, f"others read {path}")
            eq(daemon.chat("model-7").status, 200, "a request is served, too")
            for connection, _ in slow:
                connection.close()
        added.check("gateway_requests_total", 7, status="499")


def test_stop_while_a_reader_stops():
    with large(workers=1, timeouts={"drain": 0.2}) as (daemon, _):
        with stopping_reader(daemon) as slow:
            slow.request("GET", "/metrics", GZIP)
            eq(slow.read_head().status, 200, "a reader of gzip that stops")
            daemon.stop()


def test_selection():
    daemon, *_ = two()
    daemon.chat(MODEL)
    daemon.settled()
    cases = {"name[]=nexus_requests_total": {"nexus_requests"},
             "name[]=nexus_requests": {"nexus_requests"},
             "name%5B%5D=nexus_request_duration_seconds_bucket":
                 {"nexus_request_duration_seconds"},
             "name[]=nexus_build_info&name[]=nexus_errors_total": {"nexus_build", "nexus_errors"},
             "name[]=nobody": set(), "name[]=": set()}
    for query, want in cases.items():
        answer = daemon.get(f"/metrics?{query}", {"Accept": OPENMETRICS})
        eq((answer.status, set(samples(answer).types)), (200, want), query)
    everything = set(daemon.metrics(OPENMETRICS).types)
    for query in ("", "name", "names[]=a", "x=name[]"):
        answer = daemon.get(f"/metrics?{query}", {"Accept": OPENMETRICS})
        eq(set(samples(answer).types), everything, f"?{query} selects nothing in particular")
    one = samples(daemon.get("/metrics?name[]=nexus_requests"))
    ok(one.get("nexus_requests_total", model="llama3_70b", backend="a", status="200") >= 1,
       "a selected family has its samples", one.text)
    eq(daemon.get("/metrics?name[]=nobody", {"Accept": OPENMETRICS}).body, b"# EOF\n",
       "nothing is a document, too")


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def test_exemplars():
    with pair(metrics={"exemplars": True}) as (daemon, *_):
        bad = (None, f"00-{TRACE}", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01")
        for header in bad:
            daemon.chat(MODEL, headers={"traceparent": header})
        daemon.settled()
        ok("trace_id" not in daemon.metrics(OPENMETRICS).text, "no trace, no exemplar")
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        daemon.chat(MODEL, headers=headers)
        daemon.stream("mistral:7b", headers=headers).all_data()
        daemon.settled()
        text = daemon.metrics(OPENMETRICS).text
        for name, model in (("nexus_request_duration_seconds", "llama3_70b"),
                            ("nexus_request_duration_seconds", "mistral_7b"),
                            ("nexus_time_to_first_token_seconds", "mistral_7b")):
            found = re.findall(rf'^{name}_bucket{{model="{model}",backend="a",le="(\S+)"}} \d+ '
                               rf'# {{trace_id="{TRACE}"}} (\S+) (\d+\.\d+)$', text, re.M)
            eq(len(found), 1, f"{name} of {model}: an exemplar in one bucket")
            ok(found and float(found[0][1]) <= float(found[0][0]), "whose value is within it",
               found)
        eq(text.count("trace_id"), 3, "and nowhere else")
        ok("trace_id" not in daemon.metrics().text, "classic has none")
    daemon, *_ = two()
    daemon.chat(MODEL, headers=headers)
    daemon.settled()
    ok("trace_id" not in daemon.metrics(OPENMETRICS).text, "none unless metrics.exemplars is set")


def test_created():
    before = time.time()
    with pair(metrics={"created": True}) as (daemon, *_):
        daemon.chat(MODEL)
        metrics = daemon.settled()
        eq([n for n, _ in metrics.samples if n.endswith("_created")], [], "classic has none")
        births = daemon.metrics(OPENMETRICS)
        labels = {"model": "llama3_70b", "backend": "a"}
        for name in ("nexus_requests_created", "nexus_request_duration_seconds_created"):
            born = [at for _, at in births.select(name, **labels)]
            ok(born and all(before - 1 < at < time.time() + 1 for at in born),
               f"{name}: when the series was born", born)
        kinds = births.types
        owners = {n.removesuffix("_created") for n, _ in births.samples if n.endswith("_created")}
        eq({kinds[owner] for owner in owners}, {"counter", "histogram"},
           "metrics.created: for counters and histograms")
    daemon, *_ = two()
    ok("_created" not in daemon.metrics(OPENMETRICS).text, "none unless metrics.created is set")


def test_render_time():
    daemon, *_ = two()
    daemon.metrics()
    seconds = daemon.metrics().get("nexus_metrics_render_seconds")
    ok(0 < seconds < 20, "nexus_metrics_render_seconds", seconds)


def test_head():
    daemon, *_ = two()
    for headers in ({}, {"Accept": OPENMETRICS}):
        got = daemon.get("/metrics?name[]=nexus_build_info", headers)
        head = daemon.request("HEAD", "/metrics?name[]=nexus_build_info", None, headers)
        eq([(n, v) for n, v in head.headers if n not in ("X-Request-Id", "Date")],
           [(n, v) for n, v in got.headers if n not in ("X-Request-Id", "Date")],
           f"HEAD has the head that GET has {headers}")


if __name__ == "__main__":
    tap.run(globals())
