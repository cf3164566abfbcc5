# SPDX-License-Identifier: Apache-2.0
"""Restart, crash and stop: the listeners outlive the process, and a handover is the service's own
business to systemd."""
import contextlib
import json
import os
import signal

import service
import tap
from fake_backend import FakeBackend
from service import UNIT, main_pid, must, prop, systemctl, wait_until
from tap import eq, ok

N_REQUESTS = 100
GAP_SECONDS = 0.5
WARNING = 4


@contextlib.contextmanager
def slow_backend():
    """A backend whose streams take four seconds, and the service restarted with it."""
    fake = FakeBackend("slow")
    fake.default = {"chunks": 8, "gap": GAP_SECONDS}
    config = (f'backends = ( {{ name = "slow"; type = "vllm"; url = "{fake.url}"; '
              'models = [ "model-a" ]; } );\n')
    with service.configured(config):
        ok(service.has_model("model-a"), "the backend is there")
        yield
    fake.stop()


def begin_stream():
    stream = service.ask_stream(model="model-a")
    stream.next_data()
    return stream


def ends_whole(stream):
    whole = stream.all_data()[-1:] == ["[DONE]"]
    stream.close()
    return whole


def hand_over():
    """Returns the process that was the main one."""
    before = main_pid()
    systemctl("kill", "--kill-whom=main", "--signal=SIGUSR2", UNIT)
    ok(wait_until(lambda: main_pid() not in (0, before)), "another process is the main one")
    return before


def test_restart():
    with slow_backend():
        stream, before = begin_stream(), main_pid()
        systemctl("--no-block", "restart", UNIT)
        statuses = {service.get("/livez").status for _ in range(N_REQUESTS)}
        eq(statuses, {200}, "connections around a restart wait, none is refused")
        ok(ends_whole(stream), "a stream that runs has time to end")
        ok(wait_until(lambda: main_pid() not in (0, before)), "by a new process")


def test_crash():
    before = main_pid()
    os.kill(before, signal.SIGKILL)
    statuses = {service.get("/livez").status for _ in range(N_REQUESTS)}
    eq(statuses, {200}, "connections around a crash wait, none is refused")
    ok(main_pid() not in (0, before), "by a new process")
    service.restart()


def test_crash_after_a_handover():
    hand_over()
    after, n_restarts = main_pid(), int(prop("NRestarts"))
    os.kill(after, signal.SIGKILL)
    ok(wait_until(lambda: int(prop("NRestarts")) == n_restarts + 1),
       "systemd notices at once that the new process died")
    eq(service.get("/livez").status, 200, "and starts another one")
    service.restart()


def test_stop_after_a_handover():
    with slow_backend():
        stream = begin_stream()
        before = hand_over()
        systemctl("--no-block", "stop", UNIT)
        ok(ends_whole(stream), "a stop waits for the streams of the old process")
        ok(wait_until(lambda: prop("ActiveState") == "inactive"), "then the service is stopped")
        eq((prop("Result"), os.path.exists(f"/proc/{before}")), ("success", False),
           "well, and with both processes gone")


def test_handover_is_quiet():
    since = service.journal_end()
    before = hand_over()
    ok(wait_until(lambda: not os.path.exists(f"/proc/{before}")), "the old process ends")
    must("journalctl", "--sync")
    lines = must("journalctl", "-q", "-o", "json", "--after-cursor", since).splitlines()
    loud = [entry["MESSAGE"] for entry in map(json.loads, lines)
            if UNIT in (entry.get("UNIT"), entry.get("_SYSTEMD_UNIT"))
            and int(entry.get("PRIORITY", 6)) <= WARNING
            # What this machine allows is not nexusd's to say.
            and "the limit of open files" not in entry["MESSAGE"]]
    eq(loud, [], "neither nexusd nor systemd has anything to warn of")
    eq(len(service.journal(since, MESSAGE_ID=service.message_id("HANDED_OVER"))), 1,
       "it is one event in the journal")
    eq(prop("WatchdogTimestampMonotonic") != "0", True, "and the watchdog is fed on")


tap.run(globals())
