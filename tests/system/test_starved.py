#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each call on the way of a request that can fail, an allocation, a socket's, libcurl's or
libmicrohttpd's, fails in turn (tests/faults): the client gets an error or a close, nexusd lives on,
and the books are right."""
import json
import mmap
import pathlib
import struct
import tempfile

import harness
import tap
from fake_backend import FakeBackend
from harness import Daemon, backend, chat_body
from http_client import Incomplete, encode_request
from statsd_receivers import Tcp, expected
from tap import Skip, diag, eq, ok
from test_form import BOUNDARY, file_part, form, part

MODEL = "m"
CALLS_MAX = 200


class Famine:
    """The page that a nexusd with faults shares: which call fails, and how many there were."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "faults"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with self.path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def begin(self, fail_at):
        struct.pack_into("=QQ", self._page, 0, fail_at, 0)

    def name(self):
        """Of the call that failed."""
        return self._page[24:64].split(b"\0")[0].decode()

    def is_over(self):
        fail_at, n_calls = struct.unpack_from("=QQ", self._page)
        return n_calls >= fail_at

    def end(self):
        """Tells whether the chosen call was reached."""
        fail_at, n_calls = struct.unpack_from("=QQ", self._page)
        struct.pack_into("=Q", self._page, 0, 0)
        return n_calls >= fail_at


def chat(stream=False, model=MODEL, chunked=False, **fields):
    body = json.dumps(chat_body(model, stream=stream, **fields)).encode()
    if not chunked:
        return encode_request("POST", "/v1/chat/completions", None, body)
    head = encode_request("POST", "/v1/chat/completions", {"Transfer-Encoding": "chunked"})
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:40], body[40:], b""))


