#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The admin face: who may ask, drain and undrain, reload with its result, the log level."""
import json
import os
import pathlib
import socket
import stat
import tempfile

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, Rig, backend, shared, wait_until
from tap import eq, ok

DEMO = [{"name": "demo", "type": "demo"}]


@shared
def two():
    return harness.pair(models=["m"])


def ask(daemon, method, path, document=None):
    body = None if document is None else json.dumps(document)
    return daemon.request(method, path, body, address=daemon.admin_address)


def status_of(daemon, name):
    rows = ask(daemon, "GET", "/admin/backends").json()["backends"]
    return next(row for row in rows if row["name"] == name)


def drain(daemon, name, verb="drain"):
    path = f"/admin/backends/{name}/drain" if verb == "drain" else f"/admin/backends/{name}/undrain"
    return ask(daemon, "POST", path)


# --- who may ask ---


def test_usual_socket():
    daemon, *_ = two()
    path = daemon.path / "admin.sock"
    eq(stat.S_IMODE(os.stat(path).st_mode), 0o660, "its owner and its group may ask")
    for target in ("/admin/status", "/metrics", "/v1/models", "/v1/stats", "/livez"):
        eq(daemon.get(target, address=daemon.admin_address).status, 200, f"it serves {target}")
    answer = daemon.get("/admin/status")
    eq((answer.status, answer.error().get("code")), (404, "not_found"),
       "a listener without the face does not know the path")
    eq(daemon.request("POST", "/admin/reload").status, 404, "nor POST")


def test_listener_with_the_face():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        address = f"unix:{folder}/control"
        port = harness.free_port()
        text = harness.config_text(backends=DEMO, listeners=[
            {"address": f"127.0.0.1:{port}", "faces": ["api"]},
            {"address": address, "faces": ["admin"], "mode": "0600"}])
        daemon = Daemon(text=text, wait=False)
        daemon.address = f"127.0.0.1:{port}"
        with daemon:
            daemon.wait_ready()
            eq(daemon.get("/admin/status", address=address).status, 200, "it is asked there")
            eq(daemon.get("/v1/models", address=address).status, 404, "and serves no other face")
            ok(not (daemon.path / "admin.sock").exists(), "then there is no usual socket")


def test_stale_and_live_sockets():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = os.path.join(folder, "admin.sock")
        left = socket.socket(socket.AF_UNIX)
        left.bind(path)
        left.close()
        env = {"RUNTIME_DIRECTORY": f"{folder}:/nonexistent"}
        with Daemon(backends=DEMO, env=env) as daemon:
            eq(daemon.get("/admin/status", address=f"unix:{path}").status, 200,
               "what is left of a dead process is replaced")
            with Daemon(backends=DEMO, env=env) as other:
                ok(other.wait_stderr(r"no admin socket.*in use"), "one that is in use is left",
                   other.stderr)
                eq(other.get("/livez").status, 200, "and the second nexusd serves without")
            eq(daemon.get("/admin/status", address=f"unix:{path}").status, 200,
               "the first one keeps it")
        ok(not os.path.exists(path), "its file goes with it")


def test_folder_of_a_user():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        if os.access("/run/nexusd", os.W_OK) or os.geteuid() == 0:
            raise tap.Skip("this user may use /run/nexusd")
        env = {"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": folder}
        with Daemon(backends=DEMO, env=env) as daemon:
            address = f"unix:{folder}/nexusd/admin.sock"
            eq(daemon.get("/admin/status", address=address).status, 200, "the folder is made")


def test_no_place_for_it():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        for place in (f"{folder}/{'x' * 120}", "/proc/nexusd"):
            with Daemon(backends=DEMO, env={"RUNTIME_DIRECTORY": place}) as daemon:
                usual = "its usual place" if "x" * 120 in place else f"{place}/admin.sock"
                ok(daemon.wait_stderr(f"no admin socket at {usual}: .*has the face admin"),
                   "one notice", daemon.stderr)
                eq(daemon.get("/livez").status, 200, "and it serves")


