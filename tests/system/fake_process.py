# SPDX-License-Identifier: Apache-2.0
"""A fake backend in a process of its own, so that it can be killed and frozen."""
import json
import os
import pathlib
import signal
import subprocess
import sys

from http_client import Connection

PROGRAM = pathlib.Path(__file__).with_name("fake_backend.py")


class FakeProcess:
    """What harness.backend() and Rig take for a FakeBackend. kill() and start() keep the port."""

    kind = "vllm"

    def __init__(self, name, models):
        self.name, self.models = name, list(models)
        self.port = 0
        self.process = None
        self.start()

    def start(self):
        command = [sys.executable, "-B", str(PROGRAM), "--name", self.name, "--port",
                   str(self.port), "--models", ",".join(self.models)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # until kill()
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    stop = kill

    def freeze(self):
        """Returns once it has stopped, which may take a moment."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def _control(self, verb):
        with Connection(f"127.0.0.1:{self.port}") as connection:
            connection.request("POST", f"/_fake/{verb}", None, b"")
            return json.loads(connection.read_response().body)

    def log(self):
        """The requests to model endpoints since the process began, as dicts."""
        return self._control("log")

    def release(self, gate):
        self._control(f"gate/{gate}")

    def reset(self):
        self._control("reset")
