#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nexusctl as scripts use it: each command on a running nexusd, without one, told nonsense."""
import json
import os
import pathlib
import socket
import stat
import subprocess
import tempfile

import harness
import stats_schema
import tap
from ctl_run import find_nexusctl, run
from fake_backend import FakeBackend
from harness import Daemon, Rig, backend, shared
from tap import eq, ok

DEMO = [{"name": "demo", "type": "demo"}]
NASTY = "m\u009b31m\u202e\u200bx"
COMMANDS = [["status"], ["backends"], ["models"], ["stats"], ["metrics"], ["test", "m"],
            ["drain", "a"], ["undrain", "a"], ["reload"], ["log-level"], ["config", "show"],
            ["config", "check"], ["config", "defaults"], ["config", "explain", "workers"],
            ["version"]]
LOCAL = ("config check", "config defaults", "config explain workers")


@shared
def two():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["m", "n"])
    return Rig([a, b], backends=[backend(a, priority=1), backend(b, priority=2)],
               routing={"strategy": "priority_only",
                        "aliases": [{"name": "alias", "model": "n"}]})


# --- each command ---


def test_status():
    daemon, *_ = two()
    result = run(daemon, "status")
    rows = dict(result.rows)
    eq((result.status, result.err), (0, ""), "it is well")
    eq((rows["state"], rows["backends"], rows["models"], rows["process"]),
       ("serving", "2 of 2 healthy", "2", str(daemon.pid)), "what it says", result)
    eq(rows["listens"], daemon.address, "where it listens", result)
    eq(rows["configuration"], str(daemon.config_path), "which file", result)
    document = run(daemon, "status", "--json").json()
    eq((document["state"], document["pid"]), ("serving", daemon.pid), "--json")


def test_status_of_a_sick_one():
    a = FakeBackend("a", ["m"])
    a.stop()
    with Daemon(backends=[backend(a)], healthy=0) as daemon:
        result = run(daemon, "status")
        eq(result.status, 1, "nothing is healthy: the status says so", result)
        eq(dict(result.rows)["backends"], "0 of 1 healthy", "and the text")
        daemon.config_path.write_text("nonsense;\n")
        eq(run(daemon, "reload").status, 1, "a reload that fails")
        rows = dict(run(daemon, "status").rows)
        ok(f"{daemon.config_path}:1: " in rows["last reload"], "is remembered", rows)


def test_backends_drain_undrain():
    daemon, *_ = two()
    rows = run(daemon, "backends").rows
    eq([row[:5] for row in rows], [["a", "vllm", "healthy", "closed", "1"],
                                   ["b", "vllm", "healthy", "closed", "2"]], "backends")
    result = run(daemon, "drain", "a")
    eq((result.status, result.out), (0, "a drains; requests that still run there: 0\n"), "drain")
    eq(run(daemon, "backends").rows[0][2], "draining", "it shows")
    eq(dict(run(daemon, "status").rows)["backends"], "2 of 2 healthy, 1 draining",
       "in the status, too")
    eq(daemon.chat("m").header("x-nexus-backend"), "b", "and works")
    rows = run(daemon, "--json", "undrain", "a").json()["backends"]
    eq([(row["name"], row["status"]) for row in rows], [("a", "healthy")], "undrain")
    for name in ("c", "../a", "a b", ""):
        result = run(daemon, "drain", name)
        eq((result.status, result.out, result.err),
           (1, "", f"nexusctl: no backend is called {name}; nexusctl backends lists them\n"),
           f"drain {name!r}")


def test_models():
    daemon, *_ = two()
    rows = run(daemon, "models").rows
    eq([(row[0], row[3], row[4]) for row in rows],
       [("alias", "n", "b"), ("m", "-", "a b"), ("n", "-", "b")], "models")
    eq([m["id"] for m in run(daemon, "models", "--json").json()["data"]], ["alias", "m", "n"],
       "--json")


