#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Attempts, fallbacks and strategies: what is tried, in which order, and what the counters say."""
import collections
import json
import re
import threading

import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, chat_body, pair, shared, wait_until
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"
TIMEOUTS = {"connect": 1, "first_byte": 0.4, "stream_idle": 0.4}


@shared
def two():
    """a is tried first, then b; both have both models."""
    return pair(timeouts=TIMEOUTS)


def check_attempts(added, **outcomes):
    """The attempts by backend and outcome, where the build counts them."""
    if not added.after.has_family("nexus_upstream_requests_total"):
        return
    want = {tuple(key.split("__")): n for key, n in outcomes.items()}
    got = {(labels["backend"], labels["outcome"]): int(n)
           for labels, n in added.delta.select("nexus_upstream_requests_total")}
    eq(got, want, "attempts by backend and outcome")
    retries = sum(want.values()) - len({labels["model"] for labels, _ in
                                        added.delta.select("nexus_upstream_requests_total")})
    eq(added.delta.sum("nexus_retries_total"), retries, "retries")


# behaviour of the first backend -> outcome
RETRIED = {
    "500": ({"status": 500}, "http_5xx"), "502": ({"status": 502}, "http_5xx"),
    "503": ({"status": 503, "retry_after": 1}, "http_5xx"), "429": ({"status": 429}, "http_429"),
    "408": ({"status": 408}, "http_4xx"), "close before the head": ({"fault": "close"}, "reset"),
    "RST before the head": ({"fault": "rst"}, "reset"),
    "close in mid-body": ({"fault": "cut"}, "truncated"),
    "cut chunks": ({"fault": "cut_chunked"}, "truncated"),
    "garbage": ({"fault": "garbage"}, None), "two lengths": ({"fault": "bad_length"}, None),
    "not JSON": ({"fault": "invalid_json"}, "parse"), "empty 200": ({"body": ""}, "parse"),
    "HTML 200": ({"body": "<html>proxy login</html>"}, "parse"),
    "never an answer": ({"fault": "never"}, "timeout"),
    "a head and silence": ({"fault": "head_stall"}, "timeout"),
    "a bomb of headers": ({"fault": "header_bomb"}, None),
}


def test_plain_requests_fail_over():
    daemon, a, b = two()
    for name, (behaviour, outcome) in RETRIED.items():
        a.reset()
        b.reset()
        a.behave(behaviour)
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"), f"{name}: b answers")
        eq((answer.header("x-nexus-attempts"), answer.header("x-nexus-route-reason")),
           ("2", "failover"), f"{name}: says how")
        eq((len(a.log()), len(b.log())), (1, 1), f"[repair] {name}: each asked once")
        eq(a.log()[0].body, b.log()[0].body, f"{name}: with the same bytes")
        added.check_request(LABEL, "b", 200)
        if outcome:
            check_attempts(added, **{f"a__{outcome}": 1, "b__ok": 1})


def test_streamed_requests_fail_over():
    daemon, a, b = two()
    faults = dict(RETRIED)
    faults.update({
        "error event first": ({"fault": "error_event"}, None),
        "cut before the first frame": ({"after": 0}, None),
        "RST before the first frame": ({"after": 0, "how": "rst"}, None),
        "an empty stream": ({"after": 0, "how": "end"}, None),
        "silence before the first frame": ({"after": 0, "how": "stall"}, "timeout"),
    })
    for name in ("not JSON", "empty 200", "HTML 200"):
        del faults[name]
    for name, (behaviour, outcome) in faults.items():
        a.reset()
        b.reset()
        a.behave(behaviour)
        with Counting(daemon) as added:
            stream = daemon.stream(MODEL)
            events = stream.all_data()
        eq((stream.head.status, stream.head.header("x-nexus-backend")), (200, "b"),
           f"stream, {name}: b answers")
        ok(events and events[-1] == "[DONE]" and all('"a"' not in e for e in events),
           f"stream, {name}: only b's frames arrive", events)
        eq((len(a.log()), len(b.log())), (1, 1), f"stream, {name}: each asked once")
        added.check_request(LABEL, "b", 200)
        if outcome:
            check_attempts(added, **{f"a__{outcome}": 1, "b__ok": 1})


