#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A backend that can do everything wrong, byte by byte, and remembers all it was asked.

It speaks the parts of the OpenAI, Ollama and llama.cpp interfaces that nexusd uses. Inside a test
it runs on one background thread; alone (`fake_backend.py --name a --port 9000`) it is steered by
POST /_fake/{behave,gate/NAME,reset} and read by GET /_fake/log.

How a request to a model endpoint is answered is its *behaviour*, a dict, taken from the first of:
the script (FakeBackend.behave), the body's own "x_fake" member ({"*": {...}, "<name>": {...}}),
FakeBackend.default. Keys that behaviours understand:

  status, headers, retry_after, body, json   the plain answer, instead of a made-up completion
  chunked                  frame a plain answer in chunks instead of by its length
  gate_half                a gate to pass before the second of them
  fault                    a name from FAULTS in fake_faults.py
  send, repeat, gap, then  for the fault "script": pieces of text, how often the last one comes
                           again, seconds behind each; close, rst, stall or keep
  stream                   force an event stream (true) or a plain answer (false)
  chunks, gap, gate        content frames; seconds between them; a gate to pass before each
  eol, bom, comment, split line end of frames; leading BOM; comment frames; one byte per write
  after, how               where a stream is cut and by what: close, rst, end, stall
  usage, no_usage, no_done, no_finish, reject_stream_options
"""
import argparse
import asyncio
import collections
import json
import socket
import struct
import threading
import time
import urllib.parse

import fake_answers


class Gate:
    """Lets one waiting frame through per release(); a step of a test instead of a clock."""

    def __init__(self, loop):
        self._loop = loop
        self._semaphore = asyncio.Semaphore(0)

    def release(self, n=1):
        for _ in range(n):
            self._loop.call_soon_threadsafe(self._semaphore.release)

    async def acquire(self):
        await self._semaphore.acquire()


class Entry:
    """One request as the backend saw it, and what became of it.

    outcome: None while it runs, "complete", "fault" (ended badly on purpose) or "peer_closed".
    """

    def __init__(self, backend, method, target, headers, body):
        self.backend = backend
        self.method, self.target = method, target
        self.path = urllib.parse.unquote(target.split("?")[0])
        self.headers, self.body = headers, body
        self.status = None
        self.outcome = None
        self.sent = b""          # the head and body bytes that the kernel took, up to KEEP
        self.sent_bytes = 0
        self.received_bytes = 0  # of the body
        self.is_answered = False  # in the middle of its body
        self.answer = b""        # the body as it was meant, without any framing
        self.began = time.monotonic()
        self.ended = None
        self.connection = None

    KEEP = 1 << 20

    def header(self, name):
        """All values of a header, joined; None when absent."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return ", ".join(values) if values else None

    def json(self):
        return json.loads(self.body)

    @property
    def model(self):
        try:
            return self.json().get("model")
        except (ValueError, AttributeError):
            return None

    def as_dict(self):
        return {"backend": self.backend, "method": self.method, "target": self.target,
                "headers": self.headers, "body": self.body.decode("utf-8", "replace"),
                "status": self.status, "outcome": self.outcome, "sent_bytes": self.sent_bytes,
                "seconds": None if self.ended is None else self.ended - self.began}


