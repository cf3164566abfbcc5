# SPDX-License-Identifier: Apache-2.0
"""The package as installed: it runs, confined, on loopback only, and answers unconfigured."""
import pathlib
import re

import service
import tap
from service import UNIT, main_pid, must, prop, run
from tap import eq, ok


def test_runs():
    eq(run("systemctl", "is-active", UNIT).stdout.strip(), "active", "the service is active")
    eq(run("systemctl", "is-enabled", UNIT).stdout.strip(), "enabled", "and enabled")
    failed = must("systemctl", "--failed", "--plain", "--no-legend")
    ok("nexusd" not in failed, "no unit of it has failed", failed)
    eq(prop("NRestarts"), "0", "it was not restarted")
    ok(run("nexusd", "--version").stdout.startswith("nexusd "), "the program tells its version")


def test_listens_on_loopback_only():
    lines = [line.split() for line in must("ss", "-H", "-l", "-t", "-u", "-n", "-p").splitlines()
             if '"nexusd"' in line]
    eq([fields[4] for fields in lines], [service.ADDRESS], "it listens on one address of loopback")


def test_answers():
    before = service.settled()
    answer = service.ask(content="a plain question")
    eq(answer.status, 200, "a completion of the demonstration backend", answer)
    ok("a plain question" in answer.json()["choices"][0]["message"]["content"], "echoes the prompt")
    stream = service.ask_stream(content="a streamed question")
    events = stream.all_data()
    ok(events[-1:] == ["[DONE]"] and not stream.is_cut, "a streamed one ends whole", events[-3:])
    changed = service.settled().since(before)
    eq(changed.sum("nexus_requests_total", model="demo", status="200"), 2, "both are counted")


def nexusctl(*arguments, group):
    """As somebody who is in this group and in no other."""
    return run("setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups", "nexusctl",
               *arguments)


def test_nexusctl():
    ok("serving" in must("nexusctl", "status"), "root is told how it is")
    rows = must("nexusctl", "backends").splitlines()
    ok(any(row.startswith("demo\tdemo\thealthy") for row in rows), "and the backends", rows)
    member = nexusctl("reload", group="nexusd")
    eq((member.returncode, member.stdout), (0, "reloaded\n"),
       "the group of the service may steer it")
    other = nexusctl("status", group="nogroup")
    eq(other.returncode, 3, "nobody else may")
    ok("permission denied" in other.stdout and "the group nexusd" in other.stdout,
       "and is told what to do", other.stdout)
    eq(must("nexusctl", "test", "--json", "demo").count('"backend":"demo"'), 1, "a completion")


def status_fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_is_confined():
    fields = status_fields(main_pid())
    ok("0" not in fields["Uid"].split() + fields["Gid"].split(), "it does not run as root",
       fields["Uid"], fields["Gid"])
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        eq(int(fields[name], 16), 0, f"{name} is empty")
    eq(fields["NoNewPrivs"], "1", "it cannot gain privileges")
    eq(fields["Seccomp"], "2", "its system calls are filtered")
    keys = service.CONFIG / "credentials"
    eq((keys.owner(), oct(keys.stat().st_mode & 0o7777)), ("root", "0o700"),
       "the folder of keys is for root only")


def test_status_line():
    before = prop("StatusText")
    ok(before, "the service says how it is")
    for _ in range(20):
        service.ask()
    ok(service.wait_until(lambda: prop("StatusText") != before), "its status follows the requests",
       before)
    shown = must("systemctl", "status", "--no-pager", UNIT)
    ok(re.search(r'Status: ".*\d', shown), "systemctl status shows it", shown)


def test_journal():
    cursor = service.journal_end()
    service.restart()
    entries = service.journal(cursor, MESSAGE_ID=service.message_id("STARTED"))
    eq(len(entries), 1, "a start is one event")
    wanted = {"SYSLOG_IDENTIFIER": "nexusd", "_PID": str(main_pid()), "_SYSTEMD_UNIT": UNIT}
    eq({name: entries[0].get(name) for name in wanted}, wanted, "with the fields of the journal")
    cursor = service.journal_end()
    for _ in range(20):
        service.ask()
    eq(service.journal(cursor), [], "good requests say nothing there")


def test_journal_of_requests():
    """With log.requests each request is an entry, with fields, and journalctl -x explains it."""
    cursor = service.journal_end()
    with service.configured('log: { requests = "all"; };\n'):
        plain = service.ask()
        stream = service.ask_stream()
        stream.read_rest()
        entries = service.journal(cursor, MESSAGE_ID=service.message_id("REQUEST"))
    by_id = {entry["NEXUSD_REQUEST_ID"]: entry for entry in entries}
    eq(set(by_id), {plain.header("x-request-id"), stream.head.header("x-request-id")},
       "two requests are two entries")
    wanted = {"NEXUSD_MODEL": "demo", "NEXUSD_BACKEND": "demo", "NEXUSD_STATUS": "200",
              "NEXUSD_OUTCOME": "ok", "NEXUSD_ROUTE": "/v1/chat/completions"}
    for entry in entries:
        eq({name: entry.get(name) for name in wanted}, wanted, "its fields say how it went")
        ok(int(entry["NEXUSD_DURATION_USEC"]) > 0 and int(entry["NEXUSD_TOKENS_PROMPT"]) > 0,
           "how long it took, and its tokens", entry)
    ok(int(by_id[stream.head.header("x-request-id")]["NEXUSD_TTFT_USEC"]) > 0,
       "and of a stream, when its first token was there")
    shown = must("journalctl", "-x", "-q", "--no-pager", "--after-cursor", cursor)
    ok("nexusd serves requests" in shown, "journalctl -x explains a start", shown[:2000])


tap.run(globals())
