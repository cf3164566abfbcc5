#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many clients may be connected: the ceiling of all, the reserve beyond it, and the ceiling of
one address, and what bodies take."""
import json
import re
import resource
import signal

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend, wait_until
from http_client import encode_request
from tap import eq, ok
from test_form import BOUNDARY, file_part, form, part

MODEL = "m"
CHAT = json.dumps(harness.chat_body(MODEL)).encode()
CEILING, RESERVE = 12, 32
FORM = f"multipart/form-data; boundary={BOUNDARY}"
LIMITED = "nexus_client_connections_limited_total"


def daemon_with(fake, **limits):
    return Daemon(backends=[backend(fake)], limits=limits)


def n_connected(daemon):
    """With the one that asks."""
    return int(daemon.metrics().sum("nexus_client_connections"))


def is_served(connection):
    """Whether it has a place below the ceilings."""
    try:
        answer = connection.request("GET", "/livez").read_response()
    except OSError:
        return False
    return answer is not None and answer.status == 200 and answer.header("connection") is None


def have_left(daemon):
    """Whether nexusd knows that all others have."""
    try:
        answer = daemon.get("/metrics")
    except OSError:
        return False
    return answer is not None and b"nexus_client_connections 1\n" in answer.body


def crowd(daemon, n):
    """n connections, each with a place below the ceilings."""
    connections = []

    def add():
        connection = daemon.connect()
        # One that has left is perhaps still counted.
        if is_served(connection):
            connections.append(connection)
        return len(connections) == n
    ok(wait_until(add), f"{n} clients are connected")
    return connections


def close_all(daemon, connections):
    for connection in connections:
        connection.close()
    ok(wait_until(lambda: n_connected(daemon) == 1), "the crowd is forgotten")


def test_reserve():
    fake = FakeBackend("a", [MODEL])
    with daemon_with(fake, max_connections=CEILING) as daemon:
        ok(wait_until(lambda: n_connected(daemon) == 1), "nobody else is there")
        with Counting(daemon) as added:
            connections = crowd(daemon, CEILING)
            for path in ("/health", "/livez", "/readyz", "/metrics"):
                answer = daemon.get(path)
                eq((answer.status, answer.header("connection")), (200, "close"),
                   f"{path} is answered in the reserve, once")
            for method, path in (("GET", "/v1/models"), ("GET", "/v1/stats"), ("GET", "/nowhere")):
                answer = daemon.request(method, path)
                eq((answer.status, answer.error().get("code"), answer.header("connection")),
                   (503, "overloaded", "close"), f"{path} is not")
            answer = daemon.chat(MODEL)
            eq((answer.status, bool(answer.header("retry-after"))), (503, True),
               "nor a request for a model")
            eq(fake.log(), [], "the backend saw nothing of it")
            connections[0].request("POST", "/v1/chat/completions", None, CHAT)
            eq(connections[0].read_response().status, 200, "who was there before is served")
            eq(daemon.request("GET", "/admin/status", address=daemon.admin_address).status, 200,
               "the admin face is")
            close_all(daemon, connections)
            eq(daemon.chat(MODEL).status, 200, "when there is room again, everybody is")
        added.check("nexus_requests_total", 1, status="503")
        added.check("nexus_requests_total", 2, status="200")
        ok(added.delta.sum(LIMITED, limit="max_connections") >= 9,
           "connections beyond the ceiling are counted")
        added.check(LIMITED, 0, limit="max_connections_per_address")
    fake.stop()


def test_beyond_the_reserve():
    fake = FakeBackend("a", [MODEL])
    with daemon_with(fake, max_connections=CEILING) as daemon:
        ok(wait_until(lambda: n_connected(daemon) == 1), "nobody else is there")
        connections = crowd(daemon, CEILING)
        idle = [daemon.connect() for _ in range(RESERVE)]
        waiting = daemon.connect().request("GET", "/livez")
        status = daemon.request("GET", "/admin/status", address=daemon.admin_address)
        eq(status.status, 200, "the admin face has places of its own")
        eq(daemon.request("GET", "/v1/models", address=daemon.admin_address).status, 200,
           "with everything it serves")

        def n_seen():
            answer = daemon.request("GET", "/metrics", address=daemon.admin_address)
            return harness.Metrics(answer.body.decode()).sum("nexus_client_connections")
        ok(wait_until(lambda: n_seen() == CEILING + RESERVE + 1), "no more were taken", n_seen())
        idle.pop().close()
        eq(waiting.read_response().status, 200, "who waited for a place gets one")
        close_all(daemon, connections + idle)
    fake.stop()


def test_ceiling_of_an_address():
    fake = FakeBackend("a", [MODEL])
    with daemon_with(fake, max_connections_per_address=CEILING) as daemon:
        with Counting(daemon) as added:
            connections = crowd(daemon, CEILING)
            beyond = daemon.connect()
            answer = beyond.read_response()
            eq((answer.status, answer.error().get("code")), (503, "overloaded"),
               "one too many is told so")
            ok(beyond.is_closed(), "and closed")
            eq(daemon.request("GET", "/livez", address=daemon.admin_address).status, 200,
               "a unix socket is no address")
            connections.pop().close()
            connections += crowd(daemon, 1)
            for connection in connections:
                connection.close()
            ok(wait_until(lambda: have_left(daemon)), "who leaves makes room")
        ok(added.delta.sum(LIMITED, limit="max_connections_per_address") >= 1, "it is counted")
        added.check(LIMITED, 0, limit="max_connections")
    fake.stop()


def test_bodies():
    """Half-sent bodies share what all bodies may take; what is given back can be used again."""
    fake = FakeBackend("a", [MODEL])
    body = json.dumps(harness.chat_body(MODEL, "x" * 40_000)).encode()
    data = encode_request("POST", "/v1/chat/completions", None, body)
    with daemon_with(fake, max_body="48K", max_bodies="96K") as daemon:
        with Counting(daemon) as added:
            eq({daemon.post("/v1/chat/completions", body).status for _ in range(20)}, {200},
               "one after the other they are taken")
            daemon.settled()  # and what the last one took is given back
            held = [daemon.connect() for _ in range(2)]
            for connection in held:
                connection.send(data[:-1])
            ok(wait_until(lambda: daemon.metrics().sum("gateway_active_requests") == 3),
               "two wait for their ends")
            ok(wait_until(lambda: daemon.post("/v1/chat/completions", body).status == 503),
               "the third finds no room")
            with daemon.connect() as connection:
                connection.send(data)
                answer = connection.read_response()
                eq((answer.status, answer.error().get("code")), (503, "overloaded"), "is told so")
                ok(connection.is_closed(), "and closed")
            eq(daemon.chat(MODEL).status, 200, "a small one still has room")
            held.pop().close()
            ok(wait_until(lambda: daemon.post("/v1/chat/completions", body).status == 200),
               "who leaves makes room for another")
            changed = json.dumps(harness.chat_body(MODEL, "x" * 40_000, stream=True)).encode()
            answer = daemon.post("/v1/chat/completions", changed)
            eq((answer.status, answer.error().get("code")), (503, "overloaded"),
               "not for one and its copy")
            for connection in held:
                connection.send(data[-1:])
                eq(connection.read_response().status, 200, "who waited is served")
            eq(daemon.post("/v1/chat/completions", body).status, 200, "and makes room")
        ok(added.delta.sum("nexus_errors_total", error_type="other") >= 2, "refusals are counted")
        ok(added.delta.sum("nexus_requests_total", status="200") >= 24, "and so are answers")
    with daemon_with(fake, max_body="48K", max_bodies="1K") as daemon:
        changed = json.dumps(harness.chat_body(MODEL, "x" * 40_000, stream=True)).encode()
        for each in body, changed:
            eq(daemon.post("/v1/chat/completions", each).status, 200,
               "one of limits.max_body always has room")
            daemon.settled()
    fake.stop()


def streams_of(daemon, n, path, kind, body):
    """As many streams at once; their bodies together find no room."""
    streams = []
    for number in range(n):
        connection = daemon.connect()
        connection.request("POST", path, {"Content-Type": kind}, body)
        streams.append(harness.Stream(connection))
        eq(streams[-1].head.status, 200, f"{path}: stream {number} has room")
        ok(streams[-1].next_frame(), "and runs")
    return streams


def test_bodies_of_streams():
    """A stream that has begun needs its request no more, nor the copy that asks for the usage."""
    fake = FakeBackend("a", [MODEL])
    chat = json.dumps(harness.chat_body(MODEL, "x" * 40_000, stream=True)).encode()
    upload = form(part("model", MODEL), part("stream", "true"), file_part(b"s" * 400_000))
    events = b'data: {"choices":[]}\n\n' * 3 + b"data: [DONE]\n\n"
    for size, path, kind, body in (("48K", "/v1/chat/completions", "application/json", chat),
                                   ("440K", "/v1/audio/transcriptions", FORM, upload)):
        with daemon_with(fake, max_body=size, max_bodies=size) as daemon:
            fake.default = {"body": events, "chunked": True, "gate_half": "all",
                            "headers": {"Content-Type": "text/event-stream"}}
            with Counting(daemon) as added:
                streams = streams_of(daemon, 16, path, kind, body)
                fake.gate("all").release(16)
                eq([s.all_data()[-1] for s in streams], ["[DONE]"] * 16, "all end well")
            added.check("nexus_requests_total", 16, status="200")
    fake.stop()


def test_bodies_that_are_still_being_sent():
    """The backend answers while it still reads: what it has yet to get is not given up."""
    fake = FakeBackend("a", [MODEL])
    body = json.dumps(harness.chat_body(MODEL, "x" * 9_000_000, stream=True)).encode()
    events = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' \
             b'data: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
    with daemon_with(fake) as daemon, Counting(daemon) as added:
        connection = daemon.connect()
        fake.upload = {"after": 1000, "answer": head % len(events) + events}
        connection.request("POST", "/v1/chat/completions", None, body)
        eq(harness.Stream(connection).read_rest(), events, "the answer comes")
    added.check("nexus_requests_total", 1, status="200")
    fake.stop()


def test_reload():
    fake = FakeBackend("a", [MODEL])
    with daemon_with(fake, max_connections=CEILING) as daemon:
        ok(wait_until(lambda: n_connected(daemon) == 1), "nobody else is there")
        connections = crowd(daemon, 3)

        def reload(**limits):
            daemon.config_path.write_text(daemon.make_config(backends=[backend(fake)],
                                                             limits=limits))
            eq(daemon.request("POST", "/admin/reload", address=daemon.admin_address).status, 200,
               f"a reload with {limits}")
        reload(max_connections=2)
        eq(daemon.get("/v1/models").status, 503, "a lower ceiling holds at once")
        eq(connections[2].request("GET", "/v1/models").read_response().status, 200,
           "and leaves who is there alone")
        reload(max_connections=CEILING)
        eq(daemon.get("/v1/models").status, 200, "a higher one, too")
        close_all(daemon, connections)
    fake.stop()


def test_the_ceiling_is_served():
    """As many as the open files allow find a connection to their backend, too, each of them."""
    fake = FakeBackend("a", [MODEL])
    with Daemon(backends=[backend(fake)], workers=1, launcher=["prlimit", "--nofile=256:256"],
                timeouts={"drain": 1}) as daemon:
        n = int(re.search(r"allows (\d+)", daemon.wait_stderr("allows"))[1])
        fake.default = {"chunks": 3000, "gap": 0.5}
        body = json.dumps(harness.chat_body(MODEL, stream=True)).encode()
        connections = [daemon.connect() for _ in range(n)]
        statuses = [connection.request("POST", "/v1/chat/completions", None, body)
                    .read_head().status for connection in connections]
        eq(statuses, [200] * n, f"{n} streams at once")
        for connection in connections:
            connection.close()
    fake.stop()


def held_at(fake, connections, model):
    """As many requests at once, and so as many connections to the backend; their statuses."""
    body = json.dumps(harness.chat_body(model)).encode()
    asked = len(fake.log())
    for connection in connections:
        connection.request("POST", "/v1/chat/completions", None, body)
    eq(len(fake.wait_requests(asked + len(connections))) - asked, len(connections),
       f"all are at {fake.name} at once")
    fake.gate("hold").release(len(connections))
    return [connection.read_response().status for connection in connections]


def test_idle_connections_make_room():
    """What a burst at one backend leaves open takes no file from those who turn to another."""
    a, b = FakeBackend("a", ["a"]), FakeBackend("b", ["b"])
    with Daemon(backends=[backend(a), backend(b)], workers=1,
                launcher=["prlimit", "--nofile=600:600"]) as daemon:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (200, 600))
        n = 50  # as many more connections are less than 200 files allow, but not twice as many
        connections = [daemon.connect() for _ in range(n)]
        a.default = b.default = {"gate_head": "hold"}
        with Counting(daemon) as added:
            for fake in (a, b, a, b):
                eq(held_at(fake, connections, fake.name), [200] * n, f"{n} at {fake.name}")
        for name in "ab":
            added.check("nexus_upstream_requests_total", 2 * n, backend=name)
            added.check("nexus_upstream_requests_total", 2 * n, backend=name, outcome="ok")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (600, 600))
        connections += [daemon.connect() for _ in range(100)]
        eq(held_at(b, connections, "b"), [200] * 150, "nor is one kept waiting ever after")
        for connection in connections:
            connection.close()
    a.stop()
    b.stop()


def test_open_files_run_out():
    """The last ones are for who watches; what a request lacks then is not its backend's doing."""
    fake = FakeBackend("a", [MODEL])
    with Daemon(backends=[backend(fake)], workers=8, launcher=["prlimit", "--nofile=300:300"],
                timeouts={"drain": 1}) as daemon:
        ok(daemon.wait_stderr("allows 83"), "what workers take is not for connections",
           daemon.stderr)
        # By itself it does not let in so many that they could run out.
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (180, 300))
        fake.default = {"chunks": 3000, "gap": 0.5}
        body = json.dumps(harness.chat_body(MODEL, stream=True)).encode()
        connections = [daemon.connect() for _ in range(48)]
        statuses = [connection.request("POST", "/v1/chat/completions", None, body)
                    .read_head().status for connection in connections]
        n = statuses.count(200)
        eq((n >= 8, statuses.count(503)), (True, len(statuses) - n), "streams, or 503", statuses)
        ok(n < len(statuses), "the files ran out", statuses)
        for address, path in ((None, "/health"), (None, "/metrics"),
                              (daemon.admin_address, "/admin/status")):
            eq(daemon.request("GET", path, address=address).status, 200, f"{path} is answered")
        metrics = daemon.metrics()
        # Some versions of libcurl lack files before an attempt begins (8.14 does, 7.88 does not).
        ended = {row["outcome"] for row, value
                 in metrics.select("nexus_upstream_requests_total") if value}
        eq((daemon.health()["healthy"], ended - {"cancelled"},
            metrics.get("nexus_backend_circuit_state", backend="a", state="closed")),
           (1, set(), 1), "nothing is held against the backend", metrics.text)
        eq(metrics.sum("nexus_retries_total"), 0, "nor tried again, which would lack it, too")
        for connection in connections:
            connection.close()
        fake.default = {}
        ok(wait_until(lambda: daemon.chat(MODEL).status == 200), "then it serves again")
    fake.stop()


def test_clamped_to_the_open_files():
    fake = FakeBackend("a", [MODEL])
    with Daemon(backends=[backend(fake)], launcher=["prlimit", "--nofile=164:164"],
                limits={"max_connections": 34}) as daemon:
        told = daemon.wait_stderr("max_connections is 34.* allows 33")
        ok(told, "said at the start", daemon.stderr)
        daemon.kill(signal.SIGHUP)
        ok(daemon.wait_stderr("configuration reloaded"), "a reload")
        eq(sum("max_connections" in line for line in daemon.stderr_lines), 1, "says it not again")
    fake.stop()


if __name__ == "__main__":
    tap.run(globals())
