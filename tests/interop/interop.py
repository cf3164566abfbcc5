# SPDX-License-Identifier: Apache-2.0
"""Starts nexusd with two fake backends and lets real programs judge it: the official OpenAI client
(sdk.mjs), promtool and the OpenMetrics parser of python3-prometheus-client (judges.py), a
Prometheus that scrapes and is asked (prometheus.py), and nginx and haproxy, which get the same bytes
(differential.py)."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "system"))

import alerts  # noqa: E402  (the path comes first)
import differential  # noqa: E402
import equality  # noqa: E402
import judges  # noqa: E402
import prometheus  # noqa: E402
import tap  # noqa: E402
from fake_backend import FakeBackend  # noqa: E402
from harness import Daemon, backend  # noqa: E402

BOUND_SECONDS = 300
FILES = ("package.json", "package-lock.json", ".npmrc", "sdk.mjs")
MODELS = ["llama3:70b", "meta-llama/Llama-3/8B"]


def install(folder):
    """Puts the pinned client into `folder`, outside the source; true when it is there."""
    for name in FILES:
        shutil.copy(FOLDER / name, folder)
    done = subprocess.run(["npm", "ci", "--no-progress"], cwd=folder, text=True, timeout=BOUND_SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return tap.ok(done.returncode == 0, "npm ci installs the pinned client", done.stdout)


def run_client(folder, daemon, fake):
    """Takes the lines of the client's TAP stream over into ours."""
    env = {**os.environ, "NEXUSD_URL": f"http://{daemon.address}", "FAKE_URL": fake.url}
    process = subprocess.run([os.environ.get("NODE", "node"), "sdk.mjs"], cwd=folder, env=env, text=True,
                             stdout=subprocess.PIPE, timeout=BOUND_SECONDS, check=False)
    saw_plan = False
    for line in process.stdout.splitlines():
        match = re.match(r"^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$", line)
        if match and match[3]:
            tap.skip(f"openai: {match[2]}", match[3])
        elif match:
            tap.ok(not match[1], f"openai: {match[2]}")
        elif line.startswith("1.."):
            saw_plan = True
        else:
            tap.diag(line.removeprefix("# "))
    tap.ok(saw_plan, "the OpenAI client ran to its end", f"status {process.returncode}")


def modules(stack):
    """The folder with the npm packages, or None with the reason."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            return None, f"no {program}"
    folder = os.environ.get("INTEROP_BUILDDIR") or stack.enter_context(
        tempfile.TemporaryDirectory(prefix="nexusd-interop-"))
    os.makedirs(folder, exist_ok=True)
    return (folder, None) if install(folder) else (None, "npm ci failed")


def test_openai_client(daemon, fake, folder, why):
    if folder:
        run_client(folder, daemon, fake)
    else:
        tap.skip("the OpenAI client", why)


def judge_one(folder, why):
    """What is asked of one daemon with a fake backend and the demo one."""
    fake = FakeBackend("a", MODELS)
    with Daemon(backends=[backend(fake), {"name": "demo", "type": "demo"}],
                routing={"aliases": [{"name": "gpt-4", "model": MODELS[0]}]}) as daemon:
        tap.attempt("the official OpenAI client", test_openai_client, daemon, fake, folder, why)
        tap.attempt("judges of the metrics", judges.judge, daemon, MODELS)
    fake.stop()


def main():
    with contextlib.ExitStack() as stack:
        folder, why = modules(stack)
        tap.attempt("one daemon", judge_one, folder, why)
        tap.attempt("a real Prometheus", prometheus.test_prometheus)
        tap.attempt("the alerts", alerts.test_alerts)
        tap.attempt("the totals of real receivers", equality.test_all, folder)
        tap.attempt("the same bytes for nginx and haproxy", differential.test_all)
    sys.exit(tap.done())


if __name__ == "__main__":
    main()
