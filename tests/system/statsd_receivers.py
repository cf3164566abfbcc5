# SPDX-License-Identifier: Apache-2.0
"""Receivers of StatsD and Carbon that take nothing but well-formed lines, and what they should get.

A receiver counts what it reads: `counters` are added up, `gauges` (and Carbon's totals) hold the
last value, `bad` the lines that no strict receiver would take.
"""
import collections
import os
import re
import socket
import threading
from decimal import Decimal

NAME = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
TAG = r"[A-Za-z0-9_-]+{}[A-Za-z0-9_.-]+"
LINES = {
    "plain": rf"(?P<name>{NAME}):(?P<value>{NUMBER})\|(?P<kind>[cg])",
    "graphite": rf"(?P<name>{NAME})(?P<tags>(?:;{TAG.format('=')})*):(?P<value>{NUMBER})"
                r"\|(?P<kind>[cg])",
    "dogstatsd": rf"(?P<name>{NAME}):(?P<value>{NUMBER})\|(?P<kind>[cgd])"
                 rf"(?:\|@(?P<rate>0\.[0-9]+))?(?:\|#(?P<tags>{TAG.format(':')}"
                 rf"(?:,{TAG.format(':')})*))?",
    "influx": rf"(?P<name>{NAME})(?P<tags>(?:,{TAG.format('=')})*):(?P<value>{NUMBER})"
              r"\|(?P<kind>[cg])",
    "carbon": rf"(?P<name>{NAME}) (?P<value>{NUMBER}) (?P<time>1[0-9]{{9}})",
}
PATTERNS = {dialect: re.compile(line) for dialect, line in LINES.items()}