# --- what it tells ---


def test_status():
    daemon, *_ = two()
    status = ask(daemon, "GET", "/admin/status").json()
    eq((status["state"], status["pid"], status["workers"]), ("serving", daemon.pid, 2),
       "state, process, workers")
    eq(status["backends"], {"total": 2, "healthy": 2, "draining": 0, "held": 0}, "backends")
    eq((status["models"], status["in_flight"]), (1, 0), "models and requests")
    eq(status["listeners"], [
        {"address": daemon.address, "faces": ["api", "metrics"], "tls": False},
        {"address": daemon.admin_address, "faces": ["api", "metrics", "admin"], "tls": False}],
       "listeners")
    eq(status["config"]["files"], [str(daemon.config_path)], "files")
    eq(daemon.get("/v1/stats").json()["version"], status["version"], "version")


def test_backends():
    daemon, a, _ = two()
    rows = ask(daemon, "GET", "/admin/backends").json()["backends"]
    eq([row["name"] for row in rows], ["a", "b"], "in the order of the configuration")
    row = rows[0]
    eq((row["type"], row["status"], row["healthy"], row["draining"], row["in_flight"],
        row["models"], row["priority"]), ("vllm", "healthy", True, False, 0, 1, 1), "a row")
    eq((row["zone"], row["tier"], row["weight"]), ("restricted", 1, 1), "what policies look at")
    ok(row["url"].startswith("http://127.0.0.1:"), "its url", row)
    a.behave({"fault": "slow_head", "gap": 0.002})
    daemon.chat("m")
    ok(status_of(daemon, "a")["average_latency_ms"] >= 10, "a slow answer is seen in its latency")
    fresh = [{"name": "demo", "type": "demo"}]
    with Daemon(backends=fresh) as daemon:
        eq(status_of(daemon, "demo")["average_latency_ms"], None, "no latency before a request")


def test_config():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        key = pathlib.Path(folder, "a-name-like-a-key")
        key.write_text("sk-top-secret")
        key.chmod(0o600)
        a = FakeBackend("a", ["m"])
        with Daemon(backends=[backend(a, credential=key.name)], timeouts={"head": 2.5},
                    credentials_directory=folder, limits={"max_body": "20M"}) as daemon:
            answer = ask(daemon, "GET", "/admin/config")
            config = answer.json()
            eq((config["timeouts"]["head"], config["limits"]["max_body"], config["workers"]),
               (2.5, "20M", 2), "values as they are written")
            eq(config["routing"]["weights"], {"priority": 50, "load": 30, "latency": 20},
               "defaults, too")
            eq(config["backends"][0]["credential"], "(hidden)", "the credential's name is hidden")
            ok(b"secret" not in answer.body and key.name.encode() not in answer.body,
               "and so is the key")
        a.stop()


# --- drain ---


def test_drain():
    daemon, a, b = two()
    a.behave({"gate": "held", "chunks": 2})
    stream = daemon.stream("m")
    stream.next_data()
    answer = drain(daemon, "a")
    rows = [(row["name"], row["status"], row["in_flight"]) for row in answer.json()["backends"]]
    eq((answer.status, rows), (200, [("a", "draining", 1)]),
       "drained, with one request still there")
    a.gate("held").release(20)
    eq(stream.all_data()[-1], "[DONE]", "what ran there ends properly")
    with Counting(daemon) as added:
        eq([daemon.chat("m").header("x-nexus-backend") for _ in range(5)], ["b"] * 5,
           "no new request goes there")
    added.check("nexus_requests_total", 5, backend="b", status="200")
    added.check("nexus_routing_exclusions_total", 5, reason="draining")
    listed = {row["name"]: row["status"] for row in
              daemon.get("/health?verbose").json()["backends"]["list"]}
    eq(listed, {"a": "draining", "b": "healthy"}, "/health?verbose tells it")
    eq({row["name"]: row["status"] for row in daemon.stats()["backends"]}, listed,
       "/v1/stats tells it")
    eq(ask(daemon, "GET", "/admin/status").json()["backends"]["draining"], 1, "the status, too")
    eq(drain(daemon, "a").status, 200, "a second drain changes nothing")
    eq(len([l for l in daemon.stderr_lines if "a: draining" in l]), 1, "it was logged once")
    eq(drain(daemon, "a", "undrain").json()["backends"], [status_of(daemon, "a")], "undrained")
    eq(daemon.chat("m").header("x-nexus-backend"), "a", "requests go there again")


