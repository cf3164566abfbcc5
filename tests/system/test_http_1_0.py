#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of HTTP/1.0, for whom the end of the connection is that of the body: what was cut must
not end like what is whole."""
import contextlib
import gzip
import json
import pathlib
import signal
import socket
import ssl
import tempfile

import harness
import tap
from certificates import Certificate
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend, wait_until
from http_client import Connection
from tap import eq, ok

MODEL = "m"
CHAT = "/v1/chat/completions"
SPEECH = "/v1/audio/speech"
LARGE = "x" * 100000
CONTENT = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
ERROR = 'data: {"error":{"message":"boom"}}\n\n'


def chunk(text):
    return f"{len(text):x}\r\n{text}\r\n"


def script(kind, text, length="Transfer-Encoding: chunked", **more):
    """An answer, as far as `text` goes."""
    text = chunk(text) if "chunked" in length else text
    return {"fault": "script", **more, "send": [
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n\r\n", text]}


def ask(address, path=SPEECH, tls=None, rcvbuf=None, stream=False):
    body = json.dumps(harness.chat_body(MODEL, stream=stream)).encode()
    connection = Connection(address, tls=tls, rcvbuf=rcvbuf)
    connection.send(b"POST %s HTTP/1.0\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
    return connection


def read(connection):
    """The body that came, and how it ended."""
    received, end = b"", "closed"
    # TLS tells by itself what has no end, and Python likes to forget that.
    if isinstance(connection.socket, ssl.SSLSocket):
        connection.socket.suppress_ragged_eofs = False
    try:
        while piece := connection.socket.recv(65536):
            received += piece
    except (ConnectionResetError, ssl.SSLEOFError):
        end = "reset"
    connection.close()
    head, _, body = received.partition(b"\r\n\r\n")
    ok(head.startswith(b"HTTP/1.1 200 ") and b"chunked" not in head.lower(), "the head", head)
    return body.decode("latin-1"), end


@contextlib.contextmanager
def rig(listeners=None, **options):
    """A daemon, of which the first listener is looked at, and its backend."""
    a = FakeBackend("a", [MODEL])
    options |= {"listeners": listeners} if listeners else {}
    with Daemon(wait=False, backends=[backend(a)], routing={"max_retries": 0}, **options) as daemon:
        if listeners:
            daemon.address = listeners[0]["address"]
        daemon.wait_ready()
        daemon.wait_healthy(1)
        yield daemon, a
    a.stop()


def check_cut(daemon, a, address, want, tls=None):
    encoded = gzip.compress(CONTENT.encode()).decode("latin-1")
    cases = {
        "sound": (SPEECH, script("audio/mpeg", LARGE)),
        "sound, reset": (SPEECH, script("audio/mpeg", LARGE, then="rst")),
        "a large document": (CHAT, script("application/json", '{"x":"' + LARGE)),
        "an encoded stream": (CHAT, script("text/event-stream\r\nContent-Encoding: gzip", encoded)),
    }
    for name, (path, behaviour) in cases.items():
        a.behave(behaviour)
        with Counting(daemon) as added:
            body, end = read(ask(address, path, tls, stream="stream" in name))
        eq((body[:10], end), (behaviour["send"][1].partition("\r\n")[2][:10], want),
           f"{address}: {name}")
        added.check_request(MODEL, "a", 502, "backend_error")
    a.behave({"chunked": True})
    eq(read(ask(address, tls=tls))[1], "closed", f"{address}: what is whole ends as ever")


def test_what_is_cut():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        certificate = Certificate(pathlib.Path(folder), "server")
        plain, tls = [f"127.0.0.1:{harness.free_port()}" for _ in range(2)]
        unix = f"unix:{folder}/api.sock"
        listeners = [{"address": plain, "faces": ["api", "metrics"]},
                     {"address": tls, "faces": ["api"], "tls": certificate.options()},
                     {"address": unix, "faces": ["api"]}]
        with rig(listeners) as (daemon, a):
            check_cut(daemon, a, plain, "reset")
            check_cut(daemon, a, tls, "reset", certificate.for_client())
            # It has no reset.
            check_cut(daemon, a, unix, "closed")
            ok(wait_until(lambda: daemon.metrics().sum("nexus_client_connections") == 1),
               "none of the connections is left")


def test_what_tells_so_itself():
    with rig() as (daemon, a):
        events = "text/event-stream"
        known = f"Content-Length: {2 * len(LARGE)}"
        for name, path, behaviour, marker in (
                ("an event of nexusd's", CHAT, script(events, CONTENT), "upstream_truncated"),
                ("one of the backend's", CHAT, script(events, CONTENT + ERROR), "boom"),
                ("a length", SPEECH, script("audio/mpeg", LARGE, known), "x" * 100)):
            a.behave(behaviour)
            with Counting(daemon) as added:
                body, end = read(ask(daemon.address, path, stream=True))
            eq((marker in body, end), (True, "closed"), f"{name} is not lost to a reset")
            added.check_request(MODEL, "a", 502, "backend_error")


def test_a_client_that_has_no_more_to_say():
    """The end of its sending is taken for its leaving: what it still reads is not whole."""
    with rig() as (daemon, a):
        a.behave(script("audio/mpeg", LARGE, then="stall"))
        with Counting(daemon) as added:
            connection = ask(daemon.address)
            ok(connection.socket.recv(1, socket.MSG_PEEK), "the answer has begun")
            connection.socket.shutdown(socket.SHUT_WR)
            eq(read(connection)[1], "reset", "it is reset")
        added.check("nexus_requests_total", 1, model=MODEL, backend="a", status="499")


def stuck(daemon, a):
    """A client that does not read, and has not all of its answer."""
    a.behave(script("audio/mpeg", LARGE, repeat=200, then="stall"))
    return ask(daemon.address, rcvbuf=32768)


def test_a_client_that_does_not_read():
    with rig(timeouts={"idle": 1}) as (daemon, a):
        with Counting(daemon) as added:
            connection = stuck(daemon, a)
            ok(wait_until(lambda: daemon.metrics().sum("nexus_requests_total") == 1), "is left")
        eq(read(connection)[1], "reset", "it is reset")
        added.check("nexus_requests_total", 1, model=MODEL, backend="a", status="499")


def test_a_stop():
    with rig(timeouts={"drain": 0.1}) as (daemon, a):
        connection = stuck(daemon, a)
        ok(a.wait_requests(1) and connection.socket.recv(1, socket.MSG_PEEK), "it has begun")
        daemon.kill(signal.SIGTERM)
        eq(daemon.wait_exit(), 0, "nexusd ends")
        eq(read(connection)[1], "reset", "what was under way is reset")


if __name__ == "__main__":
    tap.run(globals())
