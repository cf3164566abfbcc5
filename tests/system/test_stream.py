#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Event streams: frame by frame, byte for byte, an honest end, usage, back-pressure, many at once."""
import gzip
import json
import threading

import harness
import tap
from fake_faults import HUGE_BYTES
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, pair, shared, wait_until
from http_client import content_of
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"


@shared
def two():
    return pair(timeouts={"stream_idle": 0.5, "first_byte": 5},
                routing={"strategy": "priority_only",
                         "aliases": [{"name": "gpt-4", "model": MODEL}]})


def test_chunks_arrive_one_by_one():
    """The backend sends the next chunk only after the client has read the one before."""
    daemon, a, _ = two()
    a.behave({"gate": "step", "chunks": 10, "usage": {"prompt_tokens": 21,
                                                      "completion_tokens": 10}})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL, "hi")
        eq(stream.head.status, 200, "the head comes with the first frame")
        events = [stream.next_data()]
        for _ in range(10):
            a.gate("step").release()
            events.append(stream.next_data())
        ok(a.log()[0].outcome is None, "all ten while the backend was still at it")
        in_flight = daemon.metrics()
        eq(in_flight.get("nexus_pending_requests", backend="a"), 1, "pending while it streams")
        if in_flight.has_family("nexus_active_streams"):
            eq(in_flight.get("nexus_active_streams"), 1, "nexus_active_streams")
        a.gate("step").release(10)
        events += stream.all_data()
    eq(content_of(events), "[hi]" + "".join(f" a{i}" for i in range(10)), "the text")
    eq((events[-1], stream.is_cut), ("[DONE]", False), "the end")
    eq(a.wait_ended(a.log()[0]), "complete", "the backend saw it through")
    head = stream.head
    eq((head.header("content-type"), head.header("cache-control"),
        head.header("x-accel-buffering")), ("text/event-stream", "no-cache", "no"), "the headers")
    eq(head.header("content-encoding"), None, "no compression")
    eq(head.header("x-nexus-backend"), "a", "X-Nexus-Backend")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_tokens_total_sum", 21, type="prompt", model=LABEL, backend="a")
    added.check("nexus_tokens_total_sum", 10, type="completion", model=LABEL, backend="a")
    added.check("nexus_tokens_total_count", 2)


def test_head_waits_for_the_first_frame():
    daemon, a, b = two()
    a.behave({"gate_head": "first"})
    connection = daemon.connect(timeout=0.2)
    body = json.dumps(harness.chat_body(MODEL, stream=True)).encode()
    connection.request("POST", "/v1/chat/completions", None, body)
    a.wait_requests(1)
    try:
        connection.socket.recv(1)
        ok(False, "nothing is sent before the backend's first frame")
    except TimeoutError:
        ok(True, "nothing is sent before the backend's first frame")
    a.gate("first").release()
    connection.socket.settimeout(20)
    eq(connection.read_response().status, 200, "then it goes")
    eq(b.log(), [], "b is not needed")


def frames_without_usage(entry):
    """What the client should get when it did not ask for usage."""
    frames = entry.answer.split(b"\n\n")
    return b"\n\n".join(f for f in frames if b'"choices":[]' not in f)


def test_usage_is_asked_for_and_swallowed():
    daemon, a, _ = two()
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL)
        raw = stream.read_rest()
    sent = a.log()[0]
    eq(sent.json()["stream_options"], {"include_usage": True}, "asked for upstream")
    ok(b'"choices":[]' in sent.answer, "the backend sent it")
    eq(raw, frames_without_usage(sent), "the client gets all but that frame, byte for byte")
    added.check("nexus_tokens_total_sum", 3, type="completion", model=LABEL, backend="a")
    added.check("nexus_tokens_total_sum", 11, type="prompt", model=LABEL, backend="a")


