#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a crowd of clients used is given back when they have gone."""
import harness
import tap
from fake_backend import FakeBackend
from harness import Rig, backend, wait_until
from tap import Skip, ok

CROWD = 600


def test_a_burst_is_not_remembered():
    fake = FakeBackend("a", ["m"])
    with Rig([fake], backends=[backend(fake)], workers=1) as (daemon, _):
        if daemon.is_sanitized():
            raise Skip("a sanitizer keeps memory")
        for _ in range(20):
            daemon.chat("m")
        before = daemon.resident_bytes()
        crowd = [daemon.connect() for _ in range(CROWD)]
        for connection in crowd:
            connection.request("GET", "/livez")
        for connection in crowd:
            connection.read_response()
        full = daemon.resident_bytes()
        ok(full > before + CROWD * 4096, "a crowd costs memory", before, full)
        for connection in crowd:
            connection.close()
        limit = before + (full - before) // 4
        ok(wait_until(lambda: daemon.resident_bytes() < limit), "most of it comes back",
           f"{before} before, {full} with the crowd, {daemon.resident_bytes()} after")


if __name__ == "__main__":
    tap.run(globals())
