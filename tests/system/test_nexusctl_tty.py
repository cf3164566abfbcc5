#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nexusctl as people use it: tables and colors on a terminal, top, completion in their shells."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

import harness
import tap
from ctl_run import Terminal, environment, find_nexusctl, on_terminal
from fake_backend import FakeBackend
from harness import Rig, backend, shared
from tap import eq, ok

LONG = "a-model-whose-name-is-far-longer-than-any-terminal-is-wide-" + "x" * 150
OTHER_SCREEN, FIRST_SCREEN = rb"\x1b\[\?1049h", rb"\x1b\[\?1049l"
COMPLETIONS = pathlib.Path(os.environ.get("NEXUSD_BUILD") or
                           pathlib.Path(find_nexusctl()).parent) / "data/completions"


@shared
def two():
    a, b = FakeBackend("alpha", ["m", LONG]), FakeBackend("beta", ["m", "llama3:70b"])
    return Rig([a, b], backends=[backend(a, priority=1), backend(b, priority=2)],
               routing={"strategy": "priority_only"})


# --- tables ---


def test_table():
    daemon, *_ = two()
    terminal = on_terminal(daemon, "backends", columns=120)
    lines = terminal.lines()
    eq((terminal.status, lines[0].split()[:3]), (0, ["BACKEND", "TYPE", "STATUS"]), "titles")
    ok(lines[1].startswith("alpha    vllm  healthy") and lines[2].startswith("beta     vllm"),
       "columns stand below one another", lines)
    ok(b"\x1b[1m" in terminal.text and b"\x1b[32mhealthy" in terminal.text, "with colors",
       terminal.text)
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        terminal = on_terminal(daemon, "backends", columns=120, env=env)
        ok(b"\x1b" not in terminal.text and terminal.lines() == lines, f"without: {env}",
           terminal.text)
    ok(b"\x1b[32m" in on_terminal(daemon, "backends", env={"NO_COLOR": ""}).text,
       "an empty NO_COLOR says nothing")


def test_narrow_terminals():
    daemon, *_ = two()
    daemon.chat("m")
    daemon.settled()
    for columns in (200, 80, 60, 40, 20, 10, 3, 1):
        for command in ("status", "backends", "models", "stats"):
            terminal = on_terminal(daemon, command, columns=columns)
            # A line of totals wraps; tables do not.
            widest = max(len(line) for line in terminal.lines() if "requests, " not in line)
            ok(terminal.status == 0 and widest <= columns, f"{command} in {columns} columns",
               terminal.lines())
    ok("a-model-whose" in on_terminal(daemon, "models", columns=60).lines()[1], "names are cut")


# --- top ---


def test_top():
    daemon, a, b = two()
    terminal = Terminal(daemon, "top", "--interval", "0.2", columns=110, rows=24)
    ok(terminal.wait_for(OTHER_SCREEN), "it takes the other screen")
    ok(terminal.wait_for(rb"requests/s.*alpha.*healthy.*llama3:70b|requests/s.*alpha.*healthy"),
       "totals and backends", terminal.text[-800:])
    ok(terminal.wait_for(rb"REQ/S.*TOKENS/S"), "rates")
    a.behave({"gate": "held", "chunks": 2})
    stream = daemon.stream("m")
    stream.next_data()
    ok(terminal.wait_for(rb"1 in flight", len(terminal.text)), "a stream that runs is seen")
    a.gate("held").release(10)
    stream.all_data()
    ok(terminal.wait_for(rb"\D[1-9][0-9.]* requests/s|0\.[1-9] requests/s", len(terminal.text)),
       "the rate of requests moves")
    ok(terminal.wait_for(rb"\x1b\[1mMODEL.*?\r\n[^\r]*m ", len(terminal.text)), "the model is there")
    mark = len(terminal.text)
    terminal.resize(40, 8)
    ok(terminal.wait_for(rb"\x1b\[H.*\x1b\[J.*\x1b\[H.*\x1b\[J", mark), "drawn anew when resized")
    frame = re.findall(rb"\x1b\[H(.*?)\x1b\[J", terminal.text[mark:], re.S)[-1]
    lines = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", frame).decode().replace("\r", "").split("\n")
    ok(len(lines) <= 8 and max(map(len, lines)) <= 40, "in the new size", lines)
    ok(b"\x1b[2J" not in terminal.text, "the screen is never wiped: nothing flickers")
    terminal.send(b"x")
    terminal.send(b"q")
    eq(terminal.finish(), 0, "q quits, other keys do not")
    ok(re.search(FIRST_SCREEN + rb".{0,40}$", terminal.text, re.S) and
       b"\x1b[?25h" in terminal.text, "and the terminal is given back", terminal.text[-60:])


