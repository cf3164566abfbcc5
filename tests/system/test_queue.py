#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The queue: who waits for a place at a backend gets it in turn, and nobody is forgotten there."""
import json
import signal
import threading

import harness
import tap
from fake_backend import FakeBackend
from harness import Rig, backend, wait_until
from tap import eq, ok

MODEL = "m"
ROUTING = {"strategy": "priority_only", "max_retries": 1}


def rig(places=1, models=((MODEL,),), **options):
    """a, and perhaps b, each with so many places."""
    fakes = [FakeBackend(name, names) for name, names in zip("ab", models)]
    rows = [backend(fake, priority=n, max_concurrent=places) for n, fake in enumerate(fakes)]
    return Rig(fakes, **{"backends": rows, "routing": ROUTING, **options})


def ask(daemon, content="hello", model=MODEL, headers=None, **fields):
    connection = daemon.connect()
    connection.request("POST", "/v1/chat/completions", headers,
                       json.dumps(harness.chat_body(model, content, **fields)).encode())
    return connection


def depth(daemon):
    return daemon.metrics().get("nexus_queue_depth")


def waits(daemon, n):
    return ok(wait_until(lambda: depth(daemon) == n), f"{n} wait", depth(daemon))


def hold(daemon, fake, n=1, **fields):
    """n requests that run at the backend until its gate is passed."""
    fake.default = {"gate_head": "hold"}
    before = len(fake.log())
    held = [ask(daemon, "held", **fields) for _ in range(n)]
    ok(len(fake.wait_requests(before + n)) == before + n, f"{fake.name} is full")
    return held


def contents(fake):
    return [e.json()["messages"][0]["content"] for e in fake.log()]


def test_waits_and_is_answered():
    with rig() as (daemon, a):
        held = hold(daemon, a)
        waiting = ask(daemon)
        waits(daemon, 1)
        eq(len(a.log()), 1, "a has one request")
        eq(daemon.stats()["queue"], {"depth": 1, "rejections": 0}, "/v1/stats shows it")
        a.gate("hold").release(2)
        eq([c.read_response().status for c in (*held, waiting)], [200, 200], "both are answered")
        metrics = daemon.settled()
        eq((metrics.get("nexus_queue_depth"), metrics.get("nexus_queue_duration_seconds_count"),
            metrics.sum("nexus_queue_rejections_total")), (0, 1, 0), "it was counted")
        eq(metrics.sum("nexus_requests_total", status="200"), 2, "as any other")
        ok(metrics.get("nexus_gateway_overhead_seconds_sum", phase="total") <
           metrics.get("nexus_queue_duration_seconds_sum") + 0.05, "the wait is no overhead")


def test_in_turn_and_the_high_ones_first():
    with rig() as (daemon, a):
        connections = hold(daemon, a)
        want = ["high 1", "high 2", "0", "1", "2", "3"]
        for number in range(4):
            connections.append(ask(daemon, str(number), stream=number % 2 == 0))
            waits(daemon, len(connections) - 1)
        for number in (1, 2):
            connections.append(ask(daemon, f"high {number}",
                                   headers={"X-Nexus-Priority": "High"}))
            waits(daemon, len(connections) - 1)
        for n in range(1, 7):
            a.gate("hold").release()
            ok(len(a.wait_requests(n + 1)) == n + 1, "one more comes to its turn, and only one")
        eq(contents(a)[1:], want, "in the order of their coming over all workers, high ones first")
        a.gate("hold").release()
        eq([c.read_response().status for c in connections], [200] * 7, "all are answered")
        eq(daemon.settled().get("nexus_queue_depth"), 0, "nobody waits")


def check_refused(answer, code):
    error = answer.error()
    eq((answer.status, error["code"], answer.header("retry-after")), (503, code, "1"), code)
    eq(error["context"]["excluded"], [{"backend": "a", "reason": "saturated"}], "and why")


