# SPDX-License-Identifier: Apache-2.0
"""The programs of bench-quick: started on their CPU, watched through /proc, ended on every exit."""

import atexit
import ctypes
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("NEXUSD_BUILD", os.getcwd()))
MODEL = "bench"
GAP_MS = 5             # between two chunks of a stream
START_TIMEOUT_S = 5
LOAD_TIMEOUT_S = 30
PR_SET_PDEATHSIG = 1

NEXUSD_CONF = """\
listeners = ( {{ address = "127.0.0.1:{port}"; faces = [ "api", "metrics" ]; }} );
workers = 1;
backends = ( {{ name = "mock"; type = "generic"; url = "http://127.0.0.1:{backend}";
                models = [ {models} ]; }} );
health: {{ interval = 3600; }};
"""


class BenchError(Exception):
    """A program that the bench needs did not do its part."""


def program(variable, built):
    return os.environ.get(variable) or str(BUILD / built)


class Processes:
    """Starts programs on a CPU of their own choice and ends them all, however the bench ends."""

    def __init__(self):
        self.running = []
        self.libc = ctypes.CDLL(None, use_errno=True)
        atexit.register(self.stop_all)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: sys.exit(128 + number))

    def start(self, argv, cpu, **popen):
        def prepare():
            # Also when this script is killed in a way that it cannot catch.
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        try:
            process = subprocess.Popen(argv, preexec_fn=prepare, start_new_session=True, **popen)
        except OSError as error:
            raise BenchError(f"{argv[0]}: {error.strerror}") from error
        self.running.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running.remove(process)

    def stop_all(self):
        for process in list(self.running):
            self.stop(process)


def family(pid):
    """The process and its children: nginx serves from one."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [pid] + [int(child) for child in children.read_text().split()]


def cpu_seconds_of(pid):
    """User and system time of all threads, by the scheduler's nanoseconds if the kernel has them."""
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_kb_of(pid):
    """Resident pages that are the process's own: all but those of shared files."""
    status = dict(line.split(":", 1)
                  for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(status[name].split()[0]) for name in ("RssAnon", "RssShmem"))


def wait_until(what, is_true):
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_true():
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not ready after {START_TIMEOUT_S} s")
        time.sleep(0.01)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Bench:
    def __init__(self, options):
        cpus = sorted(os.sched_getaffinity(0))
        self.options = options
        self.proxy_cpu, self.load_cpu = cpus[0], cpus[-1]
        self.n_cpus = len(cpus)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nexusd-bench."))
        # Before the processes, so that at exit it comes after them.
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        self.processes = Processes()
        self.errors = []
        self.backend_port = self.start_mock()

    def start_mock(self, *arguments):
        """Returns its port."""
        mock = self.processes.start([program("BENCH_MOCK", "tests/bench/mock"), "-g", str(GAP_MS),
                                     *arguments], self.load_cpu, stdout=subprocess.PIPE, text=True)
        line = mock.stdout.readline()
        if not line:
            raise BenchError("the mock backend did not start")
        return int(line.split()[-1])

    def load_command(self, port, arguments):
        return [program("BENCH_LOAD", "tests/bench/load"), "-a", f"127.0.0.1:{port}", "-m", MODEL,
                *(str(argument) for argument in arguments)]

    def start_load(self, port, *arguments):
        return self.processes.start(self.load_command(port, arguments), self.load_cpu, text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def finish_load(self, process, whom):
        output, _ = process.communicate(timeout=LOAD_TIMEOUT_S)
        self.processes.stop(process)
        if not output:
            raise BenchError(f"the load generator against {whom} said nothing")
        result = json.loads(output.splitlines()[-1])
        if result["errors"] or process.returncode:
            self.errors.append(f"{whom}, {result['mode']}: {result['errors']} errors")
        return result

    def load(self, port, whom, *arguments):
        return self.finish_load(self.start_load(port, *arguments), whom)


class Proxy:
    """A program under test. `start` may be called again after `stop`, for fresh memory."""

    def __init__(self, bench):
        self.bench = bench
        self.process = None
        self.port = None
        self.log = bench.directory / f"{self.name}.log"

    def start(self):
        self.port = free_port()
        with open(self.log, "ab") as log:
            self.process = self.bench.processes.start(self.command(), self.bench.proxy_cpu,
                                                      stdin=subprocess.DEVNULL, stdout=log,
                                                      stderr=log)
        try:
            wait_until(self.name, self.accepts)
        except BenchError as error:
            raise BenchError(f"{error}\n{self.log.read_text(errors='replace')[-2000:]}") from error
        return self

    def stop(self):
        self.bench.processes.stop(self.process)

    def accepts(self):
        if self.process.poll() is not None:
            raise BenchError(f"{self.name}: ended with status {self.process.returncode}")
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def answers(self, model=MODEL):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_TIMEOUT_S)
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
        try:
            connection.request("POST", "/v1/chat/completions", body,
                               {"Content-Type": "application/json"})
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def start_warm(self):
        """Started, its backend found, its first connections and buffers made."""
        self.start()
        wait_until(f"{self.name}'s backend", self.answers)
        self.load("-c", 8, "-d", 200)
        return self

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body.decode()

    def load(self, *arguments):
        return self.bench.load(self.port, self.name, *arguments)

    def measured_load(self, *arguments):
        before = self.cpu_seconds()
        result = self.load(*arguments)
        result["cpu_seconds"] = self.cpu_seconds() - before
        return result

    def cpu_seconds(self):
        return sum(cpu_seconds_of(pid) for pid in family(self.process.pid))

    def own_kb(self):
        return sum(own_kb_of(pid) for pid in family(self.process.pid))


class Nexusd(Proxy):
    name = "nexusd"
    models = [MODEL]

    def command(self):
        conf = self.bench.directory / "nexusd.conf"
        conf.write_text(NEXUSD_CONF.format(port=self.port, backend=self.bench.backend_port,
                                           models=", ".join(f'"{m}"' for m in self.models)))
        return [program("NEXUSD", "nexusd"), "-c", str(conf)]


class Nginx(Proxy):
    name = "nginx"

    @staticmethod
    def binary():
        return os.environ.get("NGINX") or shutil.which("nginx", path=os.environ.get(
            "PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")

    def command(self):
        values = {"USER": "user root;" if os.geteuid() == 0 else "",
                  "FILES": str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
                  "DIR": str(self.bench.directory), "PORT": str(self.port),
                  "BACKEND": str(self.bench.backend_port)}
        text = (HERE / "nginx.conf.in").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        conf = self.bench.directory / "nginx.conf"
        conf.write_text(text)
        return [self.binary(), "-p", str(self.bench.directory), "-e", str(self.log), "-c",
                str(conf)]
