# SPDX-License-Identifier: Apache-2.0
"""The dashboard and the alerts that are made of the catalogue are whole, and name nothing else."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import tap

CATALOG = "src/metrics/catalog.def"
TABLES = (CATALOG, "src/metrics/groups.def", "data/panels.def", "data/alerts.def")
METRIC = re.compile(r'^METRIC\(\w+, (\w+), "(\w+)"', re.M)
NAME = re.compile(r"\b(?:nexus|gateway|process)_\w+")
PANEL_TYPES = {"row", "stat", "timeseries", "state-timeline", "table"}
GRID_COLUMNS = 24


def sample_names():
    """The names of the samples of each family."""
    return {name: [name + suffix for suffix in ("_bucket", "_sum", "_count")]
            if kind == "HISTOGRAM" else [name]
            for kind, name in METRIC.findall(tap.read(CATALOG))}


def built(path):
    with open(os.path.join(os.environ.get("NEXUSD_BUILD") or tap.TREE, path),
              encoding="utf-8") as file:
        return file.read()


def unknown(texts):
    return [f"{name}: in {text}" for text in texts for name in NAME.findall(text)
            if name not in samples]


def clashes(panels):
    """Panels outside the grid, or on another one's cells."""
    wrong, cells = [], {}
    for panel in panels:
        at = panel["gridPos"]
        if at["x"] < 0 or at["x"] + at["w"] > GRID_COLUMNS:
            wrong.append(f"{panel['title']}: {at}")
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"])
                     for y in range(at["y"], at["y"] + at["h"])):
            other = cells.setdefault(cell, panel["title"])
            if other != panel["title"]:
                wrong.append(f"{panel['title']}: on {other}")
    return wrong


def refuses(program, table, row):
    """Whether a generator fails when this row stands in its table."""
    command = ["awk", "-v", "source=."]
    for part in ("src/rows.awk", "data/expressions.awk", program):
        command += ["-f", os.path.join(tap.TREE, part)]
    with tempfile.TemporaryDirectory() as folder:
        for name in TABLES:
            copy = pathlib.Path(folder, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(tap.read(name) + (row + "\n" if name == table else ""))
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.returncode != 0 and done.stderr


def check_dashboard():
    dashboard = json.loads(built("data/grafana/nexusd.json"))
    panels = dashboard["panels"]
    targets = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    queries = [variable["query"]["query"] for variable in dashboard["templating"]["list"]
               if variable["type"] == "query"]
    tap.none(unknown(targets + queries), "dashboard: every metric is in the catalogue")
    named = set(NAME.findall(" ".join(targets)))
    tap.none([family for family, names in families.items() if not named & set(names)],
             "dashboard: every family is there")
    tap.none([expr for expr in targets if NAME.search(expr) and 'instance=~"$instance"' not in expr],
             "dashboard: every expression can be narrowed")
    ids = [panel["id"] for panel in panels]
    tap.ok(len(set(ids)) == len(ids), "dashboard: every panel has an id of its own")
    tap.none(clashes(panels), "dashboard: no panel is on another one")
    tap.none([f"{panel['title']}: {panel['type']}" for panel in panels
              if panel["type"] not in PANEL_TYPES or
              (panel["type"] != "row") != bool(panel.get("targets"))],
             "dashboard: every panel is of a known type and has queries")
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    tap.none(sorted({title for title in titles if titles.count(title) > 1}),
             "dashboard: no title is there twice")
    tap.ok({variable["name"] for variable in dashboard["templating"]["list"]} ==
           {"datasource", "instance", "model", "backend"}, "dashboard: its variables")


def check_yaml():
    try:
        import yaml
    except ImportError:
        tap.skip("the YAML files", "no python3-yaml")
        return
    rules = [rule for group in yaml.safe_load(built("data/prometheus/alerts.yml"))["groups"]
             for rule in group["rules"]]
    scrape = yaml.safe_load(tap.read("data/prometheus/scrape.yml"))
    tap.none(unknown(rule["expr"] for rule in rules), "alerts: every metric is in the catalogue")
    tap.none([rule["alert"] for rule in rules if
              set(rule) != {"alert", "expr", "for", "labels", "annotations"} or
              set(rule["annotations"]) != {"summary", "description"} or
              rule["labels"]["severity"] not in ("critical", "warning")],
             "alerts: each has all that an alert needs")
    names = [rule["alert"] for rule in rules]
    tap.ok(len(set(names)) == len(names), "alerts: every name is there once")
    jobs = [job["job_name"] for job in scrape["scrape_configs"]]
    tap.ok(jobs == ["nexusd"] and any(f'job="{jobs[0]}"' in rule["expr"] for rule in rules),
           "scrape.yml: the alerts know its job")


families = sample_names()
samples = {name for names in families.values() for name in names}
manual = tap.read("man/nexusd-metrics.7.in")

check_dashboard()
check_yaml()
tap.none([name for name in NAME.findall(manual) if name not in samples | set(families)],
         "nexusd-metrics(7): every metric is in the catalogue")
for what, program, table, row in (
        ("a metric that is none", "data/dashboard.awk", "data/panels.def",
         'QUERY("", "<NO_SUCH_METRIC>")'),
        ("a histogram without a suffix", "data/dashboard.awk", "data/panels.def",
         'QUERY("", "<REQUEST_DURATION>")'),
        ("a counter's bucket", "data/alerts.awk", "data/alerts.def",
         'ALERT(A, warning, 0m, "<REQUESTS.bucket>", "", "")'),
        ("a group that is none", "data/dashboard.awk", CATALOG,
         'METRIC(X, GAUGE, "x", NONE, NO_LABELS, LIVE, NO_SUCH_GROUP, "X.")')):
    tap.ok(refuses(program, table, row), f"{program} refuses {what}")
tap.done()
