#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: command line, bad configurations, reload, stop."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import harness
import tap
from fake_backend import FakeBackend
from harness import Daemon, backend, config_text, wait_until
from http_client import encode_request
from tap import Skip, eq, ok

DEMO = [{"name": "demo", "type": "demo"}]


def run_program(*args, env=None, seconds=20):
    """Runs nexusd to its end; None as status when it did not end."""
    process = subprocess.Popen([harness.find_program(), *args], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               env={"PATH": os.environ["PATH"], **(env or {})})
    try:
        out, err = process.communicate(timeout=seconds)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return None, out, err


def test_command_line():
    status, out, err = run_program("--version")
    eq((status, err), (0, ""), "--version")
    ok(re.match(r"nexusd \d+\.\d+", out), "tells name and version", out)
    status, out, err = run_program("--help")
    ok(status == 0 and "--check-config" in out, "--help", out, err)
    status, out, err = run_program("--no-such-option")
    ok(status not in (0, None) and err, "an unknown option", status, err)
    status, out, err = run_program("-c", "/nonexistent/nexusd.conf")
    ok(status not in (0, None) and "/nonexistent/nexusd.conf" in err, "a missing file", err)
    status, out, err = run_program("--log-level", "loud", "--check-config")
    ok(status not in (0, None) and err, "an unknown log level", status, err)


def test_started_without_standard_files():
    """None of the daemon's own descriptors is where a log line would go."""
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    with Daemon(backends=DEMO, launcher=closed, args=["--log-level", "debug"]) as daemon:
        eq([os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in range(3)], ["/dev/null"] * 3,
           "what was closed is taken")
        eq(daemon.chat("demo").status, 200, "and it serves")


# name: (text of the file, line of the error or None, words that must be in the message)
BAD = {
    "unknown key": ("workers = 1;\nwrokers = 2;\n", 2, ["wrokers"]),
    "unknown key in a group": ("timeouts: {\n  head = 1;\n  haed = 1;\n};\n", 3, ["haed"]),
    "unknown key in a backend": ('backends = (\n { name = "x"; type = "demo"; wieght = 1; }\n);\n',
                                 2, ["wieght"]),
    "wrong type": ('\nworkers = "two";\n', 2, ["workers"]),
    "text where a list belongs": ('listeners = "127.0.0.1:1";\n', 1, ["listeners"]),
    "number where a text belongs": ('routing: {\n strategy = 5;\n};\n', 2, ["strategy"]),
    "out of range": ("health: {\n interval = -1;\n};\n", 2, ["interval"]),
    "bad size": ('limits: { max_body = "10X"; };\n', 1, ["max_body"]),
    "unknown strategy": ('routing: { strategy = "best"; };\n', 1, ["strategy"]),
    "unknown backend type": ('backends = ( { name = "x"; type = "anthropic"; } );\n', 1,
                             ["type"]),
    "duplicate backend": ('backends = (\n { name = "x"; type = "demo"; },\n'
                          ' { name = "x"; type = "demo"; }\n);\n', 3, ["x"]),
    "backend without a name": ('backends = (\n { type = "demo"; }\n);\n', 2, ["name"]),
    "backend without a url": ('backends = (\n { name = "x"; type = "vllm"; }\n);\n', 2, ["url"]),
    "bad url": ('backends = ( { name = "x"; type = "vllm"; url = "ftp://x"; } );\n', 1, ["url"]),
    "alias cycle": ('routing: { aliases = (\n { name = "a"; model = "b"; },\n'
                    ' { name = "b"; model = "a"; } ); };\n', None, ["alias"]),
    "alias of itself": ('routing: { aliases = (\n { name = "a"; model = "a"; } ); };\n', 2,
                        ["a"]),
    "alias chain of four": ('routing: { aliases = ( { name = "a"; model = "b"; },\n'
                            '{ name = "b"; model = "c"; }, { name = "c"; model = "d"; },\n'
                            '{ name = "d"; model = "e"; } ); };\n', None, ["alias"]),
    "duplicate alias": ('routing: { aliases = (\n { name = "a"; model = "b"; },\n'
                        ' { name = "a"; model = "c"; } ); };\n', 3, ["a"]),
    "syntax error": ("workers = 1;\nlisteners = (\n{ address\n", None, ["nexusd.conf"]),
    "unreadable credential": ('credentials_directory = "/nonexistent";\nbackends = (\n'
                              ' { name = "x"; type = "openai"; url = "https://h"; '
                              'credential = "k"; }\n);\n', 3, ["k"]),
    "credential outside": ('backends = ( { name = "x"; type = "openai"; url = "https://h"; '
                           'credential = "../k"; } );\n', 1, ["credential"]),
    "bad address": ('listeners = (\n { address = "localhost"; }\n);\n', 2, ["address"]),
    "unknown face": ('listeners = ( { address = "127.0.0.1:1"; faces = [ "apy" ]; } );\n', 1,
                     ["faces"]),
    "api off loopback": ('listeners = (\n { address = "0.0.0.0:18999"; faces = [ "api" ]; }\n);\n',
                         2, ["allow_unauthenticated"]),
    "metrics path that collides": ('metrics: { path = "/v1/models"; };\n', 1, ["metrics.path"]),
    "fallback to itself": ('routing: { fallbacks = ( { model = "a"; to = [ "a" ]; } ); };\n', 1,
                           ["a"]),
}


