#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What nexusd passes on without knowing it: responses, rankings, images, speech."""
import json

import fake_media
import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, pair, shared, wait_until
from http_client import Incomplete
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"
EVENTS = {"Content-Type": "text/event-stream"}
JSON_PATHS = ["/v1/responses", "/v1/rerank", "/v1/images/generations", "/v1/audio/speech"]


@shared
def two():
    return pair(timeouts={"stream_idle": 0.5, "first_byte": 5},
                routing={"strategy": "priority_only", "max_retries": 2,
                         "aliases": [{"name": "gpt-4", "model": MODEL}]})


def ask(daemon, path, **fields):
    return daemon.post(path, {"model": MODEL, "input": "hi", **fields})


def respond(daemon, path="/v1/responses", **fields):
    """Begins a streamed request."""
    connection = daemon.connect()
    body = json.dumps({"model": MODEL, "input": "hi", "stream": True, **fields}).encode()
    connection.request("POST", path, None, body)
    return harness.Stream(connection)


def test_bytes_pass_both_ways():
    daemon, a, _ = two()
    for path in JSON_PATHS:
        body = b' {"x":[1.50,{"model":"no"}], "model" :"llama3:70b","input":"\\u00e9" }\n'
        with Counting(daemon) as added:
            answer = daemon.post(path, body)
        entry = a.log(path)[-1]
        eq((answer.status, entry.body), (200, body), f"{path}: the request as it was")
        eq(answer.body, entry.answer, f"{path}: the answer as it was")
        eq(entry.header("content-type"), "application/json", f"{path}: JSON upstream")
        eq(answer.header("x-nexus-backend"), "a", f"{path}: X-Nexus-Backend")
        added.check_request(LABEL, "a", 200)
        added.check("gateway_requests_total", 1, method="POST", path=path, status="200")
        added.check("nexus_upstream_requests_total", 1, backend="a", outcome="ok")


def test_aliases_and_names_nobody_knows():
    daemon, a, _ = two()
    for path in JSON_PATHS:
        eq(daemon.post(path, b'{"model" : "gpt-4" ,"k":1.0}').status, 200, f"{path}: an alias")
        eq(a.log(path)[-1].body, b'{"model" : "llama3:70b" ,"k":1.0}', f"{path}: only its value")
        with Counting(daemon) as added:
            eq(daemon.post(path, {"model": "none"}).error().get("code"), "model_not_found",
               f"{path}: an unknown model")
            eq(daemon.post(path, {"input": "x"}).error().get("param"), "model",
               f"{path}: no model at all")
        added.check("nexus_requests_total", 1, model="_unknown", backend="none", status="404")
        added.check("nexus_requests_total", 1, model="_unknown", backend="none", status="400")


USAGE = {
    "/v1/responses": ({"input_tokens": 30, "output_tokens": 12,
                       "input_tokens_details": {"cached_tokens": 8},
                       "output_tokens_details": {"reasoning_tokens": 5}}, (30, 12, 8, 5)),
    "/v1/images/generations": ({"input_tokens": 3, "output_tokens": 4000}, (3, 4000, 0, 0)),
    "/v1/rerank": ({"prompt_tokens": 17, "total_tokens": 17}, (17, 0, 0, 0)),
}
TOKENS = ["nexus_prompt_tokens_total", "nexus_completion_tokens_total",
          "nexus_cached_prompt_tokens_total", "nexus_reasoning_tokens_total"]


def test_usage():
    daemon, a, _ = two()
    for path, (usage, want) in USAGE.items():
        a.behave({"usage": usage})
        with Counting(daemon) as added:
            eq(ask(daemon, path).status, 200, f"{path}: answered")
        eq(tuple(added.delta.sum(name, model=LABEL, backend="a") for name in TOKENS), want,
           f"{path}: its tokens")
        added.check("nexus_usage_missing_total", 0)
    with Counting(daemon) as added:
        ask(daemon, "/v1/audio/speech")
    added.check("nexus_usage_missing_total", 1, model=LABEL, backend="a")