def test_an_attempt_is_one_request():
    """A kept connection that dies under a request is a failed attempt, not a silent second one."""
    with pair(workers=1) as (daemon, a, b):
        for fault in ("rst", "close"):
            for stream in (False, True):
                a.reset()
                daemon.chat(MODEL)
                a.behave({"fault": fault})
                with Counting(daemon) as added:
                    if stream:
                        ok(daemon.stream(MODEL).all_data(), f"{fault}: streamed")
                    else:
                        eq(daemon.chat(MODEL).status, 200, f"{fault}: answered")
                eq(len(a.log()), 2, f"{fault}, stream {stream}: a got the request once")
                added.check_request(LABEL, "b", 200)
                check_attempts(added, a__reset=1, b__ok=1)


def test_the_only_backend_gets_a_fresh_connection():
    """Without another backend a kept connection that died is worth one more try, and is counted."""
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], workers=1, routing={"max_retries": 0}) as (daemon, _):
        daemon.chat(MODEL)
        a.behave({"fault": "rst"})
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, len(a.log())), (200, 3), "answered over a fresh connection")
        eq(answer.header("x-nexus-attempts"), "2", "X-Nexus-Attempts tells")
        added.check_request(LABEL, "a", 200)
        check_attempts(added, a__reset=1, a__ok=1)
        a.behave({"fault": "rst"}, {"fault": "rst"})
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, len(a.log())), (502, 5), "once, and not again")
        added.check_request(LABEL, "a", 502, "backend_error")
        check_attempts(added, a__reset=2)


def test_not_retried():
    daemon, a, b = two()
    for status in (400, 401, 403, 404, 409, 422):
        a.behave({"status": status})
        stream_status = status
        answer = daemon.chat(MODEL)
        eq((answer.status, answer.header("x-nexus-attempts")), (status, "1"),
           f"[repair] {status} is final")
        a.behave({"status": stream_status})
        answer = daemon.stream(MODEL).head
        eq((answer.status, answer.header("x-nexus-backend")), (status, "a"),
           f"{status} of a streamed request is final")
    eq(b.log(), [], "b is not asked")


def test_last_http_answer_is_relayed():
    cases = [({"status": 500}, {"status": 503, "retry_after": 17, "body": '{"e" : "b"} '}, 503,
              "backend_error"),
             ({"status": 500}, {"status": 429, "retry_after": 9, "body": "slow  down",
                                "headers": {"x-ratelimit-reset-requests": "9s"}}, 429,
              "rate_limited"),
             ({"status": 429}, {"status": 500, "body": '{"e":1}'}, 500, "backend_error")]
    for first, last, status, error_type in cases:
        with pair(timeouts=TIMEOUTS) as (daemon, a, b):  # afresh: a 429 is remembered
            a.default, b.default = first, last
            with Counting(daemon) as added:
                answer = daemon.chat(MODEL)
            who = answer.header("x-nexus-backend")
            sent = last if who == "b" else first
            eq(answer.status, sent["status"], f"{status}: the last answer's status")
            if "body" in sent:
                eq(answer.body, sent["body"].encode(), f"{status}: its body")
            if "retry_after" in sent:
                eq(answer.header("retry-after"), str(sent["retry_after"]),
                   f"{status}: its Retry-After")
            if "headers" in sent:
                eq(answer.header("x-ratelimit-reset-requests"), "9s", f"{status}: x-ratelimit-*")
            eq([len(a.log()), len(b.log())], [2, 1], f"{status}: a, b and a again")
            kind = "rate_limited" if sent["status"] == 429 else "backend_error"
            added.check_request(LABEL, who, sent["status"], kind)
            if who == "b":
                eq(kind, error_type, f"{status}: error type")


