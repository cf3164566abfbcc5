# SPDX-License-Identifier: Apache-2.0
"""Clients that never rest: request loops and long streams, and what became of each request."""
import collections
import threading
import time

import service
from http_client import Connection, Incomplete

RAMP_SECONDS = 0.01  # between two new streams, so that they do not end as one


class Load:
    """Runs until stop(). Half of the loops take a connection for each request, half keep theirs.

    `outcomes` counts the requests: "answered", else what was wrong, with "refused" (no connection)
    and "cut" (a stream that did not end whole) among them.
    """

    def __init__(self, model, n_loops, n_streams):
        self.outcomes = collections.Counter()
        self.streams = collections.Counter()
        self._model = model
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._streaming = threading.Semaphore(0)
        self._loops = [threading.Thread(target=self._loop, args=(number % 2 == 0,))
                       for number in range(n_loops)]
        self._streams = [threading.Thread(target=self._stream) for _ in range(n_streams)]

    def start(self):
        """Returns when every stream has begun."""
        for thread in self._streams:
            thread.start()
            time.sleep(RAMP_SECONDS)
        for thread in self._loops:
            thread.start()
        for _ in self._streams:
            if not self._streaming.acquire(timeout=service.BOUND_SECONDS):
                raise RuntimeError("a stream did not begin")
        return self

    def n_streaming(self):
        return sum(thread.is_alive() for thread in self._streams)

    def stop(self):
        """Ends the loops, waits for the streams; returns how many requests were answered."""
        self._stopping.set()
        for thread in self._loops + self._streams:
            thread.join()
        return self.outcomes["answered"] + self.streams["answered"]

    def _loop(self, is_fresh):
        connection = None
        while not self._stopping.is_set():
            outcome, connection = self._request(connection)
            with self._lock:
                self.outcomes[outcome] += 1
            if connection and is_fresh:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def _request(self, connection):
        """One request; returns what became of it and the connection, if it can be used again."""
        is_reused = bool(connection)
        try:
            connection = connection or Connection(service.ADDRESS)
        except OSError as error:
            return f"refused: {error}", None
        try:
            connection.request("POST", "/v1/chat/completions", None,
                               service.chat_body(self._model))
            answer = connection.read_response()
        except (OSError, Incomplete) as error:
            connection.close()
            return f"{'kept' if is_reused else 'fresh'} connection: {error}", None
        if answer is None or answer.status != 200:
            connection.close()
            kind = "kept" if is_reused else "fresh"
            return f"status {answer.status}" if answer else f"closed {kind} connection", None
        if (answer.header("connection") or "").lower() == "close":
            connection.close()
            connection = None
        return "answered", connection

    def _stream(self):
        try:
            stream = service.ask_stream(model=self._model)
        except OSError as error:
            outcome = f"refused: {error}"
        else:
            stream.next_frame()
            self._streaming.release()
            is_whole = stream.all_data()[-1:] == ["[DONE]"] and not stream.is_cut
            outcome = "answered" if is_whole else "cut"
            stream.close()
        with self._lock:
            self.streams[outcome] += 1
