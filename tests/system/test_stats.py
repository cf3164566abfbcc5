#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""/v1/stats beside the counts that test_metrics.py compares: rates, history, odd names."""
import time

import stats_schema
import tap
from fake_backend import FakeBackend
from harness import Rig, backend, shared, wait_until
from stats_check import check_stats
from tap import eq, ok

INTERVAL = 10
ODD = ['quote"', "back\\slash", "</script>", "\u00e9\u00e8", "\U0001f600", "\u2028", "llama3:70b"]
POINT = ["time", "seconds", "requests", "errors", "tokens", "in_flight", "streams", "duration_ms",
         "ttft_ms"]


@shared
def one():
    a = FakeBackend("a", ["m"])
    return Rig([a], backends=[backend(a)],
               prices=[{"model": "m", "prompt": 2.5, "completion": 10}])


def history(daemon):
    return daemon.get("/v1/stats?history=1").json()["history"]


def test_history_is_asked_for():
    daemon, _ = one()
    for query, wanted in (("", False), ("?history=1", True), ("?x=y&history=1&z", True),
                          ("?history=0", False), ("?history", False), ("?xhistory=1", False)):
        eq("history" in daemon.get(f"/v1/stats{query}").json(), wanted, f"history: {query}")


def objects(value, path=()):
    """Every object of a document with its path."""
    if isinstance(value, dict):
        yield path, value
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(child, (dict, list)):
            yield from objects(child, (*path, key))


def test_schema_is_strict():
    """The documents of all tests are judged by it (harness.py); here it is judged itself."""
    stats_schema.need()
    daemon, _ = one()
    daemon.chat("m")
    document = daemon.get("/v1/stats?history=1").json()
    document["history"] = [dict.fromkeys(POINT, 0) | {
        name: {"p50": None, "p95": 0.1, "p99": 2} for name in ("duration_ms", "ttft_ms")}]
    eq(stats_schema.problems(document), [], "a document obeys it")
    accepted = []
    for path, found in objects(document):
        for name, value in list(found.items()):
            wrong = [["a list"], -1] if isinstance(value, (int, float)) else [["a list"]]
            for changed in wrong if not isinstance(value, list) else [0, [0]]:
                found[name] = changed
                accepted += [] if stats_schema.problems(document) else [(*path, name, changed)]
            del found[name]
            if path or name != "history":
                accepted += [] if stats_schema.problems(document) else [(*path, name, "absent")]
            found[name] = value
        found["another"] = 1
        accepted += [] if stats_schema.problems(document) else [(*path, "another")]
        del found["another"]
    eq(accepted, [], "no member may be absent, of another kind or new")
    eq(stats_schema.problems(document), [], "and it is whole again")


def test_rates():
    daemon, _ = one()
    since = time.monotonic()
    for _ in range(20):
        daemon.chat("m")
    daemon.settled()
    stats = daemon.stats()
    rates, n = stats["rates"], stats["requests"]["total"]
    # All of them within the uptime, or within the shortest time that counts.
    lowest = n / (stats["uptime_seconds"] + 1)
    ok(time.monotonic() - since > 50 or lowest <= rates["requests_per_second"] <= n,
       "requests_per_second", (lowest, n, rates))
    ok(rates["tokens_per_second"] > rates["requests_per_second"], "tokens_per_second", rates)


def test_streams_and_cost():
    daemon, _ = one()
    for chunks in (1, 2, 5):
        daemon.stream("m", x_fake={"*": {"chunks": chunks, "gap": 0.001}}).all_data()
    metrics, stats = daemon.settled(), daemon.stats()
    check_stats(metrics, stats)
    model, found = stats["models"][0], stats["backends"][0]
    ok(model["cost_usd"] > 0, "cost_usd", model)
    ok(None not in model["ttft_ms"].values() and model["ttft_ms"] == found["ttft_ms"],
       "ttft_ms of streams", (model, found))
    cost = (2.5 * model["tokens"]["prompt"] + 10 * model["tokens"]["completion"]) / 1e6
    ok(abs(model["cost_usd"] - cost) < 1e-12, "the cost is that of the tokens", (model, cost))


def test_odd_names():
    a = FakeBackend("a", ODD)
    with Rig([a], backends=[backend(a)], health={"interval": 0.1}) as (daemon, _):
        daemon.wait_models(*ODD)
        for name in ODD:
            eq(daemon.chat(name).status, 200, f"{name!r} is served")
        metrics, stats = daemon.settled(), daemon.stats()
        eq({row["name"]: row["requests"] for row in stats["models"]}, {name: 1 for name in ODD},
           "every name comes back as it was")
        check_stats(metrics, stats)


def test_history():
    """One real interval; what the ring holds is the unit test's."""
    daemon, fake = one()
    before, began = daemon.settled(), time.time()
    n_before = len(history(daemon))
    fake.behave({"status": 404}, {}, {})
    for _ in range(3):
        daemon.chat("m")
    metrics = daemon.settled()
    ok(wait_until(lambda: len(history(daemon)) > n_before, 3 * INTERVAL), "a point is added")
    points = history(daemon)
    ok(all(list(point) == POINT for point in points), "the members of each", points)
    # Other tests of this module may have been in the same interval, or in those before.
    eq(sum(point["requests"] for point in points), metrics.sum("nexus_requests_total"),
       "the requests of all intervals are all requests")
    eq(sum(point["errors"] for point in points), metrics.sum("nexus_errors_total"), "errors")
    eq(sum(point["tokens"] for point in points), metrics.sum("nexus_tokens_total_sum"), "tokens")
    eq(metrics.since(before).sum("nexus_requests_total"), 3, "three of them here")
    last = points[-1]
    ok(began - 1 <= last["time"] <= time.time(), "its time is real time", last)
    ok(last["seconds"] >= INTERVAL, "its seconds are those of an interval", last)
    eq((last["in_flight"], last["streams"]), (0, 0), "nothing was in flight")
    ok(last["duration_ms"]["p50"] > 0, "its percentiles", last)


if __name__ == "__main__":
    tap.run(globals())
