#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nexusd from its start over a reload to its stop, and nexusctl, with a call failing on each path
to one by turns, once and from then on (tests/faults): they end in good order, say why if they
could not go on, and the sanitizers have nothing to say.

$NEXUSD_TEST_FAULT_PATHS says how many paths of each there are, 0 for all."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import harness
import tap
from ctl_run import environment
from fake_backend import FakeBackend
from harness import Daemon, backend, config_text, free_port
from service_manager import NotifySocket
from tap import Skip, ok

RUN_SECONDS = 3600
PATHS = int(os.environ.get("NEXUSD_TEST_FAULT_PATHS", "12"))


def find_with_faults(name):
    if "thread" in os.environ.get("NEXUSD_SANITIZERS", ""):
        raise Skip("the thread sanitizer does not go with fork()")
    program = pathlib.Path(harness.find_program()).parent / f"tests/system/translated_{name}"
    if not program.is_file():
        raise Skip(f"{program.name} is not built")
    return str(program)


def run_each(name, arguments, what, env, paths=PATHS):
    """Runs a program once for each path: its own TAP line says how that went."""
    done = subprocess.run([find_with_faults(name), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=RUN_SECONDS, check=False,
                          env={**env, "NEXUSD_TEST_EACH_FAULT": "program",
                               "NEXUSD_TEST_FAULT_PATHS": str(paths)})
    said = re.search(r"^ok 1 - .*: (.*)$", done.stdout, re.M)
    ok(done.returncode == 0 and said, f"{what}: {said and said[1]}", done.stdout[-6000:])


class Manager(NotifySocket):
    """Has each process that is ready reload once, and stop when it is ready again."""

    def __init__(self, folder):
        self._seen = set()
        super().__init__(folder)

    def _take(self, text, control):
        super()._take(text, control)
        if "READY=1" not in text:
            return
        sender = self.senders[-1]
        try:
            os.kill(sender, signal.SIGTERM if sender in self._seen else signal.SIGHUP)
        except ProcessLookupError:
            pass
        self._seen.add(sender)


def test_start_reload_and_stop():
    fake = FakeBackend("a", ["m"])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = pathlib.Path(folder) / "nexusd.conf"
        path.write_text(config_text(
            listeners=[{"address": f"127.0.0.1:{free_port()}", "faces": ["api", "metrics"]}],
            workers=1, backends=[backend(fake), {"name": "b", "type": "demo"}],
            routing={"aliases": [{"name": "alias", "model": "m"}],
                     "fallbacks": [{"model": "m", "to": ["demo"]}]},
            statsd={"enabled": True, "address": f"udp://127.0.0.1:{free_port()}"}))
        env = environment(RUNTIME_DIRECTORY=folder, NOTIFY_SOCKET=Manager(folder).path)
        run_each("nexusd", ["-c", str(path)], "a life", env)
        run_each("nexusd", ["-c", str(path), "--check-config"], "a check", env)
    fake.stop()


# What is asked of a daemon, and of none.
COMMANDS = [["status"], ["backends"], ["models"], ["stats"], ["metrics"], ["test", "m"],
            ["drain", "a"], ["undrain", "a"], ["reload"], ["log-level", "info"], ["config", "show"],
            ["config", "explain", "routing"], ["version"], ["--json", "status"]]


def test_nexusctl():
    fake = FakeBackend("a", ["m"])
    with Daemon(backends=[backend(fake)], workers=1) as daemon:
        for command in COMMANDS:
            run_each("nexusctl", command, " ".join(command), environment(daemon),
                     PATHS and max(PATHS // 3, 1))
    fake.stop()


if __name__ == "__main__":
    tap.run(globals())
