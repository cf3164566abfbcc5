#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A host name with several addresses is several backends: found, checked, used and lost apart."""
import ctypes
import os
import pathlib
import re
import tempfile

import ctl_run
import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, wait_until
from load import Load
from tap import eq, ok

MODEL = "m"
HOST = "gpu.test"
PR_SET_CHILD_SUBREAPER = 36
PROGRAM = pathlib.Path(harness.find_program()).parent / "tests/system/named_nexusd"
QUICK = {"interval": 0.1, "timeout": 1, "failures": 3, "successes": 1}

# Who takes over is an orphan: as the service manager does, this process takes it in.
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def address(number):
    return f"127.0.0.{number}"


def endpoint(number):
    """The name of the backend that has the number; at first its address ends in it."""
    return f"gpu@{number}"


class Servers(Rig):
    """One backend, called gpu, by a name whose addresses a test may change."""

    def __init__(self, numbers, kind="vllm", at_first=None, host=HOST, optional=False,
                 **options):
        self.directory = tempfile.TemporaryDirectory(prefix="nexusd-test-")
        self.hosts = pathlib.Path(self.directory.name) / "hosts"
        self.host = host
        port = harness.free_port()
        fakes = [FakeBackend(f"s{n}", [MODEL], port=port, host=address(n)) for n in numbers]
        self.name(*(numbers if at_first is None else at_first))
        row = backend(fakes[0], discover=True) | {"name": "gpu", "type": kind,
                                                  "url": f"http://{host}:{port}",
                                                  "optional": optional}
        self.options = {"backends": [row], "health": QUICK,
                        "routing": {"strategy": "round_robin"}, **options}
        super().__init__(fakes, program=str(PROGRAM), wait=False,
                         env={"NEXUSD_TEST_HOSTS": str(self.hosts)}, **self.options)
        self.daemon.wait_ready()

    def name(self, *numbers):
        """These are the addresses from now on; none: the name does not exist."""
        text = f"{self.host} {' '.join(map(address, numbers))}\n" if numbers else ""
        new = self.hosts.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.hosts)

    def statuses(self):
        return {row["name"]: row["status"] for row in self.daemon.stats()["backends"]
                if row["status"] != "removed"}

    def addresses(self):
        """In the order of the names."""
        shown = ctl_run.run(self.daemon, "backends", "--json").json()["backends"]
        return [row["address"] for row in sorted(shown, key=lambda row: row["name"])]

    def listed(self):
        """The backends that have the model, as requests are routed."""
        models = self.daemon.get("/v1/models").json()["data"]
        return sorted(name for model in models for name in model["backends"])

    def wait(self, *numbers, name=None):
        """Waits until these, and no others, are backends, and healthy."""
        want = {name: "healthy"} if name else {endpoint(n): "healthy" for n in numbers}
        eq(wait_until(lambda: self.statuses() == want) and want, want,
           f"the backends are {', '.join(want)}", self.statuses())
        wait_until(lambda: self.listed() == sorted(want))

    def end(self, kind=None):
        super().end(kind)
        self.directory.cleanup()


def test_each_address_is_a_backend():
    with (rig := Servers([1, 2, 3])) as (daemon, *fakes):
        rig.wait(1, 2, 3)
        with Counting(daemon) as added:
            answers = [daemon.chat(MODEL) for _ in range(30)]
        eq({(a.status, a.header("x-nexus-attempts")) for a in answers}, {(200, "1")}, "all answer")
        eq([len(f.log()) for f in fakes], [10, 10, 10], "each gets its share")
        eq({e.header("host") for f in fakes for e in f.log()}, {f"{HOST}:{fakes[0].port}"},
           "under the name that the configuration has")
        eq(sorted({a.header("x-nexus-backend") for a in answers}), [endpoint(n) for n in (1, 2, 3)],
           "the header names them")
        for number in (1, 2, 3):
            added.check("nexus_requests_total", 10, backend=f"gpu_{number}", status="200")
        metrics = daemon.metrics()
        eq(metrics.get("nexus_backends_total"), 3, "three backends")
        eq(metrics.get("nexus_backend_up", backend="gpu_3"), 1, "each with its gauges")
        line = daemon.wait_stderr("backend gpu: .* 3 addresses")
        ok(line, "the log tells", daemon.stderr)
        document = daemon.get("/health?verbose").json()
        eq((document["status"], document["backends"]["total"]), ("healthy", 3), "/health")


