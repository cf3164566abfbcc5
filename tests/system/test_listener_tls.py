#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Listeners that speak TLS: what is served there, who is let in, and what their files must be."""
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile

import harness
import tap
from certificates import Certificate
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend, wait_until
from http_client import Connection, Stream, content_of, encode_request
from tap import eq, ok

MODEL = "m"


class Place:
    """A daemon with a plain listener and one with TLS, a fake backend, and a folder for files."""

    def __init__(self, client_ca=False, **options):
        self._folder = tempfile.TemporaryDirectory(prefix="nexusd-test-")
        self.folder = pathlib.Path(self._folder.name)
        self.certificate = Certificate(self.folder, "server")
        self.authority = Certificate(self.folder, "authority") if client_ca else None
        self.fake = FakeBackend("a", [MODEL])
        self.address = f"127.0.0.1:{harness.free_port()}"
        port = harness.free_port()
        listeners = [{"address": f"127.0.0.1:{port}", "faces": ["api", "metrics"]},
                     {"address": self.address, "faces": ["api"],
                      "tls": self.certificate.options(self.authority)}]
        self.options = {"backends": [backend(self.fake)], "listeners": listeners, **options}
        self.daemon = Daemon(wait=False, **self.options)
        self.daemon.address = f"127.0.0.1:{port}"
        self.daemon.wait_ready()
        self.daemon.wait_healthy(1)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.daemon.__exit__(kind, *rest)
        self.fake.stop()
        self._folder.cleanup()

    def connect(self, own=None, context=None):
        return Connection(self.address, tls=context or self.certificate.for_client(own))

    def begin(self, connection, content="hello", **fields):
        body = json.dumps(harness.chat_body(MODEL, content, **fields)).encode()
        return connection.request("POST", "/v1/chat/completions", None, body)

    def is_refused(self, own=None, context=None):
        """Whether no answer comes: with TLS 1.3 the client learns of it when it reads."""
        try:
            with self.connect(own, context) as connection:
                return connection.request("GET", "/livez").read_response() is None
        except (ssl.SSLError, ConnectionError):
            return True


def test_requests():
    with Place() as place, Counting(place.daemon) as added:
        with place.connect() as connection:
            eq((connection.socket.version(), connection.socket.selected_alpn_protocol()),
               ("TLSv1.3", None), "TLS 1.3, without a protocol that was not asked for")
            for i in range(3):
                answer = place.begin(connection).read_response()
                eq((answer.status, answer.header("x-nexus-backend")), (200, "a"),
                   f"answer {i + 1} on one connection")
            long = "long " * 50_000
            place.begin(connection, long)
            eq(connection.read_response().status, 200, "a long body arrives")
            eq(json.loads(place.fake.log()[-1].body)["messages"][0]["content"], long, "whole")
            stream = Stream(place.begin(connection, "hi", stream=True))
            events = stream.all_data()
            eq((stream.head.status, events[-1], bool(content_of(events))), (200, "[DONE]", True),
               "a stream comes")
            eq(connection.request("GET", "/metrics").read_response().status, 404,
               "the faces are the listener's")
    added.check_request(MODEL, "a", 200, n=5)


