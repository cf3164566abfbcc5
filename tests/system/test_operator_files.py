#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator's tools make of nexusd: logcheck's rules and reportbug's script."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import harness
import tap
from fake_backend import FakeBackend
from harness import Daemon, backend, wait_until
from tap import eq, ok

SOURCE = pathlib.Path(__file__).resolve().parents[2]
RULES = SOURCE / "debian/nexusd.logcheck.ignore.server"
BUG_SCRIPT = SOURCE / "debian/nexusd.bug-script"
STDERR = re.compile(r"^\S+Z (?:error|warning|notice|info): (.*?)(?: [a-z_]+=(?:\"[^\"]*\"|\S*))*$")
PREFIXES = ("Nov  1 08:00:00 gate-1 nexusd[4711]: ",
            "2026-11-01T08:00:00.123456+01:00 gate-1 nexusd[4711]: ")

# Each sk- is a secret where somebody once wrote one; what may be shown of it is below.
NASTY = r'''# old key: sk-COMMENT
// sk-SLASHES
/* sk-BLOCK " # // {
 sk-BLOCK */
backends = ( { name = "a#b//c/*d sk-NAME"; type = "openai"; priority = 5;
               url = "https://user:sk-PASSWORD@host/?key=sk-QUERY"; credential = "sk-" "ADJACENT"; } );
key = sk-UNQUOTED; other = skunquoted; token=abcdef0123456789; number = 123456789012345;
escaped = "\"sk-ESCAPED\\"; limits: { max_body = "10M"; };
@include "sk-INCLUDE.conf"
/etc/sk-PATH = 1; 'sk-SINGLE'; é = sk-É
log: { level = "debug"; };
open = "sk-UNTERMINATED /*
# sk-WITHIN
'''
SHAPE = '''  backends = ( { name = "..."; type = "openai"; priority = 5;
                 url = "..."; credential = "..." "..."; } );
  key = ...; other = ...; token=...; number = ...;
  escaped = "..."; limits: { max_body = "10M"; };
  ... "..."
  ... = 1; ...; ... = ...
  log: { level = "debug"; };
  open = "..."
'''


def messages(daemon):
    """What went to the log, as a syslog daemon would get it: without level and fields."""
    return [match[1] for match in map(STDERR.match, list(daemon.stderr_lines)) if match]


def reported(lines):
    """The lines that logcheck would mail, with both time stamps that syslog daemons write."""
    rules = [rule for rule in RULES.read_text().splitlines() if rule and rule[0] != "#"]
    logs = "".join(prefix + line + "\n" for line in lines for prefix in PREFIXES)
    done = subprocess.run(["grep", "-E", "-v", *[part for rule in rules for part in ("-e", rule)]],
                          input=logs, capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.stdout.splitlines()


def test_a_normal_day_is_not_reported():
    fake = FakeBackend("a")
    absent = {"name": "b", "type": "ollama", "optional": True,
              "url": f"http://127.0.0.1:{harness.free_port()}"}
    with Daemon(backends=[backend(fake), absent], healthy=1,
                limits={"max_connections": 100}) as daemon:
        eq(daemon.chat(fake.models[0]).status, 200, "a request")
        ok(daemon.wait_stderr("optional backend b is not there"), "an optional backend is absent")
        rows = [{"address": address, "faces": ["api", "metrics"]}
                for address in (daemon.address, f"127.0.0.1:{harness.free_port()}")]
        daemon.config_path.write_text(daemon.make_config(
            backends=[backend(fake), absent], limits={"max_connections": 100}, listeners=rows))
        daemon.kill(signal.SIGHUP)
        ok(daemon.wait_stderr("listening on"), "a listener comes")
        ok(daemon.wait_stderr("configuration reloaded"), "a reload")
        daemon.kill(signal.SIGUSR2)
        line = daemon.wait_stderr(r"process \d+ has taken over")
        ok(daemon.wait_stderr("the process before this one has ended"), "an upgrade", line)
        os.kill(int(re.search(r"process (\d+)", line)[1]), signal.SIGTERM)
        daemon.stop()
        lines = messages(daemon)
    fake.stop()
    ok(len(lines) >= 4, "the day has left its lines", *lines)
    eq(reported(lines), [], "logcheck mails none of them")


def test_trouble_is_reported():
    fake = FakeBackend("a")
    with Daemon(backends=[backend(fake, discover=True)],
                health={"interval": 0.05, "failures": 1}) as daemon:
        daemon.config_path.write_text("nonsense = 1;\n")
        daemon.kill(signal.SIGHUP)
        ok(daemon.wait_stderr("running configuration stays in force"), "a reload is refused")
        fake.stop()
        ok(wait_until(lambda: daemon.health()["healthy"] == 0), "the backend goes")
        ok(daemon.wait_stderr("backend a is unhealthy"), "that is logged")
        mails = "\n".join(reported(messages(daemon)))
    for trouble in ("running configuration stays in force", "backend a is unhealthy"):
        eq(mails.count(trouble), len(PREFIXES), f"logcheck mails: {trouble}")


def bug_report(folder, redirection=""):
    """What the script prints when the configuration is in this folder."""
    script = pathlib.Path(folder, "script")
    script.write_text(BUG_SCRIPT.read_text().replace("/etc/nexusd", folder))
    path = f"{os.path.dirname(harness.find_program())}:{os.environ['PATH']}"
    return subprocess.run(["sh", "-c", f"sh '{script}' {redirection}"], capture_output=True,
                          text=True, check=False, env={**os.environ, "PATH": path})


def test_a_bug_report_tells_no_secret():
    with tempfile.TemporaryDirectory() as folder:
        more = pathlib.Path(folder, "conf.d")
        more.mkdir()
        pathlib.Path(folder, "nexusd.conf").write_text(NASTY)
        (more / "50.conf").write_text("/* sk-OPEN-COMMENT\nworkers = 2;\n")
        (more / "60.conf").write_text("")
        (more / "70.conf").write_text("workers = 2; # sk-LAST-LINE")
        done = bug_report(folder, "3>&1 >/dev/null")
        shown = (done.stdout + done.stderr).replace(folder, "FOLDER")  # whose name is random
        ok("sk" not in shown, "no secret is shown", shown)
        ok(SHAPE in done.stdout, "the shape is", done.stdout)
        eq(done.stdout.count("workers = 2;"), 1, "a comment that is not closed hides the rest")
        ok("-- nexusd:\nnexusd " in done.stdout, "the version is there", done.stdout)
        eq(done.returncode, 0, "the script ends well")
        ok(SHAPE in bug_report(folder).stdout, "a person may run it, too")


def test_a_bug_report_needs_no_configuration():
    with tempfile.TemporaryDirectory() as folder:
        done = bug_report(folder)
        ok(done.returncode == 0 and "the shape" not in done.stdout, "none, and no complaint",
           done.stdout, done.stderr)


if __name__ == "__main__":
    tap.run(globals())
