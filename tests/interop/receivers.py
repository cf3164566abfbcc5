# SPDX-License-Identifier: Apache-2.0
"""Real StatsD and Graphite receivers on loopback, and what each says it has received in all.

A receiver has `address` and `totals()`: {name: sum of the counters, or last total}. None is there
(`missing()` tells why) unless its package is installed.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request

from harness import free_port, wait_until

RETENTION_SECONDS = 3600


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def udp_is_bound(port):
    """Whether somebody receives datagrams there, by the kernel's own list."""
    return udp_row(port) is not None


def udp_row(port):
    for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port:
            return fields
    return None


def udp_drops(port):
    """Datagrams that the kernel had no room for."""
    row = udp_row(port)
    return int(row[12]) if row else 0


class Receiver:
    """A program with a folder of its own, started by start() and ended by stop()."""

    program = None      # found in PATH, or missing() says so
    name = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / self.name.replace(" ", "-")
        self.folder.mkdir(parents=True)
        self.process = None

    @classmethod
    def missing(cls):
        path = os.environ.get("PATH", os.defpath) + ":/usr/sbin"
        return None if shutil.which(cls.program, path=path) else f"no {cls.program}"

    def path_of(self, program):
        return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")

    def spawn(self, argv, cwd=None):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(argv, cwd=cwd or self.folder, stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT)

    def start(self):
        self.run()
        if not wait_until(self.is_up):
            text = (self.folder / "output").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} did not start:\n{text}")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Carbon(Receiver):
    """graphite-carbon with whisper files of one point a second; takes plain lines by TCP."""

    program = "carbon-cache"
    name = "carbon"

    @classmethod
    def missing(cls):
        try:
            import whisper  # noqa: F401
        except ImportError:
            return "no python3-whisper"
        return super().missing()

    def run(self):
        storage = self.folder / "storage"
        storage.mkdir()
        self.port, pickle_port, query_port = free_port(), free_port(), free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        (self.folder / "carbon.conf").write_text("\n".join([
            "[cache]", f"STORAGE_DIR = {storage}", f"CONF_DIR = {self.folder}",
            f"LOG_DIR = {storage}", f"PID_DIR = {storage}",
            f"LOCAL_DATA_DIR = {storage}/whisper", "USER =", "MAX_CREATES_PER_MINUTE = inf",
            "MAX_UPDATES_PER_SECOND = inf", "MAX_CACHE_SIZE = inf", "LOG_UPDATES = False",
            "ENABLE_UDP_LISTENER = False", "ENABLE_TAGS = False",
            "LINE_RECEIVER_INTERFACE = 127.0.0.1", f"LINE_RECEIVER_PORT = {self.port}",
            "PICKLE_RECEIVER_INTERFACE = 127.0.0.1", f"PICKLE_RECEIVER_PORT = {pickle_port}",
            "CACHE_QUERY_INTERFACE = 127.0.0.1", f"CACHE_QUERY_PORT = {query_port}", ""]))
        (self.folder / "storage-schemas.conf").write_text(
            f"[all]\npattern = .*\nretentions = 1s:{RETENTION_SECONDS}s\n")
        (self.folder / "storage-aggregation.conf").write_text(
            "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = last\n")
        self.spawn([self.path_of(self.program), "--nodaemon",
                    f"--config={self.folder}/carbon.conf", "start"])

    def is_up(self):
        return listens(self.port)

    def points(self):
        """{name: its values in the order of time}."""
        import whisper
        root = self.folder / "storage" / "whisper"
        found = {}
        for path in root.rglob("*.wsp"):
            try:
                _, values = whisper.fetch(str(path), 0)
            except whisper.WhisperException:
                continue    # being made just now
            name = str(path.relative_to(root))[:-len(".wsp")].replace("/", ".")
            found[name] = [v for v in values if v is not None]
        return found

    def totals(self):
        return {name: round(values[-1]) for name, values in self.points().items() if values}


class Etsy(Receiver):
    """The original statsd (npm), which hands what it has added up to carbon at each flush."""

    program = "node"
    name = "statsd"

    def __init__(self, folder, modules, carbon):
        super().__init__(folder)
        self.modules, self.carbon = pathlib.Path(modules), carbon

    def run(self):
        self.port = free_udp_port()
        self.address = f"udp://127.0.0.1:{self.port}"
        (self.folder / "config.js").write_text(
            f'{{port: {self.port}, address: "127.0.0.1", mgmt_address: "127.0.0.1", '
            f'mgmt_port: {free_port()}, flushInterval: 2000, backends: ["./backends/graphite"], '
            f'graphiteHost: "127.0.0.1", graphitePort: {self.carbon.port}, '
            f'graphite: {{legacyNamespace: false, globalPrefix: "stats"}}}}')
        statsd = self.modules / "statsd"
        self.spawn([os.environ.get("NODE", "node"), str(statsd / "stats.js"),
                    str(self.folder / "config.js")], cwd=statsd)

    def is_up(self):
        return udp_is_bound(self.port)

    def totals(self):
        begin, end = "stats.counters.", ".count"
        return {name[len(begin):-len(end)]: round(sum(values))
                for name, values in self.carbon.points().items()
                if name.startswith(begin + "nexus") and name.endswith(end)}