def test_another_backend_is_asked_after_404_and_405():
    daemon, a, b = two()
    for path in JSON_PATHS:
        for status in (404, 405):
            a.behave({"status": status})
            with Counting(daemon) as added:
                answer = ask(daemon, path)
            eq((answer.status, answer.header("x-nexus-backend"),
                answer.header("x-nexus-attempts")), (200, "b", "2"), f"{path}: {status} at a")
            added.check_request(LABEL, "b", 200)
            added.check("nexus_upstream_requests_total", 1, backend="a", outcome="http_4xx")
            added.check("nexus_retries_total", 1, backend="a", reason="http_4xx")
    a.behave({"status": 404})
    b.behave({"status": 404, "json": {"error": {"message": "no such response"}}})
    before = len(a.log()) + len(b.log())
    with Counting(daemon) as added:
        answer = ask(daemon, "/v1/responses")
    eq((answer.status, answer.error().get("message")), (404, "no such response"),
       "the last answer is relayed")
    eq(len(a.log()) + len(b.log()) - before, 2, "nobody is asked twice for that")
    added.check_request(LABEL, "b", 404, "bad_request")
    a.behave({"status": 404})
    eq(daemon.chat(MODEL).status, 404, "for a completion 404 is an answer")


def test_failures_are_retried_as_any():
    daemon, a, b = two()
    for behaviour in ({"status": 500}, {"fault": "rst"}, {"fault": "cut"},
                      {"fault": "invalid_json"}, {"fault": "error_event"}):
        stream = behaviour.get("fault") == "error_event"
        a.behave(behaviour)
        with Counting(daemon) as added:
            answer = ask(daemon, "/v1/responses", stream=stream)
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"), f"{behaviour} at a")
        added.check_request(LABEL, "b", 200)


def test_speech_is_handed_on_as_it_comes():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        a.behave({"gate_half": "half", "chunked": True})
        connection = daemon.connect()
        connection.request("POST", "/v1/audio/speech", None,
                           json.dumps({"model": MODEL, "input": "x"}).encode())
        head = connection.read_response(head_only=True)
        eq((head.status, head.header("content-type")), (200, "audio/mpeg"), "the head")
        got = connection.read_piece()
        entry = a.log()[0]
        ok(got and entry.outcome is None, "sound comes before all of it is made", len(got))
        a.gate("half").release()
        eq(got + connection.read_body(), fake_media.SPEECH, "and then the rest")
        with Counting(daemon) as added:
            a.behave({"fault": "cut_sound"})
            connection.request("POST", "/v1/audio/speech", None,
                               json.dumps({"model": MODEL, "input": "x"}).encode())
            try:
                connection.read_response()
                ok(False, "sound that breaks off breaks off here, too")
            except (Incomplete, ConnectionError):
                ok(True, "sound that breaks off breaks off here, too")
        added.check_request(LABEL, "a", 502, "backend_error")
        a.default = {"body": b"\x00\xff" * 100, "headers": {"Content-Type": "application/json"}}
        eq(ask(daemon, "/v1/audio/speech").status, 502, "what says it is JSON must be JSON")
        a.default = {}
        a.behave({"status": 400, "body": b"<p>no</p>", "headers": {"Content-Type": "text/html"}})
        eq(ask(daemon, "/v1/audio/speech").body, b"<p>no</p>", "an error of any type is relayed")
        a.behave({"body": b"\x00\xff", "headers": {"Content-Type": ""}})
        eq(ask(daemon, "/v1/audio/speech").body, b"\x00\xff", "what does not say so need not be")
        a.behave({"body": b"", "headers": {"Content-Type": "audio/wav"}})
        eq(ask(daemon, "/v1/audio/speech").status, 200, "no sound is an answer, too")


def test_a_response_comes_event_by_event():
    daemon, a, _ = two()
    a.behave({"gate": "step", "chunks": 4, "usage": {"input_tokens": 21, "output_tokens": 4}})
    with Counting(daemon) as added:
        stream = respond(daemon)
        eq(stream.head.status, 200, "the head comes with the first event")
        frames = [stream.next_frame()]
        for _ in range(6):
            a.gate("step").release()
            frames.append(stream.next_frame())
        ok(a.log()[0].outcome is None, "while the backend is still at it")
        a.gate("step").release(10)
        while (frame := stream.next_frame()) is not None:
            frames.append(frame)
    entry = a.log()[0]
    eq((b"".join(frames), stream.is_cut), (entry.answer, False), "byte for byte, event: lines too")
    eq(json.loads(entry.body), {"model": MODEL, "input": "hi", "stream": True},
       "no stream_options are put in")
    ok(frames[-1].startswith(b"event: response.completed") and b"[DONE]" not in entry.answer,
       "the last event is its end", frames[-1:])
    added.check_request(LABEL, "a", 200)
    added.check("nexus_tokens_total_sum", 21, type="prompt", model=LABEL, backend="a")
    added.check("nexus_tokens_total_sum", 4, type="completion", model=LABEL, backend="a")
    added.check("nexus_time_to_first_token_seconds_count", 1, model=LABEL, backend="a")
    added.check("nexus_inter_chunk_seconds_count", 3, model=LABEL, backend="a")


