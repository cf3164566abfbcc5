#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads too large to be held: handed on while they come, in both senses of the word."""
import threading
import time

import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, pair, shared, wait_until
from http_client import Incomplete
from tap import eq, ok
from test_form import BOUNDARY, file_part, form, part

MODEL = "llama3:70b"
LABEL = "llama3_70b"
PATH = "/v1/audio/transcriptions"
WINDOW = 256 << 10
SOUND = bytes(range(256)) * 4096  # 1 MiB


@shared
def two():
    return pair(limits={"max_body": "96M"}, timeouts={"body": 1, "first_byte": 1, "stream_idle": 1},
                routing={"strategy": "priority_only",
                         "aliases": [{"name": "whisper-1", "model": MODEL}]})


def head_of(length):
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{framing}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n").encode()


def audio(size=len(SOUND), model=MODEL):
    return form(part("model", model), file_part((SOUND * (size // len(SOUND) + 1))[:size]))


class Sender:
    """Sends a body from a thread of its own, so that the test goes on when that is held up."""

    def __init__(self, daemon, body):
        self.connection = daemon.connect(timeout=60)
        self.sent_bytes = 0
        self._body = body
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.connection.send(head_of(len(self._body)))
            for start in range(0, len(self._body), 65536):
                self.connection.send(self._body[start:start + 65536])
                self.sent_bytes = min(start + 65536, len(self._body))
        except OSError:
            pass

    def answer(self):
        self._thread.join(60)
        return self.connection.read_response()


def test_it_is_handed_on_before_all_is_there():
    daemon, a, _ = two()
    body = audio(2 << 20)
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(head_of(len(body)) + body[:1 << 20])
            ok(a.wait(lambda: a.arriving and a.arriving.received_bytes > 3 * WINDOW),
               "the backend has most of what was sent", a.arriving)
            eq(a.log(), [], "and waits for the rest")
            connection.send(body[1 << 20:])
            answer = connection.read_response()
            entry = a.log()[-1]
            eq((answer.status, answer.body), (200, entry.answer), "then it answers")
            eq((entry.body == body, entry.header("content-length")), (True, str(len(body))),
               "the bytes are the same, and their number was known")
            connection.request("GET", "/livez")
            eq(connection.read_response().status, 200, "the connection goes on")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_received_bytes_total", len(body), side="client")
    added.check("nexus_sent_bytes_total", len(body), side="upstream")
    added.check("nexus_prompt_tokens_total", 11, model=LABEL, backend="a")


def test_in_chunks():
    daemon, a, _ = two()
    body = audio(1 << 20)
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(head_of(None))
            for start in range(0, len(body), 50001):
                piece = body[start:start + 50001]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
            eq(connection.read_response().status, 200, "answered")
    entry = a.log()[-1]
    eq((entry.body == body, entry.header("transfer-encoding"), entry.header("content-length")),
       (True, "chunked", None), "in chunks upstream, too")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_received_bytes_total", len(body), side="client")


def test_an_alias():
    daemon, a, _ = two()
    body = audio(1 << 20, "whisper-1")
    for n in range(2):
        answer = Sender(daemon, body).answer()
        want = body.replace(b"whisper-1", MODEL.encode(), 1)
        entry = a.log()[-1]
        eq((answer.status, entry.body == want, entry.header("content-length")),
           (200, True, str(len(want))), f"{n}: the name changes, and the length with it")


def test_the_model_behind_the_file():
    daemon, a, _ = two()
    body = form(file_part(SOUND * 3), part("model", "whisper-1"))
    with Counting(daemon) as added:
        answer = Sender(daemon, body).answer()
    eq((answer.status, a.log()[-1].body == body.replace(b"whisper-1", MODEL.encode())),
       (200, True), "is waited for")
    added.check_request(LABEL, "a", 200)


def test_many_at_once():
    daemon, a, _ = two()
    bodies = [audio((1 << 20) + n * 1000) for n in range(16)]
    with Counting(daemon) as added:
        senders = [Sender(daemon, body) for body in bodies]
        eq({s.answer().status for s in senders}, {200}, "16 uploads at once")
    eq(sorted(e.body for e in a.log()) == sorted(bodies), True, "none has a byte of another")
    added.check_request(LABEL, "a", 200, n=16)


def test_a_slow_backend_holds_the_client_up():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], limits={"max_body": "96M"},
             timeouts={"body": 0.5}) as (daemon, _):
        daemon.chat(MODEL)
        before = daemon.resident_bytes()
        a.upload = {"after": 1 << 20, "gate": "held"}
        body = audio(32 << 20)
        with Counting(daemon) as added:
            sender = Sender(daemon, body)
            since = time.monotonic()
            last, still = -1, 0
            while still < 30 or time.monotonic() < since + 1:  # longer than a body may take
                still = still + 1 if sender.sent_bytes == last else 0
                last = sender.sent_bytes
                time.sleep(0.01)
            ok(last < len(body) // 2, "the client is made to wait", last)
            grown = daemon.resident_bytes() - before
            ok(grown < 4 << 20 or daemon.is_sanitized(), "nexusd does not hold it", grown)
            eq(daemon.chat(MODEL).status, 200, "others go on")
            a.gate("held").release()
            answer = sender.answer()
        entry = a.log(PATH)[-1]
        eq((answer.status, entry.body == body), (200, True),
           "and it was not the client that was slow")
        added.check("nexus_requests_total", 2, model=LABEL, backend="a", status="200")


def test_another_backend_while_it_is_held():
    daemon, a, b = two()
    body = audio()
    a.stop()
    with Counting(daemon) as added:
        answer = Sender(daemon, body).answer()
    eq((answer.status, answer.header("x-nexus-backend"), b.log()[-1].body == body),
       (200, "b", True), "nobody is at a: all of it goes to b")
    added.check_request(LABEL, "b", 200)
    added.check("nexus_retries_total", 1, backend="a", reason="connect")
    a.start()
    daemon.wait_healthy(2)


def test_the_time_the_client_takes_is_its_own():
    """smart goes by the average latency, and would leave the backend alone."""
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        def average():
            rows = daemon.get("/admin/backends", address=daemon.admin_address).json()["backends"]
            return rows[0]["average_latency_ms"]
        daemon.chat(MODEL)
        before = average()
        body = audio()
        since = time.monotonic()
        connection = daemon.connect()
        connection.send(head_of(len(body)) + body[:WINDOW * 2])
        a.wait(lambda: a.arriving and a.arriving.received_bytes > WINDOW)
        ok(wait_until(lambda: time.monotonic() > since + 0.3), "the client takes its time")
        connection.send(body[WINDOW * 2:])
        answer = connection.read_response()
        taken = (time.monotonic() - since) * 1000
        upstream = float(answer.header("server-timing").split("upstream;dur=")[1])
        after = average()
    eq(answer.status, 200, "the upload")
    ok(upstream <= taken - 300, "the backend only has to answer", (upstream, taken))
    ok(after <= (upstream + 4 * before) / 5 + 1, "and is as quick as that", (before, after))


def test_a_client_that_has_all_of_the_time():
    with pair(routing={"strategy": "priority_only"}, breaker={"failures": 1},
              timeouts={"total": 0.4}) as (daemon, a, _):
        body = audio()
        with Counting(daemon) as added:
            connection = daemon.connect()
            connection.send(head_of(len(body)) + body[:WINDOW * 2])
            eq(end_of_upload(a), "peer_closed", "the backend has waited long enough")
            connection.send(body[WINDOW * 2:])
            answer = connection.read_response()
        eq((answer.status, answer.error().get("code")), (408, "request_timeout"), "so had nexusd")
        added.check_request(LABEL, "a", 408, "bad_request")
        added.check("nexus_upstream_requests_total", 1, backend="a", outcome="cancelled")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "its circuit is closed")


def test_a_body_that_arrives_is_no_probe():
    """It would keep all others from a backend that is well again."""
    breaker = {"failures": 1, "error_rate": 0, "open": 0.05}
    with pair(routing={"strategy": "priority_only", "max_retries": 0}, breaker=breaker,
              limits={"max_body": "96M"}) as (daemon, a, b):
        a.behave({"status": 500})
        eq(daemon.chat(MODEL).status, 500, "the circuit of a opens")
        ok(wait_until(lambda: daemon.metrics().get("nexus_backend_circuit_state", backend="a",
                                                   state="half_open") == 1), "and is half open")
        body = audio()
        with daemon.connect() as connection:
            connection.send(head_of(len(body)) + body[:WINDOW * 2])
            b.wait(lambda: b.arriving and b.arriving.received_bytes > WINDOW)
            eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "a chat probes it meanwhile")
            connection.send(body[WINDOW * 2:])
            eq(connection.read_response().header("x-nexus-backend"), "b", "the upload went to b")


BREAKER = {"failures": 1, "error_rate": 0, "open": 0.05}


def is_circuit(daemon, name, state):
    return daemon.metrics().get("nexus_backend_circuit_state", backend=name, state=state) == 1


def test_none_by_way_of_the_queue():
    a, b = FakeBackend("a", [MODEL, "chat"]), FakeBackend("b", ["chat"])
    rows = [backend(a, priority=1, max_concurrent=2), backend(b, priority=2)]
    with Rig([a, b], backends=rows, breaker=BREAKER, limits={"max_body": "96M"},
             routing={"strategy": "priority_only", "max_retries": 0}) as (daemon, *_):
        a.behave(*({"status": 503, "gate_half": gate, "chunked": True, "body": "x" * 1000}
                   for gate in ("first", "second")))
        chats = [threading.Thread(target=daemon.chat, args=(MODEL,)) for _ in range(2)]
        for chat in chats:
            chat.start()
        ok(a.wait(lambda: len(a.log()) == 2), "all places are taken")
        body = audio()
        with daemon.connect() as connection:
            connection.send(head_of(len(body)) + body[:WINDOW * 2])
            ok(wait_until(lambda: daemon.metrics().get("nexus_queue_depth") == 1),
               "an upload waits")
            ok(wait_until(lambda: is_circuit(daemon, "a", "half_open")), "a's circuit is half open")
            a.gate("first").release()
            ok(a.wait(lambda: a.arriving and a.arriving.received_bytes > WINDOW),
               "it gets a place, though a fails")
            a.gate("second").release()
            for chat in chats:
                chat.join()
            eq(daemon.chat("chat").header("x-nexus-backend"), "a", "a chat probes it meanwhile")
            connection.send(body[WINDOW * 2:])
            eq(connection.read_response().status, 200, "the upload is answered")


def test_waiting_costs_nothing():
    """While one that must not probe waits for a place, a half-open circuit is no news."""
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    rows = [backend(a, priority=1), backend(b, priority=2, max_concurrent=1)]
    with Rig([a, b], backends=rows, breaker=BREAKER, limits={"max_body": "96M"}, workers=1,
             health={"interval": 60},
             routing={"strategy": "priority_only", "max_retries": 0}) as (daemon, *_):
        a.behave({"status": 500})
        eq(daemon.chat(MODEL).status, 500, "the circuit of a opens")
        ok(wait_until(lambda: is_circuit(daemon, "a", "half_open")), "and is half open")
        body = audio()
        with daemon.connect() as first, daemon.connect() as second:
            for connection in (first, second):
                connection.send(head_of(len(body)) + body[:WINDOW * 2])
                ok(b.wait(lambda: b.arriving and b.arriving.received_bytes > WINDOW), "b has one")
            ok(wait_until(lambda: daemon.metrics().get("nexus_queue_depth") == 1), "one waits")
            before = daemon.metrics().get("nexus_event_loop_lag_seconds_count")
            n_looks = 50
            for _ in range(n_looks):
                after = daemon.metrics().get("nexus_event_loop_lag_seconds_count")
            ok(after - before < 20 * n_looks, "the worker has no more turns than requests need",
               after - before)
            for connection in (first, second):
                connection.send(body[WINDOW * 2:])
                eq(connection.read_response().status, 200, "both are answered")


def test_a_check_closes_it():
    """If only uploads come, nobody may probe."""
    with pair(routing={"strategy": "priority_only", "max_retries": 0}, breaker=BREAKER,
              limits={"max_body": "96M"}, health={"interval": 0.1, "timeout": 1}) as (daemon, a, b):
        a.behave({"status": 500})
        eq(daemon.chat(MODEL).status, 500, "the circuit of a opens")
        ok(wait_until(lambda: is_circuit(daemon, "a", "half_open")), "and is half open")
        eq(Sender(daemon, audio()).answer().header("x-nexus-backend"), "b", "an upload avoids it")
        ok(wait_until(lambda: is_circuit(daemon, "a", "closed")), "a check closes it",
           daemon.stderr)
        eq(Sender(daemon, audio()).answer().header("x-nexus-backend"), "a", "the next one does not")
        a.behave({"status": 500})
        eq(daemon.chat(MODEL).status, 500, "one failure")
        ok(not is_circuit(daemon, "a", "closed"), "opens it again")


def test_none_once_it_is_gone():
    daemon, a, b = two()
    for how in ("close", "rst"):
        a.upload = {"after": 1 << 20, "how": how}
        with Counting(daemon) as added:
            answer = Sender(daemon, audio(4 << 20)).answer()
        eq((answer.status, answer.error().get("code")), (502, "bad_gateway"), f"{how}: 502")
        added.check_request(LABEL, "a", 502, "backend_error")
        added.check("nexus_retries_total", 0)
    eq(b.log(), [], "b could not have had all of it")


def test_answers_that_come_early():
    daemon, a, b = two()
    for status in (400, 413, 503):
        a.upload = {"after": 1 << 20, "how": "linger", "answer":
                    b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\nRetry-After: 7\r\n"
                    b"Content-Length: 14\r\n\r\n{\"error\":\"no\"}" % status}
        with Counting(daemon) as added:
            answer = Sender(daemon, audio(8 << 20)).answer()
        eq((answer.status, answer.body, answer.header("retry-after")),
           (status, b'{"error":"no"}', "7"), f"{status} is relayed")
        added.check("nexus_requests_total", 1, model=LABEL, backend="a", status=str(status))
    eq(b.log(), [], "nothing is tried again")
    events = (b'data: {"type":"transcript.text.delta","delta":"x"}\n\n'
              b'data: {"type":"transcript.text.done","text":"x"}\n\n')
    a.upload = {"after": 1 << 20, "answer": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"
                b"\r\nContent-Length: %d\r\n\r\n" % len(events) + events}
    body = audio(4 << 20)
    with Counting(daemon) as added:
        answer = Sender(daemon, body).answer()
    eq((answer.status, answer.body), (200, events), "one that goes on reading gets the rest")
    eq(a.log()[-1].body == body, True, "all of it")
    added.check_request(LABEL, "a", 200)


def test_a_backend_that_stops_reading():
    daemon, a, _ = two()
    a.upload = {"after": 1 << 20, "gate": "never"}
    with Counting(daemon) as added:
        answer = Sender(daemon, audio(64 << 20)).answer()
    eq((answer.status, answer.error().get("code")), (504, "gateway_timeout"), "is given up")
    added.check_request(LABEL, "a", 504, "timeout")
    a.gate("never").release()
    eq(end_of_upload(a), "peer_closed", "and told so")


def test_a_backend_that_talks_but_does_not_listen():
    """Nobody waits for ever. Some versions of libcurl read the answer to its end meanwhile (8.14 does,
    7.88 does not)."""
    daemon, a, _ = two()
    events = (b'data: {"type":"transcript.text.delta","delta":"%s"}\n\n' % (b"x" * 4000)) * 4000
    a.upload = {"after": 1 << 20, "answer": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"
                b"\r\nContent-Length: %d\r\n\r\n" % len(events) + events}
    got = b""
    with Counting(daemon) as added:
        try:
            got = Sender(daemon, audio(32 << 20)).answer().body
        except Incomplete as broken:
            got = broken.got
    if got == events:
        added.check_request(LABEL, "a", 200)
        return
    ok(len(got) < len(events) and b'"code":"upstream_truncated"' in got[-300:],
       "its answer breaks off", len(got), got[-300:])
    added.check("nexus_upstream_requests_total", 1, backend="a", outcome="timeout")
    added.check_request(LABEL, "a", 504, "timeout")


def end_of_upload(fake):
    """What became of the request whose body came last, or not all of it."""
    fake.wait(lambda: fake.arriving)
    return fake.wait_ended(fake.arriving)


def refused(daemon, a, body, want, name):
    with Counting(daemon) as added:
        answer = Sender(daemon, body).answer()
        eq(end_of_upload(a), "peer_closed", f"{name}: the backend does not get it whole")
    error = answer.error()
    eq((answer.status, error.get("code"), error.get("param")), want, f"{name}: refused")
    eq(a.log(), [], f"{name}: nothing to answer")
    added.check_request(LABEL, "a", want[0], "bad_request")
    added.check("nexus_upstream_requests_total", 1, backend="a", outcome="cancelled")


def test_what_shows_late():
    daemon, a, b = two()
    twice = form(part("model", MODEL), file_part(SOUND), part("model", "x"))
    cases = {"a second model": (twice, (400, "invalid_field", "model")),
             "no end": (audio()[:-4], (400, "invalid_form", None)),
             "something behind the end": (audio() + b"more", (400, "invalid_form", None))}
    for name, (body, want) in cases.items():
        a.reset()
        refused(daemon, a, body, want, name)
    eq(b.log(), [], "nobody else is asked")


def test_too_large_in_chunks():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], limits={"max_body": "2M"}) as (daemon, _):
        body = audio(4 << 20)
        with Counting(daemon) as added:
            with daemon.connect() as connection:
                connection.send(head_of(None))
                try:
                    connection.send(b"%x\r\n%s\r\n" % (len(body), body))
                except ConnectionError:
                    pass
                eq(connection.read_response().status, 413, "413 once it is too large")
            eq(end_of_upload(a), "peer_closed", "the backend is told")
        added.check_request(LABEL, "a", 413, "payload_too_large")