def test_stream_options_of_the_client():
    daemon, a, _ = two()
    cases = {
        "include_usage true": (b'"stream_options" : {"include_usage" :true} ,', True),
        "include_usage false": (b'"stream_options" : {"include_usage" :false, "z":[1] } ,', False),
        "empty": (b'"stream_options":{ },', False),
        "null": (b'"stream_options":null,', False),
        "another member only": (b'"stream_options":{"x":1.50},', False),
        "include_usage null": (b'"stream_options":{"include_usage":null},', False),
    }
    for name, (options, wants) in cases.items():
        body = b' {"model":"llama3:70b" , %s "stream":true,"a":1.50,"messages":[]}' % options
        connection = daemon.connect()
        connection.request("POST", "/v1/chat/completions", None, body)
        stream = harness.Stream(connection)
        raw = stream.read_rest()
        entry = a.log()[-1]
        given = json.loads(body)["stream_options"] or {}
        eq(entry.json(), {**json.loads(body), "stream_options": {**given, "include_usage": True}},
           f"{name}: what the backend is asked")
        ok(b'"a":1.50' in entry.body, f"{name}: the rest is untouched", entry.body)
        if wants:
            eq(entry.body, body, f"{name}: byte for byte")
            eq(raw, entry.answer, f"{name}: everything is relayed")
        else:
            eq(raw, frames_without_usage(entry), f"{name}: the usage chunk is swallowed")


def test_alias_in_a_streamed_request():
    daemon, a, _ = two()
    stream = daemon.stream("gpt-4", "hi", unknown=[1, {"x": None}])
    eq(stream.all_data()[-1], "[DONE]", "served")
    eq(a.log()[0].json(), {**harness.chat_body(MODEL, "hi", stream=True, unknown=[1, {"x": None}]),
                           "stream_options": {"include_usage": True}}, "both edits, nothing else")


def test_backend_that_rejects_stream_options():
    daemon, a, b = two()
    b.default = {"reject_stream_options": True}
    a.default = {"status": 500}
    with Counting(daemon) as added:
        eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "the client notices nothing")
    eq([("stream_options" in e.json()) for e in b.log()], [True, False], "asked again without")
    added.check_request(LABEL, "b", 200)
    b_log_before = len(b.log())
    with Counting(daemon) as added:
        eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "the next stream, too")
    eq([("stream_options" in e.json()) for e in b.log()[b_log_before:]], [False],
       "it is remembered")
    added.check_request(LABEL, "b", 200)
    added.check("nexus_tokens_total_count", 0)
    if added.after.has_family("nexus_usage_missing_total"):
        added.check("nexus_usage_missing_total", 1, model=LABEL, backend="b")
    answer = daemon.stream(MODEL, stream_options={"include_usage": True}).head
    eq(answer.status, 400, "a client that insists gets the backend's own answer")


def test_rejected_with_422_and_forgotten():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        a.default = {"reject_stream_options": 422}
        for asked in ([True, False], [False]):
            before = len(a.log())
            eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "the client notices nothing")
            eq(["stream_options" in e.json() for e in a.log()[before:]], asked, "asked for usage")
        row = backend(a, url=a.url + "/v1/")
        daemon.config_path.write_text(daemon.make_config(backends=[row]))
        daemon.kill(1)
        daemon.wait_stderr("reload")
        daemon.stream(MODEL).all_data()
        eq("stream_options" in a.log()[-1].json(), False, "the same url written otherwise")
        row = backend(a, url=a.url.replace("127.0.0.1", "localhost"))
        daemon.config_path.write_text(daemon.make_config(backends=[row]))
        start = len(daemon.stderr_lines)
        daemon.kill(1)
        daemon.wait_stderr("reload", start=start)
        before = len(a.log())
        ok(wait_until(lambda: daemon.stream(MODEL).all_data()[-1:] == ["[DONE]"]), "still served")
        eq(["stream_options" in e.json() for e in a.log()[before:]][:2], [True, False],
           "another url may be another server: it is asked again")


def test_what_only_names_the_option():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)]) as (daemon, _):
        echo = {"detail": [{"type": "missing", "loc": ["body", "messages"], "input":
                            {"model": MODEL, "stream_options": {"include_usage": True}}}]}
        quote = {"error": {"message": "role 'stream_options' is not one of system, user"}}
        own = {"error": {"message": "stream_options.x: extra inputs are not permitted"}}
        a.behave({"status": 400, "json": quote})
        daemon.post("/v1/embeddings", {"model": MODEL, "input": "x", "stream": True})
        eq(["stream_options" in e.json() for e in a.log()], [False],
           "it is not put into what is no completion")
        for status, answer, options in ((422, echo, {}), (400, quote, {}),
                                        (400, own, {"stream_options": {"x": 1}})):
            a.behave(*[{"status": status, "json": answer}] * 2)
            with Counting(daemon) as added:
                eq(daemon.stream(MODEL, **options).head.status, status, "a client's bad request")
                daemon.stream(MODEL).all_data()
            added.check("nexus_retries_total", 1, reason="http_4xx")
            added.check("nexus_usage_missing_total", 0)
            added.check("nexus_tokens_total_count", 1, type="completion")