def test_ends_of_top():
    daemon, *_ = two()
    for name, end in (("Ctrl-C", lambda t: t.send(b"\x03")),
                      ("SIGTERM", lambda t: os.kill(t.pid, signal.SIGTERM)),
                      ("SIGHUP", lambda t: os.kill(t.pid, signal.SIGHUP))):
        terminal = Terminal(daemon, "top")
        terminal.wait_for(rb"requests/s")
        end(terminal)
        eq(terminal.finish(), 0, f"{name} ends it")
        ok(re.search(FIRST_SCREEN, terminal.text), f"{name}: the terminal is given back")


def test_top_outlives_nexusd():
    a = FakeBackend("alpha", ["m"])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        terminal = Terminal(daemon, "top", "--interval", "0.1")
        terminal.wait_for(rb"requests/s")
        daemon.kill(signal.SIGTERM)
        daemon.wait_exit()
        ok(terminal.wait_for(rb"nobody listens|there is no", len(terminal.text)), "it says what it misses")
        terminal.send(b"q")
        eq(terminal.finish(), 0, "and can be left")


# --- completion ---


def complete(daemon, *words):
    """What bash offers for the last word."""
    script = "\n".join([
        f"source {shlex.quote(str(COMPLETIONS / 'nexusctl'))}",
        f"COMP_WORDS=({' '.join(shlex.quote(w) for w in ('nexusctl', *words))})",
        f"COMP_CWORD={len(words)}", "_nexusctl", 'printf "%s\\n" "${COMPREPLY[@]}"'])
    path = f"{pathlib.Path(find_nexusctl()).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True,
                          env=environment(daemon, PATH=path), check=False, timeout=20)
    return sorted(done.stdout.split()) if not done.stderr else done.stderr


def test_bash_completion():
    daemon, *_ = two()
    if not shutil.which("bash"):
        raise tap.Skip("no bash")
    eq(complete(daemon, "dr"), ["drain"], "a command")
    ok({"status", "top", "config", "log-level"} <= set(complete(daemon, "")), "all of them")
    eq(complete(daemon, "config", ""), ["check", "defaults", "explain", "show"], "second words")
    eq(complete(daemon, "--u"), ["--url"], "a flag")
    eq(complete(daemon, "drain", ""), ["alpha", "beta"], "the backends of the running nexusd")
    eq(complete(daemon, "--json", "undrain", "b"), ["beta"], "behind a flag")
    eq(complete(None, "--socket", str(daemon.path / "admin.sock"), "drain", "a"), ["alpha"],
       "of the one that is named")
    eq(complete(daemon, "test", "m"), ["m"], "models")
    eq(complete(daemon, "log-level", "d"), ["debug"], "levels")
    eq(complete(daemon, "config", "explain", "limits.max_h"), ["limits.max_header"], "options")
    eq(complete(daemon, "metrics", "nexus_requests_total", "nexus_errors"),
       ["nexus_errors_total"], "metrics, again and again")
    eq(complete(daemon, "config", "check", str(daemon.path / "nexusd.c")),
       [str(daemon.config_path)], "files")
    eq(complete(daemon, "status", ""), [], "nothing where nothing can be said")
    eq(complete(None, "drain", ""), [], "nothing and no noise without a nexusd")


def test_zsh_completion():
    daemon, *_ = two()
    if not shutil.which("zsh"):
        raise tap.Skip("no zsh")
    path = f"{pathlib.Path(find_nexusctl()).parent}:{os.environ['PATH']}"
    env = environment(daemon, PATH=path, ZDOTDIR=str(daemon.path))
    done = subprocess.run(["zsh", "-n", COMPLETIONS / "_nexusctl"], capture_output=True, check=False)
    eq((done.returncode, done.stderr), (0, b""), "zsh reads it")
    script = (f"fpath=({shlex.quote(str(COMPLETIONS))} $fpath)\n"
              "zmodload zsh/zpty; zpty -b z 'zsh -f -i'\n"
              "zpty -w z \"PS1=; fpath=($fpath); autoload -U compinit; compinit -u -D; "
              "zstyle ':completion:*' list-prompt ''; LISTMAX=1000; echo re''ady\"\n"
              "zpty -r -m z line '*ready*'\n"
              "zpty -w -n z $'nexusctl drain al\\t\\n'\n"
              "zpty -r -m z line '*alpha*'; print -r -- \"$line\"\n")
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, env=env,
                          check=False, timeout=harness.BOUND_SECONDS)
    ok("nexusctl drain alpha" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\b]", "", done.stdout),
       "zsh completes a backend", done.stdout[-400:], done.stderr)
    daemon.request("POST", "/admin/backends/alpha/undrain", address=daemon.admin_address)


if __name__ == "__main__":
    tap.run(globals())