def test_bad_configurations():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = pathlib.Path(folder) / "nexusd.conf"
        for name, (text, line, words) in BAD.items():
            path.write_text(text)
            for how, args in (("start", ["-c", str(path)]),
                              ("--check-config", ["-c", str(path), "--check-config"])):
                status, out, err = run_program(*args)
                ok(status not in (0, None) and status < 128, f"{name}, {how}: exit status",
                   status, err)
                where = f"{path}:{line}:" if line else f"{path}:"
                lines = [l for l in err.splitlines() if str(path) in l]
                ok(len(lines) == 1 and where in lines[0], f"{name}, {how}: one line, {line}", err)
                ok(lines and all(w in lines[0] for w in words), f"{name}, {how}: says {words}", err)


def test_port_in_use():
    with Daemon(backends=DEMO) as first:
        with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
            path = pathlib.Path(folder) / "nexusd.conf"
            path.write_text("# a comment\n" + first.make_config(backends=DEMO))
            status, _, err = run_program("-c", str(path))
            ok(status not in (0, None), "a port in use: exit status", status)
            ok(f"{path}:2" in err and str(first.port) in err, "says where and which", err)
        eq(first.get("/livez").status, 200, "the first one is not disturbed")


def test_unix_socket_in_use():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        address = f"unix:{folder}/api.sock"
        text = config_text(listeners=[{"address": address}], backends=DEMO)
        with Daemon(text=text, wait=False) as first:
            first.address = address
            first.wait_ready()
            path = pathlib.Path(folder) / "second.conf"
            path.write_text(text)
            status, _, err = run_program("-c", str(path))
            ok(status not in (0, None) and f"{path}:1" in err, "a unix socket in use", status, err)
            eq(first.get("/livez").status, 200, "is left to the first one")


def test_unix_socket_spares_other_files():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        precious = pathlib.Path(folder) / "precious"
        precious.write_text("kept")
        path = pathlib.Path(folder) / "nexusd.conf"
        path.write_text(config_text(listeners=[{"address": f"unix:{precious}"}], backends=DEMO))
        status, _, err = run_program("-c", str(path))
        ok(status not in (0, None) and f"{path}:1" in err, "a file where a socket should be",
           status, err)
        eq(precious.read_text(), "kept", "is not removed")
        precious.unlink()
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(precious))
        daemon = Daemon(text=path.read_text(), wait=False)
        daemon.address = f"unix:{precious}"
        with daemon:
            daemon.wait_ready()
            ok(True, "a socket nobody listens on is")