def test_forgotten_when_it_comes_back():
    a = FakeBackend("a", [MODEL])
    health = {"interval": 0.1, "failures": 1, "successes": 1}
    with Rig([a], backends=[backend(a)], health=health) as (daemon, _):
        a.default = {"reject_stream_options": True}
        daemon.stream(MODEL).all_data()
        a.default = {}
        daemon.stream(MODEL).all_data()
        eq("stream_options" in a.log()[-1].json(), False, "it is remembered")
        a.stop()
        daemon.wait_healthy(0)
        a.start()
        daemon.wait_healthy(1)
        daemon.stream(MODEL).all_data()
        eq("stream_options" in a.log()[-1].json(), True, "back, it may be another version")


def test_frames_of_every_shape():
    daemon, a, _ = two()
    shapes = [{"eol": "\r\n"}, {"eol": "\r"}, {"comment": True}, {"bom": True}, {"multiline": True},
              {"split": True}, {"eol": "\r\n", "comment": True, "multiline": True, "bom": True},
              {"eol": "\r\n", "split": True, "comment": True}]
    for shape in shapes:
        a.behave({**shape, "usage": {"prompt_tokens": 2, "completion_tokens": 5}})
        with Counting(daemon) as added:
            stream = daemon.stream(MODEL, stream_options={"include_usage": True})
            raw = stream.read_rest()
        entry = a.log()[-1]
        eq((raw, stream.is_cut), (entry.answer, False), f"{shape}: byte for byte")
        added.check_request(LABEL, "a", 200)
        added.check("nexus_tokens_total_sum", 5, type="completion")
        a.behave(shape)
        raw = daemon.stream(MODEL).read_rest()
        ok(b'"usage":{' not in raw and b'"choices":[]' not in raw and b"[DONE]" in raw,
           f"{shape}: the usage chunk is swallowed", raw)


def test_tool_calls_stream():
    daemon, a, _ = two()
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    events = daemon.stream(MODEL, tools=tools).all_data()
    calls = [c["delta"]["tool_calls"] for e in events[:-1] for c in json.loads(e)["choices"]
             if c["delta"].get("tool_calls")]
    eq(calls[0][0]["function"]["arguments"], '{"q":"\\u00e9 \\"x\\""}',
       "[repair] tool calls in streams arrive as sent")


def check_broken(stream, events, n_whole, added, who="a", status=502, error_type="backend_error"):
    eq(stream.head.status, 200, "the head on the wire stays 200")
    error = json.loads(events[-1]).get("error", {})
    eq((error.get("code"), error.get("type")), ("upstream_truncated", "server_error"),
       "the last event tells the truth", events[-1:])
    ok("[DONE]" not in events, "no [DONE] is invented")
    eq(len(events), n_whole + 1, "all whole frames came before it", events)
    added.check_request(LABEL, who, status, error_type)
    added.check("gateway_requests_total", 1, method="POST", path="/v1/chat/completions")


def test_streams_that_break():
    daemon, a, b = two()
    for how in ("close", "rst", "end"):
        a.behave({"after": 3, "how": how, "chunks": 10})
        with Counting(daemon) as added:
            stream = daemon.stream(MODEL)
            events = stream.all_data()
        tap.diag(f"cut by {how}")
        check_broken(stream, events, 3, added)
    a.behave({"after": 2, "how": "stall"})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL)
        events = stream.all_data()
    tap.diag("stalled")
    check_broken(stream, events, 2, added, status=504, error_type="timeout")
    eq(a.wait_ended(a.log()[-1]), "peer_closed", "the stalled backend's connection is closed")
    eq(b.log(), [], "nothing is tried again after the first frame")


