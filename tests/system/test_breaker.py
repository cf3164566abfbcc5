#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Circuit breakers: a backend that keeps failing is left alone, probed and taken back."""
import json

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, Rig, backend, pair, wait_until
from tap import eq, ok

MODEL = "llama3:70b"
FAMILY = "nexus_backend_circuit_state"
ROUTING = {"strategy": "priority_only", "max_retries": 1}


def rig(**breaker):
    """a is tried first; a breaker that opens by three failures in a row and is soon half open."""
    return pair(routing=ROUTING, breaker={"failures": 3, "error_rate": 0, "open": 60, **breaker})


def circuit(daemon, name):
    """Its one state of the three, the same in metrics and stats."""
    metrics = daemon.metrics()
    states = {labels["state"]: int(value) for labels, value in metrics.select(FAMILY)
              if labels["backend"] == name}
    eq((sorted(states), sum(states.values())), (["closed", "half_open", "open"], 1), "one of three")
    return next(state for state, value in states.items() if value)


def is_in(daemon, name, state):
    row = next(row for row in daemon.stats()["backends"] if row["name"] == name)
    eq(circuit(daemon, name), state, f"{name} is {state}")
    eq(row["circuit"], state, "/v1/stats agrees")


def fail(daemon, a, n, behaviour=None):
    """n requests that fail at a and are answered by b."""
    for _ in range(n):
        a.behave(behaviour or {"status": 500})
        answer = daemon.chat(MODEL)
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"), "b answers")


def test_opens_after_failures_in_a_row():
    with rig() as (daemon, a, b):
        fail(daemon, a, 2)
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "a success between")
        fail(daemon, a, 2, {"fault": "rst"})
        is_in(daemon, "a", "closed")
        fail(daemon, a, 1, {"fault": "cut"})
        is_in(daemon, "a", "open")
        ok(daemon.wait_stderr("backend a: .* circuit is open"), "the log tells")
        asked = len(a.log())
        with Counting(daemon) as added:
            for _ in range(10):
                answer = daemon.chat(MODEL)
                eq((answer.header("x-nexus-backend"), answer.header("x-nexus-attempts")),
                   ("b", "1"), "b gets them at once")
        eq(len(a.log()), asked, "a is left alone")
        added.check("nexus_routing_exclusions_total", 10, reason="circuit_open")
        b.behave({"fault": "cut"}, {"fault": "cut"})
        answer = daemon.chat(MODEL)
        eq([(e["backend"], e["reason"]) for e in answer.error()["context"]["excluded"]],
           [("a", "circuit_open")], "an error tells why a was not asked")
        eq(len([l for l in daemon.stderr_lines if "circuit is open" in l]), 1, "logged once")
        answer = daemon.get("/admin/backends", address=daemon.admin_address)
        eq([row["circuit"] for row in answer.json()["backends"]], ["open", "closed"],
           "the admin face shows it")


def test_client_errors_and_cancelled_requests_are_no_failures():
    with rig(failures=2) as (daemon, a, b):
        for status in (400, 401, 404, 422):
            a.behave({"status": status})
            eq(daemon.chat(MODEL).status, status, "a client's error is relayed")
        for _ in range(4):
            a.behave({"fault": "never"})
            n = len(a.log())
            connection = daemon.connect()
            connection.request("POST", "/v1/chat/completions", None,
                               json.dumps(harness.chat_body(MODEL)).encode())
            a.wait_requests(n + 1)
            connection.close()
            eq(a.wait_ended(a.log()[-1]), "peer_closed", "a client leaves")
        is_in(daemon, "a", "closed")


def test_a_deadline_is_not_the_fault_of_who_was_asked_last():
    """b has what a left it of the request's time, which says nothing about b."""
    timeouts = {"first_byte": 0.9, "total": 1.0}
    with pair(routing=ROUTING, breaker={"failures": 1, "error_rate": 0, "open": 60},
              timeouts=timeouts) as (daemon, a, b):
        a.default = b.default = {"fault": "never"}
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq(answer.status, 504, "the request has had its time")
        for name in "ab":
            added.check("nexus_upstream_requests_total", 1, backend=name, outcome="timeout")
        is_in(daemon, "a", "open")
        is_in(daemon, "b", "closed")
    with pair(routing=ROUTING, breaker={"failures": 1, "error_rate": 0, "open": 60},
              timeouts={"total": 0.3}) as (daemon, a, b):
        a.default = {"fault": "never"}
        eq(daemon.chat(MODEL).status, 504, "here a has had all of it")
        is_in(daemon, "a", "open")
        eq(b.log(), [], "and left nothing to b")


