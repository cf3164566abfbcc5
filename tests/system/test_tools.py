#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The tools themselves: the fake backend, the raw client, the metrics parser. No nexusd here."""
import json

import fake_answers
import harness
import tap
from fake_backend import FakeBackend
from http_client import Connection, Incomplete, Stream, content_of, encode_request
from prometheus_text import Metrics, sanitize
from steady import growth
from tap import eq, ok


def post(fake, behaviour=None, stream=False, path="/v1/chat/completions", **fields):
    body = json.dumps({**harness.chat_body(fake.models[0], "hi", **fields),
                       "stream": stream, "x_fake": {"*": behaviour or {}}}).encode()
    connection = Connection(f"127.0.0.1:{fake.port}")
    connection.send(encode_request("POST", path, None, body))
    return connection


def test_plain_answers():
    fake = FakeBackend("t")
    for path in fake_answers.MODEL_PATHS:
        answer = post(fake, path=path, input="x", prompt="hi").read_response()
        eq(answer.status, 200, f"{path} answers")
        ok(path == "/v1/audio/speech" or "usage" in answer.json(), f"{path} has usage")
        entry = fake.log(path)[-1]
        fake.wait_ended(entry)
        eq((entry.outcome, entry.status, entry.answer), ("complete", 200, answer.body),
           f"{path} is in the log as sent")
    answer = post(fake, {"status": 429, "retry_after": 7}).read_response()
    eq((answer.status, answer.header("retry-after")), (429, "7"), "429 with Retry-After")
    answer = post(fake, {"chunked": True}).read_response()
    eq(answer.json()["x_backend"], "t", "chunked answer")
    fake.stop()


def test_streams():
    fake = FakeBackend("t")
    stream = Stream(post(fake, {"gate": "g", "chunks": 2}, stream=True))
    eq(json.loads(stream.next_data())["choices"][0]["delta"]["content"], "[hi]", "first frame")
    stream.connection.socket.settimeout(0.05)
    try:
        stream.next_data()
        ok(False, "the gate holds the second frame")
    except TimeoutError:
        ok(True, "the gate holds the second frame")
    stream.connection.socket.settimeout(20)
    fake.gate("g").release(10)
    events = stream.all_data()
    eq(content_of(events), " t0 t1", "the rest came after the gate opened")
    eq((events[-1], stream.is_cut), ("[DONE]", False), "proper end")
    stream = Stream(post(fake, {"after": 2, "how": "close"}, stream=True))
    eq((len(stream.all_data()), stream.is_cut), (2, True), "cut after two frames")
    stream = Stream(post(fake, {"after": 2, "how": "end"}, stream=True))
    eq((len(stream.all_data()), stream.is_cut), (2, False), "ended after two frames")
    for key in ("bom", "comment", "split", "multiline"):
        data = Stream(post(fake, {key: True}, stream=True)).all_data()
        eq(data[-1], "[DONE]", f"stream with {key}")
    asked = Stream(post(fake, stream=True, stream_options={"include_usage": True})).all_data()
    ok(json.loads(asked[-2])["usage"]["completion_tokens"] == 3, "usage when asked")
    fake.stop()


def test_faults():
    fake = FakeBackend("t")

    def outcome(behaviour):
        connection = post(fake, behaviour)
        try:
            answer = connection.read_response()
            return answer.status if answer else "closed"
        except Incomplete:
            return "incomplete"
        except ConnectionError:
            return "reset"
        except (ValueError, IndexError):
            return "unreadable"

    wanted = {"close": "closed", "rst": "reset", "cut": "incomplete", "cut_chunked": "incomplete",
              "garbage": "unreadable", "slow_head": 200, "drip": 200, "extra": 200,
              "error_event": 200, "invalid_json": 200, "bad_length": "unreadable"}
    for name, want in wanted.items():
        eq(outcome({"fault": name}), want, f"fault {name}")
    eq(outcome({"fault": "huge", "size": 1 << 20}), 200, "fault huge")
    eq(outcome({"fault": "redirect", "location": "http://x/"}), 302, "fault redirect")
    for name in ("never", "head_stall"):
        n_before = len(fake.log())
        connection = post(fake, {"fault": name})
        entry = fake.wait_requests(n_before + 1)[-1]
        connection.close()
        eq(fake.wait_ended(entry), "peer_closed", f"fault {name}: sees the peer leave")
    fake.stop()


def test_life_and_script():
    fake = FakeBackend("t")
    fake.behave({"status": 500}, {"status": 503})
    eq([post(fake).read_response().status for _ in range(3)], [500, 503, 200],
       "the script answers in its order, then the default")
    fake.stop()
    try:
        Connection(f"127.0.0.1:{fake.port}")
        ok(False, "refused while stopped")
    except ConnectionRefusedError:
        ok(True, "refused while stopped")
    fake.start()
    eq(post(fake).read_response().status, 200, "answers again on the same port")
    connection = Connection(f"127.0.0.1:{fake.port}")
    connection.request("GET", "/v1/models")
    eq(connection.read_response().json()["data"][0]["id"], "model-a", "models")
    connection.request("GET", "/_fake/log")
    eq(len(connection.read_response().json()), 4, "the log over HTTP")
    fake.stop()


def test_metrics_parser():
    metrics = Metrics('# TYPE a_total counter\na_total{x="1",y="q\\"}"} 3\na_total{x="2"} 4\n'
                      'b 1.5 # {trace="x"} 1\n# EOF\n')
    eq(metrics.sum("a_total"), 7, "sum")
    eq(metrics.get("a_total", x="2"), 4, "get")
    eq(metrics.get("b"), 1.5, "exemplars are passed over")
    eq(len(metrics.select("a_total", x="1")), 1, "select")
    eq(metrics.since(Metrics('a_total{x="2"} 1\nb 1.5\n')).get("a_total", x="2"), 3, "since")
    eq([sanitize(n) for n in ("gpt-4", "ollama:11434", "123model")],
       ["gpt_4", "ollama_11434", "_123model"], "label rule")
    try:
        Metrics("a 1\na 2\n")
        ok(False, "a sample twice is refused")
    except ValueError:
        ok(True, "a sample twice is refused")


def test_configuration_writer():
    eq(harness.config_text(a=1, b=[{"x": "q\"", "y": True}], c=["s"], d={"e": 0.5}),
       'a = 1;\nb = ( { x = "q\\""; y = true; } );\nc = [ "s" ];\nd = { e = 0.5; };\n',
       "libconfig text")


def test_growth():
    flat = [(t, 1000 + 300 * (t % 7 == 0) - t % 3) for t in range(100)]
    ok(abs(growth(flat)) < 10, "outliers and noise are no growth", growth(flat))
    leak = [(t, value + 2 * t) for t, value in flat]
    ok(150 < growth(leak) < 250, "a leak is", growth(leak))


if __name__ == "__main__":
    tap.run(globals())
