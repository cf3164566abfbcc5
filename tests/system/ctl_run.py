# SPDX-License-Identifier: Apache-2.0
"""Runs nexusctl: piped, or on a terminal of its own."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import harness

BOUND_SECONDS = harness.BOUND_SECONDS
STEP = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def find_nexusctl():
    """The one that was built with the nexusd under test, else the installed one."""
    built = pathlib.Path(harness.find_program()).parent / "nexusctl"
    return str(built) if built.is_file() else shutil.which("nexusctl")


def environment(daemon=None, **more):
    keep = {k: v for k, v in os.environ.items()
            if k in ("PATH", "HOME", "TMPDIR") or k.endswith("SAN_OPTIONS")}
    place = {"RUNTIME_DIRECTORY": str(daemon.path)} if daemon else {}
    return {**keep, **place, "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def rows(self):
        return [line.split("\t") for line in self.out.splitlines()]

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<{self.status} out {self.out[-600:]!r} err {self.err[-600:]!r}>"


def run(daemon, *args, env=None, **options):
    """Piped; without a daemon there is no socket to be found."""
    done = subprocess.run([find_nexusctl(), *args], env=environment(daemon, **(env or {})),
                          capture_output=True, timeout=BOUND_SECONDS, check=False,
                          stdin=subprocess.DEVNULL, **options)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """nexusctl on a pty; `text` is all that it has written."""

    def __init__(self, daemon, *args, columns=100, rows=30, env=None):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            program = find_nexusctl()
            self.resize(columns, rows, 0)
            os.execve(program, [program, *args], environment(daemon, **(env or {})))
        self.status = None

    def resize(self, columns, rows, fd=None):
        fcntl.ioctl(self.fd if fd is None else fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            piece = b""
        self.text += piece
        return bool(piece)

    def wait_for(self, pattern, start=0):
        """Reads until the pattern comes behind `start`; the match or None."""
        end = time.monotonic() + BOUND_SECONDS
        while not (match := re.compile(pattern, re.S).search(self.text, start)):
            if time.monotonic() > end or not self._read(end - time.monotonic()):
                return None
        return match

    def send(self, keys):
        os.write(self.fd, keys)

    def finish(self):
        """Reads to the end: the exit status, None if it had to be killed."""
        end = time.monotonic() + BOUND_SECONDS
        while time.monotonic() < end and self._read(end - time.monotonic()):
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status if self.status != -signal.SIGKILL else None

    def lines(self):
        """What a person sees of something that only writes lines."""
        return STEP.sub(b"", self.text).decode().replace("\r", "").splitlines()


def on_terminal(daemon, *args, **options):
    terminal = Terminal(daemon, *args, **options)
    terminal.finish()
    return terminal