def test_drain_of_all():
    daemon, *_ = two()
    drain(daemon, "a"), drain(daemon, "b")
    answer = daemon.chat("m")
    error = answer.error()
    eq((answer.status, error.get("code")), (503, "no_healthy_backend"), "nobody is left")
    eq(error["context"]["excluded"], [{"backend": "a", "reason": "draining"},
                                      {"backend": "b", "reason": "draining"}], "and says why")
    drain(daemon, "a", "undrain"), drain(daemon, "b", "undrain")
    eq(daemon.chat("m").status, 200, "undrained")


def test_drain_survives_a_reload():
    with harness.pair(models=["m"]) as (daemon, a, b):
        drain(daemon, "a")
        eq(ask(daemon, "POST", "/admin/reload").status, 200, "reloaded")
        eq(status_of(daemon, "a")["draining"], True, "it drains still")
        eq(daemon.chat("m").header("x-nexus-backend"), "b", "and gets nothing")
        daemon.config_path.write_text(daemon.make_config(backends=[backend(b)]))
        ask(daemon, "POST", "/admin/reload")
        eq(drain(daemon, "a").status, 404, "one that was removed is not known any more")


def test_unknown_backends():
    daemon, *_ = two()
    for name in ("c", "a%2F", "a/b", "a" * 2000, "%00", "..", "a%0d%0a"):
        for verb in ("drain", "undrain"):
            answer = drain(daemon, name, verb)
            ok((answer.status, answer.error().get("code")) == (404, "backend_not_found") or
               answer.status in (400, 414), f"{verb} {name[:20]!r}", answer)
    for path in ("/admin/backends//drain", "/admin/backends/a", "/admin/backends/a/",
                 "/admin/", "/admin", "/admin/backends/drain"):
        eq(ask(daemon, "POST", path).status, 404, f"POST {path}")
    eq([status_of(daemon, name)["draining"] for name in ("a", "b")], [False] * 2, "none drains")


# --- reload ---


def test_reload():
    a = FakeBackend("a", ["m"])
    with Daemon(backends=[backend(a)]) as daemon:
        ok("last_reload" not in ask(daemon, "GET", "/admin/status").json()["config"], "none yet")
        answer = ask(daemon, "POST", "/admin/reload")
        eq((answer.status, answer.json()), (200, {"status": "reloaded", "restart_needed": []}),
           "the answer comes when it is done")
        good = daemon.config_path.read_text()
        daemon.config_path.write_text(good + "nonsense = 1;\n")
        with Counting(daemon) as added:
            answer = ask(daemon, "POST", "/admin/reload")
        line = good.count("\n") + 1
        eq((answer.status, answer.error().get("code")), (409, "bad_configuration"), "a bad one")
        ok(f"{daemon.config_path}:{line}: " in answer.error()["message"], "file and line",
           answer.error())
        added.check("nexus_config_reloads_total", 1, result="failure")
        last = ask(daemon, "GET", "/admin/status").json()["config"]["last_reload"]
        eq((last["success"], last["error"]), (False, answer.error()["message"]),
           "the status keeps it")
        daemon.config_path.write_text(good.replace("workers = 2", "workers = 3"))
        eq(ask(daemon, "POST", "/admin/reload").json()["restart_needed"], ["workers"],
           "what takes a restart is named")
        config = ask(daemon, "GET", "/admin/status").json()["config"]
        eq((config["last_reload"]["success"], config["restart_needed"]), (True, ["workers"]),
           "in the status, too")
    a.stop()


