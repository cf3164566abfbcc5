#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Backends that say 429: left alone for as long as they ask for, and not a moment longer."""
import email.utils
import json
import re
import time

import ctl_run
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, chat_body, pair, wait_until
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"


def held(daemon, name):
    answer = daemon.get("/admin/backends", address=daemon.admin_address)
    return next(row["held_seconds"] for row in answer.json()["backends"] if row["name"] == name)


def test_it_is_left_alone():
    with pair() as (daemon, a, b):
        for streamed in (False, True):
            for retry_after in (300, email.utils.formatdate(time.time() + 400, usegmt=True)):
                a.behave({"status": 429, "retry_after": retry_after})
                with Counting(daemon) as added:
                    if streamed:
                        eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "a stream comes whole")
                    else:
                        eq(daemon.chat(MODEL).status, 200, "b answers")
                added.check("nexus_requests_total", 1, model=LABEL, backend="b", status="200")
        eq((len(a.log()), len(b.log())), (1, 4), "a was asked once, and no more")
        ok(0 < held(daemon, "a") <= 300, "for so long", held(daemon, "a"))
        eq(held(daemon, "b"), 0, "b is not")
        for command, column in (("backends", 2), ("stats", 1)):
            rows = ctl_run.run(daemon, command).rows
            status = {row[0]: row[column] for row in rows if len(row) > column}
            ok(re.fullmatch(r"held \d+ s", status["a"]), f"nexusctl {command} shows it", status)
            eq(status["b"], "healthy", "and of whom")
        eq(dict(ctl_run.run(daemon, "status").rows)["backends"], "2 of 2 healthy, 1 held",
           "and so does nexusctl status")
        with Counting(daemon) as added:
            daemon.chat(MODEL)
        added.check("nexus_routing_exclusions_total", 1, reason="rate_limited_upstream")
        added.check("nexus_retries_total", 0)
        eq(next(row for row in daemon.stats()["backends"] if row["name"] == "a")["circuit"],
           "closed", "that is no failure: its circuit stays closed")


def test_without_a_time_nobody_is_left_alone():
    with pair() as (daemon, a, b):
        for behaviour in ({"status": 429}, {"status": 429, "retry_after": "soon"},
                          {"status": 503, "retry_after": 300}):
            a.behave(behaviour)
            eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "b answers")
            eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", f"then a again: {behaviour}")


def test_it_comes_back():
    with pair() as (daemon, a, b):
        a.behave({"status": 429, "retry_after": 1})
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "b answers")
        ok(held(daemon, "a") == 1, "a is held")
        ok(wait_until(lambda: daemon.chat(MODEL).header("x-nexus-backend") == "a"),
           "and gets requests again when its second is over")


def test_the_last_answer_is_passed_on():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        a.behave({"status": 429, "retry_after": 300, "body": "slow  down"})
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.body, answer.header("retry-after")),
           (429, b"slow  down", "300"), "as it is: nobody waits five minutes for a retry")
        added.check_request(LABEL, "a", 429, "rate_limited")
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        error = answer.error()
        eq((answer.status, error["code"]), (503, "no_healthy_backend"), "the next one: 503")
        eq(error["context"]["excluded"], [{"backend": "a", "reason": "rate_limited_upstream"}],
           "and why")
        ok(290 < int(answer.header("retry-after")) <= 300, "and when to come back", answer)
        eq(error["context"]["retry_after_seconds"], int(answer.header("retry-after")), "twice")
        added.check_request(LABEL, "none", 503, "no_healthy_backend")
        eq(len(a.log()), 1, "a was not asked")


def wait_behind(daemon, fake, behaviour):
    """The connections of one at the only place, which will get such an answer, and of one who waits
    for it."""
    fake.behave({**behaviour, "gate_head": "answer"})
    connections = []
    for n_waiting in range(2):
        connections.append(daemon.connect())
        connections[-1].request("POST", "/v1/chat/completions", None,
                                json.dumps(chat_body(MODEL)).encode())
        ok(wait_until(lambda: (len(fake.log()), daemon.metrics().get("nexus_queue_depth")) ==
                      (1, n_waiting)), f"{n_waiting} wait")
    return connections


def test_who_waits_already():
    fake = FakeBackend("a", [MODEL])
    with Rig([fake], backends=[backend(fake, max_concurrent=1)]) as (daemon, a):
        first, second = wait_behind(daemon, a, {"status": 429, "retry_after": 1})
        a.gate("answer").release(1)
        eq(first.read_response().status, 429, "the backend has too much to do for a second")
        eq(second.read_response().status, 200, "who waits is served after it")
        daemon.settled()
        a.reset()
        with Counting(daemon) as added:
            first, second = wait_behind(daemon, a, {"status": 429, "retry_after": 300})
            a.gate("answer").release(1)
            eq(first.read_response().status, 429, "it has for five minutes")
            answer = second.read_response()
            eq((answer.status, answer.error()["code"]), (503, "no_healthy_backend"),
               "who waits is told at once")
            ok(290 < int(answer.header("retry-after")) <= 300, "with a time to come back", answer)
        added.check("nexus_queue_rejections_total", 0)


def test_who_waits_while_its_backend_is_renamed():
    fake = FakeBackend("a", [MODEL])
    with Rig([fake], backends=[backend(fake, max_concurrent=1)]) as (daemon, a):
        first, second = wait_behind(daemon, a, {"status": 429, "retry_after": 1})
        daemon.config_path.write_text(daemon.make_config(
            backends=[{**backend(fake, max_concurrent=1), "name": "other"}]))
        eq(daemon.request("POST", "/admin/reload", address=daemon.admin_address).status, 200,
           "a reload renames it")
        a.gate("answer").release(1)
        eq(first.read_response().status, 429, "under its old name it has too much to do")
        eq(second.read_response().header("x-nexus-backend"), "a", "who waited is served by it")


def test_no_backend_is_believed_everything():
    with pair() as (daemon, a, b):
        a.behave({"status": 429, "retry_after": 10 ** 9})
        daemon.chat(MODEL)
        ok(590 < held(daemon, "a") <= 600, "ten minutes at most", held(daemon, "a"))


def test_another_server():
    with pair() as (daemon, a, b):
        a.behave({"status": 429, "retry_after": 300})
        daemon.chat(MODEL)
        c = FakeBackend("a", [MODEL])
        daemon.config_path.write_text(daemon.make_config(
            backends=[backend(c, priority=1), backend(b, priority=2)],
            routing={"strategy": "priority_only"}))
        daemon.kill(1)
        ok(daemon.wait_stderr("configuration reloaded"), "a reload gives a another address")
        daemon.wait_healthy(2)
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "which is asked at once")
        c.stop()


def test_a_key_of_the_client_is_the_clients():
    fake = FakeBackend("a", [MODEL])
    with Rig([fake], backends=[backend(fake, forward_authorization=True)],
             routing={"max_retries": 0}) as (daemon, a):
        a.behave({"status": 429, "retry_after": 300})
        eq(daemon.chat(MODEL).status, 429, "a client has spent what its own key allows")
        eq(daemon.chat(MODEL).status, 200, "which is nothing to the next one")
        eq(held(daemon, "a"), 0, "the backend is not held")


if __name__ == "__main__":
    tap.run(globals())
