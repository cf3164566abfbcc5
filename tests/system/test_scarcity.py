#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What happens when the system has no descriptor left, or no address for a name."""
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend, wait_until
from tap import eq, ok

LIMIT = 64


def test_descriptors_run_out():
    fake = FakeBackend("a")
    with Daemon(backends=[backend(fake)], launcher=["prlimit", f"--nofile={LIMIT}:{LIMIT}"],
                log={"level": "debug"}) as daemon:
        begun = daemon.open_fds()
        crowd = [daemon.connect() for _ in range(2 * LIMIT)]
        ok(daemon.wait_stderr("accepting on .* pauses: Too many open files"), "accepting pauses",
           daemon.open_fds())
        ok(daemon.process.poll() is None, "nexusd goes on")
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