def test_probes_and_closes():
    with rig(open=0.05) as (daemon, a, b):
        fail(daemon, a, 3)
        ok(wait_until(lambda: circuit(daemon, "a") == "half_open"), "after its time: half open")
        a.behave({"gate_head": "hold"})
        asked = len(a.log())
        with daemon.connect() as probe:
            probe.request("POST", "/v1/chat/completions", None,
                          json.dumps(harness.chat_body(MODEL)).encode())
            ok(a.wait_requests(asked + 1), "one request probes it")
            for _ in range(5):
                eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "others go to b meanwhile")
            eq(len(a.log()), asked + 1, "only that one")
            a.gate("hold").release()
            eq(probe.read_response().header("x-nexus-backend"), "a", "it is answered")
        is_in(daemon, "a", "closed")
        ok(daemon.wait_stderr("backend a: .* circuit is closed"), "the log tells")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "and a is back")


def test_a_probe_that_fails():
    with rig(open=0.05) as (daemon, a, b):
        a.default = {"status": 503}
        for _ in range(3):
            daemon.chat(MODEL)
        asked = len(a.log())
        ok(wait_until(lambda: daemon.chat(MODEL).status == 200 and len(a.log()) > asked + 2),
           "it is probed again and again, and no client sees a failure")
        eq(len([l for l in daemon.stderr_lines if "circuit is open" in l]), 1, "logged once")
        a.default = {}
        ok(wait_until(lambda: daemon.chat(MODEL).header("x-nexus-backend") == "a"), "until it works")
        is_in(daemon, "a", "closed")


def test_a_stream_closes_it_when_it_begins():
    with rig(open=0.05) as (daemon, a, b):
        fail(daemon, a, 3)
        ok(wait_until(lambda: circuit(daemon, "a") == "half_open"), "half open")
        a.behave({"gate": "frames", "chunks": 3})
        connection = daemon.connect()
        connection.request("POST", "/v1/chat/completions", None,
                           json.dumps(harness.chat_body(MODEL, stream=True)).encode())
        a.gate("frames").release()
        ok(wait_until(lambda: circuit(daemon, "a") == "closed"), "with the head of its answer")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "others need not wait for its end")
        a.gate("frames").release(10)
        eq(harness.Stream(connection).all_data()[-1], "[DONE]", "the stream ends well")


def test_who_waits_is_let_in_when_it_closes():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with Rig([a, b], backends=[backend(a, priority=0, max_concurrent=1), backend(b, priority=1)],
             routing={**ROUTING, "max_retries": 0}, queue={"max_wait": 600},
             breaker={"failures": 1, "error_rate": 0, "open": 1}) as (daemon, *_):
        def ask(content, **fields):
            connection = daemon.connect()
            body = json.dumps(harness.chat_body(MODEL, content, **fields)).encode()
            connection.request("POST", "/v1/chat/completions", None, body)
            return connection

        a.behave({"gate_head": "full"})
        held = ask("a is full")
        a.wait_requests(1)
        b.behave({"status": 500}, {"gate_head": "probe", "gate": "frames", "chunks": 2})
        eq(daemon.chat(MODEL).status, 500, "b fails")
        ok(wait_until(lambda: circuit(daemon, "b") == "half_open"), "and may be probed")
        probe = ask("a probe", stream=True)
        b.wait_requests(2)
        # Time would let them in, too, after another breaker.open.
        daemon.config_path.write_text(daemon.make_config(
            backends=[backend(a, priority=0, max_concurrent=1), backend(b, priority=1)],
            routing={**ROUTING, "max_retries": 0}, queue={"max_wait": 600},
            breaker={"failures": 1, "error_rate": 0, "open": 600}))
        eq(daemon.request("POST", "/admin/reload", address=daemon.admin_address).status, 200,
           "from now on for ten minutes")
        waiting = [ask(f"waits {i}") for i in range(3)]
        ok(wait_until(lambda: daemon.metrics().sum("nexus_queue_depth") == 3), "three wait")
        b.gate("probe").release()
        eq([c.read_response().header("x-nexus-backend") for c in waiting], ["b"] * 3,
           "the head of its answer lets all of them in")
        b.gate("frames").release(10)
        eq(harness.Stream(probe).all_data()[-1], "[DONE]", "it ends well")
        a.gate("full").release()
        eq(held.read_response().status, 200, "the first one ends, too")


