# SPDX-License-Identifier: Apache-2.0
"""Has every exposition that the tests receive judged by the strict checker (openmetrics_judge.c), and
every OpenMetrics one by python3-prometheus-client's parser, too, where that is installed."""
import subprocess
import threading

import tap

try:
    from prometheus_client.openmetrics import parser
except ImportError:
    parser = None

FORMATS = {"application/openmetrics-text": b"openmetrics", "text/plain": b"classic"}


class Judge:
    """One process for all that a module's tests receive, started with the first one."""

    def __init__(self, program):
        self._program = program
        self._process = None
        self._lock = threading.Lock()
        self._n_sound = 0

    def see(self, response):
        """Judges an answer if it is an exposition; a violation is a failed check."""
        media, _, parameters = (response.header("content-type") or "").partition(";")
        if response.status != 200 or media not in FORMATS or "version=" not in parameters:
            return
        text = response.content()
        with self._lock:
            verdict = self.ask(FORMATS[media], text)
        if verdict != "ok":
            at = int(verdict.split(":")[0].removeprefix("line "))
            tap.ok(False, f"the exposition is sound: {verdict}", *text.split(b"\n")[at - 2:at])
        if parser and media == "application/openmetrics-text":
            self.parse(text.decode())

    @staticmethod
    def parse(text):
        try:
            list(parser.text_string_to_metric_families(text))
        except ValueError as error:
            tap.ok(False, "python3-prometheus-client parses the exposition", repr(error))

    def ask(self, name, text):
        """"ok" or the first violation, "line N: reason"."""
        if self._process is None:
            self._start()
        if not self._process:
            return "ok"
        self._process.stdin.write(b"%s %d\n" % (name, len(text)) + text)
        self._process.stdin.flush()
        verdict = self._process.stdout.readline().decode().strip()
        self._n_sound += verdict == "ok"
        return verdict

    def _start(self):
        if not self._program.is_file():
            tap.skip("expositions are judged", f"{self._program.name} is not built")
            self._process = False
            return
        self._process = subprocess.Popen(  # ended by _end()
            [str(self._program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        tap.at_end.insert(0, self._end)

    def _end(self):
        self._process.stdin.close()
        tap.ok(self._process.wait() == 0 and self._n_sound, "the judge found expositions sound",
               self._n_sound)
