#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Under a service manager: notifications, the watchdog, inherited and stored sockets."""
import json
import os
import pathlib
import re
import signal
import tempfile

import harness
import tap
from fake_backend import FakeBackend
from harness import Daemon, backend, config_text, wait_until
from http_client import Connection
from service_manager import (NotifySocket, high, listening_socket, listening_unix_socket,
                             start_with_sockets)
from tap import eq, ok

DEMO = [{"name": "demo", "type": "demo"}]


def test_sd_notify():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        manager = NotifySocket(folder)
        env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"}
        with Daemon(backends=DEMO, env=env) as daemon:
            ok(manager.wait(r"^READY=1$"), "READY=1", manager.messages)
            ok(manager.wait(r"^STATUS=.+"), "STATUS", manager.messages)
            ok(manager.wait(r"^WATCHDOG=1$", 3), "WATCHDOG=1, again and again", manager.messages)
            manager.messages.clear()
            daemon.kill(signal.SIGHUP)
            reloading = manager.wait(r"^RELOADING=1$")
            ok(reloading, "RELOADING=1", manager.messages)
            stamp = re.search(r"^MONOTONIC_USEC=(\d+)$", reloading or "", re.M)
            now = harness.time.clock_gettime_ns(harness.time.CLOCK_MONOTONIC) // 1000
            ok(stamp and now - 60_000_000 < int(stamp[1]) <= now, "MONOTONIC_USEC", reloading)
            ok(manager.wait(r"^READY=1$"), "READY=1 after it", manager.messages)
            order = [m for m in manager.messages if "READY=1" in m or "RELOADING=1" in m]
            ok("RELOADING=1" in order[0] and "READY=1" in order[-1], "in this order", order)
            daemon.config_path.write_text("nonsense = 1;\n")
            manager.messages.clear()
            daemon.kill(signal.SIGHUP)
            ok(manager.wait(r"^READY=1$"), "READY=1 after a failed reload, too", manager.messages)
            daemon.kill(signal.SIGTERM)
            ok(manager.wait(r"^STOPPING=1$"), "STOPPING=1", manager.messages)
            eq(daemon.wait_exit(), 0, "exit status")


def test_watchdog_of_another_process():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        manager = NotifySocket(folder)
        env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}
        with Daemon(backends=DEMO, env=env):
            ok(manager.wait(r"^READY=1$"), "READY=1")
            eq(manager.wait(r"^WATCHDOG=1$", seconds=0.3), None, "no watchdog for another's PID")


def test_socket_activation():
    sock, port = listening_socket()
    address = f"127.0.0.1:{port}"
    text = config_text(listeners=[{"address": address, "faces": ["api", "metrics"]}], backends=DEMO)
    daemon = start_with_sockets([sock], text=text, wait=False)
    daemon.address = address
    with daemon:
        daemon.wait_ready()
        eq(daemon.chat("demo").status, 200, "a socket matched by its address serves")
    ok(Connection(address), "it is left to its owner at the end")
    sock.close()
    sock, port = listening_socket()
    daemon = start_with_sockets([sock], ["metrics"], backends=DEMO, healthy=1)
    with daemon:
        other = f"127.0.0.1:{port}"
        eq(daemon.get("/metrics", address=other).status, 200, "the face that its name says")
        eq(daemon.get("/v1/models", address=other).status, 404, "and no other")
        eq(daemon.get("/v1/models").status, 200, "listeners without a socket are bound by nexusd")
    sock.close()
    sock, port = listening_socket()
    daemon = start_with_sockets([sock], ["nonsense"], backends=DEMO, wait=False)
    status = daemon.wait_exit()
    ok(status not in (0, None), "a socket that nobody wants stops the start", status, daemon.stderr)
    errors = [line for line in daemon.stderr_lines if "error" in line]
    ok(len(errors) == 1 and "nonsense" in errors[0] and "FileDescriptorName=" in errors[0],
       "with one line that says what to do", daemon.stderr)
    daemon.stop(expect=status)
    daemon.directory.cleanup()
    sock.close()


def test_inherited_sockets_that_others_can_reach():
    sock, _ = listening_socket("0.0.0.0")
    daemon = start_with_sockets([sock], ["api"], backends=DEMO, wait=False)
    status = daemon.wait_exit()
    ok(status not in (0, None), "the start fails", status)
    ok("allow_unauthenticated" in daemon.stderr, "and says what to do", daemon.stderr)
    daemon.stop(expect=status)
    daemon.directory.cleanup()
    with start_with_sockets([sock], ["api"], backends=DEMO, healthy=1,
                            allow_unauthenticated=True) as daemon:
        eq(daemon.chat("demo").status, 200, "unless it is meant")
    sock.close()


def test_several_sockets():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        path = f"{folder}/api.sock"
        file = listening_unix_socket(path)
        (api, port), (metrics, other) = listening_socket(), listening_socket()
        text = config_text(listeners=[{"address": f"unix:{path}", "faces": ["api"]},
                                      {"address": f"127.0.0.1:{port}"}], backends=DEMO)
        daemon = start_with_sockets([metrics, file, api], ["metrics", "api", "web"], text=text,
                                    wait=False)
        daemon.address = f"127.0.0.1:{port}"
        with daemon:
            daemon.wait_ready()
            eq(daemon.chat("demo").status, 200, "one by its address, whatever its name")
            unix = f"unix:{path}"
            eq([daemon.get(t, address=unix).status for t in ("/v1/models", "/metrics")],
               [200, 404], "a unix socket")
            eq([daemon.get(t, address=f"127.0.0.1:{other}").status
                for t in ("/v1/models", "/metrics")], [404, 200], "one by its name")
        ok(pathlib.Path(path).is_socket(), "the unix socket is left to its owner at the end")
        for sock in (file, api, metrics):
            sock.close()


