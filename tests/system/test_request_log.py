#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which requests are logged, with what, and how many at most; as JSON lines and as text."""
import json
import re

import tap
from fake_backend import FakeBackend
from harness import Daemon, Rig, backend, config_text, wait_until
from tap import eq, ok
from test_service import reload

REQUEST = "767cc4bf730645089152e02e72911d5b"
REQUEST_FAILED = "d5a1311c6d8b4538ba6eb6a16c84d019"
WITHHELD = "5e5c55d1ef4840e8aa6001ae449d56d3"
MODEL = "llama3:70b"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PROMPT = "words of the prompt"


def strict(line):
    """A line as JSON that names nothing twice."""
    def members(pairs):
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError(f"a name comes twice: {line}")
        return dict(pairs)
    return json.loads(line, object_pairs_hook=members, parse_constant=None)


def logged(daemon, *ids):
    """The messages with one of these ids, in order; every line must be JSON by now."""
    lines = [strict(line) for line in daemon.stderr_lines]
    return [line for line in lines if line.get("message_id") in ids]


def one(daemon, request_id):
    """The one message about a request."""
    def find():
        return [line for line in logged(daemon, REQUEST, REQUEST_FAILED)
                if line["request_id"] == request_id]
    found = wait_until(find)
    eq(len(found), 1, f"{request_id} is logged once", daemon.stderr)
    return found[0] if found else {}


def rig(fakes=1, **log):
    """Fakes a, b ... with a JSON log."""
    all_fakes = [FakeBackend(name, [MODEL]) for name in "ab"[:fakes]]
    rows = [backend(fake, priority=n + 1) for n, fake in enumerate(all_fakes)]
    return Rig(all_fakes, backends=rows, workers=1, log={"format": "json", **log},
               routing={"strategy": "priority_only", "max_retries": fakes - 1})


def ask(daemon, request_id, **fields):
    return daemon.chat(MODEL, PROMPT, {"X-Request-Id": request_id}, **fields)


def test_quiet_by_default():
    with rig() as (daemon, a):
        for n in range(3):
            eq(ask(daemon, f"good-{n}").status, 200, "a good request")
        a.behave({"status": 400, "json": {"error": {"message": "no"}}})
        eq(ask(daemon, "client-1").status, 400, "a client's mistake")
        eq(daemon.chat("nothing").status, 404, "another")
        a.behave({"status": 500})
        eq(ask(daemon, "bad-1").status, 500, "a failure")
        line = one(daemon, "bad-1")
        eq((line.get("level"), line.get("message_id"), line.get("status"), line.get("outcome")),
           ("warning", REQUEST_FAILED, 500, "backend_error"), "is a warning")
        eq((line.get("model"), line.get("backend"), line.get("attempts"), line.get("route")),
           (MODEL, "a", 1, "/v1/chat/completions"), "that says where")
        a.behave({"status": 401, "json": {"error": {"message": "who are you"}}})
        eq(ask(daemon, "key-1").status, 401, "a key that the backend refuses")
        eq(one(daemon, "key-1").get("outcome"), "backend_error", "is one, too")
        eq(len(logged(daemon, REQUEST, REQUEST_FAILED)), 2, "nothing else is logged")
        ok(PROMPT not in daemon.stderr, "never the prompt")


