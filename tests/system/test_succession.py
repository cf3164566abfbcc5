#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whose a state is: a reload gives a backend another url, type or key, takes it away or brings it
back, while requests run at the one before."""
import contextlib
import json
import os
import pathlib
import signal
import tempfile
import threading

import harness
import tap
from fake_backend import FakeBackend
from harness import Rig, backend, wait_until
from tap import eq, ok

MODEL = "m"
N_RELOADS = 100


def reload(daemon, n, **options):
    """The n-th reload."""
    daemon.config_path.write_text(daemon.make_config(**options))
    daemon.kill(signal.SIGHUP)
    ok(wait_until(lambda: daemon.metrics().sum("nexus_config_reloads_total",
                                               result="success") == n), f"reload {n}")


def row_of(daemon, name):
    answer = daemon.get("/admin/backends", address=daemon.admin_address)
    return next(row for row in answer.json()["backends"] if row["name"] == name)


class Held:
    """A request that is answered as `behaviour` says when the gate opens."""

    def __init__(self, daemon, fake, **behaviour):
        self._fake = fake
        n_before = len(fake.log())
        fake.behave({"gate_head": "held", **behaviour})
        self._thread = threading.Thread(target=self._run, args=(daemon,), daemon=True)
        self._thread.start()
        ok(fake.wait(lambda: len(fake.log()) > n_before), "a request is at the one before")

    def _run(self, daemon):
        self._answer = daemon.chat(MODEL)

    def answer(self):
        self._fake.gate("held").release()
        self._thread.join(30)
        return self._answer


def test_done_is_done():
    """Whoever asks after a reload is done is answered by it, by whatever worker. Chance decides
    where a worker is then: this sees one that looks too early in one run of six."""
    servers = [FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])]
    with Rig(servers, backends=[backend(servers[0])],
             launcher=["taskset", "-c", str(min(os.sched_getaffinity(0)))]) as (daemon, *_):
        rows = [{**backend(servers[0]), "url": server.url} for server in servers]
        body = json.dumps(harness.chat_body(MODEL, "hello")).encode()
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(daemon.connect()) for _ in range(8)]
            busy = [stack.enter_context(daemon.connect()) for _ in range(6)]
            late = 0
            for n in range(N_RELOADS):
                daemon.config_path.write_text(daemon.make_config(backends=[rows[n % 2]]))
                for connection in busy:
                    connection.request("GET", "/metrics")
                done = daemon.request("POST", "/admin/reload", address=daemon.admin_address)
                for connection in connections:
                    connection.request("POST", "/v1/chat/completions", body=body)
                by = {connection.read_response().json()["x_backend"]
                      for connection in connections}
                late += done.status != 200 or by != {"ab"[n % 2]}
                for connection in busy:
                    connection.read_response()
        eq(late, 0, f"of {N_RELOADS} reloads with old ways behind them")


def test_what_the_one_before_says():
    """A refusal that comes late is not the next one's."""
    options = {"breaker": {"failures": 1, "open": 600}, "routing": {"max_retries": 0}}
    for late, another in [({"status": 429, "retry_after": 600}, "url"),
                          ({"status": 503}, "url"), ({"status": 503}, "type")]:
        old, new = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
        value = new.url if another == "url" else "lmstudio"
        with Rig([old, new], backends=[backend(old)], **options) as (daemon, *_):
            held = Held(daemon, old, **late)
            reload(daemon, 1, backends=[{**backend(old), another: value}], **options)
            eq(held.answer().status, late["status"], "it is refused")
            row = row_of(daemon, "a")
            eq((row["held_seconds"], row["circuit"]), (0, "closed"),
               f"the one after it, by another {another}, is not blamed")
            eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "which serves")
            eq(len(new.log()), another == "url", "where it is now")


def test_another_key():
    fake = FakeBackend("a", [MODEL])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        key = pathlib.Path(folder, "key")
        key.touch(0o600)
        key.write_text("sk-first")
        options = {"backends": [backend(fake, credential="key")]}
        with Rig([fake], env={"CREDENTIALS_DIRECTORY": folder}, **options) as (daemon, a):
            a.behave({"status": 429, "retry_after": 600})
            eq(daemon.chat(MODEL).status, 429, "the key is used up")
            ok(row_of(daemon, "a")["held_seconds"] > 500, "the backend is left alone")
            key.write_text("sk-second")
            reload(daemon, 1, **options)
            held = Held(daemon, a, status=429, retry_after=600)
            key.write_text("sk-third")
            reload(daemon, 2, **options)
            eq(held.answer().status, 429, "with another one it is not, nor with a third one")
            eq(daemon.chat(MODEL).status, 200, "whatever the second one met")
            eq(a.log()[-1].header("authorization"), "Bearer sk-third", "that is the one")