def test_full():
    with rig(queue={"max_size": 2}) as (daemon, a):
        connections = hold(daemon, a) + [ask(daemon), ask(daemon)]
        waits(daemon, 2)
        check_refused(daemon.chat(MODEL), "queue_full")
        check_refused(daemon.chat(MODEL, headers={"X-Nexus-Priority": "high"}), "queue_full")
        a.gate("hold").release(3)
        eq([c.read_response().status for c in connections], [200] * 3, "the others are answered")
        metrics = daemon.settled()
        eq(metrics.get("nexus_queue_rejections_total", reason="full"), 2, "counted")
        eq(metrics.get("nexus_errors_total", error_type="queue", model=MODEL), 2, "as errors, too")


def test_waited_too_long():
    with rig(queue={"max_wait": 0.1}) as (daemon, a):
        held = hold(daemon, a)
        check_refused(daemon.chat(MODEL), "queue_timeout")
        a.gate("hold").release(2)
        eq(held[0].read_response().status, 200, "the other is answered")
        eq(daemon.chat(MODEL).status, 200, "and the place is free")
        metrics = daemon.settled()
        eq(metrics.get("nexus_queue_rejections_total", reason="timeout"), 1, "counted")
        eq((metrics.get("nexus_queue_depth"), metrics.get("nexus_queue_duration_seconds_count")),
           (0, 1), "with its wait")


def test_the_waits_of_one_are_one():
    with rig(workers=1, queue={"max_wait": 1}, health={"interval": 0.1},
             routing={**ROUTING, "max_retries": 2}) as (daemon, a):
        connections = hold(daemon, a)
        connections.append(ask(daemon, "first"))
        waits(daemon, 1)
        checks = daemon.metrics().sum("nexus_health_checks_total")
        ok(wait_until(lambda: daemon.metrics().sum("nexus_health_checks_total") > checks + 4),
           "it has waited for a while")
        for number in (2, 3):
            connections.append(ask(daemon, str(number)))
            waits(daemon, number)
        a.behave({"status": 500})
        a.gate("hold").release()
        ok(len(a.wait_requests(3)) == 3, "its attempt fails, and the next one has the place")
        waits(daemon, 2)
        held, first, second, third = connections
        ended = []
        for connection in (first, third):
            threading.Thread(target=lambda c: (c.read_response(), ended.append(c)),
                             args=[connection]).start()
        ok(wait_until(lambda: len(ended) == 2), "the other two have waited for too long")
        ok(ended == [first, third], "its waits together are as long as the other's only one")
        a.gate("hold").release()
        eq([c.read_response().status for c in (held, second)], [200, 200], "the others are answered")
        eq(daemon.settled().get("nexus_queue_rejections_total", reason="timeout"), 2, "counted")


def test_timeouts_total_ends_the_wait():
    with rig(timeouts={"total": 0.5}) as (daemon, a):
        a.default = {"gate": "frames", "chunks": 2}
        a.gate("frames").release()
        stream = daemon.stream(MODEL)
        ok(stream.next_data(), "a stream has begun: nothing limits it any more")
        check_refused(daemon.chat(MODEL), "queue_timeout")
        a.gate("frames").release(9)
        eq(stream.all_data()[-1], "[DONE]", "it ends well")
        eq(daemon.settled().get("nexus_queue_rejections_total", reason="timeout"), 1, "counted")


def test_clients_that_leave():
    with rig() as (daemon, a):
        held = hold(daemon, a)
        leaving = [ask(daemon, "gone") for _ in range(3)]
        waits(daemon, 3)
        waiting = ask(daemon, "stays")
        waits(daemon, 4)
        for connection in leaving:
            connection.close()
        waits(daemon, 1)
        a.gate("hold").release(2)
        eq([c.read_response().status for c in (*held, waiting)], [200, 200], "who stays is next")
        eq(contents(a), ["held", "stays"], "a never heard of the others")
        metrics = daemon.settled()
        eq(metrics.get("nexus_client_disconnects_total", stage="queued"), 3, "the stage they left in")
        eq(metrics.get("nexus_requests_total", model=MODEL, backend="none", status="499"), 3,
           "counted once each")


