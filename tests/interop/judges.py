# SPDX-License-Identifier: Apache-2.0
"""Other people's programs that judge /metrics after traffic of every kind."""
import shutil
import subprocess

import tap
from harness import OPENMETRICS, pair

# The two names that the documents prescribe and promtool's lint does not like.
ALLOWED = {"nexus_backends_total non-counter metrics should not have \"_total\" suffix",
           "nexus_tokens_total non-counter metrics should not have \"_total\" suffix"}


def make_traffic(daemon, models):
    for model in models:
        daemon.chat(model)
        daemon.stream(model).all_data()
    daemon.chat("unknown \"\\\n model")
    daemon.chat(models[0], x_fake={"*": {"status": 404}})
    daemon.chat(models[0], x_fake={"*": {"fault": "rst"}})
    daemon.get("/nowhere")
    daemon.settled()


def judge_by_promtool(text, allowed=ALLOWED):
    if not shutil.which("promtool"):
        tap.skip("promtool check metrics", "no promtool")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          timeout=60, check=False)
    said = {line.strip() for line in (done.stdout + done.stderr).decode().splitlines() if line}
    tap.eq(said, allowed, f"promtool check metrics: exactly {len(allowed)} allowed lines")
    tap.eq(done.returncode, 3 if allowed else 0, "promtool check metrics: exit status")


def judge_by_openmetrics_parser(text):
    try:
        from prometheus_client.openmetrics import parser
    except ImportError:
        tap.skip("the OpenMetrics parser", "no python3-prometheus-client")
        return
    try:
        families = list(parser.text_string_to_metric_families(text))
    except ValueError as error:
        tap.ok(False, "python3-prometheus-client parses the OpenMetrics text", repr(error))
        return
    tap.ok(len(families) >= 13, "python3-prometheus-client parses the OpenMetrics text",
           len(families))
    kinds = {f.name: f.type for f in families}
    tap.eq((kinds.get("nexus_requests"), kinds.get("nexus_tokens_total"),
            kinds.get("nexus_build")), ("counter", "histogram", "info"), "with the right types")
    values = {(s.name, tuple(sorted(s.labels.items()))): s.value
              for f in families for s in f.samples}
    key = ("nexus_requests_total", (("backend", "a"), ("model", "llama3_70b"), ("status", "200")))
    tap.ok(values.get(key, 0) >= 2, "and the right numbers", values.get(key))


def judge_by_classic_parser(text):
    try:
        from prometheus_client import parser
    except ImportError:
        tap.skip("the classic parser", "no python3-prometheus-client")
        return
    families = list(parser.text_string_to_metric_families(text))
    tap.ok(len(families) >= 13, "python3-prometheus-client parses the classic text", len(families))


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def judge_all_that_openmetrics_has():
    """Clean names, exemplars, births, gzip and a selection: everything that is off by default."""
    with pair(metrics={"naming": "clean", "exemplars": True, "created": True}) as (daemon, *_):
        daemon.chat("llama3:70b", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        daemon.settled()
        judge_by_promtool(daemon.get("/metrics").body, allowed=set())
        try:
            from prometheus_client.openmetrics import parser
        except ImportError:
            tap.skip("the OpenMetrics parser", "no python3-prometheus-client")
            return
        headers = {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"}
        text = daemon.get("/metrics", headers).content().decode()
        samples = [s for f in parser.text_string_to_metric_families(text) for s in f.samples]
        traces = {s.exemplar.labels["trace_id"] for s in samples if s.exemplar}
        tap.eq(traces, {TRACE}, "python3-prometheus-client finds the exemplar, in gzip")
        births = [s for s in samples if s.name == "nexus_requests_created"]
        tap.ok(births and births[0].value > 1.7e9, "and when a series was born", births)
        text = daemon.get("/metrics?name[]=nexus_requests_total", headers).content().decode()
        names = [f.name for f in parser.text_string_to_metric_families(text)]
        tap.eq(names, ["nexus_requests"], "and what was selected, alone")


def judge(daemon, models):
    make_traffic(daemon, models)
    classic = daemon.get("/metrics").body
    judge_by_promtool(classic)
    judge_by_classic_parser(classic.decode())
    judge_by_openmetrics_parser(daemon.get("/metrics", {"Accept": OPENMETRICS}).body.decode())
    judge_all_that_openmetrics_has()
