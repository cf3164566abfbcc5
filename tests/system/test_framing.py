#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile framing: each case gets at most one answer and no inner request reaches the backend."""
import re

import tap
from fake_backend import FakeBackend
from framing_cases import (BODY, CASES, CHUNKED, INNER, JSON_LINE, LEGAL, LENGTH,
                           LOOSE_CHUNKS, SOUND_CHUNKS, post)
from harness import Counting, Rig, backend, shared
from tap import Skip, eq, ok


@shared
def rig():
    a = FakeBackend("a", ["llama3:70b"])
    return Rig([a], backends=[backend(a)], timeouts={"head": 1, "body": 1, "idle": 2},
               limits={"max_body": "64K"})


def exchange(daemon, data):
    """Sends and reads until the server closes; (statuses of all answers, everything)."""
    with daemon.connect() as connection:
        try:
            connection.send(data)
        except ConnectionError:
            pass
        received = connection.read_to_end()
    # libmicrohttpd 0.9.75 prints the head of its own early refusals twice.
    start, _, rest = received.partition(b"\r\n\r\n")
    if rest.startswith(start) and b"<html>" in rest:
        received = rest
    statuses = [int(m) for m in re.findall(rb"HTTP/1\.[01] (\d{3}) [A-Z]", received)]
    return statuses, received


def test_hostile_requests():
    daemon, a = rig()
    for name, (data, allowed) in CASES.items():
        statuses, received = exchange(daemon, data)
        ok(len(statuses) <= 1, f"{name}: at most one answer", received)
        status = statuses[0] if statuses else None
        ok(status in allowed, f"{name}: {status} is one of {allowed}", received)
    daemon.settled()
    eq([e.body for e in a.log() if b"inner" in e.body], [], "no inner request reached a backend")
    eq(daemon.chat("llama3:70b").status, 200, "it still serves")


def test_nothing_runs_behind_chunks_that_are_read_loosely():
    daemon, a = rig()
    strict = daemon.library() >= (1, 0, 5)
    n_behind = 0
    for name, data in LOOSE_CHUNKS.items():
        statuses, received = exchange(daemon, data)
        if strict and name in SOUND_CHUNKS and statuses == [200, 200]:
            n_behind += 1
        else:
            ok(statuses in ([200], [400], []), f"{name}: at most one answer", statuses, received)
    daemon.settled()
    eq(len([e for e in a.log() if e.body != BODY]), n_behind,
       "and no request behind them, but behind sound ones that are read strictly")
    data = LEGAL["chunked"]
    statuses, received = exchange(daemon, data + INNER)
    eq(statuses, [200, 200] if strict else [200], "nor behind good ones, unless it reads strictly")
    ok(strict or b"\r\nConnection: close\r\n" in received, "the client is told", received)


def test_refusals_are_counted():
    daemon, a = rig()
    with Counting(daemon) as added:
        statuses, received = exchange(daemon, b"POST /v1/chat/completions?%00 HTTP/1.1\r\n"
                                              b"Host: x\r\nContent-Length: 0\r\n\r\n")
    eq(statuses, [400], "%00")
    ok(b'"bad_framing"' in received and b"onnection: close" in received, "says why and closes",
       received)
    added.check_request("_unknown", "none", 400, "bad_request")
    with Counting(daemon) as added:
        exchange(daemon, b"GET /v1/models?%00 HTTP/1.1\r\nHost: x\r\n\r\n")
    added.check("nexus_requests_total", 0)
    added.check("gateway_requests_total", 1, status="400")
    eq(a.log(), [], "the backend saw nothing")


def test_refusals_of_codings_are_counted():
    daemon, a = rig()
    if daemon.library() >= (1, 0):
        raise Skip("this libmicrohttpd refuses them by itself")
    with Counting(daemon) as added:
        statuses, received = exchange(daemon, CASES["CL then TE"][0])
    eq(statuses, [400], "CL and TE")
    ok(b'"bad_framing"' in received, "says why", received)
    added.check_request("_unknown", "none", 400, "bad_request")
    with Counting(daemon) as added:
        statuses, received = exchange(daemon, CASES["TE gzip"][0])
    ok(b'"unsupported_transfer_encoding"' in received, "501 says why", received)
    added.check_request("_unknown", "none", 501, "bad_request")
    eq(a.log(), [], "the backend saw nothing")


def test_legal_requests_pass():
    daemon, a = rig()
    for name, data in LEGAL.items():
        with daemon.connect() as connection:
            connection.send(data)
            answer = connection.read_response()
            eq(answer and answer.status, 200, f"legal: {name}", repr(answer))
    eq([e.body for e in a.log()], [BODY] * len(LEGAL), "each body reached the backend once")


