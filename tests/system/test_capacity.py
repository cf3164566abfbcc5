#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""max_concurrent: no backend ever has more requests than it takes, over all workers."""
import json
import signal
import threading

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, wait_until
from tap import eq, ok

MODEL = "m"
ROUTING = {"strategy": "priority_only", "max_retries": 0}
NO_QUEUE = {"queue": {"enabled": False}}


def rig(places, models=((MODEL,), (MODEL,)), **options):
    """a is tried first and takes so many, b any number."""
    fakes = [FakeBackend(name, names) for name, names in zip("ab", models)]
    rows = [backend(fakes[0], priority=1, max_concurrent=places), backend(fakes[1], priority=2)]
    return Rig(fakes, **{"backends": rows, "routing": ROUTING, **NO_QUEUE, **options})


def ask(daemon, stream=False, model=MODEL):
    connection = daemon.connect()
    connection.request("POST", "/v1/chat/completions", None,
                       json.dumps(harness.chat_body(model, stream=stream)).encode())
    return connection


def hold(daemon, fake, n):
    """n requests that a holds until gate "hold" is passed."""
    fake.default = {"gate_head": "hold"}
    connections = [ask(daemon) for _ in range(n)]
    ok(len(fake.wait_requests(n)) == n, f"{fake.name} has {n} requests")
    return connections


def test_what_is_too_much_goes_elsewhere():
    with rig(3) as (daemon, a, b):
        held = hold(daemon, a, 3)
        with Counting(daemon) as added:
            answers = [daemon.chat(MODEL) for _ in range(4)]
            stream = daemon.stream(MODEL)
            eq(stream.all_data()[-1], "[DONE]", "a stream, too")
            eq([x.header("x-nexus-backend") for x in answers], ["b"] * 4, "b gets what is more")
            eq({x.header("x-nexus-route-reason") for x in [*answers, stream.head]},
               {"capacity-overflow"}, "and it is said why")
            a.gate("hold").release(3)
            eq([c.read_response().status for c in held], [200] * 3, "a answers what it has")
        added.check("nexus_routing_exclusions_total", 5, reason="saturated")
        added.check("nexus_requests_total", 5, model=MODEL, backend="b", status="200")
        a.default = {}
        answer = daemon.chat(MODEL)
        eq((answer.header("x-nexus-backend"), answer.header("x-nexus-route-reason")),
           ("a", "capability-match"), "then it has places again")


def test_every_end_gives_its_place_back():
    with rig(1, timeouts={"first_byte": 0.2}) as (daemon, a, b):
        ends = [{"status": 500}, {"status": 404}, {"fault": "rst"}, {"fault": "cut"},
                {"fault": "never"}, {"status": 429}, {"after": 1, "how": "rst", "stream": True},
                {"body": "x" * 100_000, "status": 404}]
        for behaviour in ends:
            a.behave(behaviour)
            n = len(a.log())
            daemon.request("POST", "/v1/chat/completions", json.dumps(
                harness.chat_body(MODEL, stream=bool(behaviour.get("stream"))))) \
                if not behaviour.get("stream") else daemon.stream(MODEL).read_rest()
            eq(len(a.log()), n + 1, f"a was asked: {behaviour if 'body' not in behaviour else 404}")
        a.reset()
        held = hold(daemon, a, 1)
        for connection in held:
            connection.close()
        ok(wait_until(lambda: daemon.metrics().sum("nexus_pending_requests") == 0),
           "a client that leaves gives its place back")
        a.default = {}
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "and a is asked again")


def test_a_stream_keeps_its_place_to_its_end():
    with rig(1) as (daemon, a, b):
        a.behave({"gate": "frames", "chunks": 2})
        a.gate("frames").release()
        stream = daemon.stream(MODEL)
        ok(stream.next_data(), "a stream runs")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "a takes no other")
        a.gate("frames").release(9)
        eq(stream.all_data()[-1], "[DONE]", "it ends")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "a takes the next")


def test_never_more_than_allowed():
    with rig(4, models=((MODEL,), ("other",)), **NO_QUEUE) as (daemon, a, b):
        a.default = {"gate_head": "hold"}
        is_over = threading.Event()

        def client(number):
            while not is_over.is_set():
                with ask(daemon, stream=number % 2 == 0) as connection:
                    connection.read_response()
        threads = [threading.Thread(target=client, args=[n]) for n in range(8)]
        for thread in threads:
            thread.start()
        most = 0
        for released in range(60):
            # None ends but by a release, so each one more there is one that runs.
            ok(a.wait_requests(4 + released), "all places are taken")
            most = max(most, len(a.log()) - released)
            a.gate("hold").release()
        is_over.set()
        a.gate("hold").release(99)
        for thread in threads:
            thread.join(60)
        eq(most, 4, f"{len(a.log())} requests, at most four at a time")
        eq(daemon.settled().sum("nexus_pending_requests"), 0, "all places are free")


def test_fallback_models_come_first():
    with rig(1, models=(("big",), ("small",)),
             routing={**ROUTING, "fallbacks": [{"model": "big", "to": ["small"]}]}) as rows:
        daemon, a, b = rows
        a.default = {"gate_head": "hold"}
        held = ask(daemon, model="big")
        a.wait_requests(1)
        with Counting(daemon) as added:
            answer = daemon.chat("big")
            eq((answer.status, answer.header("x-nexus-fallback-model"),
                answer.header("x-nexus-route-reason")), (200, "small", "failover"),
               "a fallback model stands in at once")
            a.gate("hold").release()
            eq(held.read_response().status, 200, "the other is answered")
        added.check("nexus_fallbacks_total", 1, from_model="big", to_model="small")


def test_reload():
    with rig(1) as (daemon, a, b):
        held = hold(daemon, a, 1)
        rows = [backend(a, priority=1, max_concurrent=2), backend(b, priority=2)]
        daemon.config_path.write_text(daemon.make_config(backends=rows, routing=ROUTING))
        daemon.kill(signal.SIGHUP)
        ok(daemon.wait_stderr("configuration reloaded"), "a reload makes room")
        held.append(ask(daemon))
        ok(a.wait_requests(2), "which is used")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "no more than that")
        answer = daemon.get("/admin/backends", address=daemon.admin_address)
        eq([(r["in_flight"], r["max_concurrent"]) for r in answer.json()["backends"]],
           [(2, 2), (0, 0)], "the admin face shows it")
        rows[0]["max_concurrent"] = 1
        n = len(daemon.stderr_lines)
        daemon.config_path.write_text(daemon.make_config(backends=rows, routing=ROUTING))
        daemon.kill(signal.SIGHUP)
        ok(daemon.wait_stderr("configuration reloaded", start=n), "another takes it away")
        a.gate("hold").release()
        ok(a.wait(lambda: sum(e.outcome is None for e in a.log()) == 1), "one of two ends")
        ok(wait_until(lambda: daemon.metrics().sum("nexus_pending_requests") == 1), "one is left")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "which is as many as allowed now")
        a.gate("hold").release()
        eq([c.read_response().status for c in held], [200, 200], "none was harmed")


if __name__ == "__main__":
    tap.run(globals())