def test_proxy_variables_are_ignored():
    a = FakeBackend("a", ["m"])
    proxy = f"http://127.0.0.1:{harness.free_port()}"
    env = {name: proxy for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY")}
    with Daemon(backends=[backend(a)], env=env) as daemon:
        eq(daemon.chat("m").status, 200, "http_proxy and its like choose nothing")
    a.stop()


def test_credentials_that_others_can_read():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        key = pathlib.Path(folder) / "key"
        key.write_text("sk-very-secret")
        key.chmod(0o644)
        path = pathlib.Path(folder) / "nexusd.conf"
        path.write_text(config_text(credentials_directory=folder, backends=[
            {"name": "x", "type": "openai", "url": "https://h", "credential": "key"}]))
        status, out, err = run_program("-c", str(path), "--check-config")
        ok(status not in (0, None) and f"{path}:2" in err, "a key file that others can read", err)
        ok("sk-very-secret" not in out + err, "the key is not told")
        key.chmod(0o600)
        status, out, err = run_program("-c", str(path), "--check-config")
        eq(status, 0, "with the right mode it is fine", err)


def test_environment_and_conf_d():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = pathlib.Path(folder) / "nexusd.conf"
        path.write_text("workers = 1;\n" + config_text(backends=DEMO))
        more = pathlib.Path(folder) / "conf.d"
        more.mkdir()
        (more / "10.conf").write_text(config_text(backends=[{"name": "demo2", "type": "demo"}]))
        (more / "20.txt").write_text("not read")
        eq(run_program("-c", str(path), "--check-config")[0], 0, "lists append")
        (more / "30.conf").write_text("\n" + config_text(backends=DEMO))
        status, _, err = run_program("-c", str(path), "--check-config")
        ok(status != 0 and "30.conf:2" in err and "nexusd.conf:2" in err,
           "equal names are an error that names both places", err)
        (more / "30.conf").unlink()
        for env in ({"NEXUSD_WORKERS": "many"}, {"NEXUSD_LIMITS_MAX_BODY": "x"}):
            status, _, err = run_program("-c", str(path), "--check-config", env=env)
            ok(status != 0 and list(env)[0] in err, f"a bad {list(env)[0]}", err)
    with Daemon(backends=DEMO, env={"NEXUSD_LIMITS_MAX_BODY": "1K"}) as daemon:
        eq(daemon.chat("demo", "x" * 2000).status, 413, "NEXUSD_LIMITS_MAX_BODY is heeded")
    with Daemon(backends=DEMO, env={"METRICS_PATH": "numbers"}) as daemon:
        eq((daemon.get("/numbers").status, daemon.get("/metrics").status), (200, 404),
           "METRICS_PATH, the slash added")
    with Daemon(backends=DEMO, env={"METRICS_ENABLED": "false"}) as daemon:
        eq((daemon.get("/metrics").status, daemon.get("/v1/stats").status), (404, 200),
           "METRICS_ENABLED=false removes the route only")
        daemon.chat("demo")
        ok(wait_until(lambda: daemon.stats()["requests"]["total"] == 1), "counting goes on")


def test_no_secret_in_proc():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        key = pathlib.Path(folder) / "key"
        key.write_text("sk-in-no-proc-file")
        key.chmod(0o600)
        a = FakeBackend("a", ["m"], "openai")
        with Daemon(backends=[backend(a, credential="key")], credentials_directory=folder,
                    args=["--log-level", "debug"]) as daemon:
            daemon.chat("m", "words of the prompt")
            daemon.stream("m", "words of the prompt").all_data()
            daemon.post("/v1/chat/completions", '{"model": "m", "words of the prompt"')
            for name in ("environ", "cmdline"):
                try:
                    content = pathlib.Path(f"/proc/{daemon.pid}/{name}").read_bytes()
                except PermissionError:  # better still
                    content = b""
                ok(b"sk-in-no-proc-file" not in content, f"no key in /proc/PID/{name}")
            daemon.settled()
            ok("sk-in-no-proc-file" not in daemon.stderr, "nor in the log at level debug")
            ok("words of the prompt" not in daemon.stderr, "prompts are not logged")
        a.stop()


def how_it_ends(process, number):
    """CLD_DUMPED or CLD_KILLED, as the kernel tells it of a process that a signal ends."""
    process.send_signal(number)
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_code


def test_no_core():
    """A crash leaves no image of the memory, although the limits of the machine allow one."""
    unlimited = ["prlimit", "--core=unlimited:unlimited"]
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        with subprocess.Popen([*unlimited, "sleep", "60"], cwd=folder) as other:
            wait_until(lambda: pathlib.Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
            if how_it_ends(other, signal.SIGABRT) != os.CLD_DUMPED:
                raise Skip("nothing dumps core here")
    with Daemon(backends=DEMO, launcher=unlimited) as daemon:
        daemon.chat("demo")
        eq(how_it_ends(daemon.process, signal.SIGABRT), os.CLD_KILLED, "no core is dumped")
        daemon.stop(expect=-signal.SIGABRT)


# --- reload ---


def reload_count(daemon):
    return daemon.metrics().sum("nexus_config_reloads_total")


def reload(daemon, text):
    """Writes the text, sends SIGHUP and waits until the reload is counted."""
    before = reload_count(daemon)
    daemon.config_path.write_text(text)
    daemon.kill(signal.SIGHUP)
    return wait_until(lambda: reload_count(daemon) == before + 1)


def test_reload():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["m", "n"])
    with Daemon(backends=[backend(a)]) as daemon:
        for _ in range(3):
            daemon.chat("m")
        before = daemon.settled()
        first = daemon.make_config(backends=[backend(a)])
        second = daemon.make_config(backends=[backend(b)], routing={
            "aliases": [{"name": "alias", "model": "n"}]})
        ok(reload(daemon, second), "a good configuration is taken")
        ok(wait_until(lambda: daemon.chat("alias").status == 200), "its alias works")
        eq(daemon.chat("m").header("x-nexus-backend"), "b", "its backend serves")
        after = daemon.settled()
        eq(after.get("nexus_requests_total", model="m", backend="a", status="200"),
           before.get("nexus_requests_total", model="m", backend="a", status="200"),
           "counters of a removed backend stay")
        eq(after.select("nexus_pending_requests", backend="a"), [], "its gauges go")
        eq(after.get("nexus_backends_total"), 1, "nexus_backends_total")
        ok(reload(daemon, first), "and back")
        ok(wait_until(lambda: daemon.chat("m").header("x-nexus-backend") == "a"), "a serves again")
        eq(daemon.settled().get("nexus_requests_total", model="m", backend="a", status="200"), 4,
           "and counts on where it was")
    a.stop()
    b.stop()


def test_bad_reload_keeps_the_old_configuration():
    a = FakeBackend("a", ["m"])
    with Daemon(backends=[backend(a)]) as daemon:
        eq({labels["result"]: n for labels, n in
            daemon.metrics().select("nexus_config_reloads_total")}, {"success": 0, "failure": 0},
           "the first failure will be a step from 0")
        good = daemon.make_config(backends=[backend(a)])
        broken = {"unknown key": "workers = 1;\nwrokers = 2;\n", "syntax": "workers = ;\n",
                  "duplicate": daemon.make_config(backends=[backend(a), backend(a)]),
                  "alias cycle": BAD["alias cycle"][0],
                  "unreadable credential": BAD["unreadable credential"][0]}
        for name, text in broken.items():
            mark = len(daemon.stderr_lines)
            ok(reload(daemon, text), f"{name}: the reload is counted")
            line = daemon.wait_stderr(rf"{re.escape(str(daemon.config_path))}:\d+", start=mark)
            ok(line, f"{name}: the log says file and line", "\n".join(daemon.stderr_lines[mark:]))
            eq(daemon.chat("m").status, 200, f"{name}: the old configuration serves on")
        daemon.config_path.unlink()
        daemon.kill(signal.SIGHUP)
        n_bad = len(broken) + 1
        ok(wait_until(lambda: reload_count(daemon) == n_bad), "a missing file is counted, too")
        eq(daemon.chat("m").status, 200, "and changes nothing")
        results = {labels["result"]: n for labels, n in
                   daemon.metrics().select("nexus_config_reloads_total") if n}
        eq(len(results), 1, "all have the same result", results)
        ok(reload(daemon, good), "a good one is taken again")
        results = {labels["result"]: n for labels, n in
                   daemon.metrics().select("nexus_config_reloads_total") if n}
        eq(sorted(results.values()), [1, n_bad], "and counted apart", results)
    a.stop()


def test_reload_warns_of_options_that_need_a_restart():
    with Daemon(backends=DEMO) as daemon:
        text = config_text(listeners=[{"address": daemon.address, "faces": ["api", "metrics"]}],
                           workers=3, limits={"max_header": 9000},
                           timeouts={"idle": 7}, backends=DEMO)
        mark = len(daemon.stderr_lines)
        ok(reload(daemon, text), "taken")
        line = daemon.wait_stderr("restart", start=mark)
        ok(line and all(name in line for name in ("workers", "limits.max_header", "timeouts.idle")),
           "one warning names them", "\n".join(daemon.stderr_lines[mark:]))


def test_reload_under_load():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["m"])
    with Daemon(backends=[backend(a), backend(b)]) as daemon:
        a.default = b.default = {"gate": "held", "chunks": 2}
        streams = [daemon.stream("m", f"s{n}") for n in range(10)]
        one, two = (daemon.make_config(backends=[backend(f)]) for f in (a, b))
        statuses = []
        for number in range(20):
            ok_now = reload(daemon, one if number % 2 else two)
            statuses.append(ok_now and daemon.get("/v1/models").status)
        eq(statuses, [200] * 20, "20 reloads")
        for fake in (a, b):
            fake.gate("held").release(200)
        eq([s.all_data()[-1] for s in streams], ["[DONE]"] * 10,
           "streams that began before them end properly")
        a.default = b.default = {}
        eq(daemon.settled().sum("nexus_requests_total", status="200"), 10, "and are counted")
    a.stop()
    b.stop()


