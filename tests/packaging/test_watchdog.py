# SPDX-License-Identifier: Apache-2.0
"""A process that hangs is killed by the watchdog, and comes back."""
import os
import signal

import service
import tap
from service import main_pid, prop
from tap import eq, ok


def test_hang():
    ok(prop("WatchdogUSec") not in ("0", "infinity"), "the unit has a watchdog")
    with service.drop_in("[Service]\nWatchdogSec=2s\n"):
        service.restart()
        pid, cursor = main_pid(), service.journal_end()
        os.kill(pid, signal.SIGSTOP)
        ok(service.wait_until(lambda: prop("NRestarts") == "1" and prop("ActiveState") == "active"),
           "a stopped process is replaced", prop("ActiveState"), prop("Result"))
        ok(not os.path.exists(f"/proc/{pid}"), "the hung one is gone")
        ok(main_pid() not in (0, pid) and service.ask().status == 200, "the new one answers")
        service.must("journalctl", "--sync")
        # No matches: with a cursor, they lose the first entry.
        log = service.must("journalctl", "-q", "--after-cursor", cursor)
        ok("atchdog timeout" in log, "it was the watchdog", log)
    service.restart()
    eq(service.ask().status, 200, "and the service runs as before")


tap.run(globals())