def upload(n_bytes):
    body = form(part("model", "alias"), file_part(b"s" * n_bytes))
    return encode_request("POST", "/v1/audio/transcriptions", {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, body)


# name: (the request, what backend a does, what backend b does)
REQUESTS = {
    "GET /livez": (encode_request("GET", "/livez"), None, None),
    "GET /health": (encode_request("GET", "/health?verbose"), None, None),
    "GET /v1/models": (encode_request("GET", "/v1/models"), None, None),
    "GET /v1/stats": (encode_request("GET", "/v1/stats?history=1"), None, None),
    "GET /metrics": (encode_request("GET", "/metrics"), None, None),
    "GET /metrics in gzip": (encode_request("GET", "/metrics", {"Accept-Encoding": "gzip"}),
                             None, None),
    "an unknown path": (encode_request("POST", "/nowhere", None, b"{}"), None, None),
    "no JSON": (encode_request("POST", "/v1/chat/completions", None, b"{"), None, None),
    "an unknown model": (chat(model="unknown"), None, None),
    "a plain answer": (chat(), {}, {}),
    "a chunked request for an alias": (chat(model="alias", chunked=True), {}, {}),
    "a large answer": (chat(), {"fault": "huge", "size": 300000}, {}),
    "a stream": (chat(stream=True, model="alias"), {}, {}),
    "a stream in bytes": (chat(stream=True), {"split": True, "multiline": True}, {}),
    "a stream that is cut": (chat(stream=True), {"after": 2}, {}),
    "a response": (encode_request("POST", "/v1/responses", None, json.dumps(
        {"model": MODEL, "input": "x", "stream": True}).encode()), {}, {}),
    "a form": (upload(1000), {}, {}),
    "an upload that is handed on while it comes": (upload(600000), {}, {}),
    "a second attempt": (chat(stream=True), {"status": 500}, {}),
    "a fallback model": (chat(model="weak"), {"status": 500}, {}),
    "nobody answers": (chat(), {"fault": "close"}, {"fault": "close"}),
}


def ask(daemon, data):
    """The status, None when the connection just ended, 0 when nothing came."""
    with daemon.connect() as connection:
        try:
            connection.send(data)
            answer = connection.read_head()
        except (ConnectionError, Incomplete):
            return None
        except TimeoutError:
            return 0
        try:
            if answer:
                connection.read_body()
        except (ConnectionError, Incomplete):
            pass
        return answer and answer.status


def starve(daemon, famine, fakes, name):
    data, *behaviours = REQUESTS[name]
    seen = []
    for fail_at in range(CALLS_MAX):  # the first round fails nothing: caches fill
        for fake, behaviour in zip(fakes, behaviours):
            fake.reset()
            fake.default = behaviour or {}
        famine.begin(fail_at)
        seen.append(ask(daemon, data))
        if seen[-1] == 0:
            diag(f"{name}: nothing comes when call {fail_at} fails, {famine.name()}")
        if not famine.end():
            break
        if daemon.process.poll() is not None:
            break
    ok(daemon.process.poll() is None, f"{name}: nexusd outlives {len(seen) - 2} failures",
       daemon.stderr)
    ok(all(status is None or status == seen[0] or status >= 500 for status in seen),
       f"{name}: an error, a close or the answer", seen)


def find_with_faults():
    program = pathlib.Path(harness.find_program()).parent / "tests/system/translated_nexusd"
    if not program.is_file():
        raise Skip("tests/system/translated_nexusd is not built")
    return str(program)


def test_every_call_fails_once():
    program = find_with_faults()
    a, b = FakeBackend("a", [MODEL, "weak"]), FakeBackend("b", [MODEL])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        famine = Famine(folder)
        with Daemon(program=program, env={"NEXUSD_TEST_FAULT_PAGE": str(famine.path)},
                    workers=1, backends=[backend(a), backend(b)], health={"interval": 3600},
                    routing={"strategy": "priority_only",
                             "aliases": [{"name": "alias", "model": MODEL}],
                             "fallbacks": [{"model": "weak", "to": [MODEL]}]}) as daemon:
            for name in REQUESTS:
                starve(daemon, famine, (a, b), name)
            after = daemon.settled()
            failed = sum(n for labels, n in after.select("nexus_requests_total")
                         if not labels["status"].startswith("2"))
            eq(after.sum("nexus_errors_total"), failed, "each failure is an error, once")
            eq(after.sum("nexus_errors_total", error_type="client_disconnect"), 0,
               "none is blamed on the client")
            eq(after.sum("nexus_request_duration_seconds_count"),
               after.sum("nexus_requests_total"), "each request has a duration")
            eq(after.sum("nexus_active_streams"), 0, "no stream is left")
            ok(harness.wait_until(lambda: daemon.metrics().sum("nexus_client_connections") == 1),
               "no connection is left")
    a.stop()
    b.stop()


def test_pushes():
    """What a push found no memory for comes with a later one."""
    program = find_with_faults()
    receiver, a = Tcp("plain"), FakeBackend("a", [MODEL])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        famine = Famine(folder)
        with Daemon(program=program, env={"NEXUSD_TEST_FAULT_PAGE": str(famine.path)},
                    workers=1, backends=[backend(a)], health={"interval": 3600},
                    statsd={"enabled": True, "address": receiver.address,
                            "interval": 0.1}) as daemon:
            for fail_at in range(1, 30):
                daemon.chat(MODEL)
                n = receiver.n_pushes()
                famine.begin(fail_at)
                harness.wait_until(lambda: famine.is_over() or receiver.n_pushes() > n + 1)
                famine.end()
            daemon.settled()
            want = expected(daemon.get("/metrics").body.decode())
            got = harness.wait_until(lambda: receiver.still_counters() == want)
            ok(got, "every count arrives", receiver.still_counters(), want)
            ok(len(receiver.bad) == 0, "every line is well-formed")
    receiver.close()
    a.stop()


def reload(daemon, famine, fail_at, **options):
    """Tells whether it succeeded, and whether the chosen call was reached."""
    def n_done():
        return daemon.metrics().sum("nexus_config_reloads_total", result="success")
    before = n_done()
    daemon.config_path.write_text(daemon.make_config(**options))
    famine.begin(fail_at)
    try:
        daemon.request("POST", "/admin/reload", address=daemon.admin_address)
    except (ConnectionError, Incomplete):
        pass  # its answer found no memory
    reached = famine.end()
    return n_done() > before, reached


def test_reloads():
    """One that fails leaves everything as it was; one that does not is in force everywhere."""
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    usual = {"workers": 1, "health": {"interval": 0.2, "timeout": 1}}
    old = {"backends": [backend(a, discover=True)], **usual}
    new = {"backends": [{**backend(b, discover=True, zone="open"), "name": "a"}],
           "routing": {"policies": [{"match": MODEL, "zone": "restricted"}]}, **usual}
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        famine = Famine(folder)
        with Daemon(program=find_with_faults(),
                    env={"NEXUSD_TEST_FAULT_PAGE": str(famine.path)}, **old) as daemon:
            failing, lax = [], []
            for fail_at in range(1, 1000):
                done, reached = reload(daemon, famine, fail_at, **new)
                if not reached:
                    break
                if not done:
                    failing.append(fail_at)
                    continue
                if daemon.chat(MODEL).status == 200:
                    lax.append((fail_at, famine.name()))
                reload(daemon, famine, 0, **old)
            ok(done and not reached, "a reload with each of its calls failing",
               (fail_at, len(failing)))
            eq(lax, [], "no worker goes on without the policy")
            reload(daemon, famine, 0, **old)
            # The last are those that fail early: what a later one would mend stays.
            for fail_at in reversed(failing):
                if reload(daemon, famine, fail_at, **new)[0]:  # a check had that call this time
                    reload(daemon, famine, 0, **old)
            a.models = [MODEL, "more"]
            ok(daemon.wait_models(MODEL, "more"), "the backend of before is the one in force")
            eq((daemon.health()["healthy"], daemon.chat(MODEL).status), (1, 200), "healthy")
    a.stop()
    b.stop()


if __name__ == "__main__":
    tap.run(globals())