def test_stats_and_metrics():
    daemon, *_ = two()
    for _ in range(3):
        daemon.chat("m")
    daemon.settled()
    total = daemon.stats()["requests"]["total"]
    result = run(daemon, "stats")
    ok(result.out.startswith(f"{total} requests, "), "stats", result)
    ok(any(row[0] == "m" and len(row) == 8 for row in result.rows), "a row for the model", result)
    document = run(daemon, "stats", "--json").json()
    eq(stats_schema.problems(document), [], "stats --json is what nexusd sent")
    text = run(daemon, "metrics").out
    ok("# TYPE nexus_requests_total counter" in text and "process_" in text, "metrics")
    text = run(daemon, "metrics", "nexus_requests_total", "nexus_backends_total").out
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    eq(families, {"nexus_requests_total", "nexus_backends_total"}, "only those named")
    samples = run(daemon, "metrics", "--json", "nexus_requests_total").json()
    ok({"name": "nexus_requests_total",
        "labels": {"model": "m", "backend": "a", "status": "200"},
        "value": str(int(daemon.metrics().sum("nexus_requests_total", model="m", backend="a")))}
       in samples, "metrics --json", samples[:3])
    eq(run(daemon, "metrics", "a b").status, 2, "what is no name")
    for names in (["nope"], ["nexus_requests_total", "nope"], ["nexus_requests_totl"], ["nexus"]):
        result = run(daemon, "metrics", *names)
        ok((result.status, result.out) == (1, "") and
           f"no metric is called {names[-1]};" in result.err, f"metrics {names}", result)
    for name in ("nexus_cost_usd_total", "nexus_cost_usd", "nexus_tokens_total_bucket",
                 "nexus_backend_latency_seconds_count"):
        result = run(daemon, "metrics", name)
        ok((result.status, result.err) == (0, "") and "# TYPE" in result.out,
           f"{name} is there, with or without a series", result)


def test_metrics_elsewhere():
    with Rig([], backends=DEMO, metrics={"path": "/prometheus"}) as (daemon,):
        ok("nexus_backends_total" in run(daemon, "metrics", "nexus_backends_total").out,
           "the path is a setting")
    with Rig([], backends=DEMO, metrics={"enabled": False}) as (daemon,):
        result = run(daemon, "metrics")
        ok(result.status == 1 and "does not serve /metrics" in result.err, "switched off", result)


def test_test():
    daemon, a, _ = two()
    result = run(daemon, "test", "m")
    rows = dict(result.rows)
    eq((result.status, rows["model"], rows["backend"]), (0, "m", "a"), "it answers", result)
    for name in ("connected", "answer began", "first token", "done"):
        ok(rows[name].endswith(" ms"), f"the time of: {name}", rows)
    document = run(daemon, "test", "m", "--json").json()
    times = [document[f"{name}_ms"] for name in ("connected", "answer_began", "first_token",
                                                 "done")]
    eq(times, sorted(times), "they follow one another")
    ok(document["completion_tokens"] > 0 and document["answer"], "tokens and text", document)
    for behaviour, wanted in (({"status": 400, "json": {"error": {"message": "no luck"}}}, "no luck"),
                              ({"after": 1, "how": "close", "chunks": 5}, "stream")):
        a.behave(behaviour)
        result = run(daemon, "test", "m")
        ok(result.status == 1 and wanted in result.err and not result.out, f"{behaviour}", result)
    result = run(daemon, "test", "nobody")
    ok(result.status == 1 and "does not exist" in result.err, "a model that is none", result)
    eq(run(daemon, "test").status, 2, "which of the three?")


def test_test_of_demo():
    with Rig([], backends=DEMO, healthy=1) as (daemon,):
        result = run(daemon, "test")
        eq((result.status, dict(result.rows)["backend"]), (0, "demo"), "it needs no name", result)


