#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What requests leave in the families beside the counts: times, phases, bytes, tokens, cost."""
import json

import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, chat_body, pair, shared, wait_until
from prometheus_text import Metrics
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"
TTFT = "nexus_time_to_first_token_seconds"
GAP = "nexus_inter_chunk_seconds"
PER_TOKEN = "nexus_time_per_output_token_seconds"
PHASE = "nexus_upstream_phase_seconds"
OVERHEAD = "nexus_gateway_overhead_seconds"


@shared
def two():
    return pair()


def ns(seconds):
    return round(seconds * 1e9)


def test_stream_times():
    daemon, a, _ = two()
    a.behave({"chunks": 5, "gap": 0.004})
    with Counting(daemon) as added:
        daemon.stream(MODEL).all_data()
    labels = {"model": LABEL, "backend": "a"}
    added.check(TTFT + "_count", 1, **labels)
    added.check(GAP + "_count", 5, **labels)      # the echoed prompt, then five pieces
    added.check(PER_TOKEN + "_count", 1, **labels)
    delta = added.delta
    gaps, per_token = ns(delta.sum(GAP + "_sum")), ns(delta.sum(PER_TOKEN + "_sum"))
    eq(gaps // 4, per_token, "first to last content, by the tokens after the first")
    ok(gaps > 5 * 3_000_000, "the gaps are those of the backend", gaps)
    first, whole = delta.sum(TTFT + "_sum"), delta.sum("nexus_request_duration_seconds_sum")
    ok(0 < first < whole - gaps / 1e9, "the first content comes before the others",
       (first, whole, gaps))


def test_what_is_content():
    daemon, a, _ = two()

    def event(**delta):
        return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}) + "\n\n"

    a.behave({"headers": {"Content-Type": "text/event-stream"}, "body": "".join([
        event(role="assistant", content=""), event(content=None), ": comment\n\n",
        event(reasoning_content="hm"), event(reasoning="hm"), event(content="a"),
        event(tool_calls=[{"index": 0}]), event(tool_calls=[]),
        'data: {"choices":[{"index":0,"text":"b"}]}\n\n',
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
        "data: [DONE]\n\n"])})
    with Counting(daemon) as added:
        daemon.stream(MODEL).all_data()
    added.check(GAP + "_count", 4)
    added.check(TTFT + "_count", 1)
    added.check(PER_TOKEN + "_count", 0)          # no usage, no count of tokens
    added.check("nexus_usage_missing_total", 1)


def test_no_content_no_time():
    daemon, a, _ = two()
    a.behave({"chunks": 2, "gate": "never"})
    with Counting(daemon) as added:
        stream = daemon.stream(MODEL, stream_options={"include_usage": True})
        ok(stream.next_data(), "a first event")
        stream.connection.reset()
        a.wait_ended(a.log()[0])
    added.check(TTFT + "_count", 1)
    added.check(GAP + "_count", 0)
    added.check(PER_TOKEN + "_count", 0)
    with Counting(daemon) as added:
        daemon.chat(MODEL)
    added.check(TTFT + "_count", 0)               # a plain answer is none of these


def test_usage_details():
    daemon, a, _ = two()
    usage = {"prompt_tokens": 100, "completion_tokens": 40,
             "prompt_tokens_details": {"cached_tokens": 64},
             "completion_tokens_details": {"reasoning_tokens": 8}}
    a.default = {"usage": usage}
    with Counting(daemon) as added:
        daemon.chat(MODEL)
        daemon.stream(MODEL).all_data()
    labels = {"model": LABEL, "backend": "a"}
    for name, want in (("prompt", 200), ("completion", 80), ("cached_prompt", 128),
                       ("reasoning", 16)):
        added.check(f"nexus_{name}_tokens_total", want, **labels)
    added.check("nexus_tokens_total_sum", 200, type="prompt")
    added.check("nexus_tokens_total_sum", 80, type="completion")
    added.check("nexus_prompt_tokens_total", 200)
    added.check("nexus_completion_tokens_total", 80)
    added.check("nexus_cached_prompt_tokens_total", 128)
    added.check("nexus_reasoning_tokens_total", 16)