# --- stop ---


def is_refused(daemon):
    """A new connection fails, or ends at once, or is told 503."""
    try:
        with daemon.connect(timeout=1) as connection:
            connection.request("GET", "/readyz")
            answer = connection.read_response()
            return answer is None or answer.status == 503
    except TimeoutError:
        return False
    except OSError:
        return True


def test_stop_drains():
    a = FakeBackend("a", ["m"])
    for number in (signal.SIGTERM, signal.SIGINT):
        a.reset()
        a.behave({"gate": "held", "chunks": 4}, {"gate_head": "plain"})
        with Daemon(backends=[backend(a)]) as daemon:
            idle = daemon.connect()
            idle.request("GET", "/livez")
            idle.read_response()
            stream = daemon.stream("m")
            stream.next_data()
            plain = daemon.connect()
            plain.request("POST", "/v1/chat/completions", None,
                          json.dumps(harness.chat_body("m")).encode())
            a.wait_requests(2)
            daemon.kill(number)
            ok(idle.is_closed(), f"{number.name}: idle connections are closed")

            ok(wait_until(lambda: is_refused(daemon), 5), "new connections are refused, not left "
               "waiting")
            eq(daemon.process.poll(), None, "it waits for what runs")
            a.gate("plain").release()
            answer = plain.read_response()
            eq(answer.status, 200, "the plain request is answered")
            a.gate("held").release(20)
            eq(stream.all_data()[-1], "[DONE]", "the stream ends properly")
            eq(daemon.wait_exit(), 0, "then it exits with 0")
    a.stop()


