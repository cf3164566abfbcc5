# SPDX-License-Identifier: Apache-2.0
"""What the lints share: where the tree is, and the Test Anything Protocol."""

import os
import sys

TREE = os.path.abspath(os.environ.get("NEXUSD_SOURCE") or
                       os.path.join(os.path.dirname(__file__), "..", ".."))
_done = 0
_failed = 0


def ok(passed, what, findings=()):
    """One result; the findings say file:line and what is wrong there."""
    global _done, _failed
    _done += 1
    if not passed:
        _failed += 1
    print(f"{'ok' if passed else 'not ok'} {_done} - {what}")
    for finding in findings:
        print(f"#   {finding}")


def none(findings, what):
    """Passes if there are no findings."""
    ok(not findings, what, findings)


def skip(what, why):
    global _done
    _done += 1
    print(f"ok {_done} - {what} # SKIP {why}")


def done():
    print(f"1..{_done}")
    sys.exit(1 if _failed else 0)


def files(*folders, suffixes=None):
    """Paths below the folders, relative to the tree, sorted; generated and hidden ones left out."""
    found = []
    for folder in folders:
        for path, names, leaves in os.walk(os.path.join(TREE, folder)):
            names[:] = [n for n in names
                        if n not in ("corpus", "node_modules", "__pycache__", ".deps")]
            for leaf in leaves:
                full = os.path.relpath(os.path.join(path, leaf), TREE)
                if suffixes is None or leaf.endswith(suffixes):
                    found.append(full)
    return sorted(found)


def read(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return file.read()
