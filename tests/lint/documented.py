# SPDX-License-Identifier: Apache-2.0
"""Every row of the four tables is in a manual and in a test, every option in the example, too."""

import json
import os
import re
import subprocess

import tap

TABLES = {
    "src/metrics/catalog.def": "METRIC",
    "src/config/schema.def": "OPTION",
    "src/api/routes.def": "ROUTE",
    "src/base/problem.def": "PROBLEM",
}
GROUPS = {"ROOT": "", "LISTENER": "listeners.", "BACKEND": "backends.",
          "MODEL": "backends.models.", "ALIAS": "routing.aliases.",
          "FALLBACK": "routing.fallbacks.",
          "POLICY": "routing.policies.", "PRICE": "prices."}
TOKEN = re.compile(r'"([^"]*)"|(\w+\([^)]*\))|([^\s,()"][^,()"]*)')


def rows(table):
    """The fields of each row as texts; a row stands on one line."""
    macro = TABLES[table] + "("
    for line in tap.read(table).splitlines():
        if line.startswith(macro):
            yield ["".join(token).strip() for token in TOKEN.findall(line[len(macro):])]


def manual(name):
    return subprocess.run(
        ["awk", "-v", f"source={tap.TREE}", "-v", "version=0", "-f", f"{tap.TREE}/src/rows.awk",
         "-f", f"{tap.TREE}/man/expand.awk", f"{tap.TREE}/man/{name}.in"],
        check=True, capture_output=True, text=True).stdout


def has(text, word):
    """Whether the word stands there as a whole; one that ends in a slash may go on."""
    return re.search(r"(?<![\w.])" + re.escape(word) + ("" if word[-1] == "/" else r"(?!\w)"),
                     text) is not None


def undocumented(page, names):
    text = manual(page)
    return [f"{name}: not in {page}" for name in names if not has(text, name)]


def undescribed_labels():
    """Labels of counts that no item of LABELS is about; infos have one for each thing they tell."""
    text = tap.read("man/nexusd-metrics.7.in").split(".Sh LABELS\n")[1].split("\n.Sh ")[0]
    items = "\n".join(re.findall(r"(?m)^\.It .*", text))
    told = {label for line in tap.read("src/metrics/catalog.def").splitlines()
            if line.startswith("METRIC(") and ", INFO, " not in line
            for label in re.findall(r'"(\w+)"', line.partition("LABELS(")[2].partition(")")[0])}
    return [f"{label}: not in LABELS of nexusd-metrics.7" for label in sorted(told)
            if not has(items, label)]


def members(schema):
    """The names of all members that a JSON schema knows."""
    if not isinstance(schema, (dict, list)):
        return set()
    inner = schema if isinstance(schema, list) else schema.values()
    names = schema.get("properties", ()) if isinstance(schema, dict) else ()
    return set(names).union(*map(members, inner))


def shown_members(section):
    """The names in quotes in the displays of a section of nexusd(8)."""
    text = tap.read("man/nexusd.8.in").split(f".Sh {section}\n")[1].split("\n.Sh ")[0]
    displays = re.findall(r"(?ms)^\.Bd -literal.*?^\.Ed", text)
    return set(re.findall(r'"(\w+)"', "".join(displays)))


def untested(words_of):
    """Names none of whose alternatives (each a list of words) stands whole in one test."""
    return [f"{name}: in no test" for name, alternatives in words_of.items()
            if not any(all(has(text, word) for word in words)
                       for words in alternatives for text in tests)]


def option_words(path):
    """How a test says an option: its groups and its name, the path, or a variable."""
    return [path.split("."), [path], ["NEXUSD_" + path.replace(".", "_").upper()]]


tests = [tap.read(path) for path in tap.files("tests", suffixes=(".c", ".h", ".py", ".js", ".mjs"))
         if not path.startswith(("tests/lint/", "tests/bench/",
                                 "tests/interop/alerts.py"))]  # which invents its series

