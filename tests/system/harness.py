# SPDX-License-Identifier: Apache-2.0
"""Runs the real nexusd on free ports, talks to it and reads its counters.

The program is $NEXUSD, else `nexusd` in the build directory ($abs_top_builddir, the working
directory, the top of the source). Nothing here sleeps for a fixed time: every wait is for an
event, with a bound.
"""
import functools
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import exposition_judge
import http_client
import stats_schema
from fake_backend import FakeBackend
from http_client import Connection, Stream
from prometheus_text import Metrics
from tap import Skip, at_end, diag, eq, ok

BOUND_SECONDS = 20
POLL_SECONDS = 0.01
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|"
                       r"UndefinedBehaviorSanitizer|runtime error:|Assertion .* failed)")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def wait_until(predicate, seconds=BOUND_SECONDS):
    """Polls until predicate() is true; returns its last value."""
    end = time.monotonic() + seconds
    while not (value := predicate()) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return value


def find_program():
    if os.environ.get("NEXUSD"):
        return os.path.abspath(os.environ["NEXUSD"])
    source = pathlib.Path(__file__).resolve().parents[2]
    for folder in (os.environ.get("abs_top_builddir"), ".", "..", "../..", source):
        program = pathlib.Path(folder or ".") / "nexusd"
        if program.is_file():
            return str(program.resolve())
    print("Bail out! nexusd was not found; build it first or set NEXUSD")
    sys.exit(1)


def openmetrics_judge():
    return pathlib.Path(find_program()).parent / "tests/system/openmetrics_judge"


# Every rendering that any test receives is judged.
http_client.on_response.append(exposition_judge.Judge(openmetrics_judge()).see)

_ports = set()


