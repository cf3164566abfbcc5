#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The end of the drain's time: what still runs is told so, and nexusd ends all the same."""
import json
import signal

import harness
import tap
from fake_backend import FakeBackend
from harness import Rig, backend, wait_until
from tap import eq, ok

MODEL = "m"


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


if __name__ == "__main__":
    tap.run(globals())