def test_clients_that_leave_or_dawdle():
    daemon, a, b = two()
    body = audio(2 << 20)
    for how in ("close", "reset"):
        a.reset()
        with Counting(daemon) as added:
            connection = daemon.connect()
            connection.send(head_of(len(body)) + body[:1 << 20])
            a.wait(lambda: a.arriving and a.arriving.received_bytes > WINDOW)
            getattr(connection, how)()
            eq(end_of_upload(a), "peer_closed", f"{how}: the backend is told")
        added.check_request(LABEL, "a", 499, "client_disconnect")
        added.check("nexus_client_disconnects_total", 1, stage="receiving")
        eq(added.after.sum("nexus_pending_requests"), 0, f"{how}: nothing is pending")
    a.reset()
    a.upload = {"after": WINDOW // 2, "gate": "held"}
    with Counting(daemon) as added:
        connection = daemon.connect()  # it is made to wait when it leaves
        connection.send(head_of(len(body)) + body[:WINDOW * 2])
        a.wait(lambda: a.arriving)
        connection.reset()
        a.gate("held").release()
    added.check_request(LABEL, "a", 499, "client_disconnect")
    added.check("nexus_upstream_requests_total", 1, backend="a", outcome="cancelled")
    a.reset()
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(head_of(len(body)) + body[:WINDOW + 1000])
            answer = connection.read_response()
        eq(answer.status, 408, "a client that sends no more")
        eq(end_of_upload(a), "peer_closed", "the backend is told")
    added.check_request(LABEL, "a", 408, "bad_request")
    eq(b.log(), [], "nothing of this is tried again")


def test_reload_and_stop():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], limits={"max_body": "96M"},
             timeouts={"drain": 20}) as (daemon, _):
        body = audio(2 << 20)
        connection = daemon.connect()
        connection.send(head_of(len(body)) + body[:1 << 20])
        a.wait(lambda: a.arriving and a.arriving.received_bytes > WINDOW)
        daemon.kill(1)
        daemon.wait_stderr("reload")
        daemon.kill(15)
        ok(wait_until(lambda: is_refused(daemon)), "it takes no more clients")
        connection.send(body[1 << 20:])
        answer = connection.read_response()
        eq((answer.status, a.log()[-1].body == body), (200, True), "the upload is finished first")
        connection.close()
        eq(daemon.wait_exit(), 0, "and then it ends")


def test_half_of_a_body_when_time_is_over():
    for timeouts, signal, want in (({"idle": 1, "body": 60}, 0, (408, "request_timeout")),
                                   ({"drain": 0.2}, 15, (503, "shutting_down"))):
        a = FakeBackend("a", [MODEL])
        with Rig([a], backends=[backend(a)], timeouts=timeouts) as (daemon, _):
            body = audio(2 << 20)
            with Counting(daemon) if not signal else daemon.connect() as context:
                connection = daemon.connect() if not signal else context
                connection.send(head_of(len(body)) + body[:1 << 20])
                a.wait(lambda: a.arriving and a.arriving.received_bytes > WINDOW)
                if signal:
                    daemon.kill(signal)
                answer = connection.read_response()
                eq((answer.status, answer.error().get("code")), want, f"{timeouts}: told so")
                eq(end_of_upload(a), "peer_closed", "and so is the backend")
            if signal:
                eq(daemon.wait_exit(), 0, "it ends")
            else:
                context.check_request(LABEL, "a", 408, "bad_request")


def is_refused(daemon):
    try:
        daemon.connect().close()
        return False
    except OSError:
        return True


if __name__ == "__main__":
    tap.run(globals())
