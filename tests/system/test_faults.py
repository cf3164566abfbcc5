#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every fault of a backend, each by a plain and by a streamed request: what the client gets, what
is tried next and what the counters say.

All of them run at once, each on a model of its own: the labels keep their counts apart."""
import collections
import json
import threading

import tap
from fake_backend import FakeBackend
from harness import Rig, Stream, backend, chat_body
from prometheus_text import sanitize
from tap import eq, ok

N_CLIENTS = 32
TIMEOUTS = {"connect": 1, "first_byte": 1, "stream_idle": 1}
TOO_SLOW_SECONDS = 0.05  # behind each byte

STATUS = "HTTP/1.1 200 OK\r\n"
JSON = STATUS + "Content-Type: application/json\r\n"
EVENTS = STATUS + "Content-Type: text/event-stream\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
WHOLE = '{"id": "x", "object": "chat.completion", "choices": []}'
BODY = f"Content-Length: {len(WHOLE)}\r\n\r\n{WHOLE}"
FRAME = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
END = ('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
       "data: [DONE]\n\n")
LARGE = '{"x": "' + "y" * 100000  # more than is judged before the relay


def script(*pieces, **more):
    return {"fault": "script", "send": list(pieces), **more}


def chunk(text):
    return f"{len(text):x}\r\n{text}\r\n"


def plain(text, **more):
    """An answer of this length and text, whole."""
    return script(f"{JSON}Content-Length: {len(text)}\r\n\r\n{text}", then="keep", **more)


def header(line):
    return script(JSON + line + "\r\n" + BODY)


# name: (outcome of the attempt, what the backend does). Nothing has reached the client yet.
IN_THE_HEAD = {
    "closes": ("reset", {"fault": "close"}),
    "resets": ("reset", {"fault": "rst"}),
    "never answers": ("timeout", {"fault": "never"}),
    "half a status line": ("reset", script("HTTP/1.")),
    "half a status line and silence": ("timeout", script("HTTP/1.", then="stall")),
    "half a head": ("reset", script(JSON + "Content-Le")),
    "half a head and RST": ("reset", script(JSON + "Content-Le", then="rst")),
    "half a head and silence": ("timeout", script(JSON + "Content-Le", then="stall")),
    "a head byte by byte": ("timeout", script(*(JSON + BODY), gap=TOO_SLOW_SECONDS)),
    "TLS": ("parse", {"fault": "garbage"}),
    "SSH": ("parse", script("SSH-2.0-OpenSSH_9.2\r\n")),
    "no head": ("parse", script(WHOLE)),
    "no version": ("parse", script("HTTP 200 OK\r\n" + BODY)),
    "version 9": ("parse", script("HTTP/9.9 200 OK\r\n" + BODY)),
    "status abc": ("parse", script("HTTP/1.1 abc\r\n" + BODY)),
    "status 20": ("parse", script("HTTP/1.1 20 OK\r\n" + BODY)),
    "status 999": ("parse", script("HTTP/1.1 999 OK\r\n" + BODY)),
    "a header without colon": ("parse", header("nonsense")),
    "a header with a blank in its name": ("parse", header("X Y: z")),
    "a header without name": ("parse", header(": z")),
    "a folded header": ("parse", header("X: a\r\n b")),
    "a NUL in a header": ("parse", header("X: a\0b")),
    "a CR in a header": ("parse", header("X: a\rSet-Cookie: b")),
    "a bomb of headers": ("parse", {"fault": "header_bomb"}),
    # libcurl gives up on it without saying why.
    "an endless header": ("reset", script("HTTP/1.1 200 OK\r\nX: ", "y" * 8192, repeat=1000)),
    "two lengths": ("parse", {"fault": "bad_length"}),
    "a negative length": ("parse", script(JSON + "Content-Length: -1\r\n\r\n" + WHOLE)),
    "a length in words": ("parse", script(JSON + "Content-Length: many\r\n\r\n" + WHOLE)),
    "a length of 2^64": ("parse", script(JSON + f"Content-Length: {1 << 64}\r\n\r\n{WHOLE}")),
    "another transfer coding": ("parse", header("Transfer-Encoding: gzip")),
    "chunked twice": ("parse", header("Transfer-Encoding: chunked, chunked")),
    "interim answers for ever": ("parse", script("HTTP/1.1 100 Continue\r\n\r\n" * 100,
                                                  repeat=1000)),
    "another protocol": ("parse", script("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"
                                         "Connection: Upgrade\r\n\r\nPRI")),
    "status 408": ("http_4xx", {"status": 408}),
    "status 500": ("http_5xx", {"status": 500}),
    "status 502": ("http_5xx", {"status": 502, "body": "<html>bad gateway</html>"}),
}

IN_A_PLAIN_BODY = {
    "cut": ("truncated", {"fault": "cut"}),
    "cut by RST": ("truncated", script(JSON + BODY[:-20], then="rst")),
    "cut by silence": ("timeout", script(JSON + BODY[:-20], then="stall")),
    "nothing after the head": ("timeout", {"fault": "head_stall"}),
    "cut chunks": ("truncated", {"fault": "cut_chunked"}),
    "a cut chunk": ("truncated", script(JSON + CHUNKED + chunk(WHOLE)[:-9])),
    "no last chunk": ("truncated", script(JSON + CHUNKED + chunk(WHOLE))),
    "a chunk size in words": ("truncated", script(JSON + CHUNKED + "many\r\n")),
    "a chunk size of 2^64": ("truncated", script(JSON + CHUNKED + "f" * 17 + "\r\n")),
    "a chunk longer than its size": ("truncated", script(JSON + CHUNKED + "1\r\n" + WHOLE)),
    "empty": ("parse", plain("")),
    "HTML": ("parse", plain("<html>proxy login</html>")),
    "half a document": ("parse", {"fault": "invalid_json"}),
    "two documents": ("parse", plain(WHOLE + WHOLE)),
    "no UTF-8": ("parse", plain('{"id": "\xff"}')),
    "a raw control character": ("parse", plain('{"id": "\n"}')),
    "JSON without bottom": ("parse", plain("[" * 30000)),
    "an event stream unasked": ("parse", script(
        EVENTS + CHUNKED + chunk(FRAME + END) + "0\r\n\r\n", then="keep")),
}

IN_A_STREAM = {
    "an error first": ("http_5xx", {"fault": "error_event"}),
    "cut before the first frame": ("truncated", {"after": 0}),
    "RST before the first frame": ("truncated", {"after": 0, "how": "rst"}),
    "silence before the first frame": ("timeout", {"after": 0, "how": "stall"}),
    "no frame": ("truncated", {"after": 0, "how": "end"}),
    "half a frame": ("truncated", script(EVENTS + CHUNKED + chunk(FRAME[:20]))),
    "half a frame, whole by its framing": ("truncated", script(
        EVENTS + CHUNKED + chunk(FRAME[:20]) + "0\r\n\r\n", then="keep")),
    "half a frame and RST": ("truncated", script(EVENTS + CHUNKED + chunk(FRAME[:20]), then="rst")),
    "half a frame and silence": ("timeout", script(EVENTS + CHUNKED + chunk(FRAME[:20]),
                                                   then="stall")),
    "a chunk size in words": ("truncated", script(EVENTS + CHUNKED + "many\r\n")),
    "empty lines": ("truncated", script(
        EVENTS + CHUNKED + chunk("\n\n\r\n\r\n\r") + "0\r\n\r\n", then="keep")),
    "a plain answer that is cut": ("truncated", {"fault": "cut"}),
    "a plain answer that is no JSON": ("parse", plain("<html>proxy login</html>")),
}

# name: (status that is counted, its error type, what the backend does). The client has the head.
AFTER_THE_HEAD = {
    "a large answer, cut": (502, "backend_error", {"fault": "cut_large"}),
    "a large answer and RST": (502, "backend_error", {"fault": "cut_large", "how": "rst"}),
    "a large answer and silence": (504, "timeout", {"fault": "cut_large", "how": "stall"}),
    "large chunks, cut": (502, "backend_error", {"fault": "cut_large_chunked"}),
    "large chunks, a size in words": (502, "backend_error", script(
        JSON + CHUNKED + chunk(LARGE) + "many\r\n")),
}
AFTER_A_FRAME = {
    "cut": (502, "backend_error", {"after": 2}),
    "RST": (502, "backend_error", {"after": 2, "how": "rst"}),
    "no end": (502, "backend_error", {"after": 2, "how": "end"}),
    "silence": (504, "timeout", {"after": 2, "how": "stall"}),
    "half a frame": (502, "backend_error", script(EVENTS + CHUNKED + chunk(FRAME + FRAME[:20]))),
    "half a frame and silence": (504, "timeout", script(
        EVENTS + CHUNKED + chunk(FRAME + FRAME[:20]), then="stall")),
    "a chunk size in words": (502, "backend_error", script(
        EVENTS + CHUNKED + chunk(FRAME) + "many\r\n")),
    "another answer in its middle": (502, "backend_error", script(
        EVENTS + CHUNKED + chunk(FRAME) + JSON + BODY)),
}

# name: (what the client gets, what the backend does). Odd, and right.
ODD = {
    "interim answers": (WHOLE, {"fault": "interim"}),
    "byte by byte": (WHOLE, {"fault": "drip"}),
    "a head byte by byte, in time": (WHOLE, {"fault": "slow_head"}),
    "surplus bytes": (WHOLE, {"fault": "extra"}),
    "chunks with extensions and a trailer": (WHOLE, script(
        JSON + CHUNKED + f"{len(WHOLE):X};a=b\r\n{WHOLE}\r\n000;c\r\nX-Trailer: 1\r\n\r\n",
        then="keep")),
    "names in lower case, no reason": (WHOLE, script("HTTP/1.1 200 \r\ncontent-type:application/"
                                                     "json\r\n" + BODY.lower(), then="keep")),
    "HTTP/1.0, to the end of the connection": (WHOLE, script(
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + WHOLE)),
    "lines that end in LF": (WHOLE, script(JSON.replace("\r", "") + BODY.replace("\r", ""),
                                           then="keep")),
    "no content type": (WHOLE, script(STATUS + BODY, then="keep")),
}
ODD_STREAMS = {
    "a stream byte by byte": (FRAME + END, script(
        EVENTS + CHUNKED, *(chunk(c) for c in FRAME + END), "0\r\n\r\n", then="keep")),
    "a stream to the end of the connection": (FRAME + END, script(EVENTS + "\r\n" + FRAME + END)),
    "a stream with comments and fields of others": (
        ": hi\n\nretry: 5\n\nevent: x\nid: 1\n" + FRAME + END,
        script(EVENTS + CHUNKED + chunk(": hi\n\nretry: 5\n\nevent: x\nid: 1\n" + FRAME + END) +
               "0\r\n\r\n", then="keep")),
    "a stream of data that is no JSON": ("data: {\"\xff\n\n" + END, script(
        EVENTS + CHUNKED + chunk("data: {\"\xff\n\n" + END) + "0\r\n\r\n", then="keep")),
    "a stream whose charset is told": (FRAME + END, script(
        EVENTS.replace("stream\r", "stream;charset=utf-8\r") + CHUNKED + chunk(FRAME + END) +
        "0\r\n\r\n", then="keep")),
    **{f"streamed: {name}": row for name, row in ODD.items()},
}


class Case:
    """One fault by one request, on a model of its own."""

    def __init__(self, kind, name, is_stream, want, behaviour):
        self.model = f"{kind}/{'stream' if is_stream else 'plain'}/{name}"
        self.label = sanitize(self.model)
        self.is_stream, self.want, self.behaviour = is_stream, want, behaviour
        self.head = self.text = self.is_cut = None

    def send(self, daemon):
        connection = daemon.connect()
        body = chat_body(self.model, stream=self.is_stream, x_fake={"a": self.behaviour})
        connection.request("POST", "/v1/chat/completions", None, json.dumps(body).encode())
        stream = Stream(connection)
        self.head, self.text, self.is_cut = stream.head, stream.read_rest(), stream.is_cut
        connection.close()

    def error(self):
        try:
            return json.loads(self.text)["error"]
        except (ValueError, KeyError, TypeError):
            return {"context": {"tried": []}}

    def facts(self, metrics):
        """What must be right whatever the fault: (attempts, requests, error types) as counted."""
        attempts = counted(metrics, "nexus_upstream_requests_total", self.label, "backend",
                           "outcome")
        requests = counted(metrics, "nexus_requests_total", self.label, "backend", "status")
        errors = counted(metrics, "nexus_errors_total", self.label, "error_type")
        return attempts, requests, errors


def counted(metrics, family, label, *names):
    """{values of the labels: n} of one model; a single label's value stands for itself."""
    return {" ".join(found[name] for name in names): int(n)
            for found, n in metrics.select(family, model=label) if n}


