# SPDX-License-Identifier: Apache-2.0
"""The Test Anything Protocol for the system tests: checks that print, and the module's runner."""
import sys
import time
import traceback

_count = 0
_failed = 0
at_end = []  # callables that tap.run() calls before the plan, last one first


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


def _line(passed, name, directive=""):
    global _count, _failed
    _count += 1
    _failed += not passed
    name = " ".join(str(name).split()).replace("#", "no. ")
    print(f"{'ok' if passed else 'not ok'} {_count} - {name}{directive}", flush=True)


def diag(text):
    for line in str(text).splitlines():
        print(f"# {line[:500]}", flush=True)


def ok(condition, name, *details):
    """One check; the details are shown when it fails."""
    _line(bool(condition), name)
    if not condition:
        for detail in details:
            diag(detail if isinstance(detail, str) else repr(detail))
    return bool(condition)


def eq(got, want, name, *details):
    return ok(got == want, name, f"got  {_short(got)}", f"want {_short(want)}", *details)


def skip(name, why):
    _line(True, name, f" # SKIP {why}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 450 else text[:300] + " … " + text[-140:]


def done():
    print(f"1..{_count}", flush=True)
    return 1 if _failed else 0


def attempt(name, test, *arguments):
    """A test that dies is one failed check, not the end of the others."""
    diag(f"--- {name}")
    try:
        test(*arguments)
    except Skip as why:
        skip(name, why)
    except Exception:
        ok(False, f"{name} ran to its end", traceback.format_exc())


def run(namespace):
    """Runs the test_* functions of a module in their order, or those named on the command line."""
    tests = [(n, f) for n, f in namespace.items() if n.startswith("test_") and callable(f)]
    wanted = sys.argv[1:]
    if wanted == ["-l"]:
        print("\n".join(name for name, _ in tests))
        sys.exit(0)
    for name, test in tests:
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        attempt(name, test)
        diag(f"    {time.monotonic() - began:.2f} s")
    while at_end:
        at_end.pop()()
    sys.exit(done())
