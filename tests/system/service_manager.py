# SPDX-License-Identifier: Apache-2.0
"""What systemd is to a service: its notifications, its store of descriptors, inherited sockets."""
import fcntl
import os
import re
import socket
import sys
import threading

import harness


class NotifySocket:
    """Reads what services tell, all the time: who is not heard waits. Keeps the descriptors that
    they want to be kept."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify.sock")
        self.messages = []
        self.senders = []  # the process of each message
        self.store = []
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(self.path)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            data, control, _, _ = self._socket.recvmsg(65536, 4096)
            with self._changed:
                self._take(data.decode(), control)
                self._changed.notify_all()

    def _take(self, text, control):
        sender, fds = None, []
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds += memoryview(value).cast("i").tolist()
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                sender = memoryview(value).cast("i")[0]
        if "FDSTOREREMOVE=1" in text:
            self.empty_store()
        if "FDSTORE=1" in text:
            self.store += [socket.socket(fileno=fd) for fd in fds]
        self.messages.append(text)
        self.senders.append(sender)

    def empty_store(self):
        for kept in self.store:
            kept.close()
        self.store.clear()

    def wait(self, pattern, n=1, seconds=harness.BOUND_SECONDS, start=0):
        """Waits until n messages from `start` on match; returns the last one or None."""
        def found():
            return [m for m in self.messages[start:] if re.search(pattern, m, re.M)]
        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= n, seconds)
            return found()[-1] if len(found()) >= n else None


def high(sock):
    """The same socket with a descriptor that none of the passed ones can get."""
    with sock:
        return socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 50))


def listening_socket(host="127.0.0.1"):
    """(the socket, its port)."""
    sock = high(socket.create_server((host, 0), backlog=64))
    return sock, sock.getsockname()[1]


def listening_unix_socket(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(64)
    return high(sock)


def start_with_sockets(sockets, names=None, env=None, **options):
    """A daemon that inherits listening sockets of high(), as from systemd."""
    script = ("import os, sys\n"
              f"for n, fd in enumerate({[s.fileno() for s in sockets]}):\n"
              "    os.dup2(fd, 3 + n)\n"
              "    os.close(fd)\n"
              'os.environ["LISTEN_PID"] = str(os.getpid())\n'
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    env = {"LISTEN_FDS": str(len(sockets)), **(env or {})}
    if names:
        env["LISTEN_FDNAMES"] = ":".join(names)
    return harness.Daemon(launcher=[sys.executable, "-c", script], env=env,
                          pass_fds=[s.fileno() for s in sockets], **options)