def cases(kind, tables):
    """tables: (is it a stream, {name: (what is wanted..., behaviour)})"""
    return [Case(kind, name, is_stream, row[:-1], row[-1])
            for is_stream, table in tables for name, row in table.items()]


def run_all(daemon, todo):
    work = iter(todo)
    lock = threading.Lock()
    surprises = []

    def client():
        while True:
            with lock:
                case = next(work, None)
            if case is None:
                return
            try:
                case.send(daemon)
            except Exception as error:  # told below
                surprises.append((case.model, repr(error)))
    threads = [threading.Thread(target=client) for _ in range(N_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    eq(surprises, [], f"{len(todo)} requests each got an answer that can be read")


def rig(todo, is_alone, **routing):
    """a fails as it is told; b, unless a is alone, is a good one. a comes first."""
    models = [case.model for case in todo]
    fakes = [FakeBackend(name, models) for name in ("a", "b")][:1 if is_alone else 2]
    return Rig(fakes, backends=[backend(f, priority=n) for n, f in enumerate(fakes)],
               timeouts=TIMEOUTS, routing={"strategy": "priority_only", **routing},
               breaker={"failures": 0, "error_rate": 0})  # each fault is to be met


def before_the_first_byte():
    return [(False, IN_THE_HEAD), (True, IN_THE_HEAD), (False, IN_A_PLAIN_BODY),
            (True, IN_A_STREAM)]


def is_answer_of_b(case):
    if case.head.status != 200 or case.head.header("x-nexus-backend") != "b" or case.is_cut:
        return False
    if case.is_stream:
        return b'"x_backend":"b"' in case.text and case.text.endswith(b"data: [DONE]\n\n")
    return json.loads(case.text).get("x_backend") == "b"


def check_at_rest(daemon, metrics, fds):
    failed = sum(n for labels, n in metrics.select("nexus_requests_total")
                 if labels["status"] != "200")
    eq((metrics.sum("nexus_errors_total"), daemon.stats()["requests"]["errors"]),
       (failed, failed), "errors, in every face")
    eq(metrics.sum("nexus_request_duration_seconds_count"), metrics.sum("nexus_requests_total"),
       "each request took its time once")
    eq(daemon.health()["healthy"], daemon.health()["total"],
       "every check succeeded meanwhile: nobody is unhealthy")
    ok(daemon.open_fds() <= fds + 4 * N_CLIENTS, "no descriptor is left", (fds, daemon.open_fds()))


def test_no_client_sees_a_fault_before_the_first_byte():
    todo = cases("two", before_the_first_byte())
    with rig(todo, is_alone=False) as (daemon, a, b):
        fds = daemon.open_fds()
        run_all(daemon, todo)
        metrics = daemon.settled()
        asked = [collections.Counter(e.model for e in fake.log()) for fake in (a, b)]
        n_ways = len({name for _, table in before_the_first_byte() for name in table})
        eq([case.model for case in todo if not is_answer_of_b(case)], [],
           f"{n_ways} ways to fail, {len(todo)} requests: 0 failures that a client sees")
        for case in todo:
            eq((case.facts(metrics), [n[case.model] for n in asked]),
               (({f"a {case.want[0]}": 1, "b ok": 1}, {"b 200": 1}, {}), [1, 1]),
               f"{case.model}: each asked once, and counted")
        eq(metrics.sum("nexus_retries_total"), len(todo), "one more attempt each")
        check_at_rest(daemon, metrics, fds)


# outcome: (status, code, error type) when there was nobody else
ALONE = {
    "reset": (502, "bad_gateway", "backend_error"),
    "truncated": (502, "bad_gateway", "backend_error"),
    "parse": (502, "bad_gateway", "parse_error"),
    "timeout": (504, "gateway_timeout", "timeout"),
}


def test_a_fault_of_the_only_backend_is_told():
    todo = [case for case in cases("one", before_the_first_byte())
            if not case.want[0].startswith("http")]
    with rig(todo, is_alone=True, max_retries=0) as (daemon, _):
        fds = daemon.open_fds()
        run_all(daemon, todo)
        metrics = daemon.settled()
        for case in todo:
            outcome = case.want[0]
            status, code, error_type = ALONE[outcome]
            error = case.error()
            eq((case.head.status, error.get("code"), error.get("type")),
               (status, code, "server_error"), f"{case.model}: {status} {code}")
            tried = [f"{t['backend']} {t['outcome']}" for t in error["context"]["tried"]]
            # A kept connection that dies under a request says nothing: there was one more try.
            wanted = tried if tried == ["a reset"] * 2 else [f"a {outcome}"]
            eq((tried, *case.facts(metrics)),
               (wanted, collections.Counter(wanted), {f"a {status}": 1}, {error_type: 1}),
               f"{case.model}: what was tried is told, and counted")
        check_at_rest(daemon, metrics, fds)


def test_faults_after_the_first_byte_are_told():
    todo = cases("late", [(False, AFTER_THE_HEAD), (True, AFTER_A_FRAME), (True, AFTER_THE_HEAD)])
    with rig(todo, is_alone=False) as (daemon, _, b):
        fds = daemon.open_fds()
        run_all(daemon, todo)
        metrics = daemon.settled()
        for case in todo:
            status, error_type = case.want
            eq((case.head.status, case.is_cut, b"[DONE]" in case.text), (200, True, False),
               f"{case.model}: the connection is closed, and no end is invented",
               case.text[-200:])
            if case.text.startswith(b"data:"):
                last = case.text.rstrip().split(b"\n\n")[-1].removeprefix(b"data: ")
                eq(json.loads(last)["error"]["code"], "upstream_truncated",
                   f"{case.model}: an event tells")
            attempts, *rest = case.facts(metrics)
            eq((sum(attempts.values()), *rest), (1, {f"a {status}": 1}, {error_type: 1}),
               f"{case.model}: one attempt, and counted as failed")
        eq(b.log(), [], "nothing is tried again")
        check_at_rest(daemon, metrics, fds)


def test_what_is_odd_and_right_passes():
    todo = cases("odd", [(False, ODD), (True, ODD_STREAMS)])
    with rig(todo, is_alone=False) as (daemon, _, b):
        run_all(daemon, todo)
        metrics = daemon.settled()
        for case in todo:
            eq((case.head.status, case.text.decode("latin-1").lower(), case.is_cut),
               (200, case.want[0].lower(), False), f"{case.model}: as it was meant")
            eq(case.facts(metrics), ({"a ok": 1}, {"a 200": 1}, {}), f"{case.model}: and counted")
        eq(b.log(), [], "b is not asked")


def test_a_backend_that_does_not_read():
    """It takes the connection and the head; the request stays in the sockets' buffers."""
    case = Case("deaf", "an upload", False, None, {})
    with rig([case], is_alone=False) as (daemon, a, b):
        a.is_deaf = True
        body = json.dumps(chat_body(case.model, "x" * (8 << 20))).encode()
        answer = daemon.post("/v1/chat/completions", body)
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"), "b answers")
        eq(len(b.log()[0].body), len(body), "and got every byte")
        eq(case.facts(daemon.settled()), ({"a timeout": 1, "b ok": 1}, {"b 200": 1}, {}),
           "and it is counted")
        a.is_deaf = False


if __name__ == "__main__":
    tap.run(globals())