def test_malformed_chunks_are_counted():
    daemon, a = rig()
    data = post(JSON_LINE, CHUNKED, body=b"xyz\r\n")
    n = 50
    with Counting(daemon) as added:
        for _ in range(n):
            with daemon.connect() as connection:
                connection.send(data)
                if connection.read_response().status != 400:
                    ok(False, "no chunk size")
    added.check_request("_unknown", "none", 400, "bad_request", n=n)
    eq(a.log(), [], "the backend saw nothing")


def test_absolute_form():
    daemon, a = rig()
    line = b"POST http://elsewhere.example/v1/chat/completions?x HTTP/1.1"
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(post(JSON_LINE, LENGTH, body=BODY, line=line))
            eq(connection.read_response().status, 200, "an absolute target means its path")
    added.check("gateway_requests_total", 1, path="/v1/chat/completions", status="200")
    eq(a.log()[-1].path, "/v1/chat/completions", "and goes where the configuration says")
    eq(daemon.get("http://x").status, 404, "no path is the root's")
    eq(daemon.get("http://x?y=/livez").status, 404, "a slash in the query begins no path")
    eq(daemon.get("HTTPS://x/livez?y").status, 200, "schemes are of any case")


def test_chunk_extensions():
    daemon, a = rig()
    data = post(JSON_LINE, CHUNKED, body=b"%x;a=b\r\n%s\r\n0;last\r\n\r\n" % (len(BODY), BODY))
    with daemon.connect() as connection:
        connection.send(data)
        status = connection.read_response().status
    # libmicrohttpd 1.0.1 takes none when it is strict, 1.0.10 does.
    eq(status, 400 if (1, 0) <= daemon.library() < (1, 0, 5) else 200, "chunk extensions")
    eq(len(a.log()), 1 if status == 200 else 0, "what is taken is relayed once")


def test_pieces_of_any_size():
    daemon, a = rig()
    data = LEGAL["chunk sizes in capitals, trailers"]
    with daemon.connect() as connection:
        for byte in data:
            connection.send(bytes([byte]))
        eq(connection.read_response().status, 200, "byte by byte")
    with daemon.connect() as connection:
        connection.send(LEGAL["plain"] * 3 + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        statuses = [connection.read_response().status for _ in range(4)]
        eq(statuses, [200] * 4, "four requests in one piece are answered in order")
    eq(len(a.log()), 4, "and each reached the backend once")


def test_bodies_of_refused_requests_are_no_requests():
    """What follows a head that is answered at once is either its body or cut off."""
    daemon, a = rig()
    body = INNER
    for line in (b"POST /v1/models HTTP/1.1", b"POST /nowhere HTTP/1.1", b"DELETE /livez HTTP/1.1",
                 b"GET /livez HTTP/1.1", b"GET /v1/models HTTP/1.1", b"HEAD /health HTTP/1.1"):
        for framing, data in ((b"Content-Length: %d" % len(body), body),
                              (CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))):
            statuses, received = exchange(daemon, post(
                b"Connection: close", framing, body=data, line=line))
            eq(len(statuses), 1, f"{line.decode()} with a body, {framing.decode()}: one answer",
               received)
    statuses, received = exchange(daemon, post(b"Content-Type: text/plain",
                                               b"Content-Length: %d" % len(body), body=body))
    eq(statuses, [415], "POST with a type that is refused: one answer", received)
    eq(a.log(), [], "the backend saw nothing")


def test_refusals_reach_a_client_that_is_still_sending():
    daemon, _ = rig()
    big = b"x" * 60000
    for line, kind, status in ((b"POST /nowhere HTTP/1.1", JSON_LINE, b" 404 "),
                               (b"POST /v1/models HTTP/1.1", JSON_LINE, b" 405 "),
                               (b"POST /v1/chat/completions HTTP/1.1",
                                b"Content-Type: application/x-www-form-urlencoded", b" 415 ")):
        for _ in range(5):
            with daemon.connect() as connection:
                try:
                    connection.send(post(kind, b"Content-Length: 60000", body=big, line=line))
                except ConnectionError:
                    pass
                received = connection.read_to_end()
            ok(status in received[:20], f"{status.decode().strip()} is readable", received[:80])