class Link:
    """A connection from the gateway: reads with its own buffer so that its end is always seen."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._buffer = b""
        self.entry = None
        if not writer.get_extra_info("ssl_object"):  # asyncio's TLS never drains to nothing
            writer.transport.set_write_buffer_limits(high=0)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def _more(self):
        data = await self._reader.read(65536)
        self._buffer += data
        return bool(data)

    async def read_head(self):
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return None
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    async def read_exactly(self, n):
        while len(self._buffer) < n:
            if not await self._more():
                raise ConnectionResetError
        data, self._buffer = self._buffer[:n], self._buffer[n:]
        return data

    async def read_line(self):
        while b"\r\n" not in self._buffer:
            if not await self._more():
                raise ConnectionResetError
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    async def read_body(self, headers, progress):
        """`progress` is awaited with the number of bytes before any more are read."""
        fields = {n.lower(): v for n, v in headers}
        body = bytearray()
        if fields.get("transfer-encoding", "").lower() != "chunked":
            length = int(fields.get("content-length", 0))
            while len(body) < length:
                body += await self.read_exactly(min(65536, length - len(body)))
                await progress(len(body))
            return bytes(body)
        while size := int((await self.read_line()).split(b";")[0], 16):
            body += await self.read_exactly(size)
            await self.read_line()
            await progress(len(body))
        while await self.read_line():
            pass
        return bytes(body)

    async def gone(self):
        """Returns when the peer has closed or reset the connection."""
        try:
            while await self._more():
                pass
        except ConnectionError:
            pass

    async def send(self, data):
        """Returns when the kernel took all of it, so that sent_bytes shows back-pressure."""
        for start in range(0, len(data), 16384):
            piece = data[start:start + 16384]
            self._writer.write(piece)
            await self._writer.drain()
            if self.entry:
                self.entry.sent_bytes += len(piece)
                if len(self.entry.sent) < Entry.KEEP:
                    self.entry.sent += piece

    def reset(self):
        """Ends the connection with a RST."""
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self):
        self._writer.close()

    def abort(self):
        self._writer.transport.abort()


class _Loop:
    """The thread and event loop all fake backends of a process share."""

    _instance = None

    @classmethod
    def get(cls):
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance.loop

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()


class FakeBackend:
    """kind: openai, vllm, ollama or llamacpp; it decides what the probe paths answer."""

    def __init__(self, name="fake", models=("model-a",), kind="vllm", port=0, sndbuf=None,
                 tls=None, host="127.0.0.1"):
        self.name, self.models, self.kind, self.port = name, list(models), kind, port
        self.default = {}
        # path -> behaviour for probes, e.g. {"status": 500}; a list has one for each of the next.
        self.probe_behaviour = {}
        self.upload = {}              # what to do in the middle of a body, see _on_progress()
        self.arriving = None          # the last request whose body began to arrive
        self.model_details = {}       # id -> extra members of its entry
        self.require_key = None       # "Bearer …" that every request must carry
        self.is_deaf = False          # reads the heads of requests with a body, and no more
        self.connections = 0
        self._sndbuf = sndbuf
        self._tls = tls               # an ssl.SSLContext, or None
        self._host = host
        self._script = collections.deque()
        self._gates = {}
        self._links = set()
        self._changed = threading.Condition()
        self._entries = []
        self._loop = _Loop.get()
        self._server = None
        self.start()

    # --- life ---

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def start(self):
        """Listens again, on the same port, after stop()."""
        async def listen():
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._sndbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._sndbuf)
            sock.bind((self._host, self.port))
            self._server = await asyncio.start_server(self._serve, sock=sock, ssl=self._tls,
                                                      backlog=4096)
            self.port = sock.getsockname()[1]
        self._call(listen())
        return self

    def stop(self):
        """Closes the listener and every connection: the process died."""
        async def close():
            self._server.close()
            for link in list(self._links):
                link.abort()
        self._call(close())

    @property
    def url(self):
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    # --- steering ---

    def behave(self, *behaviours):
        """Queues behaviours for the next requests to a model endpoint, one each."""
        self._script.extend(behaviours)

    def gate(self, name="gate"):
        if name not in self._gates:
            self._gates[name] = Gate(self._loop)
        return self._gates[name]

    def reset(self):
        with self._changed:
            self._entries.clear()
        self._script.clear()
        self._gates.clear()
        self.default = {}
        self.probe_behaviour = {}
        self.upload = {}
        self.arriving = None

    # --- reading ---

    def log(self, path=None):
        """Requests to the model endpoints, or to `path` ("*": every request), oldest first."""
        with self._changed:
            entries = list(self._entries)
        if path == "*":
            return entries
        if path:
            return [e for e in entries if e.path == path]
        return [e for e in entries if e.path in fake_answers.MODEL_PATHS]

    def recent(self, n):
        """The last n requests of any sort: what to look at when the log is long."""
        with self._changed:
            return self._entries[-n:]

    def wait(self, predicate, seconds=20):
        """Waits until predicate() is true; returns its last value."""
        with self._changed:
            self._changed.wait_for(predicate, seconds)
        return predicate()

    def wait_requests(self, n, seconds=20):
        self.wait(lambda: len(self.log()) >= n, seconds)
        return self.log()

    def wait_ended(self, entry, seconds=20):
        """Waits for the end of a request; returns its outcome, None if it still runs."""
        self.wait(lambda: entry.outcome is not None, seconds)
        return entry.outcome

    def notify(self):
        with self._changed:
            self._changed.notify_all()

    # --- serving ---

    async def _serve(self, reader, writer):
        link = Link(reader, writer)
        self._links.add(link)
        self.connections += 1
        number = self.connections
        try:
            while await self._serve_one(link, number):
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            link.close()

    async def _serve_one(self, link, number):
        head = await link.read_head()
        if head is None:
            return False
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = [tuple(s.strip() for s in line.split(":", 1)) for line in lines[1:]]
        entry = Entry(self.name, method, target, headers, b"")
        entry.connection = number
        if self.is_deaf and method == "POST":
            return await self._run_deaf(entry)
        if (entry.header("expect") or "").lower() == "100-continue":
            await link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            entry.body = await link.read_body(headers, lambda n: self._on_progress(link, entry, n))
        except ConnectionError:
            entry.outcome = "peer_closed"
            self.notify()
            raise
        if entry.path.startswith("/_fake/"):
            await link.send(self._control(entry))
            return True
        with self._changed:
            self._entries.append(entry)
            if entry.is_answered:
                entry.outcome = "complete"
            self._changed.notify_all()
        return entry.is_answered or await self._run(link, entry)

    async def _run_deaf(self, entry):
        """Neither reads nor looks whether anybody is there: what a frozen process does."""
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()
        while self.is_deaf:
            await asyncio.sleep(0.01)
        return False

    async def _on_progress(self, link, entry, n_bytes):
        """Steered by self.upload: from the byte `after` on: `gate` to pass, or `how` the connection
        ends (close, linger, rst), `answer` being sent before; without a `how`, the rest is read."""
        entry.received_bytes = n_bytes
        if entry.path in fake_answers.MODEL_PATHS:
            self.arriving = entry
        self.notify()
        if entry is not self.arriving or n_bytes < self.upload.get("after", 1 << 60):
            return
        steer, self.upload = self.upload, {}
        if "gate" in steer:
            await self.gate(steer["gate"]).acquire()
        if "answer" in steer:
            await link.send(steer["answer"])
            entry.is_answered = True
        if steer.get("how") == "linger":  # a close with bytes unread would take the answer along
            await link.gone()
        if steer.get("how") == "rst":
            link.reset()
        if "how" in steer:
            raise ConnectionResetError

    async def _run(self, link, entry):
        """Answers while watching for the peer's end; true if the connection may be used again."""
        link.entry = entry
        work = asyncio.ensure_future(fake_answers.answer(self, link, entry))
        watch = asyncio.ensure_future(link.gone())
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        again = False
        if work.done() and not work.cancelled() and work.exception() is None:
            again = work.result()
            outcome = "complete" if again else "fault"
        else:
            outcome = "peer_closed"
            work.cancel()
        watch.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)
        link.entry = None
        with self._changed:
            entry.ended = time.monotonic()
            entry.outcome = entry.outcome or outcome
            self._changed.notify_all()
        return again

    def behaviour_for(self, entry):
        if entry.path not in fake_answers.MODEL_PATHS:
            behaviour = self.probe_behaviour.get(entry.path, {})
            if isinstance(behaviour, list):
                return behaviour.pop(0) if behaviour else {}
            return behaviour
        if self._script:
            return self._script.popleft()
        try:
            asked = entry.json().get("x_fake", {})
        except (ValueError, AttributeError):
            asked = {}
        return {**self.default, **asked.get("*", {}), **asked.get(self.name, {})}

    def _control(self, entry):
        verb = entry.path[len("/_fake/"):]
        answer = {}
        if verb == "log":
            answer = [e.as_dict() for e in self.log()]
        elif verb == "behave":
            self.behave(*entry.json())
        elif verb == "reset":
            self.reset()
        elif verb.startswith("gate/"):
            self.gate(verb[len("gate/"):]).release()
        text = json.dumps(answer).encode()
        return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(text)) + text


def main():
    parser = argparse.ArgumentParser(description="a fault-capable fake backend")
    parser.add_argument("--name", default="fake")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kind", default="vllm")
    parser.add_argument("--models", default="model-a", help="comma separated")
    options = parser.parse_args()
    fake = FakeBackend(options.name, options.models.split(","), options.kind, options.port)
    print(fake.url, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
