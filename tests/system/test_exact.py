#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""1,000 mixed requests with concurrency: /metrics in both formats, /v1/stats and the backends' own
logs must agree to the last count."""
import collections
import itertools
import json
import os
import random
import re
import threading

import tap
from harness import OPENMETRICS, chat_body, pair, wait_until
from http_client import Stream, encode_request
from prometheus_text import sanitize
from tap import eq, ok
from test_metrics import check_identities

N_REQUESTS = int(os.environ.get("NEXUSD_TEST_EXACT_REQUESTS", "1000"))
N_CLIENTS = 16
MODELS = ["llama3:70b", "mistral:7b"]
ERROR_TYPES = {400: "bad_request", 404: "bad_request", 499: "client_disconnect",
               500: "backend_error", 502: "backend_error"}


class Kind:
    """One sort of request: what is sent, what must come of it."""

    def __init__(self, weight, status, behaviour=None, *, stream=False, aborts=None, body=None,
                 model=None, backend="a", error_type=None, tokens=True):
        self.weight, self.status, self.behaviour = weight, status, behaviour or {}
        self.stream, self.aborts, self.body = stream, aborts, body
        self.model, self.backend, self.tokens = model, backend, tokens
        self.error_type = error_type or ERROR_TYPES.get(status)


NEVER = {"*": {"fault": "never"}}
HELD = {"*": {"gate": "never-opened"}}
FAIL_A = {"a": {"status": 500}}
KINDS = {
    "plain": Kind(30, 200),
    "streamed": Kind(25, 200, stream=True),
    "failover": Kind(10, 200, FAIL_A, backend="b"),
    "failover, streamed": Kind(6, 200, FAIL_A, stream=True, backend="b"),
    "failover by reset": Kind(4, 200, {"a": {"fault": "rst"}}, backend="b"),
    "upstream 404": Kind(5, 404, {"*": {"status": 404}}, tokens=False),
    "unknown model": Kind(5, 404, model="no-such-model", backend="none",
                          error_type="model_not_found", tokens=False),
    "bad JSON": Kind(5, 400, body=b'{"model": "llama3:70b",', backend="none", tokens=False),
    "all fail": Kind(3, 500, {"*": {"status": 500}}, tokens=False),
    "broken stream": Kind(4, 502, {"*": {"after": 2}}, stream=True, tokens=False),
    "aborted while waiting": Kind(5, 499, NEVER, aborts="waiting", tokens=False),
    "aborted in mid-stream": Kind(5, 499, HELD, stream=True, aborts="streaming", tokens=False),
}


# Of a thousand: 200 are streamed, 50 aborted, 50 succeed after a failover.
USUAL = {
    "plain": 660, "streamed": 160,
    "failover": 30, "failover, streamed": 10, "failover by reset": 10,
    "aborted while waiting": 25, "aborted in mid-stream": 25, "broken stream": 5,
    "unknown model": 25, "bad JSON": 20, "upstream 404": 20, "all fail": 10,
}


def plan(n_requests, weights=None):
    """The requests, mixed the same way each time."""
    weights = weights or {name: kind.weight for name, kind in KINDS.items()}
    names = list(itertools.chain.from_iterable([name] * n for name, n in weights.items()))
    mixed = [names[i % len(names)] for i in range(n_requests)]
    random.Random(1).shuffle(mixed)
    return [(number, name, MODELS[number % 2]) for number, name in enumerate(mixed)]


class Run:
    """Sends the plan over several clients and notes what each request came to."""

    def __init__(self, daemon, fakes, requests):
        self.daemon, self.fakes = daemon, fakes
        self.work = iter(requests)
        self.lock = threading.Lock()
        self.surprises = []
        self.expected = collections.Counter()   # (model, backend, status) -> n
        self.errors = collections.Counter()     # (error type, model) -> n
        self.tokens = collections.Counter()     # (model, backend, type) -> sum

    def next(self):
        with self.lock:
            return next(self.work, None)

    def client(self):
        while item := self.next():
            try:
                self.send(*item)
            except Exception as error:  # a surprise like any other
                self.note_surprise(item, repr(error))

    def note_surprise(self, item, text):
        with self.lock:
            self.surprises.append((item, text))

    def send(self, number, name, model):
        kind = KINDS[name]
        prompt, completion = 1 + number % 700, 1 + number % 130
        behaviour = {who: {"usage": {"prompt_tokens": prompt, "completion_tokens": completion},
                           **kind.behaviour.get("*", {}), **kind.behaviour.get(who, {})}
                     for who in ("a", "b")}
        body = kind.body or json.dumps(chat_body(kind.model or model, f"n{number}",
                                                 stream=kind.stream, x_fake=behaviour)).encode()
        connection = self.daemon.connect(timeout=60)
        connection.request("POST", "/v1/chat/completions", None, body)
        problem = self.finish(kind, name, f"n{number}", connection)
        connection.close()
        if problem:
            self.note_surprise((number, name, model), problem)
        self.expect(kind, model, prompt, completion)

    def finish(self, kind, name, marker, connection):
        """Reads the answer, or leaves; returns what was wrong with it."""
        if kind.aborts == "waiting":
            self.wait_seen(marker)
            return None
        if kind.stream:
            stream = Stream(connection)
            if kind.aborts:
                return None if stream.next_data() else "no first frame"
            events = stream.all_data()
            whole = events[-1:] == ["[DONE]"] and f"[{marker}]" in events[0]
            broken = "upstream_truncated" in (events or [""])[-1]
            return None if (broken if name == "broken stream" else whole) else repr(events)
        answer = connection.read_response()
        if answer.status != kind.status or (answer.status == 200 and
                                            marker.encode() not in answer.body):
            return repr(answer)
        return None

    def wait_seen(self, marker):
        """Waits until a backend has the request."""
        needle = f'"{marker}"'.encode()
        fake = self.fakes[0]
        fake.wait(lambda: any(needle in e.body for f in self.fakes for e in f.recent(1000)))

    def expect(self, kind, model, prompt, completion):
        model = sanitize(model) if kind.backend != "none" else "_unknown"
        with self.lock:
            self.expected[model, kind.backend, str(kind.status)] += 1
            if kind.error_type:
                self.errors[kind.error_type, model] += 1
            if kind.tokens:
                self.tokens[model, kind.backend, "prompt"] += prompt
                self.tokens[model, kind.backend, "completion"] += (
                    completion if not kind.stream else completion)


def counted(metrics, family, *labels):
    return {tuple(found[l] for l in labels): int(n)
            for found, n in metrics.select(family) if n}


def check_metrics(metrics, run, title):
    eq(counted(metrics, "nexus_requests_total", "model", "backend", "status"), dict(run.expected),
       f"{title}: nexus_requests_total is what was served")
    eq(counted(metrics, "nexus_errors_total", "error_type", "model"), dict(run.errors),
       f"{title}: nexus_errors_total")
    eq(counted(metrics, "nexus_tokens_total_sum", "model", "backend", "type"), dict(run.tokens),
       f"{title}: nexus_tokens_total sums")
    per_pair = collections.Counter()
    for (model, who, status), n in run.expected.items():
        per_pair[model, who] += n
    eq(counted(metrics, "nexus_request_duration_seconds_count", "model", "backend"),
       dict(per_pair), f"{title}: durations")
    eq(metrics.sum("nexus_pending_requests"), 0, f"{title}: nothing is pending")


def check_backend_logs(metrics, fakes):
    """What the backends saw, against what nexusd counted."""
    for fake in fakes:
        fake.wait(lambda f=fake: all(e.outcome for e in f.log()))
    outcomes = {(f.name, m): collections.Counter() for f in fakes for m in MODELS}
    for fake in fakes:
        for entry in fake.log():
            if entry.outcome == "peer_closed":
                word = "cancelled"
            elif entry.status == 200 and entry.outcome == "complete":
                word = "ok"
            elif entry.status == 200:
                word = "broken"
            elif entry.status == 0:
                word = "reset"
            else:
                word = f"http_{str(entry.status)[0]}xx"
            outcomes[fake.name, entry.model][word] += 1
    for (who, model), seen in outcomes.items():
        labels = {"model": sanitize(model), "backend": who}
        eq(seen["ok"], metrics.sum("nexus_requests_total", status="200", **labels),
           f"{who}, {model}: whole answers = requests with status 200")
        eq(seen["cancelled"], metrics.sum("nexus_requests_total", status="499", **labels),
           f"{who}, {model}: closed by nexusd = requests with status 499")
        eq(seen["broken"], metrics.sum("nexus_requests_total", status="502", **labels),
           f"{who}, {model}: broken streams = requests with status 502")
        if not metrics.has_family("nexus_upstream_requests_total"):
            continue
        counted_by_outcome = {found["outcome"]: int(n) for found, n in
                              metrics.select("nexus_upstream_requests_total", **labels) if n}
        broken = counted_by_outcome.pop("truncated", 0)
        eq(broken, seen.pop("broken", 0), f"{who}, {model}: attempts that were cut")
        eq(counted_by_outcome, {w: n for w, n in seen.items() if n},
           f"{who}, {model}: attempts by outcome")


class Scraper(threading.Thread):
    """Scrapes while the requests run: counters must never fall, histograms never disagree."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon_program = daemon
        self.is_over = threading.Event()
        self.n_scrapes = 0
        self.wrong = []

    def run(self):
        last = {}
        while not self.is_over.wait(0.005):
            metrics = self.daemon_program.metrics()
            self.n_scrapes += 1
            for key, value in metrics.samples.items():
                if re.search(r"_(total|count|sum|bucket)$", key[0]) and \
                        value < last.get(key, 0) and key[0] != "nexus_backends_total":
                    self.wrong.append((key, last[key], value))
                if key[0].endswith("_bucket") and ("le", "+Inf") in key[1]:
                    count = (key[0].replace("_bucket", "_count"), key[1] - {("le", "+Inf")})
                    if metrics.samples[count] != value:
                        self.wrong.append((key, value, metrics.samples[count]))
            last = metrics.samples