def test_stop_gives_up_after_the_drain_time():
    a = FakeBackend("a", ["m"])
    a.behave({"gate": "held"}, {"fault": "never"})
    with Daemon(backends=[backend(a)], timeouts={"drain": 0.3}) as daemon:
        stream = daemon.stream("m")
        stream.next_data()
        connection = daemon.connect()
        connection.request("POST", "/v1/chat/completions", None,
                           json.dumps(harness.chat_body("m")).encode())
        entries = a.wait_requests(2)
        daemon.kill(signal.SIGTERM)
        answer = connection.read_response()
        eq((answer.status, answer.error().get("code"), answer.header("connection")),
           (503, "shutting_down", "close"), "a request that waits is told why")
        ok(answer.header("retry-after"), "and when to come again")
        events = stream.all_data()
        ok(events and "error" in json.loads(events[-1]), "a stream ends with an error", events)
        eq(daemon.wait_exit(), 0, "timeouts.drain bounds the stop")
        eq([a.wait_ended(entry) for entry in entries], ["peer_closed"] * 2, "the backend is told")
    a.stop()


def test_request_that_was_arriving_at_the_stop():
    a = FakeBackend("a", ["m"])
    a.behave({"gate": "held"})
    with Daemon(backends=[backend(a)]) as daemon:
        stream = daemon.stream("m")
        stream.next_data()
        body = json.dumps(harness.chat_body("m")).encode()
        data = encode_request("POST", "/v1/chat/completions", None, body)
        arriving = daemon.connect()
        arriving.send(data[:-5])
        wait_until(lambda: daemon.metrics().sum("gateway_active_requests") == 3)
        daemon.kill(signal.SIGTERM)
        daemon.wait_stderr("drain")
        arriving.send(data[-5:])
        answer = arriving.read_response()
        eq((answer.status, answer.header("connection")), (200, "close"),
           "it is under way, so it is served, and its connection ends")
        a.gate("held").release(20)
        eq(stream.all_data()[-1], "[DONE]", "the stream ends properly")
        eq(daemon.wait_exit(), 0, "exit status")
    a.stop()