def test_last_answer_with_one_retry():
    with pair(routing={"strategy": "priority_only", "max_retries": 1}) as rig:
        daemon, a, b = rig
        a.default = {"status": 500}
        b.default = {"fault": "close"}
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.error().get("code")), (502, "bad_gateway"),
           "502 when the last attempt got no answer")
        added.check_request(LABEL, "b", 502, "backend_error")
        check_attempts(added, a__http_5xx=1, b__reset=1)
        b.default = {"status": 429, "retry_after": 9, "body": "slow  down",
                     "headers": {"x-ratelimit-reset-requests": "9s"}}
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.body, answer.header("retry-after"),
            answer.header("x-ratelimit-reset-requests")), (429, b"slow  down", "9", "9s"),
           "[repair] an upstream 429 is relayed as it is")
        added.check_request(LABEL, "b", 429, "rate_limited")


def check_context(answer, model, tried):
    context = answer.error().get("context", {})
    eq((context.get("model"), [(t["backend"], t["outcome"]) for t in context.get("tried", [])]),
       (model, tried), "context tells what was tried", answer.body)
    ok(isinstance(context.get("excluded"), list), "and what was left out", answer)
    ok(int(answer.header("retry-after") or 0) >= 1 and
       context.get("retry_after_seconds") == int(answer.header("retry-after")),
       "Retry-After, in both places", answer)


def test_no_answer_at_all():
    daemon, a, b = two()
    cases = {"reset": ({"fault": "rst"}, 502, "bad_gateway", "backend_error"),
             "truncated": ({"fault": "cut"}, 502, "bad_gateway", "backend_error"),
             "parse": ({"fault": "invalid_json"}, 502, "bad_gateway", "parse_error"),
             "timeout": ({"fault": "never"}, 504, "gateway_timeout", "timeout")}
    for outcome, (behaviour, status, code, error_type) in cases.items():
        a.reset()
        b.reset()
        a.default = b.default = behaviour
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.error().get("code"), answer.error().get("type")),
           (status, code, "server_error"), f"{outcome} everywhere")
        check_context(answer, MODEL, [("a", outcome), ("b", outcome), ("a", outcome)])
        added.check_request(LABEL, "a", status, error_type)
        check_attempts(added, **{f"a__{outcome}": 2, f"b__{outcome}": 1})
        eq(answer.header("x-nexus-attempts"), "3", "X-Nexus-Attempts")
        a.behave(behaviour, behaviour)
        head = daemon.stream(MODEL).head
        eq(head.status, status, f"{outcome} everywhere, streamed: {status}")
        ok("json" in head.header("content-type"), "and not an event stream")


def test_dead_backends():
    with pair(health={"interval": 60}, timeouts=TIMEOUTS) as rig:
        daemon, a, b = rig
        a.stop()
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"),
           "connection refused: b answers")
        added.check_request(LABEL, "b", 200)
        check_attempts(added, a__connect=1, b__ok=1)
        eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "streams, too")
        b.stop()
        answer = daemon.chat(MODEL)
        ok(answer.status in (502, 503), "both dead", repr(answer))
        ok(answer.error().get("code") in ("bad_gateway", "no_healthy_backend"), "its code")
        a.start()
        b.start()


def test_all_unhealthy():
    with pair(health={"interval": 0.1, "failures": 1, "successes": 1}) as rig:
        daemon, a, b = rig
        a.probe_behaviour = b.probe_behaviour = {"/v1/models": {"status": 500}}
        daemon.wait_healthy(0)
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.error().get("code"), answer.error().get("type")),
           (503, "no_healthy_backend", "server_error"), "all unhealthy")
        context = answer.error()["context"]
        eq(sorted((e["backend"], e["reason"]) for e in context["excluded"]),
           [("a", "unhealthy"), ("b", "unhealthy")], "context tells why")
        eq(context["tried"], [], "nothing was tried")
        ok(int(answer.header("retry-after")) >= 1, "Retry-After")
        added.check_request(LABEL, "none", 503, "no_healthy_backend")
        if added.after.has_family("nexus_routing_exclusions_total"):
            added.check("nexus_routing_exclusions_total", 2, reason="unhealthy")
        eq((a.log(), b.log()), ([], []), "no backend is asked")
        a.probe_behaviour = {}
        daemon.wait_healthy(1)
        eq(daemon.chat(MODEL).status, 200, "and served again when one is back")


