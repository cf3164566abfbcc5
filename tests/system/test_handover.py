#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Handover to a new process: nobody is refused, nothing is cut, and every count is kept."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import tempfile
import threading

import harness
import tap
from fake_backend import FakeBackend
from harness import Daemon, backend, config_text, wait_until
from http_client import Connection
from service_manager import NotifySocket
from statsd_receivers import Udp, expected
from tap import eq, ok

MODEL = "m"
CHAT = json.dumps(harness.chat_body(MODEL)).encode()
PR_SET_CHILD_SUBREAPER = 36

# New processes are orphans: as the service manager does, this process takes them in.
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Service:
    """A nexusd under a service manager, whatever process it is by now."""

    def __init__(self, folder, **options):
        self.manager = NotifySocket(folder)
        env = {"NOTIFY_SOCKET": self.manager.path, "WATCHDOG_USEC": "600000",
               **options.pop("env", {})}
        self.daemon = Daemon(env=env, **options)
        self.manager.wait(r"^READY=1$")
        self.pid = self.daemon.pid
        self.followers = []  # still running

    def hand_over(self):
        """True when another process has become the main one."""
        start = len(self.manager.messages)
        os.kill(self.pid, signal.SIGUSR2)
        told = self.manager.wait(r"^MAINPID=\d+$", start=start)
        if not told:
            return False
        self.pid = int(re.search(r"MAINPID=(\d+)", told)[1])
        self.followers.append(self.pid)
        return self.manager.wait(r"^READY=1$", start=start) is not None

    def wait_follower(self, pid, seconds=harness.BOUND_SECONDS):
        """The exit status of a process that was handed over to; None while it runs."""
        statuses = []

        def has_ended():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                statuses.append(os.waitstatus_to_exitcode(status))
            return done
        if not wait_until(has_ended, seconds):
            return None
        self.followers.remove(pid)
        return statuses[0]

    def wait_first(self):
        """The exit status of the first process, whose standard error the others share."""
        return self.daemon.process.wait(harness.BOUND_SECONDS)

    def stop(self):
        for pid in list(self.followers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            eq(self.wait_follower(pid), 0, "the new process ends with 0")
        self.manager.empty_store()


@contextlib.contextmanager
def service(*fakes, **options):
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        options.setdefault("backends", [backend(fake) for fake in fakes])
        it = Service(folder, **options)
        with it.daemon:
            yield it
            it.stop()
    for fake in fakes:
        fake.stop()


class Load:
    """Clients that ask without a pause, some on kept-alive connections, until stop()."""

    def __init__(self, address, n_fresh=4, n_kept=4):
        self.address = address
        self.statuses, self.failures = [], []
        self._stopping = threading.Event()
        loops = [self._fresh] * n_fresh + [self._kept] * n_kept
        self._threads = [threading.Thread(target=self._run, args=[loop]) for loop in loops]
        for thread in self._threads:
            thread.start()

    def _run(self, loop):
        try:
            loop()
        except (OSError, AttributeError) as error:
            self.failures.append(repr(error))

    def _fresh(self):
        while not self._stopping.is_set():
            with Connection(self.address) as connection:
                connection.request("POST", "/v1/chat/completions", None, CHAT)
                self.statuses.append(connection.read_response().status)

    def _kept(self):
        connection = Connection(self.address)
        while not self._stopping.is_set():
            connection.request("POST", "/v1/chat/completions", None, CHAT)
            answer = connection.read_response()
            self.statuses.append(answer.status)
            if answer.header("connection") == "close":
                connection.close()
                connection = Connection(self.address)
        connection.close()

    def wait_more(self, n):
        """Waits until n more requests were answered."""
        wanted = len(self.statuses) + n
        return wait_until(lambda: self.failures or len(self.statuses) >= wanted)

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()


class Watch:
    """Scrapes from time to time, each time on a new connection, and sees that no count falls."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.falls, self.n = [], 0
        self._last = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _look(self):
        metrics = self.daemon.metrics()
        counts = {key: value for key, value in metrics.samples.items()
                  if key[0].endswith(("_total", "_count", "_sum", "_bucket"))
                  and key[0] not in ("process_cpu_seconds_total", "nexus_backends_total")}
        self.falls += [(key, value, counts.get(key)) for key, value in self._last.items()
                       if counts.get(key, -1) < value]
        self._last = counts
        self.n += 1

    def _run(self):
        while not self._stopping.wait(0.5):
            self._look()

    def stop(self):
        self._stopping.set()
        self._thread.join()
        self._look()


def last_of(stream):
    """The last event; the connection is closed then, which else could bring one more request."""
    events = stream.all_data()
    stream.close()
    return events[-1] if events else None


def post(daemon, body=CHAT):
    connection = daemon.connect()
    connection.request("POST", "/v1/chat/completions", None, body)
    return connection


def settled_requests(daemon, n):
    """nexus_requests_total once it has the wanted value."""
    wait_until(lambda: daemon.metrics().sum("nexus_requests_total") >= n)
    return daemon.settled().sum("nexus_requests_total")


def test_under_load():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with service(a, b) as it:
        daemon = it.daemon
        a.default = b.default = {"gate": "held", "chunks": 3}
        streams = [daemon.stream(MODEL) for _ in range(20)]
        a.default = b.default = {}
        first = [stream.next_data() for stream in streams]
        a.default = b.default = {"gate_head": "plain"}
        plain = post(daemon)
        ok(wait_until(lambda: len(a.log()) + len(b.log()) == 21), "streams and a request run")
        a.default = b.default = {}
        idle = daemon.connect()
        idle.request("GET", "/livez")
        idle.read_response()
        load, watch = Load(daemon.address), Watch(daemon)
        load.wait_more(200)
        ok(it.hand_over(), "another process takes over", daemon.stderr)
        load.wait_more(200)
        eq(daemon.process.poll(), None, "the old one waits for its requests")
        idle.request("POST", "/v1/chat/completions", None, CHAT)
        answer = idle.read_response()
        eq((answer.status, answer.header("connection")), (200, "close"),
           "a kept-alive connection of the old one brings one more request")
        load.stop()
        eq(load.failures, [], "no request failed")
        eq(set(load.statuses), {200}, f"all {len(load.statuses)} were answered")
        for fake in (a, b):
            fake.gate("held").release(100)
            fake.gate("plain").release()
        eq(plain.read_response().status, 200, "the request that waited is answered")
        plain.close()
        eq([last_of(stream) for stream in streams], ["[DONE]"] * 20, "no stream is cut")
        ok(all(first), "each had begun before")
        eq(it.wait_first(), 0, "the old process ends with 0")
        watch.stop()
        n = len(a.log()) + len(b.log())
        eq(settled_requests(daemon, n), n, "requests counted: as many as the backends saw")
        metrics = daemon.metrics()
        for name, labels, want in (
                ("nexus_request_duration_seconds_count", {}, n),
                ("nexus_upstream_requests_total", {"outcome": "ok"}, n),
                ("nexus_time_to_first_token_seconds_count", {}, 20),
                ("nexus_errors_total", {}, 0)):
            eq(metrics.sum(name, **labels), want, f"{name} is exact")
        for fake in (a, b):
            eq(metrics.sum("nexus_requests_total", backend=fake.name), len(fake.log()),
               f"of backend {fake.name}, too")
        eq(watch.falls, [], f"no count fell in {watch.n} scrapes")
        eq(it.manager.senders[-1], it.pid, "the new process feeds the watchdog")


def test_second_handover_while_the_first_drains():
    a = FakeBackend("a", [MODEL])
    with service(a) as it:
        streams, pids = [], [it.pid]
        for _ in range(3):
            a.behave({"gate": f"held{len(pids)}", "chunks": 3})
            streams.append(it.daemon.stream(MODEL))
            streams[-1].next_data()
            ok(it.hand_over(), f"handover {len(pids)}", it.daemon.stderr)
            pids.append(it.pid)
        eq(len(set(pids)), 4, "to a new process each time")
        eq(it.daemon.chat(MODEL).status, 200, "the last one serves")
        for number in (2, 3, 1):
            a.gate(f"held{number}").release(10)
            eq(last_of(streams[number - 1]), "[DONE]", f"stream {number} ends properly")
        eq(it.wait_first(), 0, "the first process ends")
        eq([it.wait_follower(pid) for pid in pids[1:-1]], [0, 0], "and so do the ones between")
        eq(settled_requests(it.daemon, 4), 4, "nothing is counted twice or not at all")


def test_stop_while_the_old_process_drains():
    a = FakeBackend("a", [MODEL])
    with service(a) as it:
        a.behave({"gate": "held", "chunks": 3})
        stream = it.daemon.stream(MODEL)
        stream.next_data()
        ok(it.hand_over(), "handed over")
        os.kill(it.pid, signal.SIGTERM)
        ok(it.manager.wait(r"^STOPPING=1$"), "the new process stops")
        eq(it.wait_follower(it.pid, 0.3), None, "but waits for the old one")
        a.gate("held").release(10)
        eq(last_of(stream), "[DONE]", "whose stream ends properly")
        eq(it.wait_first(), 0, "the old one ends")
        eq(it.wait_follower(it.pid), 0, "and then the new one")


def test_stop_gives_up_on_the_old_process():
    a = FakeBackend("a", [MODEL])
    with service(a, timeouts={"drain": 0.3}) as it:
        a.behave({"gate": "held", "chunks": 3})
        stream = it.daemon.stream(MODEL)
        stream.next_data()
        ok(it.hand_over(), "handed over")
        os.kill(it.pid, signal.SIGTERM)
        ok("shutting_down" in "".join(stream.all_data()), "timeouts.drain bounds its streams, too")
        eq((it.wait_first(), it.wait_follower(it.pid)), (0, 0), "both end")


def test_a_second_signal_ends_both():
    a = FakeBackend("a", [MODEL])
    with service(a) as it:
        a.behave({"gate": "held", "chunks": 3})
        stream = it.daemon.stream(MODEL)
        stream.next_data()
        ok(it.hand_over(), "handed over")
        os.kill(it.pid, signal.SIGTERM)
        ok(it.manager.wait(r"^STOPPING=1$"), "the new process stops")
        os.kill(it.pid, signal.SIGTERM)
        ok("[DONE]" not in stream.all_data(), "the stream is cut off")
        eq((it.wait_first(), it.wait_follower(it.pid)), (0, 0), "both end")


def test_drain_time_is_no_bound_of_a_handover():
    a = FakeBackend("a", [MODEL])
    with service(a, timeouts={"drain": 0}) as it:
        a.behave({"gate": "held", "chunks": 3})
        stream = it.daemon.stream(MODEL)
        stream.next_data()
        ok(it.hand_over(), "handed over")
        it.manager.wait(r"^WATCHDOG=1$", 3, start=len(it.manager.messages))
        a.gate("held").release(10)
        eq(last_of(stream), "[DONE]", "the stream has all the time it takes")


def goes_on(it, mark, reason):
    daemon = it.daemon
    line = daemon.wait_stderr(r"error: handover failed: .*" + reason, start=mark)
    ok(line and "goes on" in line, "one line says so and why", "\n".join(daemon.stderr_lines[mark:]))
    errors = [l for l in daemon.stderr_lines[mark:] if "handover failed" in l]
    eq(len(errors), 1, "once")
    eq(daemon.chat(MODEL).status, 200, "and the old one serves")
    eq(daemon.process.poll(), None, "it runs")
    ok(it.manager.wait(r"^WATCHDOG=1$", start=len(it.manager.messages)), "and feeds the watchdog")


def test_new_process_that_cannot_start():
    a = FakeBackend("a", [MODEL])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        program = pathlib.Path(folder) / "nexusd"
        shutil.copy(harness.find_program(), program)
        with service(a, program=str(program)) as it:
            daemon = it.daemon
            good = daemon.config_path.read_text()

            def refuse(reason):
                mark = len(daemon.stderr_lines)
                os.kill(it.pid, signal.SIGUSR2)
                goes_on(it, mark, reason)
                return mark
            daemon.config_path.write_text("nonsense = 1;\n")
            mark = refuse("ended before it served")
            ok(daemon.wait_stderr(r"nexusd\.conf:1: .*nonsense", start=mark), "with file and line")
            daemon.config_path.write_text(good)
            whole = program.read_bytes()
            program.unlink()
            refuse("No such file")
            program.write_bytes(whole[:100])
            refuse("Permission denied")
            program.chmod(0o755)
            refuse("Exec format error|ended before it served")
            program.write_text("#!/bin/sh\nexit 3\n")
            refuse("ended before it served")
            program.unlink()
            program.write_bytes(whole)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            ok(it.hand_over(), "a good one takes over in the end", daemon.stderr)
            eq(daemon.chat(MODEL).status, 200, "and serves")
            eq(it.wait_first(), 0, "the old one ends")


def test_stop_calls_a_handover_off():
    a = FakeBackend("a", [MODEL])
    with service(a) as it:
        a.probe_behaviour = {"/v1/models": {"fault": "never"}, "/health": {"fault": "never"}}
        os.kill(it.pid, signal.SIGUSR2)
        line = it.daemon.wait_stderr(r"handing over to process \d+")
        pid = int(re.search(r"process (\d+)", line)[1])
        os.kill(it.pid, signal.SIGTERM)
        eq(it.wait_first(), 0, "the old process stops")
        it.followers.append(pid)
        ok(it.wait_follower(pid) is not None, "the new one with it")


def test_reload_in_a_handover():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with service(a, b, backends=[backend(a)]) as it:
        daemon = it.daemon
        a.probe_behaviour = {"/v1/models": [{"gate_head": "probe"}],
                             "/health": [{"gate_head": "probe"}]}
        os.kill(it.pid, signal.SIGUSR2)
        ok(daemon.wait_stderr(r"handing over to process \d+"), "a handover is under way")
        daemon.config_path.write_text(daemon.make_config(backends=[backend(b)]))
        os.kill(it.pid, signal.SIGHUP)
        os.kill(it.pid, signal.SIGUSR2)
        ok(daemon.wait_stderr("no handover while another"), "a second one is not begun")
        a.gate("probe").release(2)
        it.pid = int(re.search(r"\d+", it.manager.wait(r"^MAINPID=\d+$"))[0])
        it.followers.append(it.pid)
        ok(wait_until(lambda: daemon.chat(MODEL).header("x-nexus-backend") == "b"),
           "the reload that was asked for meanwhile is made by the new process")


def test_unix_listener():
    a = FakeBackend("a", [MODEL])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        for managed in (True, False):
            path = f"{folder}/{managed}.sock"
            address = f"unix:{path}"
            with tempfile.TemporaryDirectory(prefix="nexusd-test-") as other:
                text = config_text(listeners=[{"address": address, "mode": "0600"}],
                                   backends=[backend(a)])
                manager = NotifySocket(other)
                env = {"NOTIFY_SOCKET": manager.path} if managed else {}
                daemon = Daemon(text=text, env=env, wait=False)
                daemon.address = address
                with daemon:
                    daemon.wait_ready()
                    daemon.config_path.write_text(text.replace("0600", "0640"))
                    daemon.kill(signal.SIGUSR2)
                    line = daemon.wait_stderr(r"process \d+ has taken over")
                    pid = int(re.search(r"process (\d+)", line)[1])
                    eq(daemon.process.wait(20), 0, "the old process ends")
                    eq(daemon.chat(MODEL).status, 200, "the path is still there and serves")
                    eq(oct(os.stat(path).st_mode & 0o777), "0o640", "with the mode of now")
                    os.kill(pid, signal.SIGTERM)
                    os.waitpid(pid, 0)
                    eq(pathlib.Path(path).exists(), managed,
                       "at the end the file stays for the manager's socket only")
                manager.empty_store()
    a.stop()


def test_operators_state():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with service(a, b) as it:
        def ask(method, path):
            return it.daemon.request(method, path, address=it.daemon.admin_address)
        eq(ask("POST", "/admin/backends/a/drain").status, 200, "an operator drains a backend")
        ok(it.hand_over(), "handed over", it.daemon.stderr)
        eq(it.wait_first(), 0, "the old process ends")
        eq(ask("GET", "/admin/status").json()["pid"], it.pid, "the admin socket is the new one's")
        eq({it.daemon.chat(MODEL).header("x-nexus-backend") for _ in range(5)}, {"b"},
           "the backend is drained on")
        eq(ask("POST", "/admin/backends/a/undrain").status, 200, "until it is undrained")


def test_counts_of_another_form():
    """The new configuration has other buckets, names and ceilings."""
    a = FakeBackend("a", [MODEL])
    with service(a, metrics={"created": True}) as it:
        daemon = it.daemon
        for _ in range(10):
            daemon.chat(MODEL)
        before = daemon.settled()
        openmetrics = daemon.metrics(harness.OPENMETRICS)
        daemon.config_path.write_text(daemon.make_config(
            backends=[backend(a)],
            metrics={"created": True, "naming": "clean", "buckets": {"duration": [0.2, 400.0]}}))
        ok(it.hand_over(), "handed over", daemon.stderr)
        eq(it.wait_first(), 0, "the old process ends")
        after = daemon.settled()
        for suffix in ("_count", "_sum"):
            name = f"nexus_request_duration_seconds{suffix}"
            eq(after.sum(name), before.sum(name), f"{name} is kept")
        eq(after.sum("nexus_request_duration_seconds_bucket", le="400.0"), 10, "in buckets of now")
        eq(after.sum("nexus_request_tokens_count"), before.sum("nexus_tokens_total_count"),
           "under the name of now")
        name = "nexus_requests_created"
        eq(daemon.metrics(harness.OPENMETRICS).select(name), openmetrics.select(name),
           "a series is as old as it is")


def check_statsd(dialect, values_of, slack):
    """What the receiver holds in the end is what the counters say."""
    a, receiver = FakeBackend("a", [MODEL]), Udp(dialect)
    push = {"enabled": True, "address": receiver.address, "dialect": dialect, "interval": 0.1}
    with service(a, statsd=push) as it:
        daemon = it.daemon
        for _ in range(5):
            daemon.chat(MODEL)
        a.behave({"gate": "held", "chunks": 3})
        stream = daemon.stream(MODEL)
        stream.next_data()
        ok(it.hand_over(), "handed over", daemon.stderr)
        for _ in range(5):
            daemon.chat(MODEL)
        a.gate("held").release(10)
        last_of(stream)
        eq(it.wait_first(), 0, "the old process ends")
        eq(settled_requests(daemon, 11), 11, "counted")

        def wrong():
            want, got = expected(daemon.get("/metrics").body.decode(), dialect), values_of(receiver)
            return {n: (got.get(n), want[n]) for n in want
                    if abs(got.get(n, 0) - want[n]) > (slack if n.endswith(".sum") else 0)}
        wait_until(lambda: not wrong())
        eq(wrong(), {}, f"{dialect}: the receiver has each count once")
        ok(wait_until(lambda: receiver.snapshot()[1].get("nexus.active_streams") == 0),
           "and the gauges of the process that serves")
        eq(receiver.bad, [], "every line is well-formed")
    receiver.close()


def test_statsd_increments():
    # Of sums the rest of a millisecond stays with each process.
    check_statsd("plain", Udp.still_counters, 1)


def test_statsd_totals():
    check_statsd("carbon", lambda receiver: receiver.snapshot()[1], 0)


def test_statsd_from_totals_to_increments():
    """Totals take in what the first process counted; what is added to them afterwards does not."""
    a, totals, increments = FakeBackend("a", [MODEL]), Udp("carbon"), Udp("plain")
    name = f"nexus.requests.{MODEL}.a.200"

    def push(receiver, dialect):
        return {"enabled": True, "address": receiver.address, "dialect": dialect, "interval": 0.1}
    with service(a, statsd=push(totals, "carbon")) as it:
        for _ in range(20):
            it.daemon.chat(MODEL)
        ok(it.hand_over(), "handed over")
        eq(it.wait_first(), 0, "the first process ends")
        for _ in range(3):
            it.daemon.chat(MODEL)
        ok(wait_until(lambda: totals.snapshot()[1].get(name) == 23), "all in one total")
        it.daemon.config_path.write_text(it.daemon.make_config(
            backends=[backend(a)], statsd=push(increments, "plain")))
        eq(it.daemon.request("POST", "/admin/reload", address=it.daemon.admin_address).status, 200,
           "another receiver, which adds up")
        for _ in range(5):
            it.daemon.chat(MODEL)
        ok(wait_until(lambda: increments.snapshot()[0].get(name, 0) +
                      totals.snapshot()[1][name] == 28), "together they have them all",
           (increments.snapshot()[0].get(name), totals.snapshot()[1][name]))
    totals.close()
    increments.close()


if __name__ == "__main__":
    tap.run(globals())