def test_reload():
    daemon, *_ = two()
    result = run(daemon, "reload")
    eq((result.status, result.out, result.err), (0, "reloaded\n", ""), "reloaded")
    good = daemon.config_path.read_text()
    daemon.config_path.write_text(good.replace("workers = 2", "workers = 1"))
    result = run(daemon, "reload")
    eq((result.status, result.out), (0, "reloaded\nonly a restart puts workers in force\n"),
       "what takes a restart is named")
    daemon.config_path.write_text(good + "nonsense = 1;\n")
    result = run(daemon, "reload")
    line = good.count("\n") + 1
    ok(result.status == 1 and result.err.startswith(f"nexusctl: {daemon.config_path}:{line}: "),
       "file and line of an error", result)
    daemon.config_path.write_text(good)
    eq(run(daemon, "--json", "reload").json(), {"status": "reloaded", "restart_needed": []},
       "--json")


def test_log_level():
    daemon, *_ = two()
    eq(run(daemon, "log-level").out, "info\n", "shown")
    eq(run(daemon, "log-level", "debug").out, "debug\n", "set")
    eq(run(daemon, "log-level", "--json").json(), {"level": "debug"}, "it stays")
    result = run(daemon, "log-level", "loud")
    ok(result.status == 2 and "error warning notice info debug" in result.err, "nonsense", result)
    run(daemon, "log-level", "info")


def test_config():
    daemon, *_ = two()
    shown = run(daemon, "config", "show")
    document = run(daemon, "config", "show", "--json").json()
    eq((shown.status, document["workers"], document["timeouts"]["drain"]), (0, 2, 60), "show")
    copy = daemon.path / "copy.conf"
    copy.write_text(shown.out)
    eq(run(daemon, "config", "show", str(copy), "--json").json(), document,
       "what it shows means the same as a file")
    eq(run(daemon, "config", "show", str(copy)).out, shown.out, "and is stable")
    result = run(None, "config", "check", str(copy))
    eq((result.status, result.out), (0, "the configuration is good\n"), "check")
    copy.write_text("workers = many;\n")
    result = run(None, "config", "check", str(copy))
    ok(result.status == 1 and result.err.startswith(f"nexusctl: {copy}:1: "), "a bad one", result)
    result = run(None, "config", "show", str(copy))
    ok(result.status == 1 and f"{copy}:1: " in result.err, "it cannot be shown, either", result)
    eq(run(None, "config", "check", "/nonexistent").status, 1, "none")


def test_config_shows_no_credentials():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        key = pathlib.Path(folder, "a-name-like-a-key")
        key.write_text("sk-top-secret")
        key.chmod(0o600)
        file = pathlib.Path(folder, "c.conf")
        file.write_text(harness.config_text(credentials_directory=folder, backends=[
            {"name": "x", "type": "openai", "url": "https://127.0.0.1:1", "credential": key.name}]))
        for form in ([], ["--json"]):
            result = run(None, "config", "show", str(file), *form)
            ok(result.status == 0 and "(hidden)" in result.out and "secret" not in result.out and
               key.name not in result.out, f"neither key nor name {form}", result)


def test_config_defaults_and_explain():
    document = run(None, "config", "defaults", "--json").json()
    eq((document["limits"]["max_body"], document["routing"]["strategy"],
        [b["name"] for b in document["backends"]]), ("10M", "smart", ["demo", "local-ollama"]),
       "what is built in")
    result = run(None, "config", "explain", "routing.strategy")
    ok("one of: smart round_robin" in result.out and "default: smart" in result.out,
       "explain: words and default", result)
    names = [row["name"] for row in run(None, "config", "explain", "limits", "--json").json()]
    eq(names, ["limits.max_body", "limits.max_bodies", "limits.max_header",
               "limits.max_connections", "limits.max_connections_per_address"], "explain of a group")
    result = run(None, "config", "explain", "backends.url")
    eq((result.status, result.out.splitlines()[0]), (0, "backends.url"), "of a list's")
    for key in ("nonsense", "", "limits.", "limit"):
        result = run(None, "config", "explain", key)
        ok(result.status == 1 and "nexusd.conf(5)" in result.err, f"{key!r}: none", result)