def test_cost():
    usage = {"prompt_tokens": 1000, "completion_tokens": 100,
             "prompt_tokens_details": {"cached_tokens": 400}}
    a = FakeBackend("a", ["gpt-4o", "gpt-4o-mini", "local"])
    a.default = {"usage": usage}
    prices = [{"model": "gpt-4o", "prompt": 2.5, "cached_prompt": 1.25, "completion": 10},
              {"model": "gpt-*", "prompt": 0.0375, "completion": 0.6}]
    with Rig([a], backends=[backend(a)], prices=prices) as (daemon, _):
        a.default = {"usage": usage}
        told = [daemon.chat(model).header("x-nexus-cost-estimated") for model in a.models]
        metrics = daemon.settled()
        want = {"gpt_4o": 600 * 2500 + 400 * 1250 + 100 * 10000,
                "gpt_4o_mini": (1000 * 375 + 100 * 6000) // 10}
        eq(told, [f"{nano / 1e9:.9f}" for nano in want.values()] + [None],
           "X-Nexus-Cost-Estimated says the same, or nothing")
        for model, nano in want.items():
            eq(ns(metrics.get("nexus_cost_usd_total", model=model, backend="a")), nano,
               f"{model}: prices.prompt, prices.completion, prices.cached_prompt")
        eq(metrics.select("nexus_cost_usd_total", model="local"), [], "prices.model fits none")
        a.behave({"no_usage": True}, {"status": 400}, {})
        answers = [daemon.chat("gpt-4o"), daemon.chat("gpt-4o"), daemon.stream("gpt-4o").head]
        eq([answer.header("x-nexus-cost-estimated") for answer in answers], [None] * 3,
           "nothing without usage, in errors and in streams")


def phase_counts(delta, name="a"):
    found = {labels["phase"]: n for labels, n in delta.select(PHASE + "_count", backend=name)}
    return {phase: int(n) for phase, n in found.items()}


def test_phases_and_connections():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], workers=1, health={"interval": 3600}) as (daemon, _):
        with Counting(daemon) as added:
            daemon.chat(MODEL)
        counts = phase_counts(added.delta)
        eq((counts.get("connect"), counts.get("first_byte"), counts.get("transfer")), (1, 1, 1),
           "a new connection has all phases", counts)
        eq(counts.get("tls"), None, "but TLS, which it does not speak")
        added.check("nexus_upstream_connections_total", 1, backend="a", reused="false")
        with Counting(daemon) as added:
            daemon.chat(MODEL)
            daemon.stream(MODEL).all_data()
        eq(phase_counts(added.delta), {"first_byte": 2, "transfer": 2}, "a kept one begins later")
        added.check("nexus_upstream_connections_total", 2, backend="a", reused="true")
        a.behave({"status": 500}, {"fault": "rst"}, {})
        with Counting(daemon) as added:
            eq(daemon.chat(MODEL).status, 200, "the third attempt succeeds")
        added.check("nexus_upstream_connections_total", 3)
        eq(phase_counts(added.delta).get("first_byte"), 2, "an attempt without an answer has none")
        upstream = sum(added.delta.sum(PHASE + "_sum", phase=p) for p in ("first_byte", "transfer"))
        ok(0 < upstream < added.delta.sum("nexus_request_duration_seconds_sum"),
           "phases lie within the request", upstream)
    with Rig([], backends=[{"name": "gone", "type": "generic", "url": "http://127.0.0.1:1",
                            "models": [MODEL]}], healthy=0) as (daemon,):
        daemon.chat(MODEL)
        eq(daemon.settled().select("nexus_upstream_connections_total"), [], "no connection, no count")


def test_upstream_bytes():
    daemon, a, b = two()
    with Counting(daemon) as added:
        daemon.chat(MODEL)
        daemon.stream(MODEL, content="x" * 5000).all_data()
        daemon.chat(MODEL, x_fake={"a": {"status": 503}})
    entries = a.log() + b.log()
    refused = [e for e in entries if e.status == 503]
    eq((len(entries), len(refused)), (4, 1), "three requests, four attempts")
    eq(added.delta.sum("nexus_sent_bytes_total", side="upstream"),
       sum(len(e.body) for e in entries), "what was sent")
    got = added.delta.sum("nexus_received_bytes_total", side="upstream")
    whole = sum(len(e.answer) for e in entries)
    ok(whole - len(refused[0].answer) <= got <= whole,
       "and received, as far as it was read before the failover", (got, whole))


def test_client_bytes():
    a = FakeBackend("a", [MODEL])
    with Rig([a], backends=[backend(a)], workers=1) as (daemon, _):
        def sent(text):
            return Metrics(text).get("nexus_sent_bytes_total", side="client")

        def received(text):
            return Metrics(text).get("nexus_received_bytes_total", side="client")

        daemon.settled()
        first = daemon.get("/metrics").body
        expected = len(first)
        body = json.dumps(chat_body(MODEL)).encode()
        expected += len(daemon.post("/v1/chat/completions", body).body)
        expected += len(daemon.stream(MODEL).read_rest())
        expected += len(daemon.get("/nowhere").body)
        expected += len(daemon.request("HEAD", "/v1/stats").body)

        def agrees():
            nonlocal expected
            latest = daemon.get("/metrics").body
            if sent(latest.decode()) - sent(first.decode()) == expected:
                return latest.decode()
            expected += len(latest)
            return None

        latest = wait_until(agrees)
        ok(latest, "sent to clients: every byte of every body")
        grown = received(latest or first.decode()) - received(first.decode())
        ok(grown > len(body), "received from clients", grown)


def test_overhead():
    daemon, a, _ = two()
    a.behave({}, {"gap": 0.005, "chunks": 4})
    with Counting(daemon) as added:
        daemon.chat(MODEL)
        daemon.stream(MODEL).all_data()
        daemon.chat("unknown")
        daemon.post("/v1/chat/completions", b"{")
        daemon.get("/v1/models")
    for phase, want in (("total", 4), ("parse", 4), ("route", 2), ("relay", 2)):
        added.check(OVERHEAD + "_count", want, phase=phase)
    sums = {p: ns(added.delta.sum(OVERHEAD + "_sum", phase=p))
            for p in ("total", "parse", "route", "relay")}
    ok(0 < sums["parse"] + sums["route"] + sums["relay"] <= sums["total"],
       "the phases are parts of the whole", sums)
    ok(sums["total"] < ns(added.delta.sum("nexus_request_duration_seconds_sum")),
       "which is less than the requests took", sums)


def test_event_loop_lag():
    daemon, *_ = two()
    with Counting(daemon) as added:
        daemon.chat(MODEL)
    ok(added.delta.sum("nexus_event_loop_lag_seconds_count") > 0, "turns are observed")


if __name__ == "__main__":
    tap.run(globals())