def test_a_place_at_a_fallback_is_one():
    with rig(models=(("big",), ("small",)), routing={
            **ROUTING, "fallbacks": [{"model": "big", "to": ["small"]}]}) as (daemon, a, b):
        held = hold(daemon, a, model="big") + hold(daemon, b, model="small")
        waiting = ask(daemon, model="big")
        waits(daemon, 1)
        b.gate("hold").release(2)
        answer = waiting.read_response()
        eq((answer.status, answer.header("x-nexus-fallback-model")), (200, "small"),
           "whichever is free first")
        a.gate("hold").release()
        eq([c.read_response().status for c in held], [200, 200], "the others are answered")


def test_it_fails_after_the_wait():
    with rig(models=((MODEL,), (MODEL,))) as (daemon, a, b):
        held = hold(daemon, a) + hold(daemon, b)
        waiting = ask(daemon)
        waits(daemon, 1)
        a.default = {"fault": "rst"}
        a.gate("hold").release()
        ok(wait_until(lambda: len(a.log()) >= 2), "it comes to its turn at a, which fails")
        b.gate("hold").release(2)
        answer = waiting.read_response()
        ok(answer.status in (200, 502), "it is tried again, as often as allowed", answer)
        eq([c.read_response().status for c in held], [200, 200], "the others are answered")
        eq(daemon.settled().sum("nexus_pending_requests"), 0, "all places are free")


FAILURES = ({"status": 500}, {"status": 429}, {"status": 429, "retry_after": 60},
            {"fault": "error_event"})


def test_the_last_attempt_waits_for_who_is_full():
    for failure in FAILURES:
        with rig(models=((MODEL,), (MODEL,))) as (daemon, a, b):
            held = hold(daemon, a)
            b.default = failure
            waiting = ask(daemon, stream="fault" in failure)
            waits(daemon, 1)
            a.gate("hold").release(2)
            answer = waiting.read_response()
            eq((answer.status, answer.header("x-nexus-backend"), answer.header("x-nexus-attempts")),
               (200, "a", "2"), f"b says {failure}: a is waited for")
            eq((len(b.log()), held[0].read_response().status), (1, 200), "b is asked once")
            metrics = daemon.settled()
            eq((metrics.sum("nexus_retries_total"), metrics.sum("nexus_queue_rejections_total"),
                metrics.sum("nexus_pending_requests")), (1, 0, 0), "counted")


def test_the_answer_that_opens_a_circuit_is_kept():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL, "other"])
    with Rig([a, b], backends=[backend(a, priority=0), backend(b, priority=1, max_concurrent=1)],
             routing={**ROUTING, "max_retries": 2}, queue={"max_wait": 0.3},
             breaker={"failures": 1, "error_rate": 0, "open": 600}) as (daemon, *_):
        held = hold(daemon, b, model="other")
        a.behave({"status": 500, "body": "no more"})
        answer = daemon.chat(MODEL)
        eq((answer.status, answer.body), (500, b"no more"), "there is no place at b: a's own words")
        b.gate("hold").release()
        eq(held[0].read_response().status, 200, "b answers in the end")


def test_waits_in_vain_for_another_try():
    """What a backend said is told then, not that there was no place at the other."""
    models, queue = ((MODEL,), (MODEL,)), {"max_wait": 0.1}
    for options in ({"queue": queue}, {"timeouts": {"total": 0.5}}):
        with rig(models=models, **options) as (daemon, a, b):
            a.default = {"gate": "frames", "chunks": 2}
            a.gate("frames").release()
            stream = daemon.stream(MODEL)
            ok(stream.next_data(), "a is full, and no time limits it any more")
            b.default = {"status": 429, "retry_after": 7}
            answer = daemon.chat(MODEL)
            eq((answer.status, answer.header("retry-after"), answer.header("x-nexus-backend"),
                answer.error()["message"]), (429, "7", "b", "b says 429"), "b's answer is sent")
            a.gate("frames").release(9)
            eq(stream.all_data()[-1], "[DONE]", "the other is answered")
            metrics = daemon.settled()
            eq(metrics.get("nexus_queue_rejections_total", reason="timeout"), 1, "counted")
            eq(metrics.sum("nexus_requests_total", backend="b", status="429"), 1, "for b")
    with rig(models=models, queue=queue) as (daemon, a, b):
        held = hold(daemon, a)
        b.default = {"fault": "rst"}
        answer = daemon.chat(MODEL)
        eq((answer.status, answer.error()["code"]), (502, "bad_gateway"), "b gave no answer")
        eq((answer.error()["context"]["tried"], answer.error()["context"]["excluded"]),
           ([{"backend": "b", "outcome": "reset", "status": None}],
            [{"backend": "a", "reason": "saturated"}]), "the whole story")
        a.gate("hold").release()
        eq(held[0].read_response().status, 200, "the other is answered")


