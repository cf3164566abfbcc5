# SPDX-License-Identifier: Apache-2.0
"""Runs each test_*.py in a process of its own, several at once, and numbers their checks as one
TAP stream."""
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

FOLDER = pathlib.Path(__file__).resolve().parent
BOUND_SECONDS = int(os.environ.get("NEXUSD_TEST_MODULE_BOUND", "300"))
# They wait more than they compute.
JOBS = 1 + (os.cpu_count() or 1)
RESULT = re.compile(r"^(ok|not ok) \d+ - (.*)$")


class Module:
    """A test file, what it printed, and its results."""

    def __init__(self, path):
        self.path = path
        self.name = path.stem.removeprefix("test_")
        self.lines = []
        self.bailed_out = False

    def run(self):
        process = subprocess.Popen([sys.executable, "-B", str(self.path)], stdout=subprocess.PIPE,
                                   text=True, errors="replace", start_new_session=True)
        timer = threading.Timer(BOUND_SECONDS, end_group, [process])
        timer.daemon = True
        timer.start()
        try:
            self.take_over(process)
        finally:
            timer.cancel()
            end_group(process)
        return self

    def take_over(self, process):
        saw_plan = False
        for line in process.stdout:
            line = line.rstrip("\n")
            match = RESULT.match(line)
            saw_plan |= line.startswith("1..")
            self.bailed_out |= line.startswith("Bail out!")
            if match:
                self.lines.append((match[1], match[2]))
            elif not line.startswith("1.."):
                self.lines.append((None, line))
        process.wait()
        if not saw_plan and not self.bailed_out:
            self.lines.append(("not ok", f"the module ran to its end (status {process.returncode})"))


def end_group(process):
    """Ends a module and whatever it left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Totals:
    run = 0
    failed = 0


def show(module):
    print(f"# === {module.path.name}")
    for verdict, text in module.lines:
        if verdict:
            Totals.run += 1
            Totals.failed += verdict != "ok"
            print(f"{verdict} {Totals.run} - {module.name}: {text}")
        else:
            print(text)
    Totals.failed += module.bailed_out
    sys.stdout.flush()


def main():
    modules = sorted(FOLDER.glob("test_*.py"))
    wanted = sys.argv[1:]
    if wanted == ["-l"]:
        print("\n".join(m.stem for m in modules))
        return 0
    if wanted:
        names = {w.removesuffix(".py").removeprefix("test_") for w in wanted}
        modules = [m for m in modules if m.stem.removeprefix("test_") in names]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for module in pool.map(Module.run, map(Module, modules)):
            show(module)
    print(f"1..{Totals.run}", flush=True)
    return 1 if Totals.failed or not Totals.run else 0


if __name__ == "__main__":
    sys.exit(main())