@shared
def fallbacks():
    """big is on a only, small on b only, tiny on nobody."""
    a, b = FakeBackend("a", ["big"]), FakeBackend("b", ["small"])
    return Rig([a, b], backends=[backend(a), backend(b)], timeouts=TIMEOUTS,
               routing={"max_retries": 0, "aliases": [{"name": "best", "model": "big"},
                                                      {"name": "ghost", "model": "tiny"}],
                        "fallbacks": [{"model": "big", "to": ["tiny", "small"]},
                                      {"model": "small", "to": ["big"]}]})


def test_fallback_models():
    daemon, a, b = fallbacks()
    for asked in ("big", "best"):
        for streamed in (False, True):
            a.behave({"status": 500})
            with Counting(daemon) as added:
                if streamed:
                    stream = daemon.stream(asked)
                    answer, body = stream.head, stream.all_data()[-1]
                else:
                    answer = daemon.chat(asked)
                    body = answer.json()["model"]
            eq((answer.status, body), (200, "[DONE]" if streamed else "small"),
               f"{asked}: the fallback answers, streamed {streamed}")
            eq((answer.header("x-nexus-fallback-model"), answer.header("x-nexus-backend")),
               ("small", "b"), f"{asked}: says so")
            eq(answer.header("x-nexus-route-reason"), "failover", f"{asked}: and why")
            eq(b.log()[-1].model, "small", f"{asked}: is asked for by its name")
            added.check_request("small", "b", 200)
            added.check("nexus_fallbacks_total", 1, from_model="big", to_model="small")
    with Counting(daemon) as added:
        eq(daemon.chat("big").header("x-nexus-fallback-model"), None, "no fallback, no header")
    added.check("nexus_fallbacks_total", 0)


def test_fallbacks_exhausted():
    daemon, a, b = fallbacks()
    a.behave({"fault": "cut"})
    b.behave({"fault": "cut"})
    with Counting(daemon) as added:
        answer = daemon.chat("big")
    eq((answer.status, answer.error().get("code")), (502, "fallback_exhausted"),
       "[repair] fallbacks are tried, and the end is told")
    check_context(answer, "big", [("a", "truncated"), ("b", "truncated")])
    added.check_request("big", "b", 502, "fallback_exhausted")
    added.check("nexus_fallbacks_total", 0)
    a.behave({"fault": "never"})
    b.behave({"fault": "never"})
    eq(daemon.chat("big").status, 504, "504 when the last one timed out")
    a.behave({"fault": "cut"})
    b.behave({"status": 429, "body": "b's own"})
    with Counting(daemon) as added:
        answer = daemon.chat("big")
    eq((answer.status, answer.body), (429, b"b's own"), "an HTTP answer of the last is relayed")
    eq(answer.header("x-nexus-fallback-model"), "small", "it was the fallback's")
    added.check_request("small", "b", 429, "rate_limited")


def test_a_fallback_on_the_same_backends():
    """Those that have just failed come after the one that was not asked yet."""
    fakes = [FakeBackend(name, ["big", "small"]) for name in "abc"]
    rows = [backend(fake, priority=p) for p, fake in enumerate(fakes)]
    with Rig(fakes, backends=rows, breaker={"failures": 0, "error_rate": 0},
             routing={"strategy": "priority_only", "max_retries": 1,
                      "fallbacks": [{"model": "big", "to": ["small"]}]}) as (daemon, a, b, c):
        a.default = b.default = {"fault": "rst"}
        with Counting(daemon) as added:
            answer = daemon.chat("big")
        eq((answer.status, answer.header("x-nexus-backend"), answer.header("x-nexus-attempts")),
           (200, "c", "3"), "the one that is left answers")
        eq([[e.model for e in fake.log()] for fake in fakes], [["big"], ["big"], ["small"]],
           "nobody is asked twice")
        added.check_request("small", "c", 200)


