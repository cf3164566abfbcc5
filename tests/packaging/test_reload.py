# SPDX-License-Identifier: Apache-2.0
"""systemctl reload: a good configuration takes effect, a bad one does nothing."""
import service
import tap
from service import main_pid, run, wait_until
from tap import eq, ok

ALIAS = 'routing: { aliases = ( { name = "another"; model = "demo"; } ); };\n'


def reloads(result):
    return service.metrics().sum("nexus_config_reloads_total", result=result)


def reload_service():
    return run("systemctl", "reload", service.UNIT)


def test_good():
    pid, cursor = main_pid(), service.journal_end()
    before = reloads("success")
    eq(service.ask(model="another").status, 404, "an unknown model")
    with service.configured(ALIAS, then=reload_service):
        ok(wait_until(lambda: reloads("success") == before + 1), "the reload is counted")
        eq(service.ask(model="another").status, 200, "an alias is there after a reload")
        eq(main_pid(), pid, "the process is the same")
        entries = service.journal(cursor, MESSAGE_ID=service.message_id("RELOADED"))
        eq(len(entries), 1, "the journal has the event")
    ok(wait_until(lambda: service.ask(model="another").status == 404), "a reload takes it back")


def test_bad():
    pid, cursor = main_pid(), service.journal_end()
    before = reloads("failure")
    with service.configured("wrokers = 2;\n", then=reload_service) as path:
        ok(wait_until(lambda: reloads("failure") == before + 1), "a refused reload is counted")
        entries = service.journal(cursor, MESSAGE_ID=service.message_id("RELOAD_FAILED"))
        ok(len(entries) == 1 and f"{path}:1" in entries[0]["MESSAGE"],
           "one entry of the journal says file and line", entries)
        eq(run("systemctl", "is-active", service.UNIT).stdout.strip(), "active", "it stays active")
        eq((service.ask().status, main_pid()), (200, pid), "and serves on")
    ok(wait_until(lambda: reloads("failure") == before + 1 and service.is_ready()),
       "a good one is taken again")


tap.run(globals())