def error_of(stream):
    """The last frame, which must be an event that tells an error."""
    frames = stream.read_rest().split(b"\n\n")
    eq(frames[-1], b"", "the last event is whole")
    lines = frames[-2].split(b"\n")
    eq(lines[0], b"event: error", "it is called error")
    return len(frames) - 2, json.loads(lines[1].removeprefix(b"data: "))


def test_responses_that_break():
    daemon, a, b = two()
    for how, status, kind in (("close", 502, "backend_error"), ("rst", 502, "backend_error"),
                              ("end", 502, "backend_error"), ("stall", 504, "timeout")):
        a.behave({"after": 4, "how": how})
        with Counting(daemon) as added:
            stream = respond(daemon)
            n_whole, error = error_of(stream)
        eq((stream.head.status, n_whole), (200, 4), f"{how}: all whole events came before it")
        eq((error["type"], error["code"], error["error"]["code"]),
           ("error", "upstream_truncated", "upstream_truncated"), f"{how}: told in both ways")
        added.check_request(LABEL, "a", status, kind)
    eq(b.log(), [], "nothing is tried again")


def test_ends_of_responses():
    daemon, a, _ = two()
    for last in ("response.completed", "response.incomplete"):
        a.behave({"last": last})
        with Counting(daemon) as added:
            stream = respond(daemon)
            raw = stream.read_rest()
        eq((raw, stream.is_cut), (a.log()[-1].answer, False), f"{last} is an end")
        added.check_request(LABEL, "a", 200)
    a.behave({"last": "response.failed"})
    with Counting(daemon) as added:
        raw = respond(daemon).read_rest()
    eq(raw, a.log()[-1].answer, "response.failed is relayed, and nothing added")
    added.check_request(LABEL, "a", 502, "backend_error")
    a.behave({"after": 99, "how": "rst"})
    with Counting(daemon) as added:
        raw = respond(daemon).read_rest()
    eq(raw, a.log()[-1].answer, "what is cut after the last event was whole")
    added.check_request(LABEL, "a", 200)


def test_a_response_that_fails_at_once():
    daemon, a, b = two()
    for text in ('{"type":"response.failed","response":{"status":"failed"}}',
                 '{"type":"error","code":"x","message":"no","param":null}'):
        a.behave({"body": f"event: x\ndata: {text}\n\n", "headers": EVENTS})
        with Counting(daemon) as added:
            stream = respond(daemon)
            stream.read_rest()
        eq(stream.head.header("x-nexus-backend"), "b", "the other backend answers")
        added.check_request(LABEL, "b", 200)
        added.check("nexus_retries_total", 1, backend="a", reason="http_5xx")


def test_streams_of_images_and_speech():
    daemon, a, _ = two()
    image = "A" * 400000  # larger than what is looked into
    body = ('event: image_generation.partial_image\n'
            'data: {"type":"image_generation.partial_image","b64_json":"QUJD"}\n\n'
            'event: image_generation.completed\n'
            'data: {"type":"image_generation.completed","b64_json":"%s",'
            '"usage":{"input_tokens":5,"output_tokens":6}}\n\n')
    for picture in ("QUJD", image):
        a.behave({"body": body % picture, "headers": EVENTS})
        with Counting(daemon) as added:
            stream = respond(daemon, "/v1/images/generations")
            raw = stream.read_rest()
        eq((raw, stream.is_cut), ((body % picture).encode(), False),
           f"an image of {len(picture)} bytes")
        added.check_request(LABEL, "a", 200)
        added.check("nexus_completion_tokens_total", 6 if picture == "QUJD" else 0)
    body = 'data: {"type":"speech.audio.delta","audio":"QUJD"}\n\ndata: {"type":"speech.audio.done"' \
           ',"usage":{"input_tokens":5,"output_tokens":6}}\n\n'
    a.behave({"body": body, "headers": EVENTS})
    with Counting(daemon) as added:
        answer = ask(daemon, "/v1/audio/speech", stream_format="sse")
    eq(answer.body, body.encode(), "speech as events, which another member asks for")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_completion_tokens_total", 6, model=LABEL, backend="a")