def test_a_thousand_mixed_requests():
    with pair(MODELS) as (daemon, *fakes):
        scraper = Scraper(daemon)
        scraper.start()
        run = Run(daemon, fakes, plan(N_REQUESTS))
        threads = [threading.Thread(target=run.client) for _ in range(N_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240 + N_REQUESTS / 100)
        scraper.is_over.set()
        scraper.join(30)
        eq(scraper.wrong[:5], [], f"{scraper.n_scrapes} scrapes meanwhile: counters only grow")
        eq(run.surprises[:5], [], f"{N_REQUESTS} requests each ended as they should")
        eq(sum(run.expected.values()), N_REQUESTS, "all were sent")
        daemon.settled()
        classic = daemon.settled()
        stats = daemon.stats()
        modern = daemon.metrics(OPENMETRICS)
        check_metrics(classic, run, "classic")
        check_metrics(modern, run, "OpenMetrics")
        served = run.expected["llama3_70b", "a", "200"]
        eq(classic.get("nexus_requests_total", model="llama3_70b", backend="a", status="200"),
           served, 'nexus_requests_total{model="llama3_70b",backend="a",status="200"}')
        check_identities(classic, stats)
        check_backend_logs(classic, fakes)
        check_stats(stats, run)
        check_retries(classic, fakes)
        eq(classic.sum("gateway_requests_total", path="/v1/chat/completions"), N_REQUESTS,
           "gateway_requests_total")


def check_stats(stats, run):
    models = {row["name"]: row["requests"] for row in stats["models"]}
    for model in MODELS:
        want = sum(n for (m, _, _), n in run.expected.items() if m == sanitize(model))
        eq(models.get(model), want, f"/v1/stats: {model}")
    success = sum(n for (_, _, status), n in run.expected.items() if status == "200")
    eq(stats["requests"], {"total": N_REQUESTS, "success": success,
                           "errors": N_REQUESTS - success}, "/v1/stats: requests")
    eq([row["pending"] for row in stats["backends"]], [0, 0], "/v1/stats: nothing is pending")


def check_retries(metrics, fakes):
    if not metrics.has_family("nexus_retries_total"):
        return
    attempts = sum(len(f.log()) for f in fakes)
    first = sum(n for labels, n in metrics.select("nexus_requests_total")
                if labels["backend"] != "none")
    eq(metrics.sum("nexus_retries_total"), attempts - first,
       "retries = attempts but the first of each request")
    eq(metrics.sum("nexus_upstream_requests_total"), attempts,
       "attempts counted = requests the backends saw")


CHAOS = [{}, {"*": {"status": 500}}, {"a": {"fault": "rst"}}, {"a": {"fault": "cut"}},
         {"*": {"gap": 0.002, "chunks": 8}}, {"*": {"fault": "drip"}}, {"a": {"fault": "close"}},
         {"*": {"fault": "huge", "size": 300000}}, {"*": {"after": 3, "how": "rst"}},
         {"*": {"fault": "huge_stream", "size": 300000}}, {"a": {"fault": "error_event"}},
         {"*": {"status": 429}}, {"*": {"fault": "slow_head"}}, {"*": {"fault": "never"}}]


def chaos_client(daemon, seed, n_requests, models):
    """Requests of any sort, left at any moment."""
    dice = random.Random(seed)
    for _ in range(n_requests):
        body = json.dumps(chat_body(dice.choice(models), "x" * dice.randrange(2000),
                                    stream=dice.random() < 0.5,
                                    x_fake=dice.choice(CHAOS))).encode()
        data = encode_request("POST", "/v1/chat/completions", None, body)
        with daemon.connect(timeout=dice.uniform(0.0005, 0.05)) as connection:
            try:
                connection.send(data[:dice.randrange(len(data))] if dice.random() < 0.1 else data)
                while connection.socket.recv(dice.choice((100, 65536))):
                    if dice.random() < 0.1:
                        break
            except OSError:
                pass
            if dice.random() < 0.5:
                connection.reset()


def test_chaos():
    """Clients that leave at any moment of requests of any sort; then the books must balance."""
    with pair(MODELS) as (daemon, *fakes):
        fds = daemon.open_fds()
        threads = [threading.Thread(target=chaos_client, args=(daemon, n, 50, MODELS)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        metrics = daemon.settled()
        stats = daemon.stats()
        total = metrics.sum("nexus_requests_total")
        eq(metrics.sum("gateway_requests_total", path="/v1/chat/completions"), total,
           f"{total:.0f} requests in both families")
        by_status = collections.Counter()
        for labels, n in metrics.select("nexus_requests_total"):
            by_status[labels["status"]] += int(n)
        tap.diag(f"by status: {dict(by_status)}")
        check_identities(metrics, stats)
        for fake in fakes:
            ok(fake.wait(lambda f=fake: all(e.outcome for e in f.log())),
               f"{fake.name}: nothing is left running")
        unseen = metrics.sum("nexus_upstream_requests_total") - sum(len(f.log()) for f in fakes)
        cancelled = metrics.sum("nexus_upstream_requests_total", outcome="cancelled")
        ok(0 <= unseen <= cancelled,
           "each request a backend saw is an attempt; only cancelled ones may be unseen",
           (unseen, cancelled))
        ok(wait_until(lambda: daemon.open_fds() <= fds + 20), "no descriptors are left",
           (fds, daemon.open_fds()))
        ok(wait_until(lambda: daemon.metrics().sum("nexus_client_connections") == 1),
           "one client is left: the scrape")
        eq(daemon.chat(MODELS[0]).status, 200, "and it serves on")


if __name__ == "__main__":
    tap.run(globals())