def test_the_last_backend_is_spared():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], routing={"max_retries": 0},
             breaker={"failures": 2, "open": 60}) as (daemon, _):
        a.default = {"status": 500}
        with Counting(daemon) as added:
            eq([daemon.chat(MODEL).status for _ in range(6)], [500] * 6, "each one is tried")
        eq(len(a.log()), 6, "at a")
        added.check("nexus_routing_exclusions_total", 0, reason="circuit_open")
        is_in(daemon, "a", "open")
        a.default = {}
        eq(daemon.chat(MODEL).status, 200, "so that it is found to work")
        is_in(daemon, "a", "closed")


def test_both_open():
    with rig() as (daemon, a, b):
        a.default = b.default = {"status": 500}
        for _ in range(6):
            daemon.chat(MODEL)
        is_in(daemon, "a", "open")
        is_in(daemon, "b", "open")
        a.default = b.default = {}
        eq(daemon.chat(MODEL).status, 200, "a backend that may fail is better than none")


def test_error_rate():
    with rig(failures=0, error_rate=0.5, window=60, min_requests=10) as (daemon, a, b):
        for number in range(9):
            is_in(daemon, "a", "closed")
            a.behave({"status": 500 if number % 2 else 200})
            daemon.chat(MODEL)
        is_in(daemon, "a", "closed")
        fail(daemon, a, 1)
        is_in(daemon, "a", "open")


def test_reload():
    with rig() as (daemon, a, b):
        fail(daemon, a, 3)
        rows = [backend(fake, priority=p) for fake, p in ((a, 1), (b, 2))]
        daemon.config_path.write_text(daemon.make_config(
            backends=rows, routing=ROUTING, breaker={"failures": 4}))
        daemon.kill(harness.signal.SIGHUP)
        ok(daemon.wait_stderr("configuration reloaded"), "reloaded")
        is_in(daemon, "a", "open")
        c = FakeBackend("a", [MODEL])
        rows[0]["url"] = c.url
        n = len(daemon.stderr_lines)
        daemon.config_path.write_text(daemon.make_config(backends=rows, routing=ROUTING))
        daemon.kill(harness.signal.SIGHUP)
        ok(daemon.wait_stderr("configuration reloaded", start=n), "reloaded")
        is_in(daemon, "a", "closed")
        c.stop()


def test_a_backend_that_comes_back():
    with pair(routing=ROUTING, breaker={"failures": 3, "open": 3600},
              health={"interval": 0.05, "failures": 1, "successes": 1}) as (daemon, a, b):
        fail(daemon, a, 3)
        a.probe_behaviour = {"/v1/models": {"status": 500}}
        daemon.wait_healthy(1)
        is_in(daemon, "a", "open")
        a.probe_behaviour = {}
        daemon.wait_healthy(2)
        is_in(daemon, "a", "half_open")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "is probed at once")
        is_in(daemon, "a", "closed")


def test_options_are_checked():
    for options, word in (({"error_rate": 1.5}, "breaker.error_rate is out of range"),
                          ({"open": 0}, "breaker.open is out of range"),
                          ({"window": 0}, "breaker.window is out of range"),
                          ({"min_requests": 0}, "breaker.min_requests is out of range")):
        with Daemon(wait=False, breaker=options) as daemon:
            daemon.wait_exit()
            daemon.stop(expect=1)
            ok(word in daemon.stderr, f"{options} is refused, and it is said why", daemon.stderr)


if __name__ == "__main__":
    tap.run(globals())
