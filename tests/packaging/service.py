# SPDX-License-Identifier: Apache-2.0
"""What the tests of the installed package share: systemd, the journal, requests to the service.

They change the machine they run on; each leaves it as it was.
"""
import contextlib
import json
import pathlib
import re
import subprocess
import time

from http_client import Connection, Stream
from prometheus_text import Metrics

UNIT = "nexusd.service"
SOCKET = "nexusd.socket"
ADDRESS = "127.0.0.1:8000"
BOUND_SECONDS = 30
POLL_SECONDS = 0.02
CONFIG = pathlib.Path("/etc/nexusd")


def wait_until(predicate, seconds=BOUND_SECONDS):
    """Polls until predicate() is true; returns its last value."""
    end = time.monotonic() + seconds
    while not (value := predicate()) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return value


# --- systemd ---


def run(*command, seconds=120):
    """Runs a command to its end, with its output as text and nothing to read."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds)


def must(*command, **options):
    """The output of a command that has to succeed."""
    done = run(*command, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def systemctl(*arguments):
    return must("systemctl", *arguments)


def prop(name, unit=UNIT):
    """A property of a unit, as text."""
    return systemctl("show", "--value", "-p", name, unit).strip()


def main_pid():
    return int(prop("MainPID"))


def restart():
    """A restart that no limit of starts refuses."""
    systemctl("reset-failed")
    systemctl("restart", UNIT)


@contextlib.contextmanager
def drop_in(text, unit=UNIT):
    """Further settings of a unit, which take effect with the restart that the caller makes."""
    path = pathlib.Path(f"/run/systemd/system/{unit}.d/test.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        path.unlink()
        path.parent.rmdir()
        systemctl("daemon-reload")


@contextlib.contextmanager
def configured(text, then=restart):
    """A file in conf.d; `then` takes it in, and takes it out in the end."""
    path = CONFIG / "conf.d" / "90-test.conf"
    path.write_text(text)
    try:
        then()
        yield path
    finally:
        path.unlink()
        then()


# --- the journal ---


def journal_end():
    """Where the journal ends now, for journal()."""
    must("journalctl", "--sync")
    return json.loads(must("journalctl", "-q", "-n", "1", "-o", "json"))["__CURSOR"]


def journal(since, **fields):
    """The entries of the service since then that have these fields, as dicts."""
    must("journalctl", "--sync")
    # Not journalctl's own matches: with a cursor, they lose the first entry.
    lines = must("journalctl", "-q", "-o", "json", "--after-cursor", since).splitlines()
    wanted = {"_SYSTEMD_UNIT": UNIT, **fields}
    return [entry for entry in map(json.loads, lines)
            if all(entry.get(name) == value for name, value in wanted.items())]


def message_id(event):
    """The MESSAGE_ID of an event, as the package's header has it."""
    header = pathlib.Path("/usr/include/nexusd/messages.h").read_text()
    return re.search(rf'(?m)^#define NEXUSD_MESSAGE_{event}\s+"(\w+)"', header)[1]


# --- requests ---


def get(target, address=ADDRESS, headers=None):
    with Connection(address) as connection:
        return connection.request("GET", target, headers).read_response()


def chat_body(model="demo", content="Hello", **members):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": content}],
                       **members}).encode()


def ask(address=ADDRESS, headers=None, **body):
    """One chat completion, plain."""
    with Connection(address) as connection:
        connection.request("POST", "/v1/chat/completions", headers, chat_body(**body))
        return connection.read_response()


def ask_stream(address=ADDRESS, **body):
    """One chat completion as a Stream, its head read."""
    connection = Connection(address)
    connection.request("POST", "/v1/chat/completions", None, chat_body(stream=True, **body))
    return Stream(connection)


def metrics():
    return Metrics(get("/metrics").body.decode())


def settled():
    """The metrics once nothing runs but the scrape: an answer is counted when its end was sent."""
    wait_until(lambda: metrics().sum("gateway_active_requests") == 1)
    return metrics()


def is_ready():
    try:
        return get("/readyz").status == 200
    except (OSError, AttributeError):
        return False


def has_model(model):
    """Whether a healthy backend has it: waits until one answers for it."""
    return wait_until(lambda: ask(model=model).status == 200)