class Receiver:
    """Reads in a thread of its own until close()."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.counters = collections.Counter()
        self.gauges = {}
        self.distributions = collections.Counter()
        self.bad = []
        self.sizes = []  # of the datagrams
        self.times = collections.defaultdict(list)  # of Carbon's values, by name
        self._lock = threading.Lock()
        self._closing = False
        self._start()

    def _start(self):
        self._closing = False
        self._open()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def feed(self, line):
        match = PATTERNS[self.dialect].fullmatch(line)
        if not match:
            self.bad.append(line)
            return
        groups = match.groupdict()
        tags = tuple(t for t in re.split("[;,]", groups.get("tags") or "") if t)
        key = ".".join([match["name"], *(re.split("[:=]", t)[1] for t in tags)])
        value, kind = Decimal(match["value"]), groups.get("kind")
        if kind == "c":
            self.counters[key] += value
        elif kind == "d":
            self.distributions[key] += int(1 / float(groups["rate"])) if groups["rate"] else 1
        elif kind == "g" and value < 0:  # a sign is a change
            self.gauges[key] = self.gauges.get(key, 0) + value
        else:
            self.gauges[key] = value
            self.times[key].append(groups.get("time"))

    def take(self, data):
        """A datagram: whole lines."""
        with self._lock:
            self.sizes.append(len(data))
            text = data.decode("ascii")
            if not text.endswith("\n"):
                self.bad.append(text[-80:])
            for line in text.splitlines():
                self.feed(line)

    def snapshot(self):
        with self._lock:
            return dict(self.counters), dict(self.gauges)

    def still_counters(self):
        """Those that change only by requests."""
        return {name: value for name, value in self.snapshot()[0].items() if is_still(name)}

    def n_pushes(self):
        """How many pushes there were, told by a gauge that is in each."""
        with self._lock:
            return len(self.times["nexus.active_streams"])

    def close(self):
        """What was taken is read first; what comes meanwhile is refused, so that none is lost."""
        self._refuse()
        self._closing = True
        self._thread.join()
        self._close()

    def reopen(self):
        self._start()


class Datagrams(Receiver):
    def _read(self):
        while True:
            try:
                self.take(self.socket.recv(65536))
            except socket.timeout:
                if self._closing:
                    return

    def _close(self):
        self.socket.close()


class Udp(Datagrams):
    port = 0

    def _open(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", self.port))
        self.port = self.socket.getsockname()[1]
        self.address = f"udp://127.0.0.1:{self.port}"
        self.socket.settimeout(0.02)

    def _refuse(self):
        self.socket.connect(("127.0.0.1", 1))  # listens to nobody else from now on


class Unix(Datagrams):
    def __init__(self, dialect, path):
        self.path = str(path)
        self.address = "unixgram://" + self.path
        super().__init__(dialect)

    def _open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.02)

    def _refuse(self):
        self.other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.other.bind(self.path + ".other")
        self.socket.connect(self.path + ".other")

    def _close(self):
        self.socket.close()
        self.other.close()
        os.unlink(self.path)
        os.unlink(self.path + ".other")


class Tcp(Receiver):
    """One connection after the other."""
    port = 0

    def _open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        self.listener.settimeout(0.02)
        self.port = self.listener.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.n_connections = getattr(self, "n_connections", 0)
        self._hang_up = False

    def standing_still(self):
        """A context in which nothing is read but the first piece."""
        return self._lock

    def hang_up(self):
        """Ends the connection where it is quiet."""
        self._hang_up = True

    def _read(self):
        while not self._closing:
            try:
                connection, _ = self.listener.accept()
            except socket.timeout:
                continue
            self.n_connections += 1
            self._read_connection(connection)

    def _read_connection(self, connection):
        rest = b""
        connection.settimeout(0.02)
        with connection:
            while True:
                try:
                    data = connection.recv(65536)
                except socket.timeout:
                    if self._closing or self._hang_up:
                        self._hang_up = False
                        return
                    continue
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                with self._lock:
                    for line in lines:
                        self.feed(line.decode("ascii"))

    def _refuse(self):
        pass

    def _close(self):
        self.listener.close()


# --- what should arrive ---

TAGS = ["dc:fra1"]
EXTRA = ["fra1"]

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)')
# Changed by time or by being looked at.
MOVING = re.compile(r"gateway_(?!overhead)|process_|nexus_(statsd|sent_bytes|received_bytes|"
                    r"event_loop|uptime|metrics_render|metric_series|health_checks|"
                    r"backend_latency|client_connections|config_reloads|config_last)")



def family(name):
    name = name.removeprefix("nexus_")
    name = name.removesuffix("_total")
    return re.sub("_usd$", "_microusd", re.sub("_seconds$", "_ms", name))


def bound(text, is_time):
    if text == "+Inf":
        return "inf"
    value = Decimal(text) * (1000 if is_time else 1)
    return f"{value.normalize():f}".replace(".", "_")


def key_of(dialect, base, values, part=()):
    """As feed() makes it of a line."""
    if dialect in ("plain", "carbon"):
        return ".".join(["nexus", family(base), *values, *part])
    return ".".join(["nexus", family(base), *part, *values, *EXTRA])


def expected(text, dialect="plain"):
    """The counters of a classic rendering as a dialect names them, zeros left out."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    counters, below = {}, {}
    for line in text.splitlines():
        if line.startswith("#") or MOVING.match(line):
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        values = [re.sub("[^A-Za-z0-9_-]", "_", v) for v in re.findall(r'="([^"]*)"', labels or "")]
        base = re.sub("_(bucket|sum|count)$", "", name)
        kind = kinds[name] if name in kinds else kinds[base]
        is_time, value = base.endswith("_seconds"), Decimal(value)
        if kind == "histogram":
            part = name[len(base) + 1:]
            if part == "bucket":
                le = re.search(r'le="([^"]*)"', labels)[1]
                del values[-1]
                series = (base, *values)
                value, below[series] = value - below.get(series, 0), value
                part = f"bucket_{bound(le, is_time)}"
            if part == "sum" and is_time:
                value = int(value * 1000)
            if dialect != "dogstatsd" or not part.startswith("bucket"):
                counters[key_of(dialect, base, values, [part])] = value
        elif kind == "counter":
            counters[key_of(dialect, name, values)] = value
    return {n: v for n, v in counters.items() if v}


def is_still(key):
    """Of a name as received: does it change only by requests?"""
    name = key.removeprefix("nexus.")
    return not MOVING.match(name) and not MOVING.match("nexus_" + name)
