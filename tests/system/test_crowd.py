#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Crowds of clients that do nothing, little, or nothing but harm: all of them are held or refused,
memory stays bounded, and others are served meanwhile.

With NEXUSD_TEST_CROWDS they are as large as promised, without it small enough for every day.
"""
import json
import os
import resource
import statistics
import time

import tap
from crowd import MODEL, Crowd
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, chat_body, wait_until
from http_client import encode_request
from prometheus_text import Metrics
from tap import diag, eq, ok

IS_LARGE = bool(os.environ.get("NEXUSD_TEST_CROWDS"))
N_LOOKS = 50
LOOK_SECONDS = 0.1


def size(large, small):
    return large if IS_LARGE else small


def rig(**options):
    a = FakeBackend("a", [MODEL])
    return Rig([a], backends=[backend(a)], **options)


def warm(daemon):
    for _ in range(50):
        daemon.chat(MODEL)
    return daemon.resident_bytes()


def check_served(daemon, what):
    """Others are; how fast is judged on crowds that are as large as promised."""
    seconds = []
    statuses = set()
    for _ in range(N_LOOKS):
        began = time.monotonic()
        statuses.add(daemon.chat(MODEL).status)
        seconds.append(time.monotonic() - began)
    eq(statuses, {200}, f"others are served beside {what}")
    middle = statistics.median(seconds)
    diag(f"beside {what}: {middle * 1e3:.1f} ms, {max(seconds) * 1e3:.1f} at most")
    ok(middle < LOOK_SECONDS or not IS_LARGE, f"in less than {LOOK_SECONDS} s", middle)


def ask(connection):
    body = json.dumps(chat_body(MODEL)).encode()
    return connection.request("POST", "/v1/chat/completions", None, body).read_response()


def n_connections(connection):
    text = connection.request("GET", "/metrics").read_response().body.decode()
    return Metrics(text).get("nexus_client_connections")


def check_memory(daemon, before, n, each_bytes, what):
    grown = daemon.resident_bytes() - before
    diag(f"{grown / n / 1024:.1f} KiB for each of {n} {what}")
    ok(grown < n * each_bytes or daemon.is_sanitized(), f"{what} cost at most {each_bytes} bytes each",
       grown // n)


def test_idle_connections():
    """The last of them have places in the two reserves, where only who has not asked yet is held."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    ceiling = (limit - 97) // 2  # of two workers and one backend
    n_all = min(size(10_000, 300), ceiling + 64)
    n_admin = max(0, n_all - ceiling - 32)
    n = min(n_all - 10, ceiling - 64)
    n_silent = n_all - n_admin - n - 1
    with rig(timeouts={"idle": 300, "head": 300}) as (daemon, _):
        before = warm(daemon)
        kept = daemon.connect()
        with Crowd(daemon.address, "idle", n) as crowd:
            eq(crowd.held, n, f"{n} connections are kept alive")
            check_memory(daemon, before, n, 40 << 10, "idle connections")
            check_served(daemon, "idle connections")
            with Crowd(daemon.address, "silent", n_silent) as silent, \
                    Crowd(daemon.admin_address, "silent", n_admin) as admins:
                eq((silent.held, admins.held), (n_silent, n_admin),
                   f"{n_silent} more have not asked yet, {n_admin} on the admin socket")
                ok(wait_until(lambda: n_connections(kept) == n_all), f"together {n_all} are held",
                   n_connections(kept))
                eq(ask(kept).status, 200, "and one of them is answered")
                eq(silent.go(), {"open": n_silent}, "none of the silent ones was closed")
                eq(admins.go().get("open", 0), n_admin, "nor of the admins")
            eq(crowd.go(), {"open": n}, "and none of the others")
        kept.close()


