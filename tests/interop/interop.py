# SPDX-License-Identifier: Apache-2.0
"""Starts nexusd with two fake backends and lets real programs judge it: the official OpenAI client
(sdk.mjs), promtool and the OpenMetrics parser of python3-prometheus-client (judges.py), and a
Prometheus that scrapes and is asked (prometheus.py)."""
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
        match = re.match(r"^(not )?ok \d+ - (.*)$", line)
        if match:
            tap.ok(not match[1], f"openai: {match[2]}")
        elif line.startswith("1.."):
            saw_plan = True
        else:
            tap.diag(line.removeprefix("# "))
    tap.ok(saw_plan, "the OpenAI client ran to its end", f"status {process.returncode}")


def test_openai_client(daemon, fake):
    for program in ("node", "npm"):
        if not shutil.which(program):
            tap.skip("the OpenAI client", f"no {program}")
            return
    folder = os.environ.get("INTEROP_BUILDDIR")
    if folder:
        os.makedirs(folder, exist_ok=True)
        if install(folder):
            run_client(folder, daemon, fake)
        return
    with tempfile.TemporaryDirectory(prefix="nexusd-interop-") as folder:
        if install(folder):
            run_client(folder, daemon, fake)


def main():
    fake = FakeBackend("a", MODELS)
    with Daemon(backends=[backend(fake), {"name": "demo", "type": "demo"}],
                routing={"aliases": [{"name": "gpt-4", "model": MODELS[0]}]}) as daemon:
        tap.diag("--- the official OpenAI client")
        test_openai_client(daemon, fake)
        tap.diag("--- judges of the metrics")
        judges.judge(daemon, MODELS)
    fake.stop()
    tap.diag("--- a real Prometheus")
    prometheus.test_prometheus()
    alerts.test_alerts()
    sys.exit(tap.done())


if __name__ == "__main__":
    main()