def test_version_and_help():
    daemon, *_ = two()
    version = daemon.stats()["version"]
    eq(run(daemon, "version").rows, [["nexusctl", version], ["nexusd", version]], "version")
    eq(run(None, "--version").out, f"nexusctl {version}\n", "--version asks nobody")
    result = run(None, "version")
    eq((result.status, result.rows[0]), (3, ["nexusctl", version]), "its own is told in any case")
    text = run(None, "--help").out
    ok(all(" ".join(c[:2] if c[0] == "config" else c[:1]) in text for c in COMMANDS) and
       "top" in text and "--socket PATH" in text, "--help names every command", text)


def test_json_everywhere():
    daemon, *_ = two()
    for command in COMMANDS:
        result = run(daemon, "--json", *command,
                     *([str(daemon.config_path)] if command[-1] == "check" else []))
        try:
            parsed = result.status == 0 and json.loads(result.out) is not None
        except ValueError:
            parsed = False
        ok(parsed, f"--json {' '.join(command)}", result)


# --- over the network ---


def test_url():
    daemon, *_ = two()
    url = f"http://{daemon.address}"
    for command in (["status"], ["models"], ["stats"], ["metrics"], ["test", "m"], ["version"]):
        for form in (url, f"{url}/v1/"):
            result = run(None, "--url", form, *command)
            eq((result.status, result.err), (0, ""), f"--url {' '.join(command)}")
    result = run(None, "--url", url, "drain", "a")
    ok(result.status == 2 and "admin socket" in result.err, "drain is not for the network", result)
    result = run(None, "--url", url, "config", "show")
    ok(result.status == 2 and "admin socket" in result.err, "nor is config show", result)
    result = run(None, "--url", url, "config", "show", str(daemon.config_path))
    eq((result.status, result.err), (0, ""), "unless it shows a file")
    result = run(None, "--url", f"http://127.0.0.1:{harness.free_port()}", "stats")
    ok(result.status == 3 and len(result.err.splitlines()) == 1, "nobody there", result)
    for bad in ("ftp://x", "", "http://"):
        eq(run(None, "--url", bad, "stats").status, 2, f"--url {bad!r}")
    eq(run(None, "--url", url, "--socket", "/x", "stats").status, 2, "one place only")


# --- without a nexusd ---


def test_nobody_is_there():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        env = {"RUNTIME_DIRECTORY": folder}
        stale = os.path.join(folder, "admin.sock")
        for how, says in (("without a socket", "there is no"),
                          ("with what a dead one left", "nobody listens at")):
            for command in COMMANDS + [["top"]]:
                if " ".join(command) in LOCAL:
                    continue
                result = run(None, *command, env=env)
                ok(result.status == 3 and f"{says} {stale}; start nexusd" in result.err and
                   len(result.err.splitlines()) == 1, f"{' '.join(command)} {how}", result)
            left = socket.socket(socket.AF_UNIX)
            if not os.path.exists(stale):
                left.bind(stale)
            left.close()
        result = run(None, "--socket", f"{folder}/{'x' * 200}", "status")
        eq((result.status, len(result.err.splitlines())), (2, 1), "a path that is too long", result)


def test_permission():
    daemon, *_ = two()
    path = daemon.path / "admin.sock"
    if os.geteuid() != 0:
        raise tap.Skip("only root can become another user")
    before = daemon.path.stat().st_mode
    daemon.path.chmod(0o755)
    os.chown(path, 0, 1)  # the group daemon, of every system
    try:
        result = run(daemon, "status", user=65534, group=65534, extra_groups=[])
        ok(result.status == 3 and "permission denied" in result.err and "group " in result.err and
           len(result.err.splitlines()) == 1, "one line says what to do", result)
        os.chown(path, 0, 0)
        result = run(daemon, "status", user=65534, group=65534, extra_groups=[])
        ok(result.status == 3 and "group root" not in result.err, "but not: join root's", result)
    finally:
        os.chown(path, 0, 0)
        daemon.path.chmod(stat.S_IMODE(before))