def test_nothing_to_wait_with():
    for options in ({"queue": {"enabled": False}}, {"routing": {**ROUTING, "max_retries": 0}}):
        with rig(models=((MODEL,), (MODEL,)), **options) as (daemon, a, b):
            held = hold(daemon, a)
            b.default = {"status": 500}
            eq(daemon.chat(MODEL).error()["message"], "b says 500", "its answer is sent")
            eq(len(b.log()), 2 if "queue" in options else 1, "after all attempts there")
            a.gate("hold").release()
            eq(held[0].read_response().status, 200, "the other is answered")
            eq(daemon.settled().get("nexus_queue_duration_seconds_count"), 0, "nobody has waited")


def test_waits_for_a_fallback_after_a_failure():
    for is_free in (True, False):
        with rig(models=(("small",), ("big",)), queue={"max_wait": 20 if is_free else 0.1},
                 routing={"max_retries": 0,
                          "fallbacks": [{"model": "big", "to": ["small"]}]}) as (daemon, a, b):
            held = hold(daemon, a, model="small")
            b.default = {"status": 500}
            waiting = ask(daemon, model="big")
            if is_free:
                waits(daemon, 1)
                a.gate("hold").release(2)
            answer = waiting.read_response()
            eq((answer.status, answer.header("x-nexus-fallback-model")),
               (200, "small") if is_free else (500, None), "small has a place, or big's answer")
            a.gate("hold").release()
            eq(held[0].read_response().status, 200, "the other is answered")
            metrics = daemon.settled()
            eq(metrics.sum("nexus_fallbacks_total"), int(is_free), "counted")
            eq(metrics.sum("nexus_requests_total", model="small" if is_free else "big",
                           backend="a" if is_free else "b"), 2 if is_free else 1, "as whose it is")


def test_a_failed_fallback_is_no_model_asked_for():
    fakes = [FakeBackend(n, [m]) for n, m in (("a", "big"), ("b", "big"), ("c", "small"))]
    rows = [backend(fake, priority=n, max_concurrent=1) for n, fake in enumerate(fakes)]
    with Rig(fakes, backends=rows, queue={"max_wait": 0.1},
             routing={**ROUTING, "fallbacks": [{"model": "big", "to": ["small"]}]}) as rig_:
        daemon, a, b, c = rig_
        held = hold(daemon, a, model="big")
        b.default = c.default = {"fault": "rst"}
        answer = daemon.chat("big")
        eq((answer.status, answer.header("x-nexus-backend"), answer.header("x-nexus-attempts")),
           (502, "c", "2"), "b and c fail, a place at a is waited for in vain")
        a.gate("hold").release()
        eq(held[0].read_response().status, 200, "the other is answered")
        metrics = daemon.settled()
        eq((metrics.sum("nexus_requests_total", model="big", backend="c", status="502"),
            metrics.sum("nexus_requests_total", model="small")), (1, 0), "a failure of big")


def test_leaves_while_an_answer_is_kept():
    with rig(models=((MODEL,), (MODEL,))) as (daemon, a, b):
        held = hold(daemon, a)
        b.default = {"status": 500}
        waiting = ask(daemon)
        waits(daemon, 1)
        waiting.close()
        waits(daemon, 0)
        a.gate("hold").release()
        eq(held[0].read_response().status, 200, "the other is answered")
        metrics = daemon.settled()
        eq(metrics.get("nexus_client_disconnects_total", stage="queued"), 1, "it was queued")
        eq(metrics.sum("nexus_requests_total", status="499"), 1, "counted once")


