# SPDX-License-Identifier: Apache-2.0
"""What /v1/stats must say, computed from a scrape of /metrics taken at rest."""
import collections

from prometheus_text import sanitize
from tap import eq, ok

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
HALF_TENTH = 0.05 + 1e-6  # milliseconds are rounded to tenths


def quantile(buckets, q):
    """PromQL's histogram_quantile() over {upper bound: cumulative count}; None without any."""
    bounds = sorted(buckets)
    count = buckets[bounds[-1]] if bounds else 0
    if not count:
        return None
    low = below = 0
    for bound in bounds:
        if buckets[bound] >= q * count and buckets[bound] > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (q * count - below) / (buckets[bound] - below)
        low, below = bound, buckets[bound]
    return low


def percentiles(metrics, family, **labels):
    """In milliseconds, over all series that carry these labels."""
    buckets = collections.Counter()
    for found, n in metrics.select(f"{family}_bucket", **labels):
        buckets[float(found["le"])] += n
    values = {name: quantile(buckets, q) for name, q in QUANTILES.items()}
    return {name: None if value is None else 1000 * value for name, value in values.items()}


def average(metrics, family, **labels):
    count = metrics.sum(f"{family}_count", **labels)
    return 1000 * metrics.sum(f"{family}_sum", **labels) / count if count else 0.0


def same(shown, wanted, name):
    """Numbers in milliseconds, rounded, or null."""
    if isinstance(wanted, dict):
        good = set(shown) == set(wanted) and all(is_same(shown[k], wanted[k]) for k in wanted)
    else:
        good = is_same(shown, wanted)
    ok(good, f"/v1/stats: {name}", (shown, wanted))


def is_same(shown, wanted):
    if shown is None or wanted is None:
        return shown is wanted
    return abs(shown - wanted) <= HALF_TENTH


def errors_of(metrics, **labels):
    return sum(n for found, n in metrics.select("nexus_requests_total", **labels)
               if not found["status"].startswith("2"))


def check_total(metrics, stats):
    total, errors = metrics.sum("nexus_requests_total"), errors_of(metrics)
    eq(stats["requests"], {"total": total, "success": total - errors, "errors": errors},
       "/v1/stats: requests")
    eq(sum(row["requests"] for row in stats["models"]), total, "/v1/stats: models make the total")
    eq(stats["statsd"]["packets_sent"], metrics.sum("nexus_statsd_packets_total", result="sent"),
       "/v1/stats: statsd.packets_sent")


def check_model(metrics, row):
    labels = {"model": sanitize(row["name"])}
    name = f"model {row['name']}"
    eq(row["requests"], metrics.sum("nexus_requests_total", **labels), f"/v1/stats: {name}")
    tokens = "nexus_request_tokens" if metrics.has_family("nexus_request_tokens") \
        else "nexus_tokens_total"
    eq(row["tokens"], {kind: metrics.sum(f"{tokens}_sum", type=kind, **labels)
                       for kind in ("prompt", "completion")}, f"/v1/stats: {name}: tokens")
    ok(abs(row["cost_usd"] - metrics.sum("nexus_cost_usd_total", **labels)) < 1e-9,
       f"/v1/stats: {name}: cost_usd", row["cost_usd"])
    same(row["average_duration_ms"], average(metrics, "nexus_request_duration_seconds", **labels),
         f"{name}: average_duration_ms")
    check_times(metrics, row, labels, name, ("duration_ms", "ttft_ms"))


def check_times(metrics, row, labels, name, members):
    families = {"duration_ms": "nexus_request_duration_seconds",
                "ttft_ms": "nexus_time_to_first_token_seconds"}
    for member in members:
        same(row[member], percentiles(metrics, families[member], **labels), f"{name}: {member}")


def check_backend(metrics, row):
    labels = {"backend": sanitize(row["id"])}
    name = f"backend {row['id']}"
    requests = metrics.sum("nexus_requests_total", **labels)
    eq(row["requests"], requests, f"/v1/stats: {name}")
    eq((row["name"], row["pending"], row["in_flight"]), (row["id"], 0, 0),
       f"/v1/stats: {name}: nothing is in flight")
    rate = errors_of(metrics, **labels) / requests if requests else 0
    ok(abs(row["error_rate"] - rate) <= 1e-6, f"/v1/stats: {name}: error_rate",
       (row["error_rate"], rate))
    same(row["average_latency_ms"], average(metrics, "nexus_request_duration_seconds", **labels),
         f"{name}: average_latency_ms")
    check_times(metrics, row, labels, name, ("ttft_ms",))


def check_stats(metrics, stats):
    """All that both tell is the same. Rows whose names are one in /metrics are passed over."""
    check_total(metrics, stats)
    for rows, key, check in (("backends", "id", check_backend), ("models", "name", check_model)):
        names = collections.Counter(sanitize(row[key]) for row in stats[rows])
        for row in stats[rows]:
            if names[sanitize(row[key])] == 1:
                check(metrics, row)
