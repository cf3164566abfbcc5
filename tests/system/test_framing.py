#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile framing: each case gets at most one answer and no inner request reaches the backend."""
import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, shared
from tap import Skip, eq, ok

BODY = b'{"model":"llama3:70b","messages":[]}'
INNER_BODY = b'{"model":"llama3:70b","user":"smuggled"}'
INNER = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         b"Content-Length: %d\r\n\r\n%s" % (len(INNER_BODY), INNER_BODY))
REFUSED = {400, 501, 505, 411, 413, 414, 431, 408, 405, 404}


@shared
def rig():
    a = FakeBackend("a", ["llama3:70b"])
    return Rig([a], backends=[backend(a)], timeouts={"head": 1, "body": 1, "idle": 2},
               limits={"max_body": "64K"})


def post(*lines, body=b"", line=b"POST /v1/chat/completions HTTP/1.1", host=b"Host: x\r\n"):
    """A request whose head is exactly these lines."""
    return line + b"\r\n" + host + b"".join(entry + b"\r\n" for entry in lines) + b"\r\n" + body


JSON_LINE = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def smuggle(*lines, body=b""):
    """A head whose two readings differ by the inner request behind it."""
    return post(JSON_LINE, *lines, body=body + INNER)


# name: (bytes, the statuses allowed; None stands for a close without an answer)
CASES = {
    "CL then TE": (smuggle(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), {400}),
    "TE then CL": (smuggle(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), {400}),
    "CL longer than the chunks": (smuggle(CHUNKED, b"Content-Length: 400", body=b"0\r\n\r\n"),
                                  {400}),
    "two CL, different": (smuggle(b"Content-Length: 0", b"Content-Length: 5"), {400}),
    "two CL, the same": (smuggle(b"Content-Length: 0", b"Content-Length: 0"), {400}),
    "CL list": (smuggle(b"Content-Length: 0, 0"), {400}),
    "CL signed": (smuggle(b"Content-Length: +0"), {400}),
    "CL negative": (smuggle(b"Content-Length: -1"), {400}),
    "CL hexadecimal": (smuggle(b"Content-Length: 0x0"), {400}),
    "CL with blanks inside": (smuggle(b"Content-Length: 0 0"), {400}),
    "CL empty": (smuggle(b"Content-Length:"), {400}),
    "CL fraction": (smuggle(b"Content-Length: 0.0"), {400}),
    "CL 2^64-1": (smuggle(b"Content-Length: 18446744073709551615"), {400, 413}),
    "CL 2^64": (smuggle(b"Content-Length: 18446744073709551616"), {400, 413}),
    "CL 30 digits": (smuggle(b"Content-Length: " + b"9" * 30), {400, 413}),
    "CL too large": (smuggle(b"Content-Length: 65537"), {413}),
    "CL name with a blank before the colon": (smuggle(b"Content-Length : 0"), {400}),
    "TE twice": (smuggle(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), {400}),
    "TE twice, other first": (smuggle(b"Transfer-Encoding: identity", CHUNKED,
                                      body=b"0\r\n\r\n"), {400, 501}),
    "TE with a blank before the colon": (smuggle(b"Transfer-Encoding : chunked", LENGTH,
                                                 body=b"0\r\n\r\n"), {400}),
    "TE with a tab before the colon": (smuggle(b"Transfer-Encoding\t: chunked",
                                               body=b"0\r\n\r\n"), {400}),
    "TE on 1.0": (post(JSON_LINE, CHUNKED, body=b"0\r\n\r\n" + INNER,
                       line=b"POST /v1/chat/completions HTTP/1.0"), {400}),
    "TE gzip": (smuggle(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"), {400, 501}),
    "TE gzip, chunked": (smuggle(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), {400, 501}),
    "TE chunked, gzip": (smuggle(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), {400, 501}),
    "TE identity": (smuggle(b"Transfer-Encoding: identity"), {400, 501}),
    "TE xchunked": (smuggle(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), {400, 501}),
    "TE quoted": (smuggle(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), {400, 501}),
    "TE chunked;q=1": (smuggle(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), {400, 501}),
    "TE empty": (smuggle(b"Transfer-Encoding:"), {400, 501}),
    "TE after a vertical tab": (smuggle(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
                                {400}),
    "TE folded": (smuggle(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), {400, 501}),
    "fold": (post(JSON_LINE, LENGTH, b"X-F: a\r\n b", body=BODY + INNER), {400}),
    "fold with a tab": (post(JSON_LINE, LENGTH, b"X-F: a\r\n\tb", body=BODY + INNER), {400}),
    "fold in the first line": (post(b" X: y", JSON_LINE, LENGTH, body=BODY + INNER), {400}),
    "NUL in a value": (post(JSON_LINE, LENGTH, b"X-N: a\0b", body=BODY + INNER), {400}),
    "NUL in a name": (post(JSON_LINE, LENGTH, b"X\0N: ab", body=BODY + INNER), {400}),
    "NUL hides a CL": (smuggle(b"X: a\0\r\nContent-Length: 5", b"Content-Length: 0"), {400}),
    "control in a value": (post(JSON_LINE, LENGTH, b"X-C: a\x01b", body=BODY + INNER), {400}),
    "DEL in a value": (post(JSON_LINE, LENGTH, b"X-C: a\x7fb", body=BODY + INNER), {400}),
    "CR in a value": (post(JSON_LINE, LENGTH, b"X-C: a\rb", body=BODY + INNER), {400}),
    "bare LF after a header": (post(JSON_LINE, LENGTH, b"X-L: a\nX-M: b", body=BODY + INNER),
                               {400}),
    "bare LF hides a TE": (smuggle(b"X: a\nTransfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n"),
                           {400}),
    "bare LF head": (b"GET /v1/models HTTP/1.1\nHost: x\n\n" + INNER, {400}),
    "bare LF ends the head": (b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\n" + INNER, {400}),
    "bare LF in the request line": (b"GET /v1/models HTTP/1.1\nHost: x\r\n\r\n" + INNER, {400}),
    "empty header name": (smuggle(b": x", b"Content-Length: 5"), {400}),
    "blank header name": (smuggle(b" : x", b"Content-Length: 5"), {400}),
    "header without a colon": (smuggle(b"X-Nothing", b"Content-Length: 0"), {400}),
    "name with a blank": (smuggle(b"X Y: z", b"Content-Length: 0"), {400}),
    "name with a parenthesis": (smuggle(b"X(Y): z", b"Content-Length: 0"), {400}),
    "name with a high byte": (smuggle(b"X\xe9: z", b"Content-Length: 0"), {400}),
    "two Hosts": (post(b"Host: y", JSON_LINE, LENGTH, body=BODY + INNER), {400}),
    "two Hosts, the same": (post(b"Host: x", JSON_LINE, LENGTH, body=BODY + INNER), {400}),
    "no Host": (post(JSON_LINE, LENGTH, body=BODY + INNER, host=b""), {400}),
    "%00 in the path": (b"GET /v1/models%00/x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "%00 in the query": (b"GET /v1/models?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "NUL in the target": (b"GET /v1/mod\0els HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "control in the target": (b"GET /v1/mod\x01els HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "blank in the target": (b"GET /v1/models x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "two blanks in the line": (b"GET  /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "tab in the line": (b"GET\t/v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "no target": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "no version": (b"GET /v1/models\r\nHost: x\r\n\r\n" + INNER, {400, 505, None}),
    "HTTP/1.2": (b"GET /v1/models HTTP/1.2\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "HTTP/2.0": (b"GET /v1/models HTTP/2.0\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "HTTP/0.9": (b"GET /v1/models HTTP/0.9\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "http/1.1": (b"GET /v1/models http/1.1\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "method with a colon": (b"GE:T /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505, None}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, {400, 408, None}),
    "garbage": (b"\xff\xfe\xfd\r\n\r\n" + INNER, {400, None}),
    "chunk size not hexadecimal": (post(JSON_LINE, CHUNKED, body=b"zz\r\n" + INNER), {400, None}),
    "chunk size negative": (post(JSON_LINE, CHUNKED, body=b"-1\r\n" + INNER), {400, None}),
    "chunk size with 0x": (post(JSON_LINE, CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n" + INNER),
                           {400, None}),
    "chunk size of 17 digits": (post(JSON_LINE, CHUNKED,
                                     body=b"10000000000000005\r\nhello\r\n0\r\n\r\n" + INNER),
                                {400, 413, None}),
    "chunk larger than the limit": (post(JSON_LINE, CHUNKED, body=b"fffffff\r\n" + b"x" * 70000),
                                    {400, 413}),
    "chunk without its end": (post(JSON_LINE, CHUNKED, body=b"5\r\nhelloXX0\r\n\r\n" + INNER),
                              {400, None}),
}


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
    statuses = [int(m) for m in
                harness.re.findall(rb"(?:^|\n|[^\w ])HTTP/1\.[01] (\d\d\d) ", received)]
    return statuses, received


def test_hostile_requests():
    daemon, a = rig()
    for name, (data, allowed) in CASES.items():
        statuses, received = exchange(daemon, data)
        ok(len(statuses) <= 1, f"{name}: at most one answer", received)
        status = statuses[0] if statuses else None
        ok(status in allowed, f"{name}: {status} is one of {allowed}", received)
    daemon.settled()
    eq([e.body for e in a.log() if b"smuggled" in e.body], [], "no inner request reached a backend")
    eq(daemon.chat("llama3:70b").status, 200, "it still serves")


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


LEGAL = {
    "plain": post(JSON_LINE, LENGTH, body=BODY),
    "no blank after the colon": post(b"Content-Type:application/json", b"Content-Length:%d"
                                     % len(BODY), body=BODY, host=b"Host:x\r\n"),
    "blanks around values": post(b"Content-Type:  application/json \t", b"X-E:", b"X-F: ", LENGTH,
                                 body=BODY),
    "names in any case": post(b"content-TYPE: application/json", b"CONTENT-LENGTH: %d" % len(BODY),
                              body=BODY, host=b"hOST: x\r\n"),
    "chunked": post(JSON_LINE, CHUNKED, body=CHUNKS),
    "CL with leading zeros": post(JSON_LINE, b"Content-Length: 00%d" % len(BODY), body=BODY),
    "chunk sizes in capitals, trailers": post(
        JSON_LINE, CHUNKED, body=b"%X\r\n%s\r\n0\r\nX-T: v\r\n\r\n" % (len(BODY), BODY)),
    "many headers": post(JSON_LINE, LENGTH, *[b"X-%d: %d" % (n, n) for n in range(60)], body=BODY),
    "HTTP/1.0": post(JSON_LINE, LENGTH, body=BODY, line=b"POST /v1/chat/completions HTTP/1.0"),
    "HTTP/1.0 without Host": post(JSON_LINE, LENGTH, body=BODY, host=b"",
                                  line=b"POST /v1/chat/completions HTTP/1.0"),
    "a blank line before": b"\r\n" + post(JSON_LINE, LENGTH, body=BODY),
    "high bytes in a value": post(JSON_LINE, LENGTH, b"X-H: \xe9\xff", body=BODY),
}


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
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(data)
            eq(connection.read_response().status, 400, "no chunk size")
    added.check_request("_unknown", "none", 400, "bad_request")
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
    # libmicrohttpd 1.0 takes none when it is strict.
    eq(status, 200 if daemon.library() < (1, 0) else 400, "chunk extensions")
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
