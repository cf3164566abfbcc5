#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The examples of nexusctl(1) and nexusd.conf(5), and those of nexusd-journal(7) that need no
journal, as they stand there."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

import harness
import tap
from certificates import Certificate
from ctl_run import Terminal, environment, find_nexusctl
from fake_backend import FakeBackend
from harness import Daemon, Rig, backend, shared, wait_until
from tap import eq, ok

SOURCE = pathlib.Path(os.environ.get("NEXUSD_SOURCE") or
                      pathlib.Path(__file__).resolve().parents[2])
# Instead of sleeping it tells that somebody would.
SLEEP = "#!/bin/sh\necho >>\"$0.log\"\nexec /bin/sleep 0.05\n"


def examples(page):
    """The commands of each example, as a reader types them."""
    text = (SOURCE / "man" / f"{page}.in").read_text().split(".Sh EXAMPLES\n")[1]
    return [block.replace("\\e", "\\")
            for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)]


def example_with(word, page="nexusctl.1"):
    return next(block for block in examples(page) if word in block)


class Folder:
    """A place to run examples in: nexusctl and nexusd are those under test."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="nexusd-manual-")
        self.path = pathlib.Path(self._folder.name)
        self.naps = self.path / "sleep.log"
        os.symlink(find_nexusctl(), self.path / "nexusctl")
        (self.path / "sleep").write_text(SLEEP)
        (self.path / "sleep").chmod(0o755)

    def begin(self, script, daemon=None):
        env = environment(daemon, PATH=f"{self.path}:{os.environ['PATH']}")
        return subprocess.Popen(["/bin/sh", "-c", script], env=env, cwd=self.path,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()


def finish(process):
    """Its status and all it wrote; one that goes on for ever is ended."""
    try:
        out, err = process.communicate(timeout=harness.BOUND_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out, err


@shared
def demo():
    a = FakeBackend("demo", ["demo"])
    return Rig([a], backends=[backend(a)])


def need_jq(script):
    if "jq " in script and not shutil.which("jq"):
        raise tap.Skip("jq is not here")


# --- nexusctl(1) ---


def run_example(daemon, script):
    need_jq(script)
    with Folder() as folder:
        status, out, err = finish(folder.begin(script, daemon))
    ok(status == 0 and out and not err, " ".join(script.split()), (status, out, err))
    return out


def test_each_of_nexusctl():
    daemon, _ = demo()
    daemon.chat("demo")
    daemon.settled()
    others = [script for script in examples("nexusctl.1") if "drain" not in script]
    ok(len(others) > 4, "there are some", others)
    for script in others:
        if " top" not in script:
            tap.attempt(script, run_example, daemon, script)


def test_top():
    daemon, _ = demo()
    line = example_with(" top").replace("127.0.0.1:8000", daemon.address)
    terminal = Terminal(None, *shlex.split(line)[1:])
    ok(terminal.wait_for(rb"requests/s"), line.strip(), terminal.text[-400:])
    terminal.send(b"q")
    eq(terminal.finish(), 0, "until q is pressed")


def test_drain_waits_for_what_runs():
    script = example_with("drain")
    need_jq(script)
    daemon, a = demo()
    a.behave({"gate": "held", "chunks": 2})
    stream = daemon.stream("demo")
    stream.next_data()
    with Folder() as folder:
        process = folder.begin(script, daemon)
        ok(wait_until(folder.naps.exists), "it waits while a request runs there")
        eq((process.poll(), daemon.stats()["backends"][0]["status"]), (None, "draining"),
           "the backend drains")
        a.gate("held").release(10)
        stream.all_data()
        status, _, err = finish(process)
    eq((status, err), (0, ""), "it ends when the request has")
    eq(daemon.stats()["backends"][0]["status"], "healthy", "with the backend in service")


# --- nexusd.conf(5) ---


def prepare(folder):
    """The files that examples name: below this folder instead of /etc/nexusd."""
    for name in ("tls", "credentials"):
        (folder / name).mkdir()
    Certificate(folder / "tls", "server")
    shutil.copy(Certificate(folder / "tls", "clients").path, folder / "ca.pem")
    for name in ("openai-key", "gpu-3"):
        (folder / "credentials" / name).write_text("sk-example\n")
        (folder / "credentials" / name).chmod(0o600)


def check_configuration(folder, text):
    path = folder / "example.conf"
    path.write_text(text.replace("/etc/nexusd", str(folder)))
    done = subprocess.run([harness.find_program(), "-c", path, "--check-config"],
                          env=environment(CREDENTIALS_DIRECTORY=str(folder / "credentials")),
                          capture_output=True, text=True, timeout=harness.BOUND_SECONDS,
                          check=False)
    return done.returncode, done.stderr


def test_configurations():
    found = examples("nexusd.conf.5")
    ok(len(found) > 4, "there are some", found)
    with tempfile.TemporaryDirectory(prefix="nexusd-manual-") as name:
        folder = pathlib.Path(name)
        prepare(folder)
        for number, text in enumerate(found, 1):
            eq(check_configuration(folder, text), (0, ""), f"nexusd.conf(5), example {number}",
               text)


# --- nexusd-journal(7) ---


def test_slowest_requests():
    script = example_with("2>log", "nexusd-journal.7")
    need_jq(script)
    settings, evaluation = script.split(" nexusd 2>log\n")
    log = {"NEXUSD_LOG_FORMAT": "json", "NEXUSD_LOG_REQUESTS": "all"}
    eq(settings, " ".join(f"{name}={value}" for name, value in log.items()), "how nexusd is run")
    with Daemon(backends=[{"name": "demo", "type": "demo"}], env=log) as daemon:
        for _ in range(3):
            daemon.chat("demo")
    with Folder() as folder:
        (folder.path / "log").write_text(daemon.stderr + "\n")
        status, out, err = finish(folder.begin(evaluation))
    times = [int(line.split("\t")[0]) for line in out.splitlines()]
    eq((status, err, len(times)), (0, "", 3), "each request of the log", out)
    eq(times, sorted(times, reverse=True), "the slowest first")
    ok(all(json.loads(line) for line in daemon.stderr_lines), "every line is JSON")


if __name__ == "__main__":
    tap.run(globals())