def test_listener_that_lacks_a_face():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        where = f"{folder}/control"
        port = harness.free_port()
        daemon = Daemon(wait=False, text=harness.config_text(backends=DEMO, listeners=[
            {"address": f"127.0.0.1:{port}", "faces": ["api"]},
            {"address": f"unix:{where}", "faces": ["admin"]}]))
        daemon.address = f"127.0.0.1:{port}"
        with daemon:
            daemon.wait_ready()
            eq(run(None, "--socket", where, "status").status, 0, "--socket")
            result = run(None, "--socket", where, "stats")
            ok(result.status == 1 and "the face metrics" in result.err, "it says which", result)


# --- nonsense ---


def test_wrong_arguments():
    for args in ([], ["nonsense"], ["config"], ["config", "nonsense"], ["drain"], ["status", "x"],
                 ["drain", "a", "b"], ["--nonsense"], ["--socket"], ["--interval", "x", "top"],
                 ["--interval", "0", "top"], ["config", "explain"], ["test", "a", "b"],
                 ["top", "--json"]):
        result = run(None, *args)
        eq((result.status, result.out), (2, ""), f"{args}")
        ok(result.err and len(result.err.splitlines()) <= 2, f"{args}: short", result)


def test_top_needs_a_terminal():
    daemon, *_ = two()
    result = run(daemon, "top")
    ok(result.status == 2 and "terminal" in result.err, "top", result)


def test_output_that_goes_nowhere():
    daemon, *_ = two()
    with open("/dev/full", "wb") as full:
        done = subprocess.run([find_nexusctl(), "metrics"], stdout=full, stderr=subprocess.PIPE,
                              env={"RUNTIME_DIRECTORY": str(daemon.path)}, check=False)
    ok(done.returncode == 1 and b"cannot write" in done.stderr, "a full disk", done)
    done = subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&-', "sh", find_nexusctl(), "metrics"],
                          stderr=subprocess.PIPE, env={"RUNTIME_DIRECTORY": str(daemon.path)},
                          check=False)
    ok(done.returncode == 1 and b"cannot write" in done.stderr, "a closed output", done)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([find_nexusctl(), "metrics"], stdout=write, stderr=subprocess.PIPE,
                          env={"RUNTIME_DIRECTORY": str(daemon.path)}, check=False)
    os.close(write)
    ok(done.stderr == b"" and done.returncode != 0, "a reader that has left: no word", done)


def test_names_that_steer_terminals():
    a = FakeBackend("a", [NASTY, "\u00e9\u4e2d"])
    with Rig([a], backends=[backend(a, discover=True)]) as (daemon, _):
        daemon.wait_models(NASTY, "\u00e9\u4e2d")
        for form in ([], ["--json"]):
            result = run(daemon, "models", *form)
            ok(not any(c in result.out for c in "\x9b\u202e\u200b"), f"models {form}", result)
            ok("m\\u009B31m\\u202E\\u200Bx" in result.out and "\u00e9\u4e2d" in result.out,
               f"but they can be told {form}", result)
        ids = [m["id"] for m in run(daemon, "models", "--json").json()["data"]]
        ok(NASTY in ids, "and JSON means the same", ids)


def test_json_that_steers_terminals():
    a = FakeBackend("a", [NASTY])
    with Rig([a], backends=[backend(a, discover=True)],
             metrics={"label_values": "raw"}) as (daemon, _):
        daemon.wait_models(NASTY)
        for args in (["test", NASTY], ["metrics", "nexus_requests_total"]):
            result = run(daemon, *args, "--json")
            ok(not any(c in result.out for c in "\x9b\u202e\u200b"), f"{args[0]} --json", result)
            ok(NASTY in json.dumps(result.json(), ensure_ascii=False), "means the same", result)


if __name__ == "__main__":
    tap.run(globals())
