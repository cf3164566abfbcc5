# SPDX-License-Identifier: Apache-2.0
"""nexusd.socket: the first client starts the service; TCP below 1024 and unix sockets, too."""
import contextlib
import pathlib

import service
import tap
from http_client import Connection
from service import SOCKET, UNIT, prop, systemctl
from tap import eq, ok

UNIX = "/run/nexusd-test.sock"


@contextlib.contextmanager
def activated(settings=""):
    """The service stopped, the socket unit listening in its place."""
    with service.drop_in(f"[Socket]\n{settings}", SOCKET):
        systemctl("stop", UNIT)
        systemctl("start", SOCKET)
        try:
            yield
        finally:
            systemctl("stop", SOCKET, UNIT)
            systemctl("reset-failed")
    systemctl("start", UNIT)


def test_first_client_starts_it():
    with activated():
        eq(prop("ActiveState"), "inactive", "the service waits for a client")
        eq(service.ask().status, 200, "the first client is answered")
        eq(prop("ActiveState"), "active", "by the service, which was started")
        systemctl("stop", UNIT)
        with Connection(service.ADDRESS) as waiting:
            waiting.request("GET", "/livez")
            eq(waiting.read_response().status, 200, "a stop refuses nobody: the next start answers")


def test_restart_keeps_the_queue():
    with activated():
        service.ask()
        pid = service.main_pid()
        systemctl("--no-block", "restart", UNIT)
        statuses = {service.get("/livez").status for _ in range(200)}
        eq(statuses, {200}, "200 connections in a row around a restart are served")
        ok(service.wait_until(lambda: service.main_pid() not in (0, pid)), "by a new process")


def test_several_sockets():
    with activated(f"ListenStream=127.0.0.1:80\nListenStream={UNIX}\nSocketMode=0660\n"):
        eq(service.ask(address=f"unix:{UNIX}").status, 200, "a unix socket")
        eq(oct(pathlib.Path(UNIX).stat().st_mode & 0o777), "0o660", "with the mode of the unit")
        eq(service.ask(address="127.0.0.1:80").status, 200, "a port below 1024")
        eq(service.ask().status, 200, "the usual one")


def test_without_it():
    ok(prop("ActiveState", SOCKET) != "active", "the socket unit is not running")
    ok(service.wait_until(service.is_ready), "the service listens by itself")


tap.run(globals())