def free_port():
    """A port nobody listens on, outside the range that outgoing connections take theirs from."""
    while True:
        port = random.randrange(10240, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _ports:
            _ports.add(port)
            return port


# --- configurations ---


def to_libconfig(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {to_libconfig(v)};" for k, v in value.items()) + " }"
    items = [to_libconfig(item) for item in value]
    brackets = "()" if any(isinstance(item, dict) for item in value) else "[]"
    return f"{brackets[0]} {', '.join(items)} {brackets[1]}"


def config_text(**sections):
    """One option per line, in the order given, so that tests can name lines."""
    return "".join(f"{name} = {to_libconfig(value)};\n" for name, value in sections.items())


def backend(fake, kind=None, **options):
    """The configuration of a fake backend, with its models stated unless discover=True."""
    row = {"name": fake.name, "type": kind or fake.kind, "url": fake.url}
    if not options.pop("discover", False):
        row["models"] = list(fake.models)
    return {**row, **options}


class Daemon:
    """A running nexusd. Use as a context manager: leaving it stops it and checks the exit.

    Without `listeners` in the options one loopback listener serves api and metrics. `healthy` is
    the number of healthy backends to wait for; None: all that the configuration names.
    """

    def __init__(self, text=None, *, healthy=None, args=(), env=None, wait=True, launcher=None,
                 program=None, pass_fds=(), **options):
        self.directory = tempfile.TemporaryDirectory(prefix="nexusd-test-")
        self.path = pathlib.Path(self.directory.name)
        self.config_path = self.path / "nexusd.conf"
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.admin_address = f"unix:{self.path}/admin.sock"
        self.stderr_lines = []
        self._changed = threading.Condition()
        self._stopped = False
        if text is None:
            text = self.make_config(**options)
        self.config_path.write_text(text)
        self.program = program or find_program()
        command = [*(launcher or []), self.program, "-c", str(self.config_path), *args]
        self._start(command, env or {}, pass_fds)
        if wait:
            self.wait_ready()
            backends = options.get("backends", [])
            self.wait_healthy(len(backends) if healthy is None else healthy)

    def make_config(self, **options):
        """The text of a configuration with this daemon's listener and test-friendly defaults."""
        sections = {"listeners": [{"address": self.address, "faces": ["api", "metrics"]}],
                    "workers": 2, **options}
        return config_text(**sections)

    def _start(self, command, env, pass_fds):
        keep = {k: v for k, v in os.environ.items()
                if k in ("PATH", "HOME", "LANG", "TMPDIR") or k.endswith("SAN_OPTIONS")}
        self.process = subprocess.Popen(  # ended by stop() or __exit__()
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env={**keep, "RUNTIME_DIRECTORY": str(self.path), **env},
            pass_fds=pass_fds, cwd=self.path)
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()

    def _read_stderr(self):
        for line in self.process.stderr:
            with self._changed:
                self.stderr_lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()

    # --- life ---

    @property
    def pid(self):
        return self.process.pid

    @property
    def stderr(self):
        return "\n".join(self.stderr_lines)

    def wait_stderr(self, pattern, seconds=BOUND_SECONDS, start=0):
        """Waits for a line that matches; returns it or None."""
        def find():
            return next((l for l in self.stderr_lines[start:] if re.search(pattern, l)), None)
        with self._changed:
            self._changed.wait_for(find, seconds)
        return find()

    def wait_ready(self):
        def is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"nexusd exited with {self.process.returncode}:\n{self.stderr}")
            try:
                return self.get("/readyz").status == 200
            except (OSError, AttributeError):
                return False
        if not wait_until(is_ready):
            raise RuntimeError(f"nexusd was not ready in time:\n{self.stderr}")

    def wait_healthy(self, n):
        if not wait_until(lambda: self.health()["healthy"] == n):
            raise RuntimeError(f"{self.health()}, waited for {n} healthy:\n{self.stderr}")

    def wait_models(self, *models):
        """Waits until exactly these are listed, by each worker; true when they are."""
        def are_listed():
            return {m["id"] for m in self.get("/v1/models").json()["data"]} == set(models)
        return wait_until(lambda: all(are_listed() for _ in range(6)))

    def kill(self, number):
        self.process.send_signal(number)

    def wait_exit(self, seconds=BOUND_SECONDS):
        """The exit status; None when it still runs after the bound."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(5)
        return self.process.returncode

    def stop(self, expect=0, number=signal.SIGTERM):
        """Stops it and checks the exit status and that no sanitizer spoke. Once."""
        if self._stopped:
            return
        self._stopped = True
        if self.process.poll() is None:
            self.kill(number)
        status = self.wait_exit()
        if status is None:
            self.process.kill()
            self.wait_exit()
        reports = [l for l in self.stderr_lines if SANITIZER.search(l)]
        ok(status == expect and not reports, f"nexusd ends with status {expect} and no report",
           f"exit status {status}", "\n".join(self.stderr_lines[-80:]))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            diag("nexusd said last:\n" + "\n".join(self.stderr_lines[-15:]))
        self.stop()
        self.directory.cleanup()

    # --- requests ---

    def connect(self, address=None, **options):
        return Connection(address or self.address, **options)

    def request(self, method, target, body=None, headers=None, address=None):
        if isinstance(body, str):
            body = body.encode()
        with self.connect(address) as connection:
            connection.request(method, target, headers, body)
            answer = connection.read_response(head_only=method == "HEAD")
        if answer and (method, target.split("?")[0], answer.status) == ("GET", "/v1/stats", 200):
            stats_schema.check_answer(answer)
        return answer

    def get(self, target, headers=None, address=None):
        return self.request("GET", target, None, headers, address)

    def post(self, target, document, headers=None, address=None):
        """Posts bytes or text as they are, anything else as JSON."""
        body = document if isinstance(document, (bytes, str)) else json.dumps(document)
        return self.request("POST", target, body, headers, address)

    def chat(self, model, content="hello", headers=None, **fields):
        return self.post("/v1/chat/completions", chat_body(model, content, **fields), headers)

    def stream(self, model, content="hello", headers=None, rcvbuf=None, **fields):
        """Begins a streamed chat; the answer's head may be of any status."""
        connection = self.connect(rcvbuf=rcvbuf)
        body = json.dumps(chat_body(model, content, stream=True, **fields)).encode()
        connection.request("POST", "/v1/chat/completions", headers, body)
        return Stream(connection)

    # --- state ---

    def health(self):
        return self.get("/health").json()["backends"]

    def stats(self):
        return self.get("/v1/stats").json()

    def metrics(self, accept=None):
        return Metrics(self.get("/metrics", {"Accept": accept} if accept else None).body.decode())

    def library(self):
        """The version of libmicrohttpd that nexusd runs with: (0, 9, 75)."""
        labels, _ = self.metrics().select("nexus_build_info")[0]
        return tuple(int(part) for part in labels["libmicrohttpd"].split("."))

    def settled(self):
        """The metrics once nothing is in flight but the scrape itself."""
        def is_idle():
            metrics = self.metrics()
            return (metrics.sum("gateway_active_requests") == 1 and
                    metrics.sum("nexus_pending_requests") == 0)
        if not wait_until(is_idle):
            metrics = self.metrics()
            diag(f"never idle: active {metrics.sum('gateway_active_requests')}, "
                 f"pending {metrics.select('nexus_pending_requests')}")
        return self.metrics()

    def is_sanitized(self):
        """Built with a sanitizer: its memory says nothing."""
        program = pathlib.Path(self.program).read_bytes()
        return any(name in program for name in (b"__asan_", b"__tsan_", b"__ubsan_"))

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_fds(self):
        """The daemon is not dumpable: only root may look, anybody else has to ask."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            return int(self.metrics().get("process_open_fds")) - 1


def chat_body(model, content="hello", **fields):
    return {"model": model, "messages": [{"role": "user", "content": content}], **fields}


class Counting:
    """What a block of requests added to the counters:

        with Counting(daemon) as added: ...
        added.check("nexus_requests_total", 1, model="m", backend="a", status="200")
    """

    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        self.before = self.daemon.settled()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.after = self.daemon.settled()
            self.delta = self.after.since(self.before)

    def check(self, name, want, **labels):
        """The increase of all samples with at least these labels is exactly `want`."""
        shown = ",".join(f"{k}={v}" for k, v in labels.items())
        return eq(self.delta.sum(name, **labels), want, f"{name}{{{shown}}} grew by {want}",
                  f"all: {self.delta.select(name)}")

    def check_request(self, model, who, status, error_type=None, n=1):
        """n requests of one kind, and no others, in the three bold families."""
        eq(self.delta.select("nexus_requests_total"),
           [({"model": model, "backend": who, "status": str(status)}, float(n))],
           f"nexus_requests_total: {n} x {model} {who} {status}")
        self.check("nexus_request_duration_seconds_count", n, model=model, backend=who)
        errors = [] if error_type is None else [
            ({"error_type": error_type, "model": model}, float(n))]
        eq(self.delta.select("nexus_errors_total"), errors, f"nexus_errors_total: {error_type}")


class Rig:
    """A daemon and its fake backends: of one test by `with`, of a module by shared()."""

    def __init__(self, fakes, **options):
        self.fakes = fakes
        self.daemon = Daemon(**options)

    def end(self, kind=None):
        self.daemon.__exit__(kind)
        for fake in self.fakes:
            fake.stop()

    def __enter__(self):
        return self.fresh()

    def __exit__(self, kind, *_):
        self.end(kind)

    def fresh(self):
        """The daemon and its fakes, with the fakes' scripts and logs cleared."""
        for fake in self.fakes:
            fake.reset()
        return (self.daemon, *self.fakes)


def shared(make):
    """Makes make() run once; if it fails, every test that needs it fails at once."""
    @functools.cache
    def attempt():
        try:
            rig = make()
            at_end.append(rig.end)
            return rig, None
        except Exception as error:  # kept for every caller
            return None, error

    @functools.wraps(make)
    def get():
        rig, error = attempt()
        if error:
            raise RuntimeError(f"no daemon for this test: {error}")
        return rig.fresh()
    return get


def pair(models=("llama3:70b", "mistral:7b"), priorities=(1, 2), **options):
    """A Rig of two fakes a and b with the same models; a is tried first."""
    a, b = FakeBackend("a", models), FakeBackend("b", models)
    options.setdefault("routing", {"strategy": "priority_only"})
    # Tests that let one of them fail many times mean that one.
    options.setdefault("breaker", {"failures": 0, "error_rate": 0})
    rows = [backend(fake, priority=p) for fake, p in zip((a, b), priorities)]
    return Rig([a, b], backends=rows, **options)


def needs_family(daemon, name):
    """Skips a test whose metric family this build does not have."""
    if not daemon.metrics().has_family(name):
        raise Skip(f"no family {name}")