def test_reload_makes_room():
    with rig() as (daemon, a):
        connections = hold(daemon, a) + [ask(daemon) for _ in range(3)]
        waits(daemon, 3)
        daemon.config_path.write_text(daemon.make_config(
            backends=[backend(a, max_concurrent=3)], routing=ROUTING))
        daemon.kill(signal.SIGHUP)
        ok(len(a.wait_requests(3)) == 3, "two more are let in at once")
        waits(daemon, 1)
        a.gate("hold").release(4)
        eq([c.read_response().status for c in connections], [200] * 4, "all are answered")


def test_a_backend_that_is_usable_again():
    with rig(models=((MODEL,), (MODEL,)),
             health={"interval": 0.1, "failures": 1, "successes": 1}) as (daemon, a, b):
        held = hold(daemon, a)
        admin = daemon.admin_address
        daemon.request("POST", "/admin/backends/b/drain", "", address=admin)
        waiting = ask(daemon)
        waits(daemon, 1)
        daemon.request("POST", "/admin/backends/b/undrain", "", address=admin)
        eq(waiting.read_response().header("x-nexus-backend"), "b", "undrained it takes who waits")
        b.probe_behaviour = {"/v1/models": {"status": 500}}
        daemon.wait_healthy(1)
        waiting = ask(daemon)
        waits(daemon, 1)
        b.probe_behaviour = {}
        eq(waiting.read_response().header("x-nexus-backend"), "b", "healthy again, too")
        a.gate("hold").release()
        eq(held[0].read_response().status, 200, "the other is answered")


PROBED = {"health": {"interval": 0.1, "failures": 1, "successes": 1}, "queue": {"max_wait": 300}}


def check_no_backend(answer, **reasons):
    error = answer.error()
    eq((answer.status, error["code"]), (503, "no_healthy_backend"), "there is nobody any more")
    eq((error["context"]["tried"], error["context"]["excluded"]),
       ([], [{"backend": name, "reason": reason} for name, reason in reasons.items()]), "and why")


def test_nothing_to_wait_for():
    """Down or drained: who waits is told so at once, on whichever worker."""
    for reason in ("unhealthy", "draining"):
        with rig(**PROBED) as (daemon, a):
            held = hold(daemon, a)
            waiting = [ask(daemon) for _ in range(6)]
            waits(daemon, 6)
            waiting.pop().close()
            waits(daemon, 5)
            if reason == "unhealthy":
                a.probe_behaviour = {"/v1/models": {"status": 500}}
            else:
                daemon.request("POST", "/admin/backends/a/drain", "", address=daemon.admin_address)
            for connection in waiting:
                check_no_backend(connection.read_response(), a=reason)
            check_no_backend(daemon.chat(MODEL), a=reason)
            a.gate("hold").release()
            eq(held[0].read_response().status, 200, "the other is answered")
            eq(contents(a), ["held"], "a never heard of them")
            metrics = daemon.settled()
            eq((metrics.get("nexus_queue_depth"), metrics.get("nexus_queue_duration_seconds_count"),
                metrics.sum("nexus_queue_rejections_total")), (0, 6, 0), "nobody waits")
            eq(metrics.sum("nexus_requests_total", status="503"), 6, "counted")


def test_something_is_left_to_wait_for():
    with rig(models=((MODEL,), (MODEL,)), **PROBED) as (daemon, a, b):
        held = hold(daemon, a) + hold(daemon, b)
        waiting = ask(daemon)
        waits(daemon, 1)
        a.probe_behaviour = {"/v1/models": {"status": 500}}
        daemon.wait_healthy(1)
        waits(daemon, 1)
        b.gate("hold").release(2)
        eq(waiting.read_response().header("x-nexus-backend"), "b", "b is still there")
        a.gate("hold").release()
        eq([c.read_response().status for c in held], [200, 200], "the others are answered")