def alone(**options):
    """One backend, which is asked again and again, and whose circuit stays closed."""
    a = FakeBackend("a", [MODEL])
    return Rig([a], backends=[backend(a)], breaker={"failures": 0, "error_rate": 0}, **options)


def test_a_backoff_is_no_work_of_the_backend():
    with alone() as (daemon, a):
        a.behave({"status": 500}, {"status": 500})
        timing = daemon.chat(MODEL).header("server-timing")
        ok(re.fullmatch(r"gw;dur=[\d.]+, upstream;dur=[\d.]+, wait;dur=[\d.]+", timing),
           "the wait stands apart", timing)
        ok("wait" not in daemon.chat(MODEL).header("server-timing"), "when there was one")


def test_the_time_is_over_in_a_backoff():
    """The last attempt got an answer, unless the time was over in the middle of another."""
    with alone(routing={"max_retries": 16}, timeouts={"total": 0.2}) as (daemon, a):
        a.default = {"status": 500, "json": {"error": {"message": "of the backend"}}}
        statuses = set()
        for _ in range(4):
            with Counting(daemon) as added:
                answer = daemon.chat(MODEL)
            cut = added.delta.sum("nexus_upstream_requests_total", outcome="timeout")
            eq(answer.status, 504 if cut else 500, "the last attempt's answer is relayed")
            statuses.add(answer.status)
            if not cut:
                eq(answer.error()["message"], "of the backend", "as it is")
            added.check("nexus_upstream_requests_total", int(answer.header("x-nexus-attempts")))
        ok(500 in statuses, "with one at least", statuses)


def test_a_drain_in_a_backoff():
    """One retry at most may just have begun, in one round of three."""
    late = 0
    with alone(routing={"max_retries": 16}) as (daemon, a):
        for _ in range(3):
            a.reset()
            a.default = {"status": 500}
            with Counting(daemon) as added, daemon.connect() as client:
                client.request("POST", "/v1/chat/completions", None,
                               json.dumps(chat_body(MODEL)).encode())
                ok(a.wait_requests(4) and a.wait_ended(a.log()[-1]), "it waits to ask again")
                daemon.request("POST", "/admin/backends/a/drain", address=daemon.admin_address)
                asked = len(a.log())
                eq(client.read_response().status, 500, "the last attempt's answer is relayed")
            late += len(a.log()) - asked
            added.check("nexus_upstream_requests_total", len(a.log()))
            added.check("nexus_retries_total", len(a.log()) - 1)
            daemon.request("POST", "/admin/backends/a/undrain", address=daemon.admin_address)
    ok(late <= 1, "a retry counts as new", late)


def test_fallbacks_are_not_chained():
    daemon, a, b = fallbacks()
    a.default = {"status": 500}
    b.default = {"status": 500}
    daemon.chat("small")
    eq((len(b.log()), len(a.log())), (1, 1), "small, then big, and no further")


def test_model_that_nobody_lists():
    daemon, a, b = fallbacks()
    with Counting(daemon) as added:
        answer = daemon.chat("ghost")
    eq((answer.status, answer.error().get("code")), (503, "no_backend"),
       "known by name, listed by nobody")
    ok(answer.header("retry-after"), "Retry-After")
    added.check_request("tiny", "none", 503, "no_backend")
    eq((a.log(), b.log()), ([], []), "no backend is asked")


def test_timeouts_count_per_attempt_and_in_total():
    with pair(timeouts={"first_byte": 5, "total": 0.5}) as rig:
        daemon, a, b = rig
        a.default = b.default = {"fault": "never"}
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.error().get("code")), (504, "gateway_timeout"),
           "timeouts.total ends the waiting")
        eq(len(a.log()) + len(b.log()), 1, "in the first attempt")
        added.check_request(LABEL, "a", 504, "timeout")
        eq(a.wait_ended(a.log()[0]), "peer_closed", "the backend sees it end")


