#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What happens when the system has no descriptor left, or no address for a name."""
import os
import pathlib
import re
import time

import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend, wait_until
from tap import eq, ok

LIMIT = 64
CROWD = 200
PAUSES = 20
# Whichever is short first: files, or places for connections, of which there are few then.
PAUSED = "accepting on .* pauses: Too many (open files|users)"


def cpu_seconds(daemon):
    fields = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pauses(daemon):
    return sum(bool(re.search(PAUSED, line)) for line in daemon.stderr_lines)


def check_rest(daemon):
    """While there is no room it looks now and then, a worker ten times a second."""
    first, before, began = pauses(daemon), cpu_seconds(daemon), time.monotonic()
    ok(wait_until(lambda: pauses(daemon) >= first + PAUSES), "it looks again and again")
    took, spent = time.monotonic() - began, cpu_seconds(daemon) - before
    n = pauses(daemon) - first
    ok(took > (n - 2) / 2 * 0.09 and (spent < took / 2 or daemon.is_sanitized()),
       "and rests meanwhile", f"{n} pauses in {took} s, {spent} s of them busy")


def test_descriptors_run_out():
    fake = FakeBackend("a")
    with Daemon(backends=[backend(fake)], launcher=["prlimit", f"--nofile={LIMIT}:{LIMIT}"],
                log={"level": "debug"}, timeouts={"head": 60}) as daemon:
        begun = daemon.open_fds()
        crowd = [daemon.connect() for _ in range(CROWD)]
        ok(daemon.wait_stderr(PAUSED), "accepting pauses", daemon.stderr)
        check_rest(daemon)
        for connection in crowd:
            connection.request("GET", "/livez", {"Connection": "close"})
        answers = [connection.read_response() for connection in crowd]
        eq([a and a.status for a in answers], [200] * CROWD,
           f"each of {CROWD} clients gets its answer, as others make room")
        for connection in crowd:
            connection.close()
        ok(wait_until(lambda: daemon.open_fds() <= begun + 2), "the crowd is forgotten")
        with Counting(daemon) as added:
            eq(daemon.chat(fake.models[0]).status, 200, "requests are answered again")
        added.check_request("model_a", "a", 200)
    fake.stop()


def test_names_that_do_not_resolve():
    fake = FakeBackend("b")
    # Too long for any name server to be asked.
    lost = {"name": "a", "type": "vllm", "url": f"http://{'x' * 64}.test:1", "priority": 1,
            "models": list(fake.models)}
    with Daemon(backends=[lost, backend(fake, priority=2)], health={"interval": 3600},
                routing={"strategy": "priority_only"}, healthy=1) as daemon:
        ok(daemon.wait_stderr("backend a is unhealthy: .*resolve"), "its backend is unhealthy",
           daemon.stderr)
        with Counting(daemon) as added:
            eq(daemon.chat(fake.models[0]).status, 200, "another one answers")
        added.check_request("model_a", "b", 200)
    fake.stop()


if __name__ == "__main__":
    tap.run(globals())
