# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/1.1 client: says exactly what it is told to, and shows exactly what came back."""
import gzip
import json
import socket
import struct

TIMEOUT_SECONDS = 20
on_response = []  # callables that see every whole answer


class Incomplete(Exception):
    """The connection ended before the message did; `got` is what came."""

    def __init__(self, got):
        super().__init__(f"the answer ended after {len(got)} bytes: {got[-200:]!r}")
        self.got = got


class Response:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.raw_head = head
        self.version, status, self.reason = (lines[0] + "  ").split(" ", 2)
        self.status = int(status)
        self.headers = [tuple(s.strip() for s in line.split(":", 1)) for line in lines[1:]]
        self.body = b""

    def header(self, name):
        """The value of a header (several joined by a comma), or None."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return ", ".join(values) if values else None

    def content(self):
        """The body without its Content-Encoding."""
        is_coded = self.header("content-encoding") == "gzip"
        return gzip.decompress(self.body) if is_coded else self.body

    def json(self):
        return json.loads(self.content())

    def error(self):
        """The members of the error envelope; an empty dict when there is none."""
        try:
            found = self.json()["error"]
            return found if isinstance(found, dict) else {}
        except (ValueError, KeyError, TypeError):
            return {}

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


def parse_address(address):
    if address.startswith("unix:"):
        return socket.AF_UNIX, address[len("unix:"):]
    host, port = address.rsplit(":", 1)
    if host.startswith("["):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host, int(port))


def encode_request(method, target, headers=None, body=None, host="test"):
    """The bytes of a request; Host and Content-Length are added unless given (None: left out)."""
    fields = {"Host": host}
    if body is not None:
        fields["Content-Length"] = str(len(body))
        fields["Content-Type"] = "application/json"
    given = {n.lower() for n in (headers or {})}
    lines = [f"{n}: {v}" for n, v in fields.items() if n.lower() not in given]
    lines += [f"{n}: {v}" for n, v in (headers or {}).items() if v is not None]
    text = "\r\n".join([f"{method} {target} HTTP/1.1"] + lines) + "\r\n\r\n"
    return text.encode("latin-1") + (body or b"")


class Connection:
    """One connection; `raw` collects every byte received since the last answer began."""

    def __init__(self, address, timeout=TIMEOUT_SECONDS, rcvbuf=None, mss=None, tls=None):
        family, where = parse_address(address)
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if mss:  # small segments make the peer's send buffer small, too
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        self.socket.settimeout(timeout)
        self.socket.connect(where)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=where[0])
        self._buffer = b""
        self._framing = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, headers=None, body=None):
        self.send(encode_request(method, target, headers, body))
        return self

    def _fill(self):
        data = self.socket.recv(65536)
        self._buffer += data
        return bool(data)

    def read_head(self):
        """The next final or interim head; None when the connection ended before one began."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._fill():
                if self._buffer:
                    raise Incomplete(self._buffer)
                return None
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        response = Response(head)
        self._framing = self._framing_of(response)
        return response

    @staticmethod
    def _framing_of(response):
        if response.status in (204, 304) or response.status < 200:
            return 0
        if (response.header("transfer-encoding") or "").lower() == "chunked":
            return "chunked"
        length = response.header("content-length")
        return "close" if length is None else int(length)

    def _take(self, n):
        while len(self._buffer) < n:
            if not self._fill():
                raise Incomplete(self._buffer)
        data, self._buffer = self._buffer[:n], self._buffer[n:]
        return data

    def _line(self):
        while b"\r\n" not in self._buffer:
            if not self._fill():
                raise Incomplete(self._buffer)
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def read_piece(self):
        """The next piece of the body, b"" at its proper end; Incomplete when it was cut."""
        if self._framing == "chunked":
            size = int(self._line(), 16)
            data = self._take(size) if size else b""
            self._line()
            return data
        if self._framing == "close":
            if not self._buffer:
                self._fill()
            data, self._buffer = self._buffer, b""
            return data
        if self._framing == 0:
            return b""
        if not self._buffer and not self._fill():
            raise Incomplete(b"")
        data = self._buffer[:self._framing]
        self._buffer = self._buffer[len(data):]
        self._framing -= len(data)
        return data

    def read_body(self):
        pieces = []
        try:
            while piece := self.read_piece():
                pieces.append(piece)
        except Incomplete as short:
            raise Incomplete(b"".join(pieces) + short.got) from None
        return b"".join(pieces)

    def read_response(self, head_only=False):
        """The next answer; interim ones are skipped. None when the connection ended."""
        response = self.read_head()
        while response and response.status < 200:
            response = self.read_head()
        if response and not head_only:
            response.body = self.read_body()
            for see in on_response:
                see(response)
        return response

    def read_to_end(self):
        """Everything until the peer closes (or resets)."""
        try:
            while self._fill():
                pass
        except ConnectionError:
            pass
        data, self._buffer = self._buffer, b""
        return data

    def is_closed(self):
        """Waits for the peer's end: true when it comes without another byte."""
        try:
            return not self._buffer and not self._fill()
        except ConnectionError:
            return True


class Stream:
    """An event stream being read frame by frame."""

    def __init__(self, connection):
        self.connection = connection
        self.head = connection.read_response(head_only=True)
        self._pieces = []
        self._rest = b""
        self.is_cut = False       # ended without the last chunk
        self.is_ended = False

    def next_frame(self):
        """The raw bytes of the next frame (LF or CRLF framed), None at the end."""
        while True:
            ends = [i + len(e) for e in (b"\n\n", b"\r\n\r\n")
                    if (i := self._rest.find(e)) >= 0]
            if ends:
                end = min(ends)
                frame, self._rest = self._rest[:end], self._rest[end:]
                return frame
            piece = self._read_piece()
            self._rest += piece
            if not piece:
                rest, self._rest = self._rest, b""
                return rest or None

    def _read_piece(self):
        if self.is_ended:
            return b""
        try:
            piece = self.connection.read_piece()
        except (Incomplete, ConnectionError):
            self.is_cut = True
            piece = b""
        self.is_ended = not piece
        self._pieces.append(piece)
        return piece

    def next_data(self):
        """The next event's data as text; comments and empty frames are passed over."""
        while (frame := self.next_frame()) is not None:
            lines = [line[5:].removeprefix(b" ") for line in frame.splitlines()
                     if line.startswith(b"data:")]
            if lines:
                return b"\n".join(lines).decode()
        return None

    def all_data(self):
        events = []
        while (data := self.next_data()) is not None:
            events.append(data)
        return events

    def read_rest(self):
        """Reads to the end; returns every byte of the body since its start."""
        while self._read_piece():
            pass
        return b"".join(self._pieces)

    def close(self):
        self.connection.close()


def content_of(events):
    """The concatenated delta contents of chat chunks given as JSON texts."""
    text = ""
    for event in events:
        if event == "[DONE]":
            continue
        for choice in json.loads(event).get("choices", []):
            text += choice.get("delta", {}).get("content") or ""
    return text