def test_the_end_of_the_time_in_a_pause_is_nobodys_next():
    """Who would have been asked next has nothing to do with it."""
    with pair(routing={"max_retries": 10}, timeouts={"total": 0.3}) as rig:
        daemon, a, b = rig
        a.default = b.default = {"fault": "rst"}
        for _ in range(5):
            answer = daemon.chat(MODEL)
            eq((answer.status, answer.header("x-nexus-backend")),
               (504, answer.error()["context"]["tried"][-1]["backend"]),
               "the last one that was asked is told")


def test_round_robin_is_exactly_even():
    fakes = [FakeBackend(n, [MODEL, "other"]) for n in ("a", "b", "c")]
    with Rig(fakes, backends=[backend(f) for f in fakes],
             routing={"strategy": "round_robin"}) as rig:
        daemon = rig[0]
        for _ in range(30):
            daemon.chat(MODEL)
            daemon.chat("other")
        eq([len(f.log()) for f in fakes], [20, 20, 20], "60 requests in turn")
        for fake in fakes:
            eq(collections.Counter(e.model for e in fake.log()), {MODEL: 10, "other": 10},
               f"{fake.name}: even per model")
        run_together(lambda: [daemon.chat(MODEL) for _ in range(15)], 10)
        eq([len(f.log()) for f in fakes], [70, 70, 70], "150 concurrent ones, too")
        metrics = daemon.settled()
        eq([metrics.get("nexus_requests_total", model=LABEL, backend=f.name, status="200")
            for f in fakes], [60, 60, 60], "the counters agree")


def run_together(work, n):
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_priority_only():
    daemon, a, b = two()
    for _ in range(10):
        daemon.chat(MODEL)
    eq((len(a.log()), len(b.log())), (10, 0), "[repair] the lowest number gets everything")


def test_smart_prefers_priority_and_spreads_load():
    with pair(routing={"strategy": "smart"}, priorities=(1, 90)) as (daemon, a, b):
        for _ in range(5):
            daemon.chat(MODEL)
        eq((len(a.log()), len(b.log())), (5, 0), "smart heeds the priority")
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with Rig([a, b], backends=[backend(a, priority=5), backend(b, priority=5)]) as rig:
        daemon = rig[0]
        a.default = b.default = {"gate_head": "hold"}
        streams = [daemon.connect() for _ in range(20)]
        for number, connection in enumerate(streams):
            connection.request("POST", "/v1/chat/completions", None,
                               b'{"model":"llama3:70b","messages":[]}')
            wait_until(lambda n=number: len(a.log()) + len(b.log()) > n)
        counts = [len(a.log()), len(b.log())]
        ok(min(counts) >= 8, "smart spreads what is in flight over equals", counts)
        metrics = daemon.metrics()
        eq(metrics.sum("nexus_pending_requests"), 20, "the pending gauge counts them")
        eq([metrics.get("nexus_pending_requests", backend=f.name) for f in (a, b)],
           [float(c) for c in counts], "per backend")
        a.gate("hold").release(20)
        b.gate("hold").release(20)
        eq([c.read_response().status for c in streams], [200] * 20, "all are answered")
        eq(daemon.settled().sum("nexus_pending_requests"), 0, "and falls back to 0")


def test_random_uses_all():
    with pair(routing={"strategy": "random"}) as rig:
        daemon, a, b = rig
        for _ in range(60):
            daemon.chat(MODEL)
        ok(min(len(a.log()), len(b.log())) > 5, "both backends are used",
           (len(a.log()), len(b.log())))


def test_surplus_bytes_of_a_backend_reach_nobody():
    daemon, a, b = two()
    a.behave({"fault": "extra"})
    first, second = daemon.chat(MODEL), daemon.chat(MODEL)
    eq(first.body, a.log()[0].answer, "the answer is what was announced")
    ok(second.status == 200 and b"evil" not in second.body, "the next one is its own", second)


if __name__ == "__main__":
    tap.run(globals())