def test_an_address_that_dies():
    with (rig := Servers([1, 2])) as (daemon, a, _):
        rig.wait(1, 2)
        with Load(daemon, MODEL) as load:
            wait_until(lambda: load.n_sent > 20)
            a.stop()
            ok(wait_until(lambda: rig.statuses() == {endpoint(1): "unhealthy",
                                                     endpoint(2): "healthy"}),
               "is found out alone", rig.statuses())
        eq([f for f in load.failures if "upstream_truncated" not in f.text], [],
           f"{load.n_sent} requests: none failed but streams that ran there")
        a.start()
        rig.wait(1, 2)
        ok(wait_until(lambda: daemon.chat(MODEL).header("x-nexus-backend") == endpoint(1)),
           "and is used again when it is back")


def test_addresses_come_and_go():
    with (rig := Servers([1, 2, 3], at_first=[1, 2])) as (daemon, a, _, c):
        rig.wait(1, 2)
        held = {"s1": {"gate": "held", "chunks": 2}}
        streams = [daemon.stream(MODEL, x_fake=held) for _ in range(6)]
        ok(all(s.next_data() for s in streams), "streams run")
        with Load(daemon, MODEL) as load:
            rig.name(2, 3)
            ok(c.wait(lambda: c.log()), "one goes, one comes: it is used")
            rig.wait(1, 2)
            shown = ctl_run.run(daemon, "backends", "--json").json()["backends"]
            eq({row["name"]: row["address"] for row in shown},
               {endpoint(1): address(3), endpoint(2): address(2)},
               "it has the free number; the other one keeps its own")
            rig.name()
            probes = len(c.log("*"))
            ok(c.wait(lambda: len(c.log("*")) > probes + 5), "the name is gone for a while")
            rig.wait(1, 2)
            rig.name(1, 2, 3)
            rig.wait(1, 2, 3)
            a.gate("held").release(100)
        eq({s.all_data()[-1] for s in streams}, {"[DONE]"},
           "streams of an address that left end whole")
        eq(load.failures, [], f"{load.n_sent} requests meanwhile: 0 failed")


def check_both_changes(rig, daemon):
    """From two addresses to one and back, under load."""
    with Load(daemon, MODEL) as load:
        rig.name(1)
        rig.wait(name="gpu")
        rig.name(1, 2)
        rig.wait(1, 2)
    eq(load.failures, [], f"{load.n_sent} requests over both changes: 0 failed")


def test_one_address_or_several():
    """With one address the backend has its plain name, and libcurl finds the way."""
    with (rig := Servers([1, 2], at_first=[1], host="localhost")) as (daemon, *_):
        rig.wait(name="gpu")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), "gpu", "one: under its own name")
        eq(ctl_run.run(daemon, "drain", "gpu").status, 0, "it drains")
        rig.name(1, 2)
        ok(wait_until(lambda: rig.statuses() == {endpoint(1): "draining", endpoint(2): "draining"}),
           "what turns out to be two drains on", rig.statuses())
        for number in (1, 2):
            done = ctl_run.run(daemon, "undrain", endpoint(number))
            eq(done.status, 0, "each by its name", done)
        rig.wait(1, 2)
        check_both_changes(rig, daemon)


def test_one_that_is_optional_serves_on():
    """What is known of an address is not lost with the name that it had alone."""
    with (rig := Servers([1, 2], at_first=[1], host="localhost", optional=True)) as (daemon, a, b):
        rig.wait(name="gpu")
        for fake in (a, b):
            fake.probe_behaviour = dict.fromkeys(("/health", "/v1/models"), {"gate_head": "probe"})
        rig.name(1, 2)
        ok(wait_until(lambda: endpoint(1) in rig.statuses()), "two addresses are to be checked",
           rig.statuses())
        eq({daemon.chat(MODEL).status for _ in range(4)}, {200}, "and serve meanwhile")
        for fake in (a, b):
            fake.gate("probe").release(1000)
        rig.wait(1, 2)
        check_both_changes(rig, daemon)


