# SPDX-License-Identifier: Apache-2.0
"""Other people's programs that judge /metrics after traffic of every kind."""
import shutil
import subprocess

import tap
from harness import OPENMETRICS

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


def judge_by_promtool(text):
    if not shutil.which("promtool"):
        tap.skip("promtool check metrics", "no promtool")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          timeout=60, check=False)
    said = {line.strip() for line in (done.stdout + done.stderr).decode().splitlines() if line}
    tap.eq(said, ALLOWED, "promtool check metrics: exactly the two allowed lines")
    tap.eq(done.returncode, 3, "promtool check metrics: exit status of lint only")


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


def judge(daemon, models):
    make_traffic(daemon, models)
    classic = daemon.get("/metrics").body
    judge_by_promtool(classic)
    judge_by_classic_parser(classic.decode())
    judge_by_openmetrics_parser(daemon.get("/metrics", {"Accept": OPENMETRICS}).body.decode())