def test_reloads_of_clients_that_leave():
    daemon, *_ = two()
    before = daemon.metrics().sum("nexus_config_reloads_total")
    for _ in range(20):
        connection = daemon.connect(daemon.admin_address)
        connection.request("POST", "/admin/reload", None, b"")
        connection.close()
    answers = [ask(daemon, "POST", "/admin/reload").status for _ in range(20)]
    eq(answers, [200] * 20, "those who stay are answered")
    ok(wait_until(lambda: daemon.metrics().sum("gateway_active_requests") == 1),
       "and nothing is left of the others")
    ok(daemon.metrics().sum("nexus_config_reloads_total") >= before + 20, "all were reloads")


def test_reload_in_the_drain():
    a = FakeBackend("a", ["m"])
    a.behave({"gate": "held", "chunks": 2})
    with Daemon(backends=[backend(a)]) as daemon:
        stream = daemon.stream("m")
        stream.next_data()
        connection = daemon.connect(daemon.admin_address)
        connection.request("GET", "/admin/status")
        connection.read_response()
        connection.send(b"POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
        wait_until(lambda: daemon.metrics().sum("gateway_active_requests") == 3)
        daemon.kill(harness.signal.SIGTERM)
        daemon.wait_stderr("drain")
        connection.send(b" ")
        answer = connection.read_response()
        eq((answer.status, answer.error().get("code")), (503, "shutting_down"), "too late")
        a.gate("held").release(20)
        eq(stream.all_data()[-1], "[DONE]", "the stream ends properly")
        eq(daemon.wait_exit(), 0, "exit status")
    a.stop()


# --- the log level ---


def test_log_level():
    with Rig([], backends=DEMO) as (daemon,):
        eq(ask(daemon, "GET", "/admin/log-level").json(), {"level": "info"}, "as configured")
        for level in ("debug", "error", "notice"):
            answer = ask(daemon, "PUT", "/admin/log-level", {"level": level})
            eq((answer.status, answer.json()), (200, {"level": level}), f"set to {level}")
        eq(ask(daemon, "GET", "/admin/log-level").json(), {"level": "notice"}, "it stays")
        ask(daemon, "POST", "/admin/reload")
        eq(ask(daemon, "GET", "/admin/log-level").json(), {"level": "info"}, "until a reload")


def test_bad_log_levels():
    daemon, *_ = two()
    bodies = ["", "{}", "null", "[]", '{"level":', '{"level": 1}', '{"level": "loud"}',
              '{"level": "info"} x', '{"level": "in\\u0000fo"}',
              '{"level": "info", "x": "' + "y" * 5000 + '"}']
    for body in bodies:
        answer = daemon.request("PUT", "/admin/log-level", body, address=daemon.admin_address)
        eq((answer.status, answer.error().get("code"), answer.error().get("param")),
           (400, "invalid_field", "level"), f"{body[:30]!r} is refused")
    eq(ask(daemon, "GET", "/admin/log-level").json(), {"level": "info"}, "nothing has changed")


# --- methods ---


def test_methods():
    daemon, *_ = two()
    allowed = {"/admin/status": "GET, HEAD", "/admin/backends": "GET, HEAD",
               "/admin/config": "GET, HEAD", "/admin/reload": "POST",
               "/admin/backends/a/drain": "POST", "/admin/log-level": "GET, HEAD, PUT"}
    for path, methods in allowed.items():
        answer = ask(daemon, "DELETE", path)
        eq((answer.status, answer.header("allow")), (405, methods), f"DELETE {path}")
        if "GET" in methods:
            answer = ask(daemon, "HEAD", path)
            eq((answer.status, answer.body), (200, b""), f"HEAD {path}")
    metrics = daemon.settled()
    seen = {labels["path"] for labels, _ in metrics.select("gateway_requests_total")}
    ok("/admin/backends/{name}/drain" in seen and not any("/a/" in path for path in seen),
       "paths are counted by their pattern", seen)


if __name__ == "__main__":
    tap.run(globals())
