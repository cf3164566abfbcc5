#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is said to a person is in that person's language; the log is in English."""
import functools
import os
import pathlib
import subprocess
import sys
import tempfile

import tap
from harness import Daemon, find_program
from tap import Skip, eq, ok

# What the C library makes of a text, without any program of ours.
TRANSLATE = """import locale, sys
locale.setlocale(locale.LC_ALL, "")
locale.bindtextdomain("nexusd", sys.argv[1])
sys.exit(locale.dgettext("nexusd", sys.argv[2]) == sys.argv[2])"""
BAD = "workers = 1;\nwrokers = 2;\n"


def translated(name):
    """A program with its translations in the build, not where they are to be installed."""
    program = pathlib.Path(find_program()).parent / f"tests/system/translated_{name}"
    if os.environ.get("NEXUSD_NLS") == "no":
        raise Skip("built without translations")
    return str(program)


@functools.cache
def german():
    """An environment in German. LANGUAGE chooses among the texts of any locale but C, and newer
    C libraries take C.UTF-8, the one locale in UTF-8 that is everywhere, for that."""
    texts = pathlib.Path(find_program()).parent / "tests/locale"
    installed = subprocess.run(["locale", "-a"], capture_output=True, text=True,
                               check=False).stdout.split()
    for name in ["C.UTF-8"] + [n for n in installed if n.lower().endswith((".utf8", ".utf-8"))]:
        place = {"LC_ALL": name, "LANGUAGE": "de"}
        if subprocess.run([sys.executable, "-c", TRANSLATE, texts, "Try nexusd --help.\n"],
                          env={"PATH": os.environ["PATH"], **place}, check=False).returncode == 0:
            return place
    raise Skip("no locale is here whose texts the C library translates")


def run(*args, program="nexusd", **environment):
    return subprocess.run([translated(program), *args], capture_output=True, text=True, timeout=20,
                          env={"PATH": os.environ["PATH"], **environment}, check=False)


def check(text, **environment):
    """What --check-config says about a file with this text, the file's name left out."""
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = pathlib.Path(folder) / "nexusd.conf"
        path.write_text(text)
        done = run("-c", str(path), "--check-config", **environment)
        return done.returncode, done.stderr.replace(str(path), "FILE")


def test_configuration():
    eq(check(BAD), (1, "FILE:2: unknown option wrokers; nexusd.conf(5) lists all of them\n"),
       "English without a locale")
    eq(check(BAD, LANGUAGE="de"), check(BAD), "LANGUAGE alone changes nothing")
    eq(check(BAD, LANGUAGE="de", LC_ALL="C"), check(BAD), "nor does it in the locale C")
    eq(check(BAD, **german()), (1, "FILE:2: unbekannte Option wrokers; nexusd.conf(5) nennt alle\n"),
       "German")
    eq(check('timeouts: { head = "x"; };\n', **german()),
       (1, "FILE:1: timeouts.head kann keine Zeichenkette sein; Sekunden wie 30 oder 0.25 "
           "angeben\n"), "sentences that are put together")
    eq(check("backends = (\n { name = \"x\"; type = \"demo\"; },\n"
             " { name = \"x\"; type = \"demo\"; } );\n", **german()),
       (1, "FILE:3: das Backend »x« gibt es bereits (FILE:2); umbenennen oder entfernen\n"),
       "and with what they are about")


def test_usage():
    done = run("--help", **german())
    ok(done.returncode == 0 and done.stdout.startswith("Aufruf: nexusd"), "--help", done.stdout)
    done = run("--log-level", "laut", **german())
    eq((done.returncode, done.stderr), (2, "nexusd: diese Protokollstufe gibt es nicht: laut; "
                                          "eine wählen von: error warning notice info debug\n"),
       "a wrong argument")


def test_nexusctl():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        nowhere = {"RUNTIME_DIRECTORY": folder, **german()}
        done = run("status", program="nexusctl", **nowhere)
        ok(done.returncode and "nexusd starten" in done.stderr, "what went wrong", done.stderr)
        done = run("--help", program="nexusctl", **nowhere)
        ok(done.stdout.startswith("Aufruf: nexusctl") and "Zeigt, ob nexusd" in done.stdout,
           "--help", done.stdout)
        done = run("config", "explain", "workers", program="nexusctl", **nowhere)
        ok("Threads, die Anfragen bedienen." in done.stdout, "what an option is", done.stdout)
        done = run("config", "explain", "timeouts.head", program="nexusctl",
                   **{**nowhere, "LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"})
        ok(" 0.001 " in done.stdout and "0,001" not in done.stdout, "numbers have points",
           done.stdout)


def test_numbers_keep_their_points():
    status, said = check("timeouts: { head = 0.25; };\nhealth: { interval = 1.5; };\n",
                         LANGUAGE="de", LC_ALL="de_DE.UTF-8", LC_NUMERIC="de_DE.UTF-8")
    eq((status, said), (0, ""), "the file is read the same in each locale")


def test_log():
    with Daemon(backends=[{"name": "demo", "type": "demo"}], program=translated("nexusd"),
                env=german()) as daemon:
        ok(daemon.wait_stderr("Serving on"), "the log is in English", daemon.stderr)
        eq(daemon.chat("demo").status, 200, "and so are answers")
        error = daemon.chat("nothing").error()
        ok("does not exist" in error["message"], "with their errors", error)
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = pathlib.Path(folder) / "nexusd.conf"
        path.write_text(BAD)
        done = run("-c", str(path), **german())
        ok(done.returncode == 1 and "unknown option wrokers" in done.stderr,
           "a start that fails says why in English: that is the log", done.stderr)


if __name__ == "__main__":
    tap.run(globals())
