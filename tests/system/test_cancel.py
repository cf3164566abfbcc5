#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client that leaves, in every phase: the backend is told at once and the books are right."""
import json
import time

import harness
import tap
from harness import Counting, chat_body, pair, shared, wait_until
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"
BOUND_SECONDS = 2.0  # generous, for slow machines


@shared
def two():
    return pair()


def begin(daemon, stream=False, **fields):
    connection = daemon.connect()
    body = json.dumps(chat_body(MODEL, stream=stream, **fields)).encode()
    connection.request("POST", "/v1/chat/completions", None, body)
    return connection


def check_cancelled(a, entry, left_at, name):
    eq(a.wait_ended(entry), "peer_closed", f"{name}: the backend's connection is closed")
    seconds = (entry.ended or time.monotonic()) - left_at
    ok(seconds < BOUND_SECONDS, f"{name}: at once", f"after {seconds:.3f} s")


def check_books(added, stage, who="a"):
    added.check_request(LABEL, who, 499, "client_disconnect")
    eq(added.after.sum("nexus_pending_requests"), 0, "[repair] pending falls to 0")
    if added.after.has_family("nexus_client_disconnects_total"):
        added.check("nexus_client_disconnects_total", 1)
        added.check("nexus_client_disconnects_total", 1, stage=stage)
    if added.after.has_family("nexus_upstream_requests_total"):
        added.check("nexus_upstream_requests_total", 1, backend=who, outcome="cancelled")


def leave(connection, how):
    """close: FIN; reset: RST; half: only the sending side."""
    at = time.monotonic()
    if how == "close":
        connection.close()
    elif how == "reset":
        connection.reset()
    else:
        connection.socket.shutdown(harness.socket.SHUT_WR)
    return at


def test_leaving_before_the_head():
    daemon, a, b = two()
    for how in ("close", "reset", "half"):
        for stream in (False, True):
            a.reset()
            a.behave({"fault": "never"})
            with Counting(daemon) as added:
                connection = begin(daemon, stream)
                entry = a.wait_requests(1)[0]
                eq(daemon.metrics().get("nexus_pending_requests", backend="a"), 1, "pending")
                at = leave(connection, how)
                check_cancelled(a, entry, at, f"{how} while waiting, stream {stream}")
            check_books(added, "waiting")
            if how == "half":
                eq(connection.read_to_end(), b"", "who only half-closes gets no answer")
    eq(b.log(), [], "nothing is tried for a client that left")


def test_leaving_in_mid_stream():
    daemon, a, b = two()
    for how in ("close", "reset", "half"):
        a.reset()
        a.behave({"gate": "held", "chunks": 5})
        with Counting(daemon) as added:
            stream = daemon.stream(MODEL)
            stream.next_data()
            entry = a.log()[0]
            at = leave(stream.connection, how)
            check_cancelled(a, entry, at, f"{how} in mid-stream")
        check_books(added, "streaming")
    eq(b.log(), [], "nothing is tried for a client that left")


def test_leaving_in_a_plain_answer():
    daemon, a, _ = two()
    a.behave({"fault": "head_stall"})
    with Counting(daemon) as added:
        connection = begin(daemon)
        entry = a.wait_requests(1)[0]
        wait_until(lambda: entry.sent_bytes > 0)
        at = leave(connection, "close")
        check_cancelled(a, entry, at, "close after the backend's head")
    check_books(added, "waiting")
    a.behave({"fault": "huge"})
    with Counting(daemon) as added:
        connection = begin(daemon)
        head = connection.read_response(head_only=True)
        eq(head.status, 200, "a long answer has begun")
        at = leave(connection, "reset")
        check_cancelled(a, a.log()[-1], at, "reset in a long plain answer")
    added.check_request(LABEL, "a", 499, "client_disconnect")


def test_leaving_while_sending_the_body():
    daemon, a, _ = two()
    for how in ("close", "reset"):
        with Counting(daemon) as added:
            connection = daemon.connect()
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                            b"Content-Length: 1000\r\n\r\n" + b'{"model":"llama3:70b",')
            wait_until(lambda: daemon.metrics().sum("gateway_active_requests") == 2)
            leave(connection, how)
        added.check_request("_unknown", "none", 499, "client_disconnect")
        if added.after.has_family("nexus_client_disconnects_total"):
            added.check("nexus_client_disconnects_total", 1, stage="receiving")
    eq(a.log(), [], "the backend hears nothing of it")


def test_leaving_while_connecting():
    """The backend's listen queue is full: the connection hangs in SYN-SENT."""
    deaf = harness.socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    fillers = []
    for _ in range(3):
        filler = harness.socket.socket()
        filler.setblocking(False)
        filler.connect_ex(deaf.getsockname())
        fillers.append(filler)
    row = {"name": "deaf", "type": "generic", "url": f"http://127.0.0.1:{deaf.getsockname()[1]}",
           "models": [MODEL]}
    with harness.Daemon(backends=[row], healthy=0, timeouts={"connect": 30},
                        health={"timeout": 3600}) as daemon:
        with Counting(daemon) as added:
            connection = begin(daemon)
            wait_until(lambda: daemon.metrics().sum("gateway_active_requests") == 2)
            leave(connection, "close")
        added.check_request(LABEL, "deaf", 499, "client_disconnect")
    for sock in fillers + [deaf]:
        sock.close()


def test_leaving_between_requests_is_nothing():
    daemon, a, _ = two()
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.request("POST", "/v1/chat/completions", None,
                               json.dumps(chat_body(MODEL)).encode())
            eq(connection.read_response().status, 200, "answered")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_client_disconnects_total", 0)


def test_a_hundred_leave_at_once():
    daemon, a, _ = two()
    a.default = {"fault": "never"}
    fds = daemon.open_fds()
    with Counting(daemon) as added:
        connections = [begin(daemon, stream=n % 2 == 0) for n in range(100)]
        entries = a.wait_requests(100)
        eq(daemon.metrics().get("nexus_pending_requests", backend="a"), 100, "100 are pending")
        at = time.monotonic()
        for connection in connections:
            connection.close()
        ok(a.wait(lambda: all(e.outcome == "peer_closed" for e in entries)),
           "the backend sees all of them go")
        tap.diag(f"the last after {max(e.ended for e in entries) - at:.3f} s")
    added.check_request(LABEL, "a", 499, "client_disconnect", 100)
    eq(added.after.sum("nexus_pending_requests"), 0, "pending falls to 0")
    ok(wait_until(lambda: daemon.open_fds() <= fds + 5), "no descriptor is left behind",
       (fds, daemon.open_fds()))


def test_leaving_between_attempts():
    daemon, a, b = two()
    a.behave({"status": 500})
    b.behave({"fault": "never"})
    with Counting(daemon) as added:
        connection = begin(daemon)
        entry = b.wait_requests(1)[0]
        at = leave(connection, "close")
        check_cancelled(b, entry, at, "close in the second attempt")
    added.check_request(LABEL, "b", 499, "client_disconnect")
    eq(len(a.log()), 1, "and a is not asked again")


if __name__ == "__main__":
    tap.run(globals())