def test_streams():
    n, n_chunks = size(2_000, 100), 3
    with rig(timeouts={"stream_idle": 300}) as (daemon, a):
        before = warm(daemon)
        a.reset()
        a.default = {"gate": "all", "chunks": n_chunks}
        with Counting(daemon) as added, Crowd(daemon.address, "stream", n) as crowd:
            eq((crowd.held, len(a.log())), (n, n), f"{n} streams run at once")
            check_memory(daemon, before, n, 40 << 10, "streams")
            a.default = {}
            check_served(daemon, "streams")
            a.gate("all").release(n * (n_chunks + 10))
            eq(crowd.go(), {"whole": n}, "all of them come to their end")
        added.check_request(MODEL, "a", 200, n=n + N_LOOKS)
        added.check("nexus_tokens_total_sum", n * n_chunks + N_LOOKS * 7, type="completion")


def test_clients_that_stop_reading():
    n, n_bytes = size(50, 5), size(64 << 20, 16 << 20)
    with rig(timeouts={"stream_idle": 300}) as (daemon, a):
        before = warm(daemon)
        a.reset()
        a.default = {"fault": "huge_stream", "size": n_bytes}
        with Crowd(daemon.address, "stalled", n) as crowd:
            eq((crowd.held, len(a.log())), (n, n), f"{n} clients stop reading")
            stalled = a.log()
            sent = [0]
            # Until the kernels' buffers are full.
            wait_until(lambda: sent[-60:] == [sent[-1]] * 60 or sent.append(
                sum(e.sent_bytes for e in stalled)))
            ok(0 < sent[-1] < n * n_bytes // 2, "the backend is held up", sent[-1])
            check_memory(daemon, before, n, 1 << 20, "clients that stopped reading")
            a.default = {}
            check_served(daemon, "clients that stopped reading")
        ok(a.wait(lambda: {e.outcome for e in stalled} == {"peer_closed"}),
           "when they have gone the backend is told", {e.outcome for e in stalled})
        daemon.settled()


def test_slow_clients():
    n = size(1_000, 100)
    with rig(timeouts={"head": size(10, 3), "body": size(10, 3)}) as (daemon, _):
        before = warm(daemon)
        with Counting(daemon) as added, Crowd(daemon.address, "slow", n) as crowd:
            eq(crowd.held, n, f"{n} clients send a byte at a time")
            check_served(daemon, "slow clients")
            check_memory(daemon, before, n, 40 << 10, "slow clients")
            eq(crowd.go(), {"refused": n}, "each is told that its time is over")
        added.check("nexus_errors_total", n // 2, error_type="bad_request")


def test_requests_without_an_end():
    """More and more requests on one connection, whose answers nobody reads."""
    with rig() as (daemon, _):
        before = warm(daemon)
        with daemon.connect(rcvbuf=8192) as connection:
            connection.socket.settimeout(1)
            data = encode_request("GET", "/v1/models") * 1_000
            sent = 0
            try:
                for _ in range(1_000):
                    sent += connection.socket.send(data)
            except TimeoutError:
                pass
            ok(sent < len(data) * 1_000, "it is stopped", sent)
            check_memory(daemon, before, 1, 4 << 20, "clients that only ask")
            check_served(daemon, "a client that only asks")


def test_floods():
    """Clients that come and go at once, before, during and after a request."""
    n = size(5_000, 500)
    with rig() as (daemon, a):
        warm(daemon)
        fds = daemon.open_fds()
        whole = encode_request("POST", "/v1/chat/completions", None, b'{"model":"%s","messages":[]}'
                               % MODEL.encode())
        for number in range(n):
            connection = daemon.connect()
            connection.send((b"", whole[:20], whole[:-5], whole)[number % 4])
            connection.reset()
        check_served(daemon, "a flood")
        metrics = daemon.settled()
        eq((metrics.sum("nexus_pending_requests"), metrics.sum("gateway_active_requests")), (0, 1),
           "nothing is left of it")
        ok(wait_until(lambda: daemon.open_fds() <= fds + 8), "nor any descriptor", daemon.open_fds(),
           fds)
        a.reset()


if __name__ == "__main__":
    tap.run(globals())