def drain(daemon, name, verb="drain"):
    done = ctl_run.run(daemon, verb, name)
    eq(done.status, 0, f"{verb} {name}", done)


def is_becoming(rig, what, **statuses):
    """Waits until the backends of these numbers have these statuses; plain: the one of all."""
    want = {"gpu" if n == "plain" else endpoint(n[1:]): s for n, s in statuses.items()}
    eq(wait_until(lambda: rig.statuses() == want) and want, want, what, rig.statuses())


def test_a_drain_follows_its_address():
    with (rig := Servers([1, 2, 3, 4], at_first=[1, 2], host="localhost")) as (daemon, *fakes):
        rig.wait(1, 2)
        drain(daemon, endpoint(1))
        rig.name(2, 3)
        is_becoming(rig, "who gets the number of a drained one does not drain",
                    _1="healthy", _2="healthy")
        rig.wait(1, 2)
        answers = [daemon.chat(MODEL).header("x-nexus-backend") for _ in range(4)]
        eq(sorted(set(answers)), [endpoint(1), endpoint(2)], "it gets requests")
        eq([len(fake.log()) for fake in fakes], [0, 2, 2, 0], "the drained one got none")
        drain(daemon, endpoint(1))
        rig.name(3)
        is_becoming(rig, "left alone it drains on", plain="draining")
        rig.name(2, 3)
        is_becoming(rig, "and under another number, but not who comes beside it",
                    _1="healthy", _2="draining")
        eq(rig.addresses(), [address(2), address(3)], "by the address")
        drain(daemon, endpoint(1))
        rig.name(2, 3, 4)
        is_becoming(rig, "nor when all of them are drained, each for itself",
                    _1="draining", _2="draining", _3="healthy")
        rig.name(1, 2, 3, 4)
        is_becoming(rig, "an address that was gone for a while comes back drained",
                    _1="draining", _2="draining", _3="healthy", _4="draining")
        drain(daemon, endpoint(4), "undrain")
        rig.name(2, 3, 4)
        is_becoming(rig, "and undrained", _1="draining", _2="draining", _3="healthy")
        rig.name(1, 2, 3, 4)
        is_becoming(rig, "it comes back so",
                    _1="draining", _2="draining", _3="healthy", _4="healthy")


def test_a_drain_of_the_name_is_for_all_of_its_addresses():
    with (rig := Servers([1, 2, 3], at_first=[1], host="localhost")) as (daemon, *_):
        rig.wait(name="gpu")
        drain(daemon, "gpu")
        rig.name(1, 2)
        is_becoming(rig, "what turns out to be two drains", _1="draining", _2="draining")
        drain(daemon, endpoint(1), "undrain")
        rig.name(1, 2, 3)
        is_becoming(rig, "and who comes later, while it holds for one",
                    _1="healthy", _2="draining", _3="draining")
        drain(daemon, "gpu", "undrain")
        is_becoming(rig, "the name of several is for each of them",
                    _1="healthy", _2="healthy", _3="healthy")
        drain(daemon, "gpu")
        rig.name(1, 2)
        drain(daemon, endpoint(1), "undrain")
        rig.name(1, 2, 3)
        is_becoming(rig, "in both directions", _1="healthy", _2="draining", _3="draining")
        rig.name(1)
        is_becoming(rig, "an address that was undrained stays so", plain="healthy")


def hand_over(rig):
    """The process that serves from now on."""
    daemon = rig.daemon
    daemon.kill(harness.signal.SIGUSR2)
    told = daemon.wait_stderr(r"process \d+ has taken over")
    pid = int(re.search(r"process (\d+)", told)[1])
    eq(daemon.process.wait(harness.BOUND_SECONDS), 0, "handed over", daemon.stderr)
    return pid


def end_process(pid):
    os.kill(pid, harness.signal.SIGTERM)
    eq(os.waitpid(pid, 0)[1], 0, "the new process ends with 0")