def test_an_open_circuit_is_not_heeded_any_more():
    with rig(models=((MODEL,), (MODEL,)), breaker={"failures": 1, "open": 300},
             **PROBED) as (daemon, a, b):
        held = hold(daemon, a)
        b.behave({"status": 500})
        waiting = ask(daemon)
        waits(daemon, 1)
        a.probe_behaviour = {"/v1/models": {"status": 500}}
        answer = waiting.read_response()
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"), "b is all that is left")
        a.gate("hold").release()
        eq(held[0].read_response().status, 200, "the other is answered")


def test_a_kept_answer_is_sent_at_once():
    with rig(models=((MODEL,), (MODEL,)), **PROBED) as (daemon, a, b):
        held = hold(daemon, a)
        b.default = {"status": 429, "retry_after": 600}
        waiting = ask(daemon)
        waits(daemon, 1)
        a.probe_behaviour = {"/v1/models": {"status": 500}}
        answer = waiting.read_response()
        eq((answer.status, answer.header("retry-after")), (429, "600"), "there is no other chance")
        a.gate("hold").release()
        eq(held[0].read_response().status, 200, "the other is answered")


def test_a_backend_that_is_removed():
    """Who came before goes by what held then: it is let in when the others end there."""
    with rig(models=((MODEL,), ("other",))) as (daemon, a, b):
        held = hold(daemon, a)
        waiting = ask(daemon)
        waits(daemon, 1)
        daemon.config_path.write_text(daemon.make_config(backends=[backend(b)], routing=ROUTING))
        daemon.kill(signal.SIGHUP)
        ok(daemon.wait_models("other"), "a is gone")
        waits(daemon, 1)
        a.gate("hold").release(2)
        eq([c.read_response().status for c in (*held, waiting)], [200, 200], "both are answered")


def test_a_backend_that_is_left_alone_no_more():
    for options, failure in (({}, {"status": 429, "retry_after": 1}),
                             ({"breaker": {"failures": 1, "open": 1}}, {"status": 500})):
        with rig(models=((MODEL,), (MODEL,)), **options) as (daemon, a, b):
            held = hold(daemon, a)
            b.behave(failure)
            answer = daemon.chat(MODEL)
            eq((answer.status, answer.header("x-nexus-backend")), (200, "b"),
               f"after {failure} b is asked again")
            eq(daemon.metrics().get("nexus_queue_duration_seconds_count"), 1,
               "which one has waited for in the queue, since a is full")
            a.gate("hold").release()
            eq(held[0].read_response().status, 200, "the other is answered")


def test_stop():
    for drain in (20, 0.2):
        with rig(timeouts={"drain": drain}) as (daemon, a):
            connections = hold(daemon, a) + [ask(daemon), ask(daemon)]
            waits(daemon, 2)
            daemon.kill(signal.SIGTERM)
            ok(daemon.wait_stderr("draining"), "a stop")
            if drain == 20:
                a.gate("hold").release(3)
            answers = [c.read_response() for c in connections]
            if drain == 20:
                eq([x.status for x in answers], [200] * 3, "who waits is still served")
            else:
                eq([x.error()["code"] for x in answers], ["shutting_down"] * 3,
                   "until the time is over")
            daemon.stop()


def test_crowd():
    """Many clients on two workers, some of which leave: all others are answered, in bounds."""
    with rig(places=3, models=((MODEL,), (MODEL,)), queue={"max_size": 1000}) as (daemon, a, b):
        statuses = []

        def client(seed):
            for number in range(12):
                with ask(daemon, stream=number % 3 == 0) as connection:
                    if (seed + number) % 5 == 0:
                        continue
                    answer = connection.read_response()
                    statuses.append(answer.status)
        threads = [threading.Thread(target=client, args=[n]) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        eq(set(statuses), {200}, f"{len(statuses)} are answered")
        metrics = daemon.settled()
        eq((metrics.get("nexus_queue_depth"), metrics.sum("nexus_pending_requests")), (0, 0),
           "nobody waits and all places are free")
        eq(metrics.sum("nexus_requests_total"), 24 * 12, "each is counted once")
        ok(metrics.get("nexus_queue_duration_seconds_count") > 0, "some have waited")


if __name__ == "__main__":
    tap.run(globals())
