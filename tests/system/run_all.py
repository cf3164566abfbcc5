# SPDX-License-Identifier: Apache-2.0
"""Runs each test_*.py in a process of its own and numbers their checks as one TAP stream."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

FOLDER = pathlib.Path(__file__).resolve().parent
BOUND_SECONDS = int(os.environ.get("NEXUSD_TEST_MODULE_BOUND", "300"))
RESULT = re.compile(r"^(ok|not ok) \d+ - (.*)$")


class Totals:
    run = 0
    failed = 0


def result(passed, name):
    Totals.run += 1
    Totals.failed += not passed
    print(f"{'ok' if passed else 'not ok'} {Totals.run} - {name}", flush=True)


def run_module(path):
    name = path.stem.removeprefix("test_")
    print(f"# === {path.name}", flush=True)
    process = subprocess.Popen([sys.executable, "-B", str(path)], stdout=subprocess.PIPE,
                               text=True, errors="replace", start_new_session=True)
    timer = threading.Timer(BOUND_SECONDS, end_group, [process])
    timer.daemon = True
    timer.start()
    try:
        take_over(process, name)
    finally:
        timer.cancel()
        end_group(process)


def end_group(process):
    """Ends a module and whatever it left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def take_over(process, name):
    saw_plan = False
    for line in process.stdout:
        line = line.rstrip("\n")
        match = RESULT.match(line)
        if match:
            result(match[1] == "ok", f"{name}: {match[2]}")
        elif line.startswith("Bail out!"):
            print(line, flush=True)
            sys.exit(1)
        elif line.startswith("1.."):
            saw_plan = True
        else:
            print(line, flush=True)
    process.wait()
    if not saw_plan:
        result(False, f"{name}: the module ran to its end (status {process.returncode})")


def main():
    modules = sorted(FOLDER.glob("test_*.py"))
    wanted = sys.argv[1:]
    if wanted == ["-l"]:
        print("\n".join(m.stem for m in modules))
        return 0
    if wanted:
        names = {w.removesuffix(".py").removeprefix("test_") for w in wanted}
        modules = [m for m in modules if m.stem.removeprefix("test_") in names]
    for module in modules:
        run_module(module)
    print(f"1..{Totals.run}", flush=True)
    return 1 if Totals.failed or not Totals.run else 0


if __name__ == "__main__":
    sys.exit(main())