def test_a_handover_keeps_numbers():
    """Of a name that cannot be looked up just now, too."""
    with (rig := Servers([1, 2, 3], at_first=[1, 2])) as (daemon, *_):
        rig.wait(1, 2)
        rig.name(2, 3)
        wait_until(lambda: rig.addresses() == [address(3), address(2)])
        rig.wait(1, 2)
        drain(daemon, endpoint(1))
        rig.name()
        pid = hand_over(rig)
        is_becoming(rig, "who was drained drains on", _1="draining", _2="healthy")
        eq(rig.addresses(), [address(3), address(2)], "at its address")
        eq(daemon.chat(MODEL).header("x-nexus-backend"), endpoint(2), "the other one serves")
        end_process(pid)


def test_a_handover_to_other_addresses():
    """Those that the new process finds are not those of the old one."""
    slow = {"health": QUICK | {"interval": 600}}
    with (rig := Servers([1, 2, 3], at_first=[1, 2], **slow)) as (daemon, *_):
        rig.wait(1, 2)
        drain(daemon, endpoint(1))
        rig.name(2, 3)
        pid = hand_over(rig)
        is_becoming(rig, "nobody there was drained", _1="healthy", _2="healthy")
        eq(rig.addresses(), [address(3), address(2)], "who stays has its number")
        end_process(pid)


def test_a_handover_keeps_the_drain_of_one_that_is_away():
    with (rig := Servers([1, 2, 3], host="localhost")) as (daemon, *_):
        rig.wait(1, 2, 3)
        drain(daemon, endpoint(1))
        rig.name(2, 3)
        is_becoming(rig, "the drained one is gone", _2="healthy", _3="healthy")
        pid = hand_over(rig)
        rig.name(1, 2, 3)
        is_becoming(rig, "it comes back drained", _1="draining", _2="healthy", _3="healthy")
        end_process(pid)


def test_a_handover_of_a_drained_name():
    slow = {"health": QUICK | {"interval": 600}}
    with (rig := Servers([1, 2, 3], at_first=[1, 2], host="localhost", **slow)) as (daemon, *_):
        rig.wait(1, 2)
        rig.name(1)
        daemon.kill(harness.signal.SIGHUP)
        is_becoming(rig, "one", plain="healthy")
        drain(daemon, "gpu")
        rig.name(1, 2)
        daemon.kill(harness.signal.SIGHUP)
        is_becoming(rig, "two again", _1="draining", _2="draining")
        drain(daemon, endpoint(1), "undrain")
        rig.name(1, 2, 3)
        pid = hand_over(rig)
        is_becoming(rig, "who is new in the new process drains with the name",
                    _1="healthy", _2="draining", _3="draining")
        end_process(pid)


def test_reload_keeps_addresses():
    with (rig := Servers([1, 2])) as (daemon, *_):
        rig.wait(1, 2)
        before = len(daemon.stderr_lines)
        text = daemon.make_config(**{**rig.options, "routing": {"strategy": "random"}})
        daemon.config_path.write_text(text)
        with Load(daemon, MODEL) as load:
            for number in range(1, 6):
                daemon.kill(harness.signal.SIGHUP)
                ok(wait_until(lambda n=number: daemon.metrics().sum(
                    "nexus_config_reloads_total", result="success") == n), "a reload")
                eq(set(rig.statuses()), {endpoint(1), endpoint(2)}, "keeps both")
        eq(load.failures, [], f"{load.n_sent} requests: 0 failed")
        eq([l for l in daemon.stderr_lines[before:] if "addresses" in l or "healthy" in l], [],
           "nothing is found anew")
        shown = ctl_run.run(daemon, "config", "show")
        ok('"gpu"' in shown.out and "gpu@" not in shown.out,
           "nexusctl config shows what is in the file", shown)


def test_a_service_in_the_cloud_stays_one():
    with (rig := Servers([1, 2], kind="openai", host="localhost")) as (daemon, *_):
        rig.wait(name="gpu")
        n = len(rig.fakes[0].log("*"))
        rig.fakes[0].wait(lambda: len(rig.fakes[0].log("*")) > n + 5)
        eq(rig.statuses(), {"gpu": "healthy"}, "however many addresses it has")
        eq(daemon.chat(MODEL).status, 200, "and is served")


if __name__ == "__main__":
    tap.run(globals())