def test_what_changes_nothing():
    """The circuit and the pause are the server's: another way to check it does not end them."""
    fake = FakeBackend("a", [MODEL])
    breaker = {"failures": 1, "open": 600}
    with Rig([fake], backends=[backend(fake)], breaker=breaker) as (daemon, a):
        a.behave({"status": 429, "retry_after": 600})
        eq(daemon.chat(MODEL).status, 429, "it is to be left alone")
        rows = [{**backend(fake), "optional": True}, backend(fake, discover=True)]
        for n, row in enumerate(rows, 1):
            reload(daemon, n, backends=[row], breaker=breaker)
            ok(row_of(daemon, "a")["held_seconds"] > 500, "and still is")


def test_places_of_who_comes_back():
    fake, other = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    one, two = backend(fake, max_concurrent=1, priority=1), backend(other, priority=2)
    options = {"routing": {"strategy": "priority_only"}}
    with Rig([fake, other], backends=[one, two], **options) as (daemon, a, _):
        a.behave({"gate": "held", "chunks": 2})
        stream = daemon.stream(MODEL)
        stream.next_data()
        eq(len(a.log()), 1, "a stream runs at a")
        reload(daemon, 1, backends=[two], **options)
        eq(daemon.get("/admin/status", address=daemon.admin_address).json()["in_flight"], 1,
           "it is still counted when a was removed")
        eq(daemon.metrics().sum("nexus_pending_requests", backend="a"), 1, "under its name")
        reload(daemon, 2, backends=[one, two], **options)
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "its place is taken yet")
        reload(daemon, 3, backends=[{**one, "url": other.url}], **options)
        eq(daemon.chat(MODEL).json()["x_backend"], "b", "another server has its name")
        a.gate("held").release(10)
        eq(stream.all_data()[-1], "[DONE]", "the stream ends whole")
        reload(daemon, 4, backends=[one], **options)
        eq(daemon.chat(MODEL).json()["x_backend"], "a", "it is back")
        eq(daemon.settled().sum("nexus_pending_requests"), 0, "nothing is left over")


def test_places_of_another_url():
    """Of a table that is not the first one: nobody but the request itself holds the one before."""
    fake, other = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    one = backend(fake, max_concurrent=1, discover=True)
    options = {"queue": {"enabled": False}}
    with Rig([fake, other], backends=[one], **options) as (daemon, a, _):
        ok(daemon.wait_models(MODEL), "it is known what a has")
        a.behave({"gate": "held", "chunks": 2})
        stream = daemon.stream(MODEL)
        stream.next_data()
        reload(daemon, 1, backends=[{**one, "url": other.url}], **options)
        eq(daemon.metrics().sum("nexus_pending_requests", backend="a"), 1, "a stream runs at a")
        reload(daemon, 2, backends=[one], **options)
        answer = daemon.chat(MODEL)
        eq((answer.status, [row["reason"] for row in answer.json()["error"]["context"]["excluded"]],
            len(a.log())), (503, ["saturated"], 1), "and has its place, now that a is back")
        a.gate("held").release(10)
        eq(stream.all_data()[-1], "[DONE]", "the stream ends whole")
        eq(daemon.settled().sum("nexus_pending_requests"), 0, "nothing is left over")


def test_a_drain_holds_for_those_before():
    """Another url is not drained; the requests that know the old one only go on to avoid it."""
    a, b, other = (FakeBackend(name, [MODEL]) for name in ("a", "b", "other"))
    options = {"routing": {"strategy": "priority_only"}}
    rows = [backend(a, priority=2), backend(b, priority=1)]
    with Rig([a, b, other], backends=rows, **options) as (daemon, *_):
        eq(daemon.request("POST", "/admin/backends/a/drain",
                          address=daemon.admin_address).status, 200, "a is drained")
        reload(daemon, 1, backends=rows, **options)
        held = Held(daemon, b, status=503)
        reload(daemon, 2, backends=[{**rows[0], "url": other.url}, rows[1]], **options)
        held.answer()
        eq(len(a.log()), 0, "the drained server is not asked by a request of before")


if __name__ == "__main__":
    tap.run(globals())