def test_fields():
    with rig(fakes=2, requests="all") as (daemon, a, b):
        a.behave({"status": 500})
        b.behave({"usage": {"prompt_tokens": 7, "completion_tokens": 5,
                            "prompt_tokens_details": {"cached_tokens": 3},
                            "completion_tokens_details": {"reasoning_tokens": 2}}})
        answer = daemon.chat(MODEL, PROMPT, {
            "X-Request-Id": "plain-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        line = one(daemon, "plain-1")
        want = {"level": "info", "message_id": REQUEST, "trace_id": TRACE, "model": MODEL,
                "backend": "b", "status": 200, "outcome": "ok", "attempts": 2, "tokens_prompt": 7,
                "tokens_completion": 5, "tokens_cached": 3, "tokens_reasoning": 2,
                "received_bytes": len(b.log()[0].body), "sent_bytes": len(answer.body)}
        eq({name: line.get(name) for name in want}, want, "a plain answer", line)
        ok(0 < line["upstream_usec"] <= line["duration_usec"], "times add up", line)
        ok("ttft_usec" not in line, "only streams have a first token", line)
        text = rf"/v1/chat/completions for {MODEL} by b ended with 200 \(ok\) after 0\.\d\d\d s"
        ok(re.fullmatch(text, line["message"]), "and a sentence", line)

        stream = daemon.stream(MODEL, headers={"X-Request-Id": "stream-1"})
        stream.all_data()
        line = one(daemon, "stream-1")
        ok(0 < line.get("ttft_usec", 0) <= line["duration_usec"], "a stream's first token", line)

        eq(daemon.chat("no\nthing\"\\", headers={"X-Request-Id": "odd-1"}).status, 400,
           "a model's name with a newline")
        line = one(daemon, "odd-1")
        eq((line.get("status"), line.get("model"), line.get("outcome")),
           (400, None, "bad_request"), "is in no field", line)
        eq(daemon.get("/v1/models").status, 200, "other routes")
        daemon.settled()
        eq([line["route"] for line in logged(daemon, REQUEST)], ["/v1/chat/completions"] * 3,
           "are not logged")


def test_client_leaves():
    with rig(requests="all") as (daemon, a):
        a.behave({"gate": "held"})
        stream = daemon.stream(MODEL, headers={"X-Request-Id": "gone-1"})
        a.wait_requests(1)
        stream.connection.close()
        line = one(daemon, "gone-1")
        eq((line.get("status"), line.get("outcome"), line.get("level")),
           (499, "client_disconnect", "info"), "a client that left", line)


def test_slow():
    with rig(requests="slow", slow=0) as (daemon, _):
        ask(daemon, "slow-1")
        eq(one(daemon, "slow-1").get("status"), 200, "slow: what took longer than log.slow")
        text = daemon.config_path.read_text()
        ok(reload(daemon, text.replace("slow = 0;", "slow = 1000;")), "a reload changes it")
        ask(daemon, "slow-2")
        text = text.replace('requests = "slow"', 'requests = "all"')
        ok(reload(daemon, text), "and it can be asked for all")
        ask(daemon, "slow-3")
        one(daemon, "slow-3")
        ok("slow-2" not in daemon.stderr, "what was fast was not logged")


def test_sampled():
    with rig(requests="sampled", sample=10) as (daemon, a):
        for n in range(30):
            ask(daemon, f"sampled-{n}")
        a.behave({"status": 500})
        ask(daemon, "failed")
        one(daemon, "failed")
        eq([line["request_id"] for line in logged(daemon, REQUEST)],
           ["sampled-0", "sampled-10", "sampled-20"], "one in ten, and every failure")


def test_none():
    with rig(requests="none", slow=0) as (daemon, a):
        a.behave({"status": 500})
        eq(ask(daemon, "failed").status, 500, "a failure")
        eq(daemon.settled().get("nexus_log_withheld_total"), 0, "is not even withheld")
        eq(logged(daemon, REQUEST, REQUEST_FAILED), [], "none is logged")


def test_flood():
    with rig(rate=5) as (daemon, a):
        a.default = {"status": 500}
        n = 200
        for number in range(n):
            ask(daemon, f"flood-{number}")
        counted = daemon.settled().get("nexus_log_withheld_total")
        daemon.stop()
        lines = logged(daemon, REQUEST_FAILED)
        eq(len(lines) + counted, n, "every failure is logged or counted")
        ok(5 <= len(lines) and counted > 0, "the first ones are logged, not all", len(lines))
        told = logged(daemon, WITHHELD)
        eq(sum(line["count"] for line in told), counted, "and it is told how many were not")
        eq({line["level"] for line in told}, {"warning"}, "as a warning")


def test_flood_is_told_while_it_lasts():
    with rig(rate=1) as (daemon, a):
        a.default = {"status": 500}
        for number in range(3):
            ask(daemon, f"flood-{number}")
        ok(wait_until(lambda: logged(daemon, WITHHELD)), "without a further request")


def test_text():
    a = FakeBackend("a", [MODEL])
    with Daemon(backends=[backend(a)], log={"requests": "all"}) as daemon:
        ask(daemon, "text-1")
        line = daemon.wait_stderr("request_id=text-1")
        ok(line and " info: /v1/chat/completions for llama3:70b by a ended with 200 (ok)" in line
           and " status=200 outcome=ok " in line and "message_id" not in line, "a line of text",
           line)
        text = daemon.config_path.read_text() + "# changed\n"
        ok(reload(daemon, text.replace('requests = "all"', 'requests = "all"; format = "json"')),
           "a reload changes the format")
        mark = len(daemon.stderr_lines)
        ask(daemon, "text-2")
        line = daemon.wait_stderr("text-2", start=mark)
        eq(line and strict(line)["request_id"], "text-2", "from then on", line)
    a.stop()


def test_environment():
    with Daemon(text=config_text(listeners=[{"address": "127.0.0.1:0"}],
                                 backends=[{"name": "demo", "type": "demo"}]), wait=False,
                env={"NEXUSD_LOG_FORMAT": "json"}) as daemon:
        line = daemon.wait_stderr("Serving on")
        eq(line and strict(line)["message_id"], "724b26dc6d8f4ea984f4f740ef6dc847",
           "NEXUSD_LOG_FORMAT", line)


if __name__ == "__main__":
    tap.run(globals())