def test_half_a_frame_at_the_end():
    daemon, a, _ = two()
    body = (b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: {"choices":[{"ind')
    a.behave({"body": body, "headers": {"Content-Type": "text/event-stream"}})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL)
        events = stream.all_data()
    if stream.head.header("content-type") == "text/event-stream":
        error = json.loads(events[-1]).get("error", {})
        eq(error.get("code"), "upstream_truncated", "half a frame is a broken stream")
        added.check("nexus_errors_total", 1, error_type="backend_error")


def test_end_without_done():
    daemon, a, _ = two()
    a.behave({"no_done": True})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL)
        raw = stream.read_rest()
    eq((raw, stream.is_cut), (frames_without_usage(a.log()[0]), False),
       "a finish_reason and a proper end are whole without [DONE]")
    ok(b"[DONE]" not in raw, "and none is invented")
    added.check_request(LABEL, "a", 200)
    a.behave({"no_done": True, "no_finish": True})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL)
        events = stream.all_data()
    eq(json.loads(events[-1]).get("error", {}).get("code"), "upstream_truncated",
       "without either it is broken")
    added.check_request(LABEL, "a", 502, "backend_error")


def test_cut_after_done():
    daemon, a, _ = two()
    a.behave({"after": 6, "chunks": 3, "no_usage": True})
    with Counting(daemon) as added:
        events = daemon.stream(MODEL).all_data()
    eq(events[-1], "[DONE]", "what is cut after [DONE] was whole")
    added.check_request(LABEL, "a", 200)


def test_usage_is_the_last_value_seen():
    daemon, a, _ = two()
    frames = ""
    for n in range(1, 5):
        frames += ('data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":%s}],'
                   '"usage":{"prompt_tokens":9,"completion_tokens":%d}}\n\n'
                   % ('"stop"' if n == 4 else "null", n))
    body = frames + "data: [DONE]\n\n"
    a.behave({"body": body, "headers": {"Content-Type": "text/event-stream"}})
    with Counting(daemon) as added:
        raw = daemon.stream(MODEL).read_rest()
    eq(raw, body.encode(), "usage in content frames is not swallowed")
    added.check("nexus_tokens_total_sum", 4, type="completion", model=LABEL)
    added.check("nexus_tokens_total_sum", 9, type="prompt", model=LABEL)


def test_an_error_event_with_usage():
    daemon, a, _ = two()
    content = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    error = 'data: {"error":{"message":"boom"},"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    with Counting(daemon) as added:
        a.behave({"body": content + error, "headers": {"Content-Type": "text/event-stream"}})
        eq(daemon.stream(MODEL).read_rest().decode(), content + error, "it is the client's")
    added.check_request(LABEL, "a", 502, "backend_error")


def test_usage_at_the_very_end():
    """The last event lacks its blank line: what is asked for is counted, and not handed on."""
    daemon, a, _ = two()
    content = ('data: {"choices":[{"index":0,"delta":{"content":"x"},'
               '"finish_reason":"stop"}]}\n\n')
    usage = 'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}\n'
    with Counting(daemon) as added:
        a.behave({"body": content + usage, "headers": {"Content-Type": "text/event-stream"}})
        eq(daemon.stream(MODEL).read_rest().decode(), content, "it is not the client's")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_tokens_total_sum", 7, type="prompt")
    added.check("nexus_usage_missing_total", 0, model=LABEL, backend="a")


def test_usage_that_says_nothing_is_none():
    daemon, a, _ = two()
    for usage in ("{}", '{"total_tokens":9}', '{"prompt_tokens":-1,"completion_tokens":"7"}'):
        a.behave({"body": 'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":'
                          '"stop"}]}\n\ndata: {"choices":[],"usage":%s}\n\ndata: [DONE]\n\n' % usage,
                  "headers": {"Content-Type": "text/event-stream"}})
        with Counting(daemon) as added:
            raw = daemon.stream(MODEL).read_rest()
        ok(b"usage" not in raw, f"{usage}: swallowed, as nobody asked for it")
        added.check("nexus_usage_missing_total", 1, model=LABEL, backend="a")
        added.check("nexus_tokens_total_count", 0)


def test_encoded_streams_pass_as_they_come():
    daemon, a, _ = two()
    body = gzip.compress(b'data: {"choices":[]}\n\ndata: [DONE]\n\n')
    a.behave({"body": body, "chunked": True, "gate_half": "half", "headers": {
        "Content-Type": "text/event-stream", "Content-Encoding": "gzip"}})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL)
        got = stream.connection.read_piece()
        ok(got and a.log()[0].outcome is None, "the first half comes at once")
        a.gate("half").release()
        eq((got + stream.connection.read_body(), stream.head.header("content-encoding")),
           (body, "gzip"), "and then the rest, as it was")
    added.check_request(LABEL, "a", 200)


