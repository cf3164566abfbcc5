# SPDX-License-Identifier: Apache-2.0
"""Each alert of alerts.yml fires for what it is about, and for nothing less: promtool test rules."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import tap
from prometheus import BOUND_SECONDS, shipped

STEP = "30s"
AT = "40m"  # longer than any alert waits
ATTEMPTS = "nexus_upstream_requests_total"
LIMITED = 'nexus_client_connections_limited_total{instance="x",limit="max_connections"}'
DROPPED = 'nexus_statsd_packets_total{instance="x",result="dropped"}'
FAILURE = 'nexus_config_reloads_total{instance="x",result="failure"}'
OVERFLOW = 'nexus_metric_overflow_total{instance="x",metric="nexus_requests_total"}'
# One request in half an hour, and it failed.
RARE = {'nexus_requests_total{instance="x",model="rare",backend="a",status="502"}': "0x70 1x100"}
START = 'process_start_time_seconds{instance="x"}'


def requests(**per_step):
    """Requests for a model: how many of each status (s200=9) are added at each step."""
    return {f'nexus_requests_total{{instance="x",model="m",backend="a",status="{status[1:]}"}}':
            f"0+{n}x100" for status, n in per_step.items()}


def attempts(**per_step):
    return {f'{ATTEMPTS}{{instance="x",model="m",backend="a",outcome="{outcome}"}}':
            f"0+{n}x100" for outcome, n in per_step.items()}


def times(name, label, below, above):
    """Observations that are all between these two bounds."""
    return {f'{name}_bucket{{instance="x",{label},le="{bound}"}}': f"0+{n}x100"
            for bound, n in ((below, 0), (above, 10), ("+Inf", 10))}


def gauges(**values):
    return {f'{name}{{instance="x",backend="a"}}': f"{value}x100"
            for name, value in values.items()}


TTFT, DURATION = "nexus_time_to_first_token_seconds", "nexus_request_duration_seconds"
OVERHEAD = "nexus_gateway_overhead_seconds"
# alert: (the series for which it fires, others for which it does not)
CASES = {
    "NexusdDown": ({'up{job="nexusd",instance="x"}': "0x100"},
                   {'up{job="nexusd",instance="x"}': "1x100"}),
    "NexusdNoHealthyBackend": (gauges(nexus_backends_healthy=0), gauges(nexus_backends_healthy=1)),
    "NexusdBackendDown": (gauges(nexus_backend_up=0), gauges(nexus_backend_up=1)),
    "NexusdFailures": (requests(s200=9, s502=1), {**requests(s200=99, s404=99, s502=1), **RARE}),
    "NexusdStreamsBroken": (attempts(ok=49, truncated=1), attempts(ok=999, reset=9, truncated=1)),
    "NexusdSlowFirstToken": (times(TTFT, 'model="m"', 10, 30), times(TTFT, 'model="m"', 5, 7.5)),
    "NexusdSlowRequests": (times(DURATION, 'model="m"', 120, 300),
                           times(DURATION, 'model="m"', 60, 120)),
    "NexusdSlowGateway": (times(OVERHEAD, 'phase="total"', 0.025, 0.1),
                          times(OVERHEAD, 'phase="total"', 0.01, 0.025)),
    "NexusdFilesRunOut": (gauges(process_open_fds=900, process_max_fds=1024),
                          gauges(process_open_fds=700, process_max_fds=1024)),
    "NexusdRestarts": ({START: "1x30 2x9 3x9 4x100"}, {START: "1x30 2x100"}),
    "NexusdReloadFailed": ({FAILURE: "0x70 1x100"}, {FAILURE: "0x9 1x100"}),
    "NexusdConnectionsLimited": ({LIMITED: "0+1x100"}, {LIMITED: "5x100"}),
    "NexusdStatsdDropping": ({DROPPED: "0+1x100"}, {DROPPED: "5x100"}),
    "NexusdMetricOverflow": ({OVERFLOW: "0x30 1x100"}, {OVERFLOW: "5x100"}),
}


def rules_test(series, alerts):
    """One test of promtool: exactly these alerts fire for these series."""
    return {"interval": STEP,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": AT,
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}
                                for alert in alerts]}]}


def test_alerts():
    if not shutil.which("promtool"):
        tap.skip("the alerts", "no promtool")
        return
    rules = shipped("data/prometheus/alerts.yml")
    tap.eq(sorted(CASES), sorted(re.findall(r"- alert: (\w+)", rules)), "every alert has a case")
    with tempfile.TemporaryDirectory(prefix="nexusd-alerts-") as folder:
        path = pathlib.Path(folder)
        (path / "alerts.yml").write_text(rules)
        for alert, (bad, good) in CASES.items():
            tests = [rules_test(bad, [alert]), rules_test(good, [])]
            (path / "tests.yml").write_text(json.dumps(
                {"rule_files": ["alerts.yml"], "evaluation_interval": STEP, "tests": tests}))
            done = subprocess.run(["promtool", "test", "rules", "tests.yml"], cwd=path, text=True,
                                  capture_output=True, timeout=BOUND_SECONDS, check=False)
            tap.ok(done.returncode == 0, f"{alert} fires when it should, and only then",
                   done.stdout + done.stderr)
