#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Listeners that come, go and change with a reload: what did not change is not touched, and no
request is lost."""
import contextlib
import errno
import json
import os
import pathlib
import signal
import socket
import tempfile

import harness
import tap
from certificates import Certificate
from fake_backend import FakeBackend
from harness import Daemon, backend, wait_until
from http_client import Connection, Stream
from service_manager import listening_socket, start_with_sockets
from tap import eq, ok
from test_handover import Load, service

MODEL = "m"
CHAT = json.dumps(harness.chat_body(MODEL)).encode()
STREAM = json.dumps(harness.chat_body(MODEL, stream=True)).encode()
PATH = "/v1/chat/completions"


def row(address, *faces, **options):
    return {"address": address, "faces": faces or ["api"], **options}


def local():
    return f"127.0.0.1:{harness.free_port()}"


@contextlib.contextmanager
def place(*rows, **options):
    """(a daemon with one listener that stays and these, a fake backend, its reload)."""
    fake = FakeBackend("a", [MODEL])
    options = {"backends": [backend(fake)], **options}
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        stays = row(local(), "api", "metrics")
        text = harness.config_text(listeners=[stays, *rows], workers=2, **options)
        daemon = Daemon(text, wait=False)
        daemon.address, daemon.folder = stays["address"], pathlib.Path(folder)
        with daemon:
            daemon.wait_ready()
            daemon.wait_healthy(1)

            def reload(*rows):
                daemon.config_path.write_text(
                    harness.config_text(listeners=[stays, *rows], workers=2, **options))
                return daemon.request("POST", "/admin/reload", address=daemon.admin_address)
            yield daemon, fake, reload
    fake.stop()


def is_open(address):
    try:
        Connection(address).close()
    except OSError:
        return False
    return True


def is_served(address, path="/v1/models", status=200, **options):
    try:
        with Connection(address, **options) as connection:
            answer = connection.request("GET", path).read_response()
        return answer is not None and answer.status == status
    except OSError:
        return False


def test_coming_and_going():
    other, file = local(), None
    with place() as (daemon, fake, reload):
        file = daemon.folder / "api.sock"
        kept = daemon.connect()
        eq(kept.request("GET", "/livez").read_response().status, 200, "a connection is kept")
        answer = reload(row(other), row(f"unix:{file}", mode="0600"))
        eq((answer.status, answer.json()["restart_needed"]), (200, []), "two listeners come")
        ok(daemon.wait_stderr(f"info: listening on {other}$"), "the log tells of them")
        ok(is_served(other), "one of TCP")
        ok(is_served(f"unix:{file}"), "one of unix")
        eq(file.stat().st_mode & 0o777, 0o600, "with its mode")
        eq(kept.request("GET", "/livez").read_response().header("connection"), None,
           "the kept connection is not touched")
        status = daemon.request("GET", "/admin/status", address=daemon.admin_address).json()
        eq([listener["address"] for listener in status["listeners"]],
           [daemon.address, other, f"unix:{file}", daemon.admin_address], "all are told of")

        fake.behave({"gate": "held"})
        idle = Connection(other)
        eq(idle.request("GET", "/livez").read_response().status, 200, "an idle connection there")
        stream = Stream(Connection(other).request("POST", PATH, None, STREAM))
        ok(stream.next_data(), "a stream runs there")
        queued = Connection(other).request("GET", "/livez")
        eq(reload().status, 200, "both go")
        eq(queued.read_response().status, 200, "who had come is served")
        ok(wait_until(lambda: not is_open(other)), "then clients are refused")
        ok(wait_until(lambda: not file.exists()), "the file of the unix socket is gone")
        ok(daemon.wait_stderr(f"info: no longer listening on {other}$"), "the log tells it")
        answer = idle.request("GET", "/livez").read_response()
        eq((answer.status, answer.header("connection")), (200, "close"),
           "the idle connection brings one more request")
        fake.gate("held").release(50)
        eq((stream.all_data()[-1], stream.is_cut), ("[DONE]", False), "the stream ends properly")
        eq(kept.request("GET", "/livez").read_response().header("connection"), None,
           "the kept connection is still there")


def test_again_and_again():
    other = local()
    with place() as (daemon, _, reload):
        eq([reload(row(other)).status if i % 2 else reload().status for i in range(40)],
           [200] * 40, "an address that was just given up can be had again")
        ok(is_served(other), "it is served")
        eq(reload().status, 200, "the last reload")
        ok(wait_until(lambda: not is_open(other)), "and closed")
        files = daemon.open_fds()
        for _ in range(5):
            reload(row(other))
            reload()
        ok(wait_until(lambda: daemon.open_fds() <= files), "no descriptor is left over")


def test_changes():
    other = local()
    with place(row(other)) as (daemon, _, reload):
        kept = Connection(other)
        eq(kept.request("GET", "/metrics").read_response().status, 404, "it lacks a face")
        eq(reload(row(other, "api", "metrics")).status, 200, "which is added")
        ok(wait_until(lambda: is_served(other, "/metrics")), "it is served there")
        answer = kept.request("GET", "/metrics").read_response()
        eq((answer.status, answer.header("connection")), (404, "close"),
           "a connection has the faces that it began with, for one more request")
        file = daemon.folder / "api.sock"
        eq(reload(row(f"unix:{file}", mode="0600")).status, 200, "a unix socket")
        eq(reload(row(f"unix:{file}", mode="0660")).status, 200, "with another mode")
        eq((file.stat().st_mode & 0o777, is_served(f"unix:{file}")), (0o660, True), "has it")


def test_under_load():
    other = local()
    with place() as (daemon, _, reload):
        load = Load(daemon.address)
        for i in range(15):
            reload(*([row(other)] if i % 2 else []))
            reload(*([row(other, "metrics")] if i % 2 else []))
        load.stop()
        ok(len(load.statuses) > 10, "there was load", len(load.statuses))
        eq((set(load.statuses), load.failures), ({200}, []), "and no request failed")


def test_refused():
    other, taken = local(), listening_socket()
    with place() as (daemon, _, reload):
        answer = reload(row(other), row(f"127.0.0.1:{taken[1]}"))
        eq((answer.status, answer.error().get("code")), (409, "bad_configuration"),
           "an address that is in use")
        ok(f"{daemon.config_path}:1: cannot listen on 127.0.0.1:{taken[1]}: Address already"
           in answer.error()["message"], "is told, with file and line", answer)
        ok("; end what listens there, or choose another address" in answer.error()["message"],
           "and with what to do", answer)
        ok(not is_open(other), "and the others of that configuration are not open")
        answer = reload(row(other), row("unix:/nonexistent/x.sock"))
        ok("No such file or directory; make the folder for it" in answer.error()["message"],
           "a folder that is not there", answer)
        ok(is_served(daemon.address), "what was there is served")
        bad = {"certificate": "/nowhere.pem", "key": "/nowhere.key"}
        answer = reload(row(other, tls=bad))
        ok("/nowhere.pem cannot be read" in answer.error().get("message", ""),
           "nor does a certificate that is not there", answer)
        ok(not is_open(other), "open anything")
        eq(reload(row(other)).status, 200, "a good one is taken")
        ok(is_served(other), "then")
    taken[0].close()


def test_files_of_others():
    with place() as (daemon, _, reload):
        file = daemon.folder / "busy.sock"
        with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as stack:
            busy.bind(str(file))
            busy.listen(0)
            full = False
            while not full:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                full = client.connect_ex(str(file)) == errno.EAGAIN
            answer = reload(row(f"unix:{file}"))
            ok(answer.status != 200 and "in use" in answer.error()["message"],
               "one that takes no more clients is in use, and nobody waits for it", answer.body)
        file = daemon.folder / "api.sock"
        eq(reload(row(f"unix:{file}")).status, 200, "a unix socket of its own")
        file.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(file))
            eq(reload().status, 200, "is given up")
            ok(daemon.wait_stderr(f"unix:{file}"), "the log tells of it")
            daemon.kill(signal.SIGTERM)
            eq(daemon.wait_exit(), 0, "and nexusd ends")
            ok(file.exists(), "but the file is another process'")


def test_port_of_the_kernel():
    with place(row("127.0.0.1:0")) as (daemon, _, reload):
        def addresses():
            status = daemon.request("GET", "/admin/status", address=daemon.admin_address).json()
            return [listener["address"] for listener in status["listeners"]]
        before = addresses()
        eq(reload(row("127.0.0.1:0")).status, 200, "a reload")
        eq(addresses(), before, "keeps the port that the kernel chose")


def test_renewed_certificates():
    other = local()
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as path:
        folder = pathlib.Path(path)
        first = Certificate(folder, "server")
        trusts_first = first.for_client()
        tls = row(other, tls=first.options())
        with place(tls) as (daemon, fake, reload):
            kept = Connection(other, tls=trusts_first)
            eq(kept.request("GET", "/livez").read_response().status, 200, "a connection is kept")
            eq(reload(tls).status, 200, "a reload with the same certificate")
            eq(kept.request("GET", "/livez").read_response().header("connection"), None,
               "does not touch it")
            fake.behave({"gate": "held"})
            stream = Stream(Connection(other, tls=trusts_first).request("POST", PATH, None, STREAM))
            ok(stream.next_data(), "a stream runs")
            second = Certificate(folder, "server")
            eq(reload(tls).status, 200, "the certificate is renewed")
            ok(wait_until(lambda: is_served(other, tls=second.for_client())), "and shown")
            ok(not is_served(other, tls=trusts_first), "to everybody")
            answer = kept.request("GET", "/livez").read_response()
            eq((answer.status, answer.header("connection")), (200, "close"),
               "the kept connection goes after one more request")
            fake.gate("held").release(50)
            eq((stream.all_data()[-1], stream.is_cut), ("[DONE]", False), "the stream ends")
            eq(reload(row(other)).status, 200, "TLS is given up")
            ok(wait_until(lambda: is_served(other)), "plain HTTP is spoken there")


def test_inherited_sockets():
    sock, port = listening_socket()
    named = f"127.0.0.1:{port}"
    daemon = start_with_sockets([sock], ["metrics"], backends=[{"name": "d", "type": "demo"}],
                                healthy=1)
    with daemon:
        ok(is_served(named, "/metrics"), "a socket has the face of its name")
        rows = [row(daemon.address, "api", "metrics")]

        def reload(*more):
            daemon.config_path.write_text(harness.config_text(
                listeners=[*rows, *more], workers=2, backends=[{"name": "d", "type": "demo"}]))
            return daemon.request("POST", "/admin/reload", address=daemon.admin_address).status
        eq(reload(), 200, "a reload")
        ok(is_served(named, "/metrics"), "leaves it")
        eq(reload(row(named)), 200, "the configuration names its address")
        ok(wait_until(lambda: is_served(named)), "it has the faces that are written there")
        eq(reload(), 200, "and no more")
        ok(wait_until(lambda: is_served(named, status=404)), "it goes back to its name's")
        ok(is_served(named, "/metrics"), "and serves that")
    ok(is_open(named), "at the end it is left to its owner")
    sock.close()


def test_handover():
    other, fake = local(), FakeBackend("a", [MODEL])
    with service(fake) as it:
        text = it.daemon.make_config(backends=[backend(fake)])
        it.daemon.config_path.write_text(harness.config_text(
            listeners=[row(it.daemon.address, "api", "metrics"), row(other)], workers=2,
            backends=[backend(fake)]))
        n_stored = len(it.manager.store)
        os.kill(it.pid, signal.SIGHUP)
        ok(wait_until(lambda: is_served(other)), "a listener comes")
        ok(wait_until(lambda: len(it.manager.store) == n_stored + 1), "the manager keeps it, too")
        old = it.pid
        ok(it.hand_over(), "another process takes over")
        eq(it.wait_first(), 0, "the old one ends")
        ok(is_served(other) and it.pid != old, "and serves there")
        it.daemon.config_path.write_text(text)
        os.kill(it.pid, signal.SIGHUP)
        ok(wait_until(lambda: len(it.manager.store) == n_stored), "the listener goes")
        it.manager.empty_store()
        ok(wait_until(lambda: not is_open(other)), "from there, too")
        eq(it.daemon.get("/livez").status, 200, "the other one is served")


def test_stop_after_changes():
    other = local()
    with place(row(other)) as (daemon, fake, reload):
        fake.behave({"gate": "held"})
        stream = Stream(Connection(other).request("POST", PATH, None, STREAM))
        ok(stream.next_data(), "a stream runs")
        eq(reload().status, 200, "its listener goes")
        daemon.kill(signal.SIGTERM)
        daemon.wait_stderr("draining")
        fake.gate("held").release(50)
        eq((stream.all_data()[-1], daemon.wait_exit()), ("[DONE]", 0), "both end well")


if __name__ == "__main__":
    tap.run(globals())
