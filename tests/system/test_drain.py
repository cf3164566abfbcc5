#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The end of the drain's time: what still runs is told so, and nexusd ends all the same."""
import json
import signal
import time

import harness
import tap
from fake_backend import FakeBackend
from harness import Daemon, Rig, backend, wait_until
from tap import eq, ok

MODEL = "m"
STOP_GRACE_SECONDS = 1


def rig():
    fake = FakeBackend("a", [MODEL])
    return Rig([fake], backends=[backend(fake)], timeouts={"drain": 0.3})


def test_overdue_requests_are_told():
    with rig() as (daemon, fake):
        fake.behave({"fault": "never"})
        plain = daemon.connect()
        plain.request("POST", "/v1/chat/completions", None,
                      json.dumps(harness.chat_body(MODEL)).encode())
        ok(wait_until(lambda: len(fake.log()) == 1), "a plain request waits for its answer")
        fake.behave({"after": 1, "how": "stall"})
        stream = daemon.stream(MODEL)
        eq(stream.head.status, 200, "a stream has begun")
        daemon.kill(signal.SIGTERM)
        answer = plain.read_response()
        eq((answer.status, answer.error().get("code")), (503, "shutting_down"),
           "the plain one is answered")
        eq(answer.header("connection"), "close", "and its connection ends")
        ok(answer.header("retry-after"), "with a time to come back")
        ok("shutting_down" in "".join(stream.all_data()),
           "the stream ends with an error event")
        eq(daemon.wait_exit(), 0, "nexusd exits with 0")


def ask_while_it_stops():
    """What a client gets that connected before a stop and asks in it, and whether it was quick."""
    with Daemon(workers=1, healthy=1) as daemon:
        used, new, silent = daemon.connect(), daemon.connect(), daemon.connect()
        used.request("GET", "/livez").read_response()
        began = time.monotonic()
        daemon.kill(signal.SIGTERM)
        stops = used.is_closed()
        try:
            answer = new.request("GET", "/livez").read_response()
        except OSError:
            answer = None
        is_quick = time.monotonic() - began < STOP_GRACE_SECONDS
        ok(stops and silent.is_closed(), "idle connections end, used ones or not")
        eq(daemon.wait_exit(), 0, "nexusd exits with 0")
    return answer, is_quick


def test_a_new_client_may_still_ask():
    for _ in range(5):  # on a machine too busy to ask in time
        answer, is_quick = ask_while_it_stops()
        if is_quick:
            break
    ok(is_quick, "the client asks in time")
    eq(answer and (answer.status, answer.header("connection")), (200, "close"),
       "who connected before a stop is answered in it, once")


if __name__ == "__main__":
    tap.run(globals())