def test_half_an_event_of_images():
    """The body ends properly, but within an event: that is no end."""
    daemon, a, _ = two()
    first = 'data: {"type":"image_generation.partial_image","b64_json":"QUJD"}\n\n'
    last = 'data: {"type":"image_generation.completed","b64_json":"QUJD"}'
    halves = (last[:-9], last, last + "\n", last + "\r", last + "\r\n", "event: x\n" + last + "\n",
              "event: x\n", "dat")
    for half in halves:
        a.behave({"body": first + half, "headers": EVENTS})
        with Counting(daemon) as added:
            stream = respond(daemon, "/v1/images/generations")
            n_whole, error = error_of(stream)
        eq((n_whole, error["code"], stream.is_cut), (1, "upstream_truncated", True),
           f"{half!r} is withheld, and told")
        added.check_request(LABEL, "a", 502, "backend_error")
        added.check("nexus_upstream_requests_total", 1, backend="a", outcome="truncated")
    a.behave({"fault": "script", "then": "close", "send": [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + first + last]})
    with Counting(daemon) as added:
        eq(error_of(respond(daemon, "/v1/images/generations"))[0], 1,
           "a backend that dies looks like one that ends")
    added.check_request(LABEL, "a", 502, "backend_error")
    failed = first + 'data: {"error":{"message":"boom"}}\n\n'
    a.behave({"body": failed + last, "headers": EVENTS})
    with Counting(daemon) as added:
        stream = respond(daemon, "/v1/images/generations")
        raw = stream.read_rest().decode()
    eq((raw, stream.is_cut), (failed, True), "nor is it one after an error of the backend's own")
    added.check_request(LABEL, "a", 502, "backend_error")


def test_cut_in_a_large_image():
    daemon, a, _ = two()
    first = 'data: {"type":"image_generation.partial_image","b64_json":"QUJD"}\n\n'
    half = 'event: image_generation.completed\ndata: {"b64_json":"' + "A" * 400000
    a.behave({"body": first + half, "headers": EVENTS})
    with Counting(daemon) as added:
        stream = respond(daemon, "/v1/images/generations")
        n_whole, error = error_of(stream)
    eq((n_whole, error["code"], stream.is_cut), (2, "upstream_truncated", True),
       "the error is an event of its own")
    ok(stream.read_rest().decode().startswith(first + half + "\n\nevent: error\n"), "behind it")
    added.check_request(LABEL, "a", 502, "backend_error")


def test_responses_too_large_to_be_read():
    """Only the last event may be the one that ends a response unread."""
    daemon, a, _ = two()
    begun = 'data: {"type":"response.created"}\n\n'
    large = 'data: {"type":"response.x","b64":"%s"}' % ("A" * 300000)
    small = 'data: {"type":"response.y"}\n\n'
    for body, is_whole in ((begun + large + "\n\n", True),
                           (begun + large + "\r\n\r\n: bye\n\n\n", True),
                           (begun + large + "\n\n" + small, False),
                           (begun + large + "\n\ndata: half", False),
                           (begun + large, False)):
        a.behave({"body": body, "headers": EVENTS})
        with Counting(daemon) as added:
            stream = respond(daemon)
            raw = stream.read_rest().decode()
        name = body[-30:]
        eq((raw == body, stream.is_cut), (is_whole, not is_whole), f"…{name!r}")
        if is_whole:
            added.check_request(LABEL, "a", 200)
        else:
            ok("upstream_truncated" in raw[-300:], f"…{name!r} is told", raw[-300:])
            added.check_request(LABEL, "a", 502, "backend_error")


def test_what_responses_need():
    fakes = [FakeBackend("plain", ["m"]), FakeBackend("able", ["m"])]
    poor, rich = ({"id": "m", "vision": v, "tools": v, "json_mode": v} for v in (False, True))
    with Rig(fakes, backends=[{**backend(fakes[0]), "models": [poor], "priority": 1},
                              {**backend(fakes[1]), "models": [rich], "priority": 2}],
             routing={"strategy": "priority_only"}) as (daemon, _, able):
        cases = {"nothing": ({}, "plain"),
                 "tools": ({"tools": [{"type": "function", "name": "f"}]}, "able"),
                 "JSON": ({"text": {"format": {"type": "json_schema"}}}, "able"),
                 "text": ({"text": {"format": {"type": "text"}}}, "plain"),
                 "images": ({"input": [{"role": "user", "content": [
                     {"type": "input_image", "image_url": "x"}]}]}, "able")}
        for name, (fields, who) in cases.items():
            answer = daemon.post("/v1/responses", {"model": "m", **fields})
            eq(answer.header("x-nexus-backend"), who, f"a response that needs {name}")
        able.stop()
        ok(wait_until(lambda: ask_needing_tools(daemon) in (502, 503)), "none other is asked")


def ask_needing_tools(daemon):
    return daemon.post("/v1/responses", {"model": "m", "tools": [{"type": "x"}]}).status


if __name__ == "__main__":
    tap.run(globals())
