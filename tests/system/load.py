# SPDX-License-Identifier: Apache-2.0
"""Clients that ask all the time, plain and streamed, while something else happens."""
import json
import threading
import time

from harness import Stream, chat_body


class Failure:
    def __init__(self, number, began, text):
        self.number, self.began, self.text = number, began, text

    def __repr__(self):
        return f"<{self.number}: {self.text}>"


class Load:
    """As a context: leaving it waits for what was asked. Read `n_sent` and `failures` then."""

    def __init__(self, daemon, model, n_clients=4, pause_seconds=0.001):
        self.daemon, self.model, self.pause_seconds = daemon, model, pause_seconds
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.n_sent = 0
        self.failures = []
        self.threads = [threading.Thread(target=self._run) for _ in range(n_clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self):
        connection = None
        while not self.is_over.wait(self.pause_seconds):
            with self.lock:
                self.n_sent += 1
                number = self.n_sent
            began = time.monotonic()
            try:
                if number % 2:
                    problem = self._stream(number)
                else:
                    connection = connection or self.daemon.connect()
                    problem = self._plain(connection, number)
            except Exception as error:  # a failure like any other
                problem = repr(error)
                connection = None
            if problem:
                with self.lock:
                    self.failures.append(Failure(number, began, problem))

    def _body(self, number, **fields):
        return json.dumps(chat_body(self.model, f"n{number}", **fields)).encode()

    def _plain(self, connection, number):
        connection.request("POST", "/v1/chat/completions", None, self._body(number))
        answer = connection.read_response()
        is_good = answer and answer.status == 200 and f": n{number}".encode() in answer.body
        return None if is_good else repr(answer)

    def _stream(self, number):
        connection = self.daemon.connect()
        connection.request("POST", "/v1/chat/completions", None, self._body(number, stream=True))
        stream = Stream(connection)
        events = stream.all_data()
        connection.close()
        is_good = events and events[-1] == "[DONE]" and f"[n{number}]" in events[0]
        return None if is_good else f"{stream.head!r} {events[-1:]}"