def test_surplus_bytes_behind_a_stream():
    # Not after the others, whose connections the backend may close just now.
    with pair() as (daemon, a, _), Counting(daemon) as added:
        a.behave({"fault": "extra_stream"})
        stream = daemon.stream(MODEL)
        raw = stream.read_rest()
        answers = [daemon.chat(MODEL) for _ in range(2)]
        eq((raw, stream.is_cut), (a.log()[0].answer, False), "the stream is what was framed")
        eq([(x.status, b"evil" in x.body) for x in answers], [(200, False)] * 2,
           "what is behind it answers nobody")
    added.check("nexus_requests_total", 3, model=LABEL, status="200")


def test_chunks_without_choices_are_not_all_usage():
    """Azure's first chunk has no choices and no usage: it is the client's."""
    daemon, a, _ = two()
    first = 'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
    rest = ('data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],'
            '"usage":null}\n\n')
    usage = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    end = "data: [DONE]\n\n"
    a.behave({"body": first + rest + usage + end,
              "headers": {"Content-Type": "text/event-stream; charset=utf-8"}})
    with Counting(daemon) as added:
        raw = daemon.stream(MODEL).read_rest()
    eq(raw, (first + rest + end).encode(), "only the chunk with the usage is swallowed")
    added.check("nexus_tokens_total_sum", 3, type="prompt")


def test_error_event_in_mid_stream_is_relayed():
    daemon, a, _ = two()
    body = ('data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
            'data: {"error":{"message":"boom","code":500}}\n\n')
    a.behave({"body": body, "headers": {"Content-Type": "text/event-stream"}})
    with Counting(daemon) as added:
        raw = daemon.stream(MODEL).read_rest()
    ok(raw.startswith(body.encode()), "as it came", raw)
    eq(added.delta.sum("nexus_requests_total", status="200"), 0, "it is no success")


def test_plain_answer_to_a_streamed_request():
    daemon, a, _ = two()
    a.behave({"stream": False})
    with Counting(daemon) as added:
        answer = daemon.stream(MODEL)
        body = answer.read_rest()
    eq((answer.head.status, answer.head.header("content-type"), body),
       (200, "application/json", a.log()[0].answer), "is relayed as it is")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_tokens_total_sum", 7, type="completion")


def test_many_streams_are_not_mixed_up():
    with pair() as (daemon, a, _):  # with time enough for any machine
        check_many_streams(daemon, a)


def check_many_streams(daemon, a):
    n_streams, n_chunks = 200, 10
    a.default = {"gate": "all", "chunks": n_chunks}
    results = {}

    def run(number):
        stream = daemon.stream(MODEL, f"prompt-{number}")
        results[number] = stream.all_data()
        stream.close()

    with Counting(daemon) as added:
        threads = [threading.Thread(target=run, args=(n,)) for n in range(n_streams)]
        for thread in threads:
            thread.start()
        eq(len(a.wait_requests(n_streams)), n_streams, "200 streams run at once")
        a.gate("all").release(n_streams * (n_chunks + 10))
        for thread in threads:
            thread.join(60)
    text = "".join(f" a{i}" for i in range(n_chunks))
    wrong = [n for n in range(n_streams)
             if content_of(results.get(n, [])) != f"[prompt-{n}]{text}" or
             results[n][-1] != "[DONE]"]
    eq(wrong, [], "each got its own, whole")
    added.check_request(LABEL, "a", 200, n=n_streams)
    added.check("nexus_tokens_total_sum", n_streams * n_chunks, type="completion")
    ok(a.wait(lambda: {e.outcome for e in a.log()} == {"complete"}),
       "the backend saw all through", {e.outcome for e in a.log()})


