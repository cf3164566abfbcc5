#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a client, or a backend, sends to have something else happen than it may ask for: a path that
is read in two ways, text that breaks out of a log or a metric, bodies that cost more than they are
worth. Framing, crowds and series without end have modules of their own."""
import gzip
import json
import re

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, Rig, backend, chat_body
from statsd_receivers import Udp
from tap import eq, ok
from test_scarcity import cpu_seconds

MODEL = "llama3:70b"
# What a terminal obeys, a reader of lines splits at, or a parser of expositions closes at.
NASTY = ["evil\x1b[31m", "evil\x9b31m", "evil\x7f", "evil\n{\"level\":\"info\"}", "evil\r\nevil",
         "evil\0evil", 'evil"} 1\nnexus_up 1', 'evil"} 1 # {', "evil\\", 'evil",x="y',
         "evil:1|c\nevil:1|c", "evil:1|c|@0.1|#a:b", "evil;tag=value", "evil%s%n%p", "evil" * 64]
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
UNROUTABLE = re.compile(r"[\x00-\x1f\x7f]")


# --- one place decides ---

CONFUSING = ["/admin/status", "//admin/status", "/./admin/status", "/v1/../admin/status",
             "/v1/models/../../admin/status", "/%61dmin/status", "/admin%2fstatus", "/ADMIN/status",
             "/admin/status/", "/admin/status%20", "/admin/status;x", "/admin/status%3f",
             "/admin\\status", "/v1/models/..%2f..%2fadmin%2fstatus", "http://x/admin/status",
             "http://x//admin/status", "http://admin/status", "/livez/../admin/status",
             "/metrics/../admin/status", "/dashboard/../admin/status"]


def test_paths_are_read_in_one_way():
    """Whatever a path looks like, and whoever the Host is, no other face answers."""
    port, a = harness.free_port(), FakeBackend("a", [MODEL])
    listeners = [{"address": f"127.0.0.1:{harness.free_port()}", "faces": ["api", "metrics"]},
                 {"address": f"127.0.0.1:{port}", "faces": ["metrics"]}]
    with Daemon(harness.config_text(listeners=listeners, workers=1, backends=[backend(a)]),
                wait=False) as daemon:
        daemon.address = listeners[0]["address"]
        daemon.wait_ready()
        for path in CONFUSING:
            for headers in (None, {"Host": "admin"}, {"X-Forwarded-Prefix": "/admin"},
                            {"X-Original-URL": "/admin/status"}):
                eq(daemon.get(path, headers).status, 404, f"GET {path}, {headers}")
        other = f"127.0.0.1:{port}"
        for path in ("/v1/chat/completions", "/metrics/../v1/chat/completions",
                     "//v1/chat/completions", f"http://{daemon.address}/v1/chat/completions"):
            got = daemon.post(path, chat_body(MODEL), {"Host": daemon.address}, other).status
            ok(got in (404, 405), f"no chat at {path} where there are only metrics", got)
        eq(a.log(), [], "no backend was asked")
    a.stop()


# --- text that breaks out ---


def test_text_of_clients_and_backends_in_the_log():
    a = FakeBackend("a", [MODEL, *(name for name in NASTY if not UNROUTABLE.search(name))])
    for log_format in ("text", "json"):
        with Daemon(backends=[backend(a, discover=True)], routing={"max_retries": 0},
                    log={"level": "debug", "requests": "all", "format": log_format}) as daemon:
            for name in NASTY:
                daemon.chat(name)
                daemon.post("/v1/chat/completions", b'{"model":"%s"' % name.encode())
                daemon.get("/" + "".join(f"%{byte:02X}" for byte in name.encode()))
                daemon.chat(MODEL, headers={"X-Request-Id": name.split("\n", 1)[0].split("\0")[0]
                                            .split("\r")[0], "traceparent": "evil"})
            for behaviour in ({"status": 500, "body": "\x1b[2Jevil\r\nevil"}, {"fault": "garbage"},
                              {"body": "evil\nevil\n", "headers": {"X-Evil": "\x1b["}}):
                a.behave(behaviour)
                daemon.chat(MODEL)
            daemon.settled()
            wrong = [line for line in daemon.stderr_lines if CONTROL.search(line)]
            eq(wrong, [], f"{log_format}: no line holds a control character")
            made_up = ("evil", '{"level":"info"}')
            eq([line for line in daemon.stderr_lines if line.startswith(made_up)], [],
               f"{log_format}: nobody else begins a line")
            ok(all(len(line) < 4096 for line in daemon.stderr_lines), f"{log_format}: none is long")
            ok(any("evil" in line for line in daemon.stderr_lines), f"{log_format}: (it is told)")
            if log_format == "json":
                ok(all(isinstance(json.loads(line), dict) for line in daemon.stderr_lines),
                   "json: each line is an object")
    a.stop()


def test_names_of_models_in_metrics():
    """A backend lists what it likes; every exposition that the harness sees is judged."""
    names = [name for name in NASTY if not UNROUTABLE.search(name)]
    for label_values in ("sanitized", "raw"):
        receiver, a = Udp("plain"), FakeBackend("a", [*NASTY, MODEL])
        statsd = {"enabled": True, "address": receiver.address, "interval": 0.1}
        with Rig([a], backends=[backend(a, discover=True)], statsd=statsd,
                 metrics={"label_values": label_values}) as (daemon, _):
            daemon.wait_models(MODEL, *names)
            with Counting(daemon) as added:
                eq({daemon.chat(name).status for name in names}, {200},
                   f"{label_values}: those without control characters are routed")
                eq({daemon.chat(name).status for name in NASTY if name not in names}, {400},
                   f"{label_values}: the others are refused")
            added.check("nexus_requests_total", len(names), status="200")
            eq(added.after.sum("nexus_up"), 0, f"{label_values}: no sample was made up")
            if label_values == "raw":
                found = added.delta.select("nexus_requests_total", status="200")
                eq(len({labels["model"] for labels, _ in found}), len(names),
                   "raw: each is a series of its own", found)
            ok(harness.wait_until(lambda: any("evil" in name for name in list(receiver.counters))),
               f"{label_values}: they are pushed, too", receiver.counters)
        eq(receiver.bad, [], f"{label_values}: every line of StatsD is well-formed")
        receiver.close()


# --- bodies that cost more than they are worth ---

MANY = 10 << 20
COSTLY = {
    "an open bracket again and again": b'{"model":"m","x":' + b"[" * (MANY - 100),
    "objects in objects": b'{"a":' * (MANY // 6),
    "members by the million": b'{"model":"x",' + b'"x":0,' * (MANY // 7) + b'"y":0}',
    "routed members by the million": b'{"model":"x"' + b',"model":0' * (MANY // 11) + b"}",
    "messages by the million": b'{"model":"x","messages":[' + b"{}," * (MANY // 4) + b"{}]}",
    "escapes by the million": b'{"model":"x","y":"' + b"\\u0041" * (MANY // 7) + b'"}',
    "a name without an end": b'{"' + b"model" * (MANY // 6),
    "a number without an end": b'{"model":"x","y":' + b"9" * (MANY - 100) + b"}",
    "blanks": b" " * (MANY - 1),
    "bytes that are no text": b'{"model":"' + b"\xff" * (MANY - 100),
}


def test_costly_bodies():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], timeouts={"body": 60}, workers=1) as (daemon, _):
        daemon.chat(MODEL)
        before = daemon.resident_bytes()
        for name, body in COSTLY.items():
            spent = cpu_seconds(daemon)
            answer = daemon.post("/v1/chat/completions", body)
            spent = cpu_seconds(daemon) - spent
            ok(answer.status in (400, 404), f"{name}: {answer.status}", answer)
            ok(spent < 1 or daemon.is_sanitized(), f"{name}: judged in less than a second", spent)
        grown = daemon.resident_bytes() - before
        ok(grown < 2 * MANY or daemon.is_sanitized(), "they cost a worker the memory of one", grown)


def test_bombs_are_not_unpacked():
    """64 MiB of zeros in 64 KiB: nobody but the client unpacks them."""
    a = FakeBackend("a", [MODEL])
    bomb = gzip.compress(bytes(64 << 20))
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        daemon.chat(MODEL)
        before = daemon.resident_bytes()
        for stream in (False, True):
            a.behave({"body": bomb, "headers": {"Content-Encoding": "gzip"}})
            eq(daemon.chat(MODEL, stream=stream).body, bomb, f"passes as it is, stream {stream}")
        eq(daemon.post("/v1/chat/completions", bomb, {"Content-Encoding": "gzip"}).status, 415,
           "a client's is refused")
        grown = daemon.resident_bytes() - before
        ok(grown < 8 << 20 or daemon.is_sanitized(), "memory stays", grown)


# --- numbers that do not fit ---

NUMBERS = ["-1", "1.5", "1e3", "9007199254740993", "18446744073709551616", "1e400", "-0", '"7"',
           "null", "[]", "true", "9" * 400]


def test_numbers_that_do_not_fit():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], routing={"max_retries": 0}) as (daemon, _):
        for number in NUMBERS:
            usage = '{"prompt_tokens":%s,"completion_tokens":%s}' % (number, number)
            with Counting(daemon) as added:
                a.behave({"body": '{"choices":[],"usage":%s}' % usage},
                         {"body": 'data: {"choices":[{"index":0,"delta":{},"finish_reason":'
                                  '"stop"}],"usage":%s}\n\ndata: [DONE]\n\n' % usage,
                          "headers": {"Content-Type": "text/event-stream"}},
                         {"status": 503, "headers": {"Retry-After": number}})
                statuses = [daemon.chat(MODEL).status, daemon.chat(MODEL, stream=True).status,
                            daemon.chat(MODEL, max_tokens=10 ** 30).status]
            eq(statuses, [200, 200, 503], f"{number[:30]}: answered")
            added.check("nexus_tokens_total_sum", 0)
        a.behave({"usage": {"prompt_tokens": 1 << 53, "completion_tokens": 1 << 53}})
        with Counting(daemon) as added:
            eq(daemon.chat(MODEL).status, 200, "the largest usage there may be")
        added.check("nexus_tokens_total_sum", 1 << 53, type="prompt")


if __name__ == "__main__":
    tap.run(globals())