def test_http_1_0_streams():
    daemon, _ = rig()
    body = b'{"model":"llama3:70b","messages":[],"stream":true}'
    data = post(JSON_LINE, b"Content-Length: %d" % len(body), body=body,
                line=b"POST /v1/chat/completions HTTP/1.0")
    statuses, received = exchange(daemon, data)
    head, _, rest = received.partition(b"\r\n\r\n")
    eq(statuses, [200], "answered")
    ok(b"chunked" not in head.lower() and rest.startswith(b"data: ") and
       rest.endswith(b"data: [DONE]\n\n"), "HTTP/1.0 gets its stream without chunks", received)


def test_http_1_0_streams_come_in_blocks():
    daemon, a = rig()
    a.behave({"fault": "huge_stream", "size": 1 << 18})
    body = b'{"model":"llama3:70b","messages":[],"stream":true}'
    pieces = []
    with daemon.connect() as connection:
        connection.send(post(JSON_LINE, b"Content-Length: %d" % len(body), body=body,
                             line=b"POST /v1/chat/completions HTTP/1.0"))
        while piece := connection.socket.recv(65536):
            pieces.append(len(piece))
    ok(sum(pieces) > 200000 and len(pieces) < 1000, "not byte by byte",
       f"{sum(pieces)} bytes in {len(pieces)} pieces")


def test_refusals_without_a_body_keep_the_connection():
    daemon, _ = rig()
    with daemon.connect() as connection:
        for method, target, status in (("GET", "/nowhere", 404), ("DELETE", "/v1/models", 405),
                                       ("GET", "/v1/models/nothing", 404), ("HEAD", "/x", 404)):
            connection.request(method, target)
            answer = connection.read_response(head_only=method == "HEAD")
            eq((answer and answer.status, answer and answer.header("connection")), (status, None),
               f"{method} {target} leaves it open", answer)
        connection.request("GET", "/livez")
        eq(connection.read_response().status, 200, "it serves on")


def test_connection_close():
    daemon, _ = rig()
    with daemon.connect() as connection:
        connection.request("GET", "/livez", {"Connection": "close"})
        answer = connection.read_response()
        eq((answer.status, answer.header("connection")), (200, "close"), "Connection: close")
        ok(connection.is_closed(), "is heeded")


def test_slow_head_and_body():
    daemon, a = rig()
    slow = {"no byte of a head's end": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-S: ",
            "half a request line": b"GET /v1/mo"}
    for name, data in slow.items():
        with daemon.connect() as connection:
            connection.send(data)
            answer = connection.read_response()
            eq((answer.status, answer.error().get("code")), (408, "request_timeout"), name)
            ok(connection.is_closed(), f"{name}: the connection ends")
    for name, data in {"body that stops": post(JSON_LINE, LENGTH, body=BODY[:5]),
                       "chunked body that stops": post(JSON_LINE, CHUNKED, body=b"5\r\nhel")}.items():
        with Counting(daemon) as added:
            with daemon.connect() as connection:
                connection.send(data)
                answer = connection.read_response()
                eq((answer.status, answer.error().get("code")), (408, "request_timeout"), name)
                ok(connection.is_closed(), f"{name}: the connection ends")
        added.check_request("_unknown", "none", 408, "bad_request")
        if added.after.has_family("nexus_client_disconnects_total"):
            added.check("nexus_client_disconnects_total", 0)
    eq(a.log(), [], "the backend saw nothing")


def test_drip_does_not_extend_the_deadline():
    daemon, _ = rig()
    for name, start in (("head", b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-S: "),
                        ("body", post(JSON_LINE, b"Content-Length: 60000"))):
        with daemon.connect(timeout=0.02) as connection:
            connection.send(start)
            received, sent = b"", 0
            while not received and sent < 1000:
                try:
                    connection.send(b" ")
                    sent += 1
                    received = connection.socket.recv(4096)
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
            ok(b" 408 " in received[:20], f"a byte now and then does not save a slow {name}",
               received, f"{sent} bytes sent")


def test_idle_connections_are_closed():
    daemon, _ = rig()
    with daemon.connect() as connection:
        ok(connection.is_closed(), "a silent connection is closed without a word")
    with daemon.connect() as connection:
        connection.request("GET", "/livez")
        eq(connection.read_response().status, 200, "an answer")
        ok(connection.is_closed(), "and an idle one after it")


def test_half_open_connections_do_not_block_others():
    daemon, _ = rig()
    held = [daemon.connect() for _ in range(300)]
    for connection in held:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
    eq(daemon.chat("llama3:70b").status, 200, "300 half heads are no hindrance")
    for connection in held:
        connection.close()
    daemon.settled()


if __name__ == "__main__":
    tap.run(globals())