class Collectd(Receiver):
    """collectd's statsd plugin; the csv plugin tells its totals."""

    program = "collectd"
    name = "collectd"

    def run(self):
        self.port = free_udp_port()
        self.address = f"udp://127.0.0.1:{self.port}"
        (self.folder / "collectd.conf").write_text(f"""\
Hostname "test"
FQDNLookup false
BaseDir "{self.folder}"
PIDFile "{self.folder}/pid"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin statsd
<Plugin statsd>
  Host "127.0.0.1"
  Port "{self.port}"
  CounterSum true
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{self.folder}/csv"
  StoreRates false
</Plugin>
""")
        self.spawn([self.path_of(self.program), "-f", "-C", str(self.folder / "collectd.conf")])

    def is_up(self):
        return udp_is_bound(self.port)

    def totals(self):
        found = {}
        for path in (self.folder / "csv" / "test" / "statsd").glob("derive-*"):
            name = re.sub(r"-\d{4}-\d\d-\d\d$", "", path.name[len("derive-"):])
            rows = path.read_text().splitlines()[1:]
            if rows and rows[-1].count(",") == 1:
                found[name] = round(float(rows[-1].split(",")[1]))
        return found


class Netdata(Receiver):
    program = "netdata"
    name = "netdata"
    n_asked = 0

    def run(self):
        self.port, self.web_port = free_udp_port(), free_port()
        self.address = f"udp://127.0.0.1:{self.port}"
        for name in ("cache", "lib", "log", "conf"):
            (self.folder / name).mkdir()
        off = ("proc", "diskspace", "cgroups", "tc", "idlejitter", "enable running new plugins",
               "apps", "python.d", "charts.d", "go.d", "timex", "profile", "ebpf", "perf",
               "slabinfo", "freeipmi", "nfacct", "ioping", "fping")
        (self.folder / "netdata.conf").write_text("\n".join([
            "[global]", "  run as user = " + os.environ.get("USER", "root"),
            "[db]", "  mode = ram", "  update every = 1", "[directories]",
            *(f"  {key} = {self.folder}/{folder}" for key, folder in
              (("cache", "cache"), ("lib", "lib"), ("log", "log"), ("config", "conf"))),
            "[web]", f"  bind to = 127.0.0.1:{self.web_port}", f"  default port = {self.web_port}",
            "[plugins]", *(f"  {name} = no" for name in off), "  statsd = yes",
            "[statsd]", "  enabled = yes", f"  bind to = udp:127.0.0.1:{self.port}",
            "  update every (flushInterval) = 1", "  max private charts hard limit = 100000",
            "[ml]", "  enabled = no", "[health]", "  enabled = no", ""]))
        self.spawn([self.path_of(self.program), "-D", "-c", str(self.folder / "netdata.conf")])

    def is_up(self):
        return udp_is_bound(self.port) and listens(self.web_port)

    def totals(self):
        # It tells each server only what is new since that one asked last: a new server each time.
        self.n_asked += 1
        url = (f"http://127.0.0.1:{self.web_port}/api/v1/allmetrics?format=prometheus&source=raw"
               f"&names=yes&server=test{self.n_asked}")
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                text = answer.read().decode()
        except (OSError, urllib.error.URLError):
            return {}
        return {match[1]: round(float(match[2])) for match in re.finditer(
            r'^netdata_statsd_\S*_counter_total\{chart="statsd_([^"]+)_counter"[^}]*\} (\S+)', text,
            re.M)}


class Way(threading.Thread):
    """What nexusd sends to goes on to the receivers, unless the way is closed: then it is refused."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.is_open = threading.Event()
        self.is_open.set()
        self.is_closed = threading.Event()
        self.is_over = False
        self.listen()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.close()
        self.is_open.set()
        self.join(5)

    def close(self):
        """What was taken is still handed on."""
        self.is_open.clear()
        self.hang_up()
        self.is_closed.wait(5)

    def open(self):
        self.listen()
        self.is_closed.clear()
        self.is_open.set()

    def run(self):
        while not self.is_over:
            self.hand_on()
            self.is_closed.set()
            self.is_open.wait()


class UdpWay(Way):
    """Hands each datagram on to all receivers, as fast as they take them and no faster: what is
    lost on the way is counted by the kernel and read back."""

    def __init__(self, ports):
        self.ports = ports
        self.n_packets = 0
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind(("127.0.0.1", 0))
        super().__init__(free_udp_port())
        self.address = f"udp://127.0.0.1:{self.port}"

    def listen(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", self.port))

    def hang_up(self):
        """Others are refused once the socket has a peer; its empty datagram comes after theirs."""
        self.socket.connect(self.out.getsockname())
        self.out.sendto(b"", ("127.0.0.1", self.port))

    def hand_on(self):
        pause = threading.Event()
        while data := self.socket.recv(65536):
            for port in self.ports:
                self.out.sendto(data, ("127.0.0.1", port))
            self.n_packets += 1
            pause.wait(0.0005)
        self.socket.close()

    def drops(self):
        return {port: udp_drops(port) for port in (self.port, *self.ports)}


class TcpWay(Way):
    """Hands the bytes of one connection at a time on to the receiver."""

    def __init__(self, receiver_port):
        self.receiver_port = receiver_port
        self.taken = None
        super().__init__(free_port())
        self.address = f"tcp://127.0.0.1:{self.port}"

    def listen(self):
        self.socket = socket.create_server(("127.0.0.1", self.port))

    def hang_up(self):
        for sock in (self.socket, self.taken):
            with contextlib.suppress(OSError, AttributeError):
                sock.shutdown(socket.SHUT_RDWR)

    def hand_on(self):
        with contextlib.suppress(OSError), self.socket:     # ended by hang_up()
            while self.is_open.is_set():
                self.taken, _ = self.socket.accept()
                with self.taken, socket.create_connection(("127.0.0.1",
                                                           self.receiver_port)) as out:
                    while data := self.taken.recv(65536):
                        out.sendall(data)