def test_an_unfinished_handshake_costs_nothing():
    context = ssl.create_default_context()
    hello, unused = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(unused, hello, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        hello = hello.read()
    with Place(timeouts={"head": 0.5}) as place:
        def n_turns():
            return place.daemon.metrics().sum("nexus_event_loop_lag_seconds_count")
        for n in (1, 5, 100, len(hello)):
            with socket.create_connection(place.address.split(":")) as stalled:
                stalled.sendall(hello[:n])
                before = n_turns()
                while stalled.recv(4096):
                    pass
                ok(n_turns() - before < 1000, f"after {n} bytes of it nexusd sleeps until it ends",
                   n_turns() - before)
        with socket.create_connection(place.address.split(":")) as slow:
            for byte in hello:
                slow.sendall(bytes([byte]))
            ok(slow.recv(1), "a handshake byte by byte is answered")


def test_large_answers():
    with Place() as place:
        place.fake.behave({"fault": "huge", "size": 8 << 20}, {"fault": "huge", "size": 64 << 20})
        with place.connect() as connection:
            eq(len(place.begin(connection).read_response().body), 8 << 20, "a long answer arrives")
        with Counting(place.daemon) as added:
            slow = place.begin(place.connect())
            eq(slow.read_response(head_only=True).status, 200, "another one begins")
            with place.connect() as connection:
                eq(place.begin(connection).read_response().status, 200,
                   "who does not read it holds nobody up")
            slow.close()
        added.check("nexus_requests_total", 1, status="499")
        added.check("nexus_requests_total", 1, status="200")


def test_requests_in_one_record():
    with Place() as place:
        place.fake.behave({"gate": "held"})
        with place.connect() as connection:
            body = json.dumps(harness.chat_body(MODEL)).encode()
            connection.send(encode_request("POST", "/v1/chat/completions", None, body) +
                            2 * encode_request("GET", "/livez"))
            ok(wait_until(lambda: len(place.fake.log()) == 1), "the first is under way")
            place.fake.gate("held").release(50)
            eq([connection.read_response().status for _ in range(3)], [200] * 3,
               "those behind it are read when it is done")


def test_versions_and_protocols():
    with Place() as place:
        context = place.certificate.for_client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with place.connect(context=context) as connection:
            eq(connection.socket.selected_alpn_protocol(), "http/1.1", "HTTP/1.1 is chosen")
        context = place.certificate.for_client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with place.connect(context=context) as connection:
            eq((connection.socket.version(), place.begin(connection).read_response().status),
               ("TLSv1.2", 200), "TLS 1.2 will do")
        old = ["openssl", "s_client", "-connect", place.address, "-tls1_1",
               "-cipher", "ALL:@SECLEVEL=0"]
        done = subprocess.run(old, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=harness.BOUND_SECONDS)
        ok(done.returncode != 0, "TLS 1.1 will not", done.stdout)
        plain = Connection(place.address)
        plain.request("GET", "/livez")
        ok(b"HTTP/1.1 200" not in plain.read_to_end(), "nothing is answered in the clear")
        eq(place.daemon.get("/livez").status, 200, "others are served")


def test_who_is_let_in():
    with Place(client_ca=True) as place:
        folder = place.folder
        good = Certificate(folder, "good", issuer=place.authority, usage="clientAuth")
        plain = Certificate(folder, "plain", issuer=place.authority)
        server = Certificate(folder, "other", issuer=place.authority, usage="serverAuth")
        stranger = Certificate(folder, "stranger", usage="clientAuth")
        with Counting(place.daemon) as added:
            for own in (good, plain):
                with place.connect(own) as connection:
                    eq(place.begin(connection).read_response().status, 200,
                       f"{own.path.name}: a client of the authority is served")
            refused = {"none": None, "of a stranger": stranger, "of a server": server}
            for what, own in refused.items():
                ok(place.is_refused(own), f"with the certificate {what}: none is")
            context = place.certificate.for_client()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            ok(place.is_refused(context=context), "nor with TLS 1.2 without one")
        added.check_request(MODEL, "a", 200, n=2)
        added.check("gateway_requests_total", 0, path="/livez")


def test_refusals_out_of_turn():
    with Place(limits={"max_body": 10_000}, timeouts={"head": 0.3}) as place:
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        with place.connect() as connection:
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n" + 2 * chunk)
            answer = connection.read_response()
            eq((answer.status, answer.error().get("code")), (413, "payload_too_large"),
               "a body in chunks that grows too long")
            ok(connection.is_closed(), "and the session is ended")
        with Counting(place.daemon) as added:
            silent = Connection(place.address)
            ok(silent.is_closed(), "who does not shake hands is closed")
            with place.connect() as connection:
                ok(connection.is_closed(), "and who then says nothing")
        added.check("gateway_requests_total", 0, path="unknown")


def test_clients_that_leave():
    with Place() as place:
        place.fake.behave({"after": 1, "how": "stall"})
        with Counting(place.daemon) as added:
            stream = Stream(place.begin(place.connect(), stream=True))
            ok(stream.next_frame(), "a stream has begun")
            stream.close()
            ok(wait_until(lambda: place.daemon.metrics().sum("nexus_pending_requests") == 0),
               "it is cancelled when its client leaves")
        added.check_request(MODEL, "a", 499, "client_disconnect")


def test_stop():
    with Place() as place:
        place.fake.behave({"chunk_delay": 0.05})
        idle = place.connect()
        eq(idle.request("GET", "/livez").read_response().status, 200, "a connection is idle")
        shaken = place.connect()
        stream = Stream(place.begin(place.connect(), stream=True))
        ok(stream.next_frame(), "a stream runs")
        place.daemon.kill(signal.SIGTERM)
        ok(idle.is_closed(), "the idle one is closed")
        ok(shaken.is_closed(), "and one that asked nothing yet")
        eq((stream.all_data()[-1], stream.is_cut), ("[DONE]", False), "the stream comes to its end")
        eq(place.daemon.wait_exit(), 0, "nexusd ends with 0")


def test_too_many():
    with Place(limits={"max_connections": 4}) as place:
        def crowd():
            held.append(place.connect())
            answer = held[-1].request("GET", "/livez").read_response()
            return answer.header("connection") == "close"
        held = []
        ok(wait_until(crowd), "the places are taken")
        with place.connect() as connection:
            answer = place.begin(connection).read_response()
        eq((answer.status, answer.error().get("code")), (503, "overloaded"),
           "a request beyond them is told so")
        for connection in held:
            connection.close()


def bad_files(folder):
    """(what, the group tls, what is said) for files that cannot be used."""
    good, other = Certificate(folder, "good"), Certificate(folder, "other")
    readable = Certificate(folder, "readable")
    readable.key.chmod(0o644)
    garbage = folder / "garbage.pem"
    garbage.write_text("no certificate\n")
    garbage.chmod(0o600)
    return (
        ("no file", {**good.options(), "certificate": "/nowhere.pem"},
         "/nowhere.pem cannot be read: No such file"),
        ("a key for all", readable.options(), "is open to others; chmod 0600 it"),
        ("another key", {**good.options(), "key": str(other.key)}, "is not the key of"),
        ("a folder", {**good.options(), "key": str(folder)}, "is not a regular file"),
        ("garbage", {**good.options(), "certificate": str(garbage)}, "cannot be used: "),
        ("an authority of garbage", {**good.options(), "client_ca": str(garbage)},
         "garbage.pem has no certificate"),
        ("no key", {"certificate": str(good.path)}, "has only one of tls.certificate and tls.key"),
        ("no certificate", {"client_ca": str(good.path)}, "but no certificate of its own"),
    )


def test_bad_files():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as path:
        folder = pathlib.Path(path)
        for what, options, said in bad_files(folder):
            config = folder / "nexusd.conf"
            row = {"address": f"127.0.0.1:{harness.free_port()}", "tls": options}
            config.write_text("workers = 1;\n" + harness.config_text(listeners=[row]))
            done = subprocess.run([harness.find_program(), "-c", config, "--check-config"],
                                  capture_output=True, text=True, check=False)
            eq((done.returncode, done.stderr.startswith(f"{config}:2: "), said in done.stderr),
               (1, True, True), f"{what}: refused", done.stderr)
            with Daemon(config.read_text(), wait=False) as daemon:
                line = daemon.wait_stderr("error: ")
                ok(said in (line or ""), f"{what}: no start", daemon.stderr)
                eq(daemon.wait_exit(), 1, f"{what}: it ends with 1")
                daemon.stop(expect=1)


def test_any_address_with_certificates():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as path:
        folder = pathlib.Path(path)
        certificate = Certificate(folder, "server")
        config = folder / "nexusd.conf"
        for client_ca, status in ((None, 1), (certificate, 0)):
            row = {"address": "0.0.0.0:1", "tls": certificate.options(client_ca)}
            config.write_text(harness.config_text(listeners=[row]))
            done = subprocess.run([harness.find_program(), "-c", config, "--check-config"],
                                  capture_output=True, text=True, check=False)
            eq(done.returncode, status, f"tls.client_ca {client_ca and 'set'}", done.stderr)


if __name__ == "__main__":
    tap.run(globals())
