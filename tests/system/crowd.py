#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients by the thousand, in a process of their own: the limit of descriptors is one of processes.

`crowd.py ADDRESS KIND N` brings N clients of a kind to where they are to be held, prints a line,
waits for one, and prints as JSON how many ended how. Inside a test: Crowd.
"""
import json
import pathlib
import select
import socket
import subprocess
import sys

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from http_client import encode_request, parse_address  # noqa: E402  (the path comes first)

MODEL = "crowd"
TIMEOUT_SECONDS = 120
STREAM = encode_request("POST", "/v1/chat/completions", None, json.dumps(
    {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "stream": True}).encode())
HALF_HEAD = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_BODY = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
             b"Content-Length: 60000\r\n\r\n{")


class Client:
    """One connection and what came over it, as far as it was read."""

    def __init__(self, address, data=b"", rcvbuf=None):
        family, where = parse_address(address)
        self.socket = socket.socket(family)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(where)
        self.received = b""
        self.send(data)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def read_until(self, text):
        """Everything up to and with the text; False when the connection ended before it."""
        while text not in self.received:
            try:
                data = self.socket.recv(65536)
            except OSError:
                return False
            if not data:
                return False
            self.received += data
        return True

    def is_open(self):
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False


def told_to_go(seconds=None):
    return bool(select.select([sys.stdin], [], [], seconds)[0])


# --- kinds: each makes its clients, yields while they are to be held, and yields what they say then


def silent(address, n):
    """Connects and sends nothing."""
    clients = [Client(address) for _ in range(n)]
    yield len(clients)
    yield {"open": sum(c.is_open() for c in clients)}


def idle(address, n):
    """Kept alive after one request."""
    clients = [Client(address, encode_request("GET", "/livez")) for _ in range(n)]
    yield sum(c.read_until(b"}") for c in clients)
    yield {"open": sum(c.is_open() for c in clients)}


def stream(address, n):
    """In the middle of a stream: its first frame has come."""
    clients = [Client(address, STREAM) for _ in range(n)]
    yield sum(c.read_until(b"\n\n") for c in clients)
    yield {"whole": sum(c.read_until(b"[DONE]\n\n\r\n0\r\n\r\n") for c in clients)}


def stalled(address, n):
    """Asks for a stream, reads how it begins and stops reading."""
    clients = [Client(address, STREAM, rcvbuf=8192) for _ in range(n)]
    yield sum(c.socket.recv(12) == b"HTTP/1.1 200" for c in clients)
    yield {"open": len(clients)}


def slow(address, n):
    """Half of them in the head and half in the body, a byte at a time."""
    clients = [Client(address, HALF_BODY if i % 2 else HALF_HEAD) for i in range(n)]
    yield len(clients)
    while not told_to_go(0.2):
        for client in clients:
            client.send(b" ")
    yield {"refused": sum(c.read_until(b'"request_timeout"') for c in clients)}


def main():
    address, kind, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    kinds = {kind.__name__: kind for kind in (silent, idle, stream, stalled, slow)}
    steps = kinds[kind](address, n)
    print(next(steps), flush=True)
    if kind != "slow":
        told_to_go()
    print(json.dumps(next(steps)), flush=True)


class Crowd:
    """A crowd in its own process, held when the block begins."""

    def __init__(self, address, kind, n):
        self._process = subprocess.Popen(
            [sys.executable, "-B", __file__, address, kind, str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self.held = int(self._process.stdout.readline() or 0)
        return self

    def go(self):
        """Lets them go on; how many ended how."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline() or "{}")

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()


if __name__ == "__main__":
    main()
