# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus with the scrape.yml and alerts.yml that are shipped: it scrapes a busy nexusd in
both formats, and answers every expression of the dashboard, the alerts and the manual."""
import http.server
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend, chat_body, free_port, wait_until

BOUND_SECONDS = 60
# One millisecond more than two scrapes are apart: newer versions leave the older one out else.
MORE_MSEC = 1
NAME = re.compile(r"\b((?:nexus|gateway|process)_\w+)(\{)?")


# --- programs ---


class ClassicOnly:
    """A proxy that asks nexusd for the classic text, which this Prometheus does not prefer."""

    def __init__(self, daemon):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = daemon.get(self.path, {"Accept": "text/plain;version=0.0.4"})
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.header("content-type"))
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def shipped(name):
    """A file as it is installed: from the build, else from the source."""
    for folder in (os.environ.get("NEXUSD_BUILD", "."), os.environ.get("NEXUSD_SOURCE", "."),
                   pathlib.Path(__file__).resolve().parents[2]):
        path = pathlib.Path(folder) / name
        if path.is_file():
            return path.read_text()
    raise FileNotFoundError(name)


class Prometheus:
    """Runs in a folder of its own, with the shipped files; `targets` stand in for the one there."""

    def __init__(self, targets):
        self._folder = tempfile.TemporaryDirectory(prefix="nexusd-prometheus-")
        self.path = pathlib.Path(self._folder.name)
        self.address = f"127.0.0.1:{free_port()}"
        scrape = shipped("data/prometheus/scrape.yml").replace("interval: 15s", "interval: 1s")
        (self.path / "alerts.yml").write_text(shipped("data/prometheus/alerts.yml"))
        (self.path / "scrape.yml").write_text(
            scrape.replace('"127.0.0.1:8000"', ", ".join(f'"{target}"' for target in targets)))
        self._log = open(self.path / "log", "w", encoding="utf-8")
        self._process = subprocess.Popen(
            ["prometheus", f"--config.file={self.path}/scrape.yml",
             f"--storage.tsdb.path={self.path}/data", f"--web.listen-address={self.address}"],
            cwd=self.path, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def stop(self):
        self._process.terminate()
        self._process.wait(BOUND_SECONDS)
        self._log.close()
        self._folder.cleanup()

    def log(self):
        return (self.path / "log").read_text()

    def is_ready(self):
        """Until then it answers 503, when it answers at all."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=BOUND_SECONDS):
                return True
        except OSError:
            return False

    def get(self, path, **parameters):
        """The data of an answer; raises ValueError with what Prometheus says is wrong."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=BOUND_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def query(self, expression, at=None):
        """[(labels, value)] at a time, else now."""
        found = self.get("query", query=expression, **({"time": f"{at:.3f}"} if at else {}))
        return [(row["metric"], float(row["value"][1])) for row in found["result"]]

    def last_scrape(self, target):
        """When the last scrape that got there was made; 0 before the first."""
        rows = self.query(f'timestamp(nexus_uptime_seconds{{instance="{target}"}})')
        return rows[0][1] if rows else 0

    def scraped_after(self, moment, target):
        """The time of a scrape that began after this moment."""
        return wait_until(lambda: (at := self.last_scrape(target)) > moment and at, BOUND_SECONDS)


def promtool(folder, *arguments):
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=BOUND_SECONDS, check=False)
    tap.ok(done.returncode == 0, f"promtool {' '.join(arguments)}", done.stdout + done.stderr)


# --- traffic ---

BIG, SMALL, OTHER = "big:70b", "small:8b", "other"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100,
         "prompt_tokens_details": {"cached_tokens": 400},
         "completion_tokens_details": {"reasoning_tokens": 10}}
ERRORS = {"bad_request": 2, "backend_error": 2, "model_not_found": 4, "client_disconnect": 2}
N_FALLBACKS = 3
N_REQUESTS = 28


def wait_for_a_place(daemon):
    """Returns once it waits for the only one at b."""
    connection = daemon.connect()
    connection.request("POST", "/v1/chat/completions", None,
                       json.dumps(chat_body(SMALL)).encode())
    tap.ok(wait_until(lambda: daemon.metrics().get("nexus_queue_depth") == 1), "a request waits")
    return connection


def make_traffic(daemon):
    """Of every kind, N_REQUESTS of them."""
    for _ in range(6):
        daemon.chat(BIG)
    for _ in range(3):
        daemon.stream(SMALL, x_fake={"*": {"usage": USAGE, "chunks": 3}}).all_data()
        daemon.chat(BIG, x_fake={"a": {"status": 500}})  # small answers
    for _ in range(2):
        daemon.chat(SMALL, x_fake={"*": {"usage": USAGE}})
        daemon.chat(OTHER, x_fake={"*": {"status": 404}})
        daemon.stream(OTHER, x_fake={"*": {"chunks": 2, "after": 1, "how": "rst"}}).read_rest()
        leaving = daemon.stream(SMALL, x_fake={"*": {"gap": 0.05, "chunks": 100}})
        leaving.next_data()
        waiting = wait_for_a_place(daemon)
        leaving.close()
        waiting.read_response()
    daemon.chat(BIG, x_fake={"*": {"no_usage": True}})
    daemon.chat(OTHER, x_fake={"a": {"status": 500}})  # b answers
    for _ in range(4):
        daemon.chat("no such model")


# --- judgements ---


class Window:
    """The time between two scrapes of a target, around traffic that is known."""

    def __init__(self, prometheus, target, began, ended):
        self._prometheus, self._target = prometheus, target
        self.seconds = ended - began
        self._msec = round(1000 * self.seconds) + MORE_MSEC
        self._ended = ended

    def query(self, expression):
        """[(labels, value)] of the numbers of this target within the window."""
        expression = NAME.sub(
            lambda m: f'{m[1]}{{instance="{self._target}"' + (", " if m[2] else "}"), expression)
        return self._query(re.sub(r"\[\w+\]", f"[{self._msec}ms]", expression))

    def query_panel(self, expression):
        """The same of an expression of the dashboard, with all models and backends."""
        for name, value in (("$instance", re.escape(self._target).replace("\\", "\\\\")),
                            ("$model", ".*"), ("$backend", ".*"),
                            ("$__rate_interval", f"{self._msec}ms")):
            expression = expression.replace(name, value)
        return self._query(expression)

    def _query(self, expression):
        return [(labels, value) for labels, value in
                self._prometheus.query(expression, self._ended) if not math.isnan(value)]

    def check(self, expression, want, what):
        """Its values by the label that tells them apart, within a thousandth."""
        rows = self.query(expression)
        got = {"".join(labels.values()): value for labels, value in rows}
        tap.ok(set(got) == set(want) and
               all(math.isclose(got[key], want[key], rel_tol=1e-3) for key in want),
               f"{what}: {expression}", f"got {got}, want {want}")


# What nexusd-metrics(7) says adds up.
EQUAL = (("sum(nexus_errors_total)", 'sum(nexus_requests_total{status!~"2.."})'),
         ("sum by (model, backend) (nexus_requests_total)",
          "sum by (model, backend) (nexus_request_duration_seconds_count)"),
         ("sum(nexus_requests_total)",
          'sum(gateway_requests_total{path=~"/v1/(chat/)?completions|/v1/embeddings"})'),
         ('sum by (model) (nexus_tokens_total_sum{type="prompt"})',
          "sum by (model) (nexus_prompt_tokens_total)"),
         ('sum by (model) (nexus_tokens_total_sum{type="completion"})',
          "sum by (model) (nexus_completion_tokens_total)"))


def judge_sums(window):
    def positive(expression):
        return sorted((sorted(labels.items()), value)
                      for labels, value in window.query(expression) if value)

    for left, right in EQUAL:
        values = positive(left)
        tap.ok(values and values == positive(right), f"{left} is {right}",
               values, positive(right))


def quantile(q, buckets):
    """As histogram_quantile() finds it in {bound: cumulative count}."""
    bounds = sorted(buckets)
    rank, below, before = q * buckets[math.inf], 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            break
        below, before = bound, buckets[bound]
    if bound == math.inf:
        return bounds[-2]
    return below + (bound - below) * (rank - before) / (buckets[bound] - before)


def buckets_of(delta, name):
    """{bound: cumulative count} over all its series."""
    buckets = {}
    for labels, count in delta.select(f"{name}_bucket"):
        bound = math.inf if labels["le"] == "+Inf" else float(labels["le"])
        buckets[bound] = buckets.get(bound, 0) + count
    return buckets


def judge_numbers(window, delta):
    """The queries that the documents ask for, over counts that are known."""
    def rate(n):
        return n / window.seconds

    window.check("sum(rate(nexus_requests_total[5m]))", {"": rate(N_REQUESTS)}, "request rate")
    window.check("sum by (error_type) (rate(nexus_errors_total[5m]))",
                 {kind: rate(n) for kind, n in ERRORS.items()}, "error rate by type")
    window.check("sum by (from_model) (rate(nexus_fallbacks_total[5m]))",
                 {"big_70b": rate(N_FALLBACKS)}, "fallback rate per model")
    window.check("histogram_quantile(0.99, sum by (le) "
                 "(rate(nexus_request_duration_seconds_bucket[5m])))",
                 {"": quantile(0.99, buckets_of(delta, "nexus_request_duration_seconds"))}, "p99")
    window.check("sum by (backend) (rate(nexus_request_duration_seconds_sum[5m]))",
                 {name: rate(delta.sum("nexus_request_duration_seconds_sum", backend=name))
                  for name in ("a", "b", "none")}, "time spent on each backend")
    sums, counts = (dict((labels["backend"], value) for labels, value in window.query(
        f"increase(nexus_backend_latency_seconds_{part}[5m])")) for part in ("sum", "count"))
    window.check("sum by (backend) (rate(nexus_backend_latency_seconds_sum[5m])) / "
                 "sum by (backend) (rate(nexus_backend_latency_seconds_count[5m]))",
                 {name: sums[name] / counts[name] for name in ("a", "b")},
                 "average backend latency")


def examples():
    """The queries of nexusd-metrics(7); a line that begins with a blank goes on with one."""
    text = shipped("man/nexusd-metrics.7.in").split(".Sh EXAMPLES\n")[1]
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)
    return [query for block in blocks
            for query in re.sub(r"\n +", " ", block).strip().split("\n")]


def judge_queries(query, expressions, what):
    """Each must have an answer; those about what is not fed here need not have rows."""
    for expression in expressions:
        try:
            rows = query(expression)
        except ValueError as error:
            tap.ok(False, f"{what}: {expression}", error)
            continue
        tap.ok(rows, f"{what}: {expression}")


def judge_dashboard(window, prometheus):
    dashboard = json.loads(shipped("data/grafana/nexusd.json"))
    expressions = [target["expr"] for panel in dashboard["panels"]
                   for target in panel.get("targets", [])]
    judge_queries(window.query_panel, expressions, "dashboard")
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)",
                                         variable["definition"]).groups()
            values = prometheus.get(f"label/{label}/values",
                                    **{"match[]": series.replace("$instance", ".*")})
            tap.ok(values, f"dashboard: the variable {variable['name']} has values", values)


def judge_alerts(prometheus):
    def evaluated():
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return all(rule["health"] != "unknown" for rule in rules) and rules

    rules = wait_until(evaluated, BOUND_SECONDS) or []
    tap.ok(rules and all(rule["health"] == "ok" for rule in rules),
           f"alerts: Prometheus evaluates all {len(rules)}",
           *(rule.get("lastError") for rule in rules))
    tap.eq([rule["name"] for rule in rules if rule["state"] == "firing"], [],
           "alerts: none fires for so little")


def judge_scrapes(prometheus, daemon, modern, classic):
    targets = {t["labels"]["instance"]: (t["health"], t["lastError"])
               for t in prometheus.get("targets")["activeTargets"]}
    tap.eq(targets, {modern: ("up", ""), classic: ("up", "")}, "both formats are scraped")
    for target, unit in ((modern, "seconds"), (classic, "")):
        rows = prometheus.get("targets/metadata", match_target=f'{{instance="{target}"}}',
                              metric="nexus_request_duration_seconds")
        tap.eq([(row["type"], row["unit"]) for row in rows], [("histogram", unit)],
               "OpenMetrics has units" if unit else "the classic text has none")
    lost = prometheus.query("scrape_samples_scraped - scrape_samples_post_metric_relabeling")
    tap.eq([value for _, value in lost], [0, 0], "no sample is dropped")
    n_lines = sum(not line.startswith("#") for line in daemon.settled().text.splitlines())
    now = time.time()
    for target in (modern, classic):
        prometheus.scraped_after(now, target)
    tap.eq([value for _, value in prometheus.query("scrape_samples_scraped")],
           [n_lines, n_lines], "every line is a sample")
    with urllib.request.urlopen(f"http://{prometheus.address}/metrics") as answer:
        text = answer.read().decode()
    troubles = re.findall(r"^(prometheus_target_scrapes_(?:sample|exceeded)\w+) (\S+)$", text,
                          re.M)
    tap.ok(len(troubles) >= 4 and all(value == "0" for _, value in troubles),
           "Prometheus rejected nothing", troubles)
    tap.eq(re.findall(r"^.*level=(?:warn|error).*$", prometheus.log(), re.M), [],
           "and complains of nothing")


def wait_for_probes(daemon, before):
    """Returns once each backend was probed: a window between two scrapes may be shorter."""
    def count(metrics, name):
        return metrics.get("nexus_backend_latency_seconds_count", backend=name)

    tap.ok(wait_until(lambda: (now := daemon.metrics()) and
                      all(count(now, name) > count(before, name) for name in ("a", "b"))),
           "both backends are probed")


def judge(daemon, prometheus, classic):
    modern = daemon.address
    make_traffic(daemon)
    daemon.settled()
    settled = time.time()
    began = prometheus.scraped_after(settled, modern)
    prometheus.scraped_after(settled, classic)
    before = daemon.metrics()
    with Counting(daemon) as added:
        make_traffic(daemon)
    wait_for_probes(daemon, before)
    tap.eq(added.delta.sum("nexus_requests_total"), N_REQUESTS, "the traffic is as it should be")
    ended = prometheus.scraped_after(time.time(), modern)
    prometheus.scraped_after(time.time(), classic)
    window = Window(prometheus, modern, began, ended)
    judge_numbers(window, added.delta)
    judge_sums(window)
    judge_queries(window.query, examples(), "nexusd-metrics(7)")
    judge_dashboard(window, prometheus)
    judge_alerts(prometheus)
    judge_scrapes(prometheus, daemon, modern, classic)


def test_prometheus():
    for program in ("prometheus", "promtool"):
        if not shutil.which(program):
            tap.skip("a real Prometheus", f"no {program}")
            return
    a, b = FakeBackend("a", [BIG, OTHER]), FakeBackend("b", [SMALL, OTHER])
    with Daemon(backends=[backend(a, priority=1), backend(b, priority=2, max_concurrent=1)],
                routing={"strategy": "priority_only", "max_retries": 1,
                         "fallbacks": [{"model": BIG, "to": [SMALL]}]}, health={"interval": 1},
                prices=[{"model": "*", "prompt": 2.5, "cached_prompt": 1, "completion": 10}]
                ) as daemon:
        proxy = ClassicOnly(daemon)
        prometheus = Prometheus([daemon.address, proxy.address])
        try:
            promtool(prometheus.path, "check", "config", "scrape.yml")
            promtool(prometheus.path, "check", "rules", "alerts.yml")
            tap.ok(wait_until(prometheus.is_ready, BOUND_SECONDS), "Prometheus is ready")
            judge(daemon, prometheus, proxy.address)
        finally:
            prometheus.stop()
            proxy.stop()
    a.stop()
    b.stop()