def missing_proofs(page):
    """Tests and files that a page names and that are not there."""
    text = tap.read(page)
    named = [(f"tests/system/test_{module}.py", f"def {test}(") for module, test in
             re.findall(r"`(\w+)\.(test_\w+)`", text)]
    named += [(path, "") for path in re.findall(r"`((?:src|tests|scripts|data|docs)/[\w./-]+)`", text)]
    return [f"{path} {test}: named in {page}, and not there" for path, test in named
            if not os.path.exists(os.path.join(tap.TREE, path)) or
            (test and test not in tap.read(path))]


def shown_with_default(text):
    """The paths of the options in the example that would be set without their "#"."""
    code = "\n".join(line[1:] for line in text.splitlines() if re.match(r"#[^ ]", line))
    groups, found = [], set()
    for group, brace, name in re.findall(r'"[^"]*"|(\w+): *\{|([{}])|(\w+) *=', code):
        if group or brace == "{":
            groups.append(group)
        elif brace:
            groups.pop()
        elif name:
            found.add(".".join([*groups, name]))
    return found


def absent_from_example(text):
    """Options that it lacks: those of a list may be told, bounds are as in buckets.def."""
    bounds = {name.lower(): numbers.replace(" ", ", ") for name, numbers in re.findall(
        r'^BUCKETS\((\w+), \w+, "([^"]*)"\)', tap.read("src/metrics/buckets.def"), re.M)}
    shown, told = shown_with_default(text), re.sub(r"\n# +", " ", text)
    for row in rows("src/config/schema.def"):
        leaf = row[1].split(".")[-1]
        if row[2] == "BOUNDS":
            is_there = f"{leaf} = ( {bounds[leaf]} );" in told
        elif row[0] == "ROOT":
            is_there = row[1] in shown
        else:
            is_there = re.search(rf"^#   {leaf}  |\b{leaf} = ", text, re.M)
        if not is_there:
            yield f"{GROUPS[row[0]]}{row[1]}: not in data/nexusd.conf"


metrics = [row[2] for row in rows("src/metrics/catalog.def")]
options = [GROUPS[row[0]] + row[1] for row in rows("src/config/schema.def")]
routes = [row[2] for row in rows("src/api/routes.def")]
problems = sorted({row[3] for row in rows("src/base/problem.def")})

tap.ok(all((metrics, options, routes, problems)), "the four tables have rows")
tap.none(undocumented("nexusd-metrics.7", metrics), "every metric is in nexusd-metrics(7)")
tap.none(undescribed_labels(), "every label is in nexusd-metrics(7)")
known = members(json.loads(tap.read("data/nexusd-stats.schema.json")))
tap.none([f"{name}: in one of nexusd.8 and its schema only"
          for name in sorted(known ^ shown_members("METRICS"))],
         "nexusd(8) shows the members of /v1/stats")
tap.none(undocumented("nexusd.8", routes), "every route is in nexusd(8)")
tap.none(undocumented("nexusd.8", problems), "every problem is in nexusd(8)")
tap.none(undocumented("nexusd.conf.5", options), "every option is in nexusd.conf(5)")
tap.none(list(absent_from_example(tap.read("data/nexusd.conf"))),
         "every option is in data/nexusd.conf")
tap.none(untested({name: [[name + suffix] for suffix in ("", "_bucket", "_sum", "_count")]
                   for name in metrics}), "every metric is in a test")
tap.none(untested({path: [[path.replace("{id}", "")]] for path in routes}),
         "every route is in a test")
tap.none(untested({code: [[code]] for code in problems}), "every problem is in a test")
tap.none(untested({path: option_words(path) for path in options}), "every option is in a test")
usage, phases = tap.read("scripts/check").split("\nset -", 1)
tap.none([f"{name}: not in the usage of scripts/check"
          for name in re.findall(r"(?m)^phase_(\w+)\(\)", phases) if not has(usage, name)],
         "every phase of scripts/check is in its usage")
for page in tap.files("docs", suffixes=(".md",)):
    tap.none(missing_proofs(page), f"what {page} names as shown is there")
tap.done()