def test_requests_wait_for_the_first_health_checks():
    """Whoever waits in a socket when nexusd starts is not told that there is no such model."""
    a = FakeBackend("a", ["m"])
    sock, port = listening_socket()
    address = f"127.0.0.1:{port}"
    early = Connection(address)
    early.request("POST", "/v1/chat/completions", None, json.dumps(harness.chat_body("m")).encode())
    text = config_text(listeners=[{"address": address}], backends=[backend(a, discover=True)])
    daemon = start_with_sockets([sock], text=text, wait=False)
    daemon.address = address
    with daemon:
        eq(early.read_response().status, 200, "a model that had to be discovered is known")
    a.stop()
    sock.close()


def test_status():
    a = FakeBackend("a", ["m"])
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        manager = NotifySocket(folder)
        with Daemon(backends=[backend(a)], env={"NOTIFY_SOCKET": manager.path}) as daemon:
            ok(manager.wait(r"^STATUS=Serving on 127\.0\.0\.1:\d+ and more: 0 requests, 0 streams running, "
                            r"\d of 1 backends healthy$"), "STATUS at the start", manager.messages)
            a.behave({"gate": "held"})
            stream = daemon.stream("m")
            daemon.chat("m")
            ok(manager.wait(r"^STATUS=.*: 1 requests, 1 streams running, 1 of 1 backends"),
               "it is told anew when it changed", manager.messages)
            a.gate("held").release(20)
            stream.all_data()
            ok(manager.wait(r"^STATUS=.*: 2 requests, 0 streams running"), "and again")
            told = [m for m in manager.messages if "STATUS=Serving" in m]
            eq(len(told), len(set(told)), "but only then", told)
    a.stop()


def test_drain_extends_the_timeout():
    a = FakeBackend("a", ["m"])
    a.behave({"gate": "held"})
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        manager = NotifySocket(folder)
        with Daemon(backends=[backend(a)], env={"NOTIFY_SOCKET": manager.path}) as daemon:
            stream = daemon.stream("m")
            daemon.kill(signal.SIGTERM)
            ok(manager.wait(r"^STOPPING=1$"), "STOPPING=1", manager.messages)
            usec = re.search(r"\d+", manager.wait(r"^EXTEND_TIMEOUT_USEC=\d+$", 2) or "0")
            ok(int(usec[0]) > 5_000_000, "more time is asked for, again and again",
               manager.messages)
            a.gate("held").release(20)
            eq(stream.all_data()[-1], "[DONE]", "the stream ends properly")
            eq(daemon.wait_exit(), 0, "exit status")
    a.stop()


def test_watchdog_of_a_hung_worker():
    program = pathlib.Path(harness.find_program()).parent / "tests/system/gated_nexusd"
    if not program.is_file():
        raise tap.Skip("tests/system/gated_nexusd is not built")
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        manager = NotifySocket(folder)
        env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"}
        with Daemon(backends=DEMO, workers=2, env=env, program=str(program)) as daemon:
            ok(manager.wait(r"^WATCHDOG=1$", 3), "WATCHDOG=1, again and again", manager.messages)
            hung = daemon.connect()
            hung.request("POST", "/v1/chat/completions", {"X-Test-Hang": "1"},
                         json.dumps(harness.chat_body("demo")).encode())
            ok(wait_until(lambda: manager.wait(r"^WATCHDOG=1$", seconds=0.5,
                                               start=len(manager.messages)) is None),
               "none any more once one of two workers hangs")
            os.kill(daemon.pid, signal.SIGUSR1)
            eq(hung.read_response().status, 200, "it goes on")
            start = len(manager.messages)
            ok(manager.wait(r"^WATCHDOG=1$", 3, start=start), "and so does the watchdog")


def test_stored_sockets():
    """What a restart does: the manager keeps the listeners, and nobody is refused meanwhile."""
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        manager = NotifySocket(folder)
        port, path = harness.free_port(), f"{folder}/api.sock"
        listeners = [{"address": f"127.0.0.1:{port}"}, {"address": f"unix:{path}"}]
        text = config_text(listeners=listeners, backends=DEMO)
        env = {"NOTIFY_SOCKET": manager.path}
        first = Daemon(text=text, env=env, wait=False)
        first.address = f"127.0.0.1:{port}"
        with first:
            first.wait_ready()
            ok(manager.wait(r"^READY=1$"), "the first one serves")
            eq(len(manager.store), 3, "its listeners and the admin socket are stored",
               manager.messages)
        ok(pathlib.Path(path).is_socket(), "the file of the unix socket is still there")
        waiting = [Connection(l["address"]).request("GET", "/v1/models") for l in listeners]
        start = len(manager.messages)
        kept = [high(sock.dup()) for sock in manager.store]
        second = start_with_sockets(kept, ["nexusd"] * 3, text=text, env=env, wait=False)
        with second:
            eq([c.read_response().status for c in waiting], [200, 200],
               "who came in between is answered by the second one")
            ok(manager.wait(r"^READY=1$", start=start), "which serves")
            eq(len(manager.store), 3, "and has them stored on")
        third = start_with_sockets(kept, ["nexusd"] * 3, env=env, backends=DEMO)
        with third:
            ok(manager.wait(r"^READY=1$", 3), "another configuration serves, too")
            eq(len(manager.store), 2, "and has its own listener and admin socket stored alone")
            try:
                for sock in kept:
                    sock.close()
                Connection(f"127.0.0.1:{port}")
                ok(False, "a listener that it does not name is closed")
            except ConnectionRefusedError:
                ok(True, "a listener that it does not name is closed")
        manager.empty_store()


if __name__ == "__main__":
    tap.run(globals())
