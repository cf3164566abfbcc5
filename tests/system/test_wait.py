#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A step of the chain answers WAIT and is resumed by another thread (gated_nexusd.c)."""
import json
import pathlib

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, wait_until
from tap import Skip, eq, ok

MODEL = "m"
WAITING = 20


def gated():
    program = pathlib.Path(harness.find_program()).parent / "tests/system/gated_nexusd"
    if not program.is_file():
        raise Skip("tests/system/gated_nexusd is not built")
    fake = FakeBackend("a", [MODEL])
    return Rig([fake], program=str(program), backends=[backend(fake)], workers=2)


def ask(daemon, header):
    connection = daemon.connect()
    body = json.dumps(harness.chat_body(MODEL)).encode()
    connection.request("POST", "/v1/chat/completions", {header: "1"}, body)
    return connection


def active(daemon):
    return daemon.metrics().sum("gateway_active_requests") - 1  # the scrape itself


def test_waiting_requests_are_resumed():
    with gated() as (daemon, fake):
        with Counting(daemon) as added:
            parked = [ask(daemon, "X-Test-Wait") for _ in range(WAITING)]
            ok(wait_until(lambda: active(daemon) == WAITING), "all are parked")
            eq(len(fake.log()), 0, "none has reached the backend")
            for connection in parked[:5]:
                connection.close()
            ok(wait_until(lambda: active(daemon) == WAITING - 5), "five clients leave")
            with ask(daemon, "X-Test-Open") as connection:
                eq(connection.read_response().status, 200, "one request opens the gate")
            eq([c.read_response().status for c in parked[5:]], [200] * (WAITING - 5),
               "and all that still wait are answered")
            for connection in parked[5:]:
                connection.close()
        eq(len(fake.log()), WAITING - 5 + 1, "each reached the backend once")
        added.check("nexus_requests_total", WAITING - 5 + 1, model=MODEL, backend="a",
                    status="200")
        added.check("nexus_requests_total", 5, status="499")
        added.check("nexus_client_disconnects_total", 5, stage="waiting")


if __name__ == "__main__":
    tap.run(globals())
