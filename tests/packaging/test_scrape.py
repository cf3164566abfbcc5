# SPDX-License-Identifier: Apache-2.0
"""/metrics as a scraper sees it: both formats are read by Prometheus' own client library."""
import service
import tap
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from tap import eq, ok

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def total(families, model):
    """The samples of nexus_requests_total for a model, added up."""
    return sum(sample.value for family in families for sample in family.samples
               if sample.name == "nexus_requests_total" and sample.labels["model"] == model)


def test_formats():
    for name, headers, read, kind in (
            ("text", {}, read_text, "text/plain"),
            ("OpenMetrics", OPENMETRICS, read_openmetrics, "application/openmetrics-text")):
        def scrape():
            answer = service.get("/metrics", headers=headers)
            ok(answer.header("content-type").startswith(kind), f"{name}: its content type", answer)
            return list(read(answer.body.decode()))
        before = total(scrape(), "demo")
        for _ in range(3):
            service.ask()
        families = scrape()
        eq(total(families, "demo"), before + 3, f"{name}: three requests are counted")
        ok(len(families) > 20, f"{name}: {len(families)} families")


def test_stats():
    before = service.get("/v1/stats").json()
    service.ask()
    after = service.get("/v1/stats").json()
    ok(before.keys() == after.keys() and before != after, "/v1/stats moves on", sorted(after))


tap.run(globals())