def wait_still(value, rounds=30):
    """Waits until value() has not changed for a number of polls; returns it."""
    last, same = value(), 0

    def is_still():
        nonlocal last, same
        now = value()
        same = same + 1 if now == last else 0
        last = now
        return same >= rounds
    wait_until(is_still)
    return last


def check_back_pressure(behaviour, read):
    """A client that stops reading: the backend is stopped, memory stays, then all arrives."""
    a = FakeBackend("a", [MODEL], sndbuf=65536)
    with Rig([a], backends=[backend(a)], timeouts={"stream_idle": 0.5}) as (daemon, _):
        daemon.chat(MODEL)
        before = daemon.resident_bytes()
        a.behave(behaviour)
        with Counting(daemon) as added:
            stream = daemon.stream(MODEL, rcvbuf=32768)
            entry = a.wait_requests(2)[1]
            stalled = wait_still(lambda: entry.sent_bytes)
            ok(0 < stalled < HUGE_BYTES // 4, "the backend was stopped", stalled)
            tap.diag(f"the backend could send {stalled >> 10} KiB of {HUGE_BYTES >> 10}")
            grown = daemon.resident_bytes() - before
            ok(grown < 4 << 20 or daemon.is_sanitized(), "nexusd does not hold it", grown)
            size = read(stream)
        eq(a.wait_ended(entry), "complete", "the backend saw it through")
        added.check_request(LABEL, "a", 200)
        return size


def test_back_pressure():
    size = check_back_pressure({"fault": "huge_stream"}, lambda s: len(s.read_rest()))
    ok(size > HUGE_BYTES * 0.99, "a stream of 32 MiB arrives whole, and silence of a paused "
       "backend is no stall", size)
    size = check_back_pressure({"fault": "huge"}, lambda s: len(s.read_rest()))
    eq(size, HUGE_BYTES, "so does a plain answer")


def test_one_stalled_reader_does_not_hold_up_others():
    daemon, a, _ = two()
    a.behave({"fault": "huge_stream"})
    stalled = daemon.stream(MODEL, rcvbuf=32768)
    entry = a.log()[0]
    wait_still(lambda: entry.sent_bytes)
    for _ in range(10):
        eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "another stream goes on")
    stalled.connection.reset()
    eq(a.wait_ended(entry), "peer_closed", "and leaving ends the stalled one")


def test_huge_frame():
    daemon, a, _ = two()
    big = "z" * 300000
    body = ('data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":"stop"}]}\n\n'
            "data: [DONE]\n\n" % big)
    a.behave({"body": body, "headers": {"Content-Type": "text/event-stream"}})
    stream = daemon.stream(MODEL)
    eq(len(stream.read_rest()), len(body), "a frame of 300 KB passes")
    a.behave({"body": "data: " + "q" * (3 << 20), "headers": {"Content-Type": "text/event-stream"}})
    before = daemon.resident_bytes()
    stream = daemon.stream(MODEL)
    stream.read_rest()
    grown = daemon.resident_bytes() - before
    ok(grown < 8 << 20 or daemon.is_sanitized(), "a frame without an end is not hoarded")
    eq(daemon.stream(MODEL).all_data()[-1], "[DONE]", "and it goes on")


def test_cut_in_a_huge_frame():
    """Its first half cannot be withheld, but the error can be read behind it."""
    daemon, a, _ = two()
    first = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    half = 'data: {"choices":[{"index":0,"delta":{"content":"' + "z" * 300000
    for tail in ("", "\n", "\r", "\r\n", "\r\n\r"):
        a.behave({"fault": "script", "then": "close", "send": [
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + first + half + tail]})
        with Counting(daemon) as added:
            stream = daemon.stream(MODEL)
            events = stream.all_data()
        check_broken(stream, events, 2, added)
        ok(stream.read_rest().decode().startswith(first + half + tail) and stream.is_cut,
           f"the half ends in {tail!r}")


def test_legacy_completions_stream():
    daemon, a, _ = two()
    body = json.dumps({"model": MODEL, "prompt": "p", "stream": True}).encode()
    connection = daemon.connect()
    connection.request("POST", "/v1/completions", None, body)
    events = harness.Stream(connection).all_data()
    eq(events[-1], "[DONE]", "a streamed /v1/completions")
    eq(a.log()[0].path, "/v1/completions", "on its own path")


if __name__ == "__main__":
    tap.run(globals())