def test_second_signal_while_draining():
    a = FakeBackend("a", ["m"])
    a.behave({"fault": "never"})
    with Daemon(backends=[backend(a)]) as daemon:
        connection = daemon.connect()
        connection.request("POST", "/v1/chat/completions", None,
                           json.dumps(harness.chat_body("m")).encode())
        a.wait_requests(1)
        daemon.kill(signal.SIGTERM)
        daemon.wait_stderr("stop|drain|shut")
        daemon.kill(signal.SIGHUP)
        eq(daemon.process.poll(), None, "SIGHUP in the drain does no harm")
        connection.close()
        eq(daemon.wait_exit(), 0, "the last client left: it is done")
        ok("reloaded" not in daemon.stderr, "and nothing was reloaded", daemon.stderr)
    a.stop()


def test_asked_twice_to_stop():
    a = FakeBackend("a", ["m"])
    for _ in range(5):
        a.behave(*[{"fault": "never"}] * 4)
        with Daemon(backends=[backend(a)], workers=4) as daemon:
            connections = [daemon.connect() for _ in range(4)]
            for connection in connections:
                connection.request("POST", "/v1/chat/completions", None,
                                   json.dumps(harness.chat_body("m")).encode())
            a.wait_requests(4)
            daemon.kill(signal.SIGTERM)
            daemon.kill(signal.SIGINT)
            eq(daemon.wait_exit(), 0, "it leaves at once")
            for connection in connections:
                connection.close()
        a.reset()
    a.stop()


def test_ready_line_and_no_file():
    with Daemon(backends=DEMO) as daemon:
        ok(daemon.wait_stderr(str(daemon.port)), "the log tells where it listens", daemon.stderr)
        eq(daemon.get("/livez").status, 200, "/livez")
        size = daemon.resident_bytes()
        tap.diag(f"resident when idle: {size >> 10} KiB")


if __name__ == "__main__":
    tap.run(globals())
