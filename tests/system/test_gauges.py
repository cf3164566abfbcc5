#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The gauges that are asked when somebody looks: of the process, against /proc, and of the fleet."""
import os
import pathlib
import resource
import time

import tap
from fake_backend import FakeBackend
from harness import Daemon, Rig, backend, shared, wait_until
from prometheus_text import Metrics
from tap import eq, ok

TICKS = os.sysconf("SC_CLK_TCK")


@shared
def demo():
    return Rig([], backends=[{"name": "demo", "type": "demo"}])


def stat(daemon):
    """The fields of /proc/PID/stat behind the name, the first of which is the third."""
    text = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text()
    return text.rpartition(")")[2].split()


def cpu_seconds(daemon):
    fields = stat(daemon)
    return (int(fields[11]) + int(fields[12])) / TICKS


def bounded(daemon, name, read, slack=0):
    """The sample lies between what /proc says before and after the scrape, give or take slack."""
    before = read(daemon)
    value = daemon.metrics().get(name)
    after = read(daemon)
    ok(value is not None and min(before, after) - slack <= value <= max(before, after) + slack,
       f"{name} is what /proc says", (before, value, after))


def test_process():
    daemon, = demo()
    for _ in range(50):
        daemon.metrics()
    bounded(daemon, "process_cpu_seconds_total", cpu_seconds, 3 / TICKS)
    # The kernel adds the pages of several threads up late.
    bounded(daemon, "process_resident_memory_bytes", lambda d: d.resident_bytes(), 4 << 20)
    bounded(daemon, "process_virtual_memory_bytes", lambda d: int(stat(d)[20]), 64 << 20)
    bounded(daemon, "process_threads", lambda d: int(stat(d)[17]))
    eq(daemon.metrics().get("process_max_fds"),
       resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0], "process_max_fds")


def test_open_fds():
    daemon, = demo()
    with daemon.connect() as connection:
        def scrape():
            connection.request("GET", "/metrics")
            return Metrics(connection.read_response().body.decode()).get("process_open_fds")
        ok(wait_until(lambda: scrape() == daemon.open_fds()), "process_open_fds is what /proc says",
           (scrape(), daemon.open_fds()))
        before = scrape()
        others = [daemon.connect() for _ in range(5)]
        ok(wait_until(lambda: scrape() == before + 5), "five more connections", before)
        for other in others:
            other.close()


def test_no_descriptor_is_left():
    """A kept connection goes on and is told; what takes a descriptor to know is left out."""
    daemon, = demo()
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    with daemon.connect() as connection:
        connection.request("GET", "/livez")
        connection.read_response()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, limits[1]))

        def scrape():
            connection.request("GET", "/metrics")
            return Metrics(connection.read_response().body.decode())
        metrics = scrape()

        def is_left_out_or_right():
            n = scrape().get("process_open_fds")
            return n is None or n == daemon.open_fds()
        ok(wait_until(is_left_out_or_right), "process_open_fds is left out or right")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
    eq(metrics.get("process_max_fds"), 3, "process_max_fds follows the limit")
    for name in ("process_resident_memory_bytes", "process_virtual_memory_bytes",
                 "process_threads", "process_cpu_seconds_total"):
        ok((metrics.get(name) or 0) > 0, f"{name} needs none", metrics.get(name))
    ok(daemon.metrics().get("process_open_fds") > 0, "afterwards all are there again")


def test_start_and_reload():
    with Daemon(backends=[{"name": "demo", "type": "demo"}]) as daemon:
        until = time.time()
        boot = next(int(line.split()[1]) for line in open("/proc/stat", encoding="ascii")
                    if line.startswith("btime "))
        since = boot + int(stat(daemon)[19]) / TICKS - 1
        first = daemon.metrics()
        start = first.get("process_start_time_seconds")
        loaded = first.get("nexus_config_last_reload_timestamp_seconds")
        ok(since <= start <= until, "process_start_time_seconds is what /proc says",
           (since, start, until))
        ok(start <= loaded <= until, "nexus_config_last_reload_timestamp_seconds: the start",
           (start, loaded, until))
        before = time.time()
        daemon.kill(1)
        ok(daemon.wait_stderr("configuration reloaded"), "a reload")
        reloaded = daemon.metrics().get("nexus_config_last_reload_timestamp_seconds")
        ok(before - 0.001 <= reloaded <= time.time(), "is when the configuration was loaded",
           (before, reloaded))
        daemon.config_path.write_text("nonsense")
        daemon.kill(1)
        ok(daemon.wait_stderr("stays in force"), "a refused reload")
        again = daemon.metrics()
        eq(again.get("nexus_config_last_reload_timestamp_seconds"), reloaded, "is not")
        eq(again.get("process_start_time_seconds"), start, "the start stays the same")


def test_backend_up():
    a, b = FakeBackend("a.1", ["m"]), FakeBackend("b", ["m"])
    b.stop()
    with Rig([a], backends=[backend(a), backend(b)], healthy=1,
             health={"interval": 0.05, "timeout": 1}) as (daemon, _):
        def ups():
            return {labels["backend"]: up
                    for labels, up in daemon.metrics().select("nexus_backend_up")}
        ok(wait_until(lambda: ups() == {"a_1": 1, "b": 0}), "nexus_backend_up", ups())
        b.start()
        ok(wait_until(lambda: daemon.health()["healthy"] == 2), "b comes back")
        eq(ups(), {"a_1": 1, "b": 1}, "nexus_backend_up follows")
    b.stop()


if __name__ == "__main__":
    tap.run(globals())
