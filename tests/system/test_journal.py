#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The journal: native fields, a journald that hangs, and the catalog, with a journald of our own.

The socket's place is fixed, so nexusd runs in a mount namespace in which ours is there.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import tap
from fake_backend import FakeBackend
from harness import Daemon, Rig, backend, find_program, wait_until
from tap import Skip, eq, ok

MODEL = "llama3:70b"
STARTED = "724b26dc6d8f4ea984f4f740ef6dc847"
STOPPED = "aaa6a19aeec14e8d9b15558eaa42cf89"
REQUEST_FAILED = "d5a1311c6d8b4538ba6eb6a16c84d019"
LOST = "96a985d32c1b4fbf9a6a945ce71c5c55"
HEALTHY = "dd228257474c47538d743292d70e8a5f"
# Standard error looks like the journal's to nexusd, and is not.
ENTER = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal &&
ln -s "$1" /run/systemd/journal/socket &&
JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && export JOURNAL_STREAM && shift && exec "$@"
"""


class Journal:
    """Takes what nexusd sends, as journald does; hold() makes it hang."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="nexusd-test-")
        self.path = os.path.join(self.folder.name, "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.folder.name, 0o755)
        os.chmod(self.path, 0o666)
        self.messages = []
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            self.open.wait()
            datagram = self.socket.recv(1 << 16)
            lines = datagram.decode().removesuffix("\n").split("\n")
            self.messages.append(dict(line.split("=", 1) for line in lines))

    def hold(self):
        self.open.clear()

    def release(self):
        self.open.set()

    def find(self, message_id, **fields):
        """The messages with this id and these fields."""
        return [m for m in self.messages if m.get("MESSAGE_ID") == message_id and
                all(m.get(name) == value for name, value in fields.items())]

    def wait(self, message_id, **fields):
        """The same, once there is one."""
        return wait_until(lambda: self.find(message_id, **fields))

    def launcher(self):
        return ["unshare", "-rm", "sh", "-c", ENTER, "sh", self.path]


def journal():
    made = Journal()
    probe = subprocess.run([*made.launcher(), "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise Skip(f"no mount namespace: {probe.stderr.strip()}")
    return made


def test_fields():
    journald, a = journal(), FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], routing={"max_retries": 0}, log={"format": "json"},
             launcher=journald.launcher()) as (daemon, _):
        started = journald.wait(STARTED)[0]
        eq((started["PRIORITY"], started["SYSLOG_IDENTIFIER"]), ("6", "nexusd"), "the start")
        ok(started["MESSAGE"].startswith("Serving on "), "says where", started)
        healthy = journald.wait(HEALTHY)[0]
        eq(healthy["NEXUSD_BACKEND"], "a", "a backend that became healthy")
        a.behave({"status": 500})
        daemon.chat(MODEL, "words of the prompt", {"X-Request-Id": "request-1"})
        failed = journald.wait(REQUEST_FAILED, NEXUSD_REQUEST_ID="request-1")[0]
        want = {"PRIORITY": "4", "NEXUSD_MODEL": MODEL, "NEXUSD_BACKEND": "a",
                "NEXUSD_STATUS": "500", "NEXUSD_OUTCOME": "backend_error", "NEXUSD_ATTEMPTS": "1"}
        eq({name: failed.get(name) for name in want}, want, "a request that failed", failed)
        ok(failed["NEXUSD_DURATION_USEC"].isdigit(), "with numbers", failed)
        daemon.stop()
        ok(journald.wait(STOPPED), "the end")
        names = {name for message in journald.messages for name in message}
        eq({name for name in names if not re.fullmatch("[A-Z_]+", name)}, set(),
           "names are of the journal's kind")
        ok("words of the prompt" not in str(journald.messages), "no prompt is logged")
        eq(daemon.stderr, "", "nothing goes to standard error")


def test_hanging_journald():
    journald = journal()
    with Daemon(backends=[{"name": "demo", "type": "demo"}], log={"requests": "all"}, workers=1,
                launcher=journald.launcher()) as daemon:
        journald.wait(STARTED)
        journald.hold()
        n = 0
        while not daemon.metrics().get("nexus_log_lost_total") and n < 20000:
            if daemon.chat("demo").status != 200:
                break
            n += 1
        lost = daemon.settled().get("nexus_log_lost_total")
        ok(lost > 0, f"after {n} requests messages are lost, and requests answered")
        eq(daemon.chat("demo").status, 200, "one more")
        journald.release()
        ok(wait_until(lambda: daemon.chat("demo").status == 200 and journald.find(LOST)),
           "once it is read again")
        told = journald.find(LOST)
        eq(sum(int(m["NEXUSD_COUNT"]) for m in told),
           daemon.metrics().get("nexus_log_lost_total"), "it is told how many are missing")
        ok(daemon.stderr == "", "none went to standard error, which may hang, too")


def test_catalog():
    if not shutil.which("journalctl"):
        raise Skip("journalctl is not here")
    source = pathlib.Path(os.environ.get("NEXUSD_SOURCE") or
                          pathlib.Path(__file__).resolve().parents[2])
    build = pathlib.Path(os.environ.get("NEXUSD_BUILD") or pathlib.Path(find_program()).parent)
    header = (source / "include/nexusd/messages.h").read_text()
    ids = re.findall(r'^#define NEXUSD_MESSAGE_\w+\s+"(\w+)"', header, re.M)
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        root = pathlib.Path(folder)
        catalog = root / "usr/lib/systemd/catalog"
        for path in (catalog, root / "var/lib/systemd/catalog"):
            path.mkdir(parents=True)
        shutil.copy(build / "data/nexusd.catalog", catalog)
        shutil.copy(source / "data/nexusd.de.catalog", catalog)
        for what in ("--update-catalog", "--dump-catalog"):
            done = subprocess.run(["journalctl", f"--root={root}", what], capture_output=True,
                                  text=True, check=False)
            eq((done.returncode, done.stderr), (0, ""), f"journalctl {what}")
        eq(sorted(re.findall(r"^-- (\w+)$", done.stdout, re.M)), sorted(ids), "has every event")
        eq(done.stdout.count("\nSubject: "), len(ids), "with its subject")


if __name__ == "__main__":
    tap.run(globals())
