#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What changes under load and costs no request: reloads, backends that come, go, die and freeze,
the stop.

NEXUSD_TEST_RELOADS says how many reloads there are, NEXUSD_TEST_SEED which ones."""
import os
import random
import signal
import time

import harness
import tap
import test_exact
from fake_backend import FakeBackend
from fake_process import FakeProcess
from harness import Counting, Daemon, Rig, backend, wait_until
from load import Load
from statsd_receivers import Udp
from steady import Watch
from tap import eq, ok

MODEL = "m"
N_RELOADS = int(os.environ.get("NEXUSD_TEST_RELOADS", "40"))
SEED = int(os.environ.get("NEXUSD_TEST_SEED", random.randrange(1 << 32)))
QUICK = {"interval": 0.2, "timeout": 1, "failures": 3, "successes": 1}
N_STREAMS = 50


def wait_reloaded(daemon, n, result="success"):
    return wait_until(lambda: daemon.metrics().sum("nexus_config_reloads_total",
                                                   result=result) == n)


def reload(daemon, n, **options):
    """The n-th reload."""
    daemon.config_path.write_text(daemon.make_config(**options))
    daemon.kill(signal.SIGHUP)
    return wait_reloaded(daemon, n)


# --- a thousand reloads ---


def another_configuration(dice, fakes, receiver):
    """Any of the backends, by any name, with their models stated or to be discovered."""
    rows = []
    for fake in dice.sample(fakes, dice.randrange(1, len(fakes) + 1)):
        row = backend(fake, priority=dice.randrange(5), discover=dice.random() < 0.5)
        if dice.random() < 0.2:
            row["name"] += "-by-another-name"
        if dice.random() < 0.2:
            row["url"] = row["url"].replace("127.0.0.1", "localhost")
        rows.append(row)
    return {
        "backends": rows,
        "health": {"interval": dice.choice([0.2, 1, 30])},
        "timeouts": {"first_byte": dice.choice([20, 30]), "head": dice.choice([20, 60])},
        "log": {"level": dice.choice(["info", "debug", "warning"])},
        "routing": {"strategy": dice.choice(["smart", "round_robin", "random", "priority_only"]),
                    "aliases": [{"name": f"alias-{dice.randrange(3)}", "model": MODEL}]},
        "statsd": {"enabled": dice.random() < 0.5, "address": receiver.address, "interval": 1},
    }


def test_reloads_under_load():
    tap.diag(f"NEXUSD_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    fakes = [FakeBackend(name, [MODEL]) for name in ("a", "b", "c")]
    receiver = Udp("plain")
    with Rig(fakes, healthy=3, **another_configuration(random.Random(1), fakes, receiver) | {
            "backends": [backend(f) for f in fakes]}) as (daemon, *_):
        scraper = test_exact.Scraper(daemon)
        scraper.start()
        watch, missed = Watch(daemon), []
        others = [f"127.0.0.1:{harness.free_port()}" for _ in range(3)]
        with Load(daemon, MODEL) as load:
            for number in range(1, N_RELOADS + 1):
                listeners = [{"address": a} for a in (daemon.address, *(
                    other for other in others if dice.random() < 0.5))]
                if not reload(daemon, number, listeners=listeners,
                              **another_configuration(dice, fakes, receiver)):
                    missed.append(number)
                if number % max(1, N_RELOADS // 100) == 0:
                    watch.look()
        scraper.is_over.set()
        scraper.join(30)
        eq(missed, [], f"{N_RELOADS} reloads succeed")
        eq(load.failures[:5], [], f"{load.n_sent} requests meanwhile: 0 failed")
        eq(scraper.wrong[:5], [], f"{scraper.n_scrapes} scrapes: counters only grow")
        metrics = daemon.settled()
        eq((metrics.sum("nexus_requests_total"), metrics.sum("nexus_requests_total", status="200"),
            metrics.sum("nexus_upstream_requests_total", outcome="ok")), (load.n_sent,) * 3,
           "each is counted, over all reloads")
        eq(sum(len(f.log()) for f in fakes), metrics.sum("nexus_upstream_requests_total"),
           "as the backends saw it")
        watch.check()
        eq(metrics.sum("nexus_config_reloads_total", result="failure"), 0, "no reload failed")
    receiver.close()


# --- backends that leave by a reload ---


def held_streams(daemon, n, gate="held"):
    """n streams of which the first frame has come; the rest waits for the gate at any backend."""
    behaviour = {"*": {"gate": gate, "chunks": 2}}
    streams = [daemon.stream(MODEL, f"s{i}", x_fake=behaviour) for i in range(n)]
    ok(all(s.next_data() for s in streams), f"{n} streams run")
    return streams


def ends_of(streams):
    return {s.all_data()[-1] for s in streams}


def test_a_backend_that_leaves_finishes_its_streams():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with Rig([a, b], backends=[backend(a)]) as (daemon, *_):
        with Counting(daemon) as added:
            streams = held_streams(daemon, 20)
            ok(reload(daemon, 1, backends=[backend(b)]), "its backend leaves the configuration")
            eq(daemon.chat(MODEL).header("x-nexus-backend"), "b", "what is new goes elsewhere")
            eq(sorted((labels["backend"], value) for labels, value
                      in daemon.metrics().select("nexus_pending_requests")),
               [("a", 20.0), ("b", 0.0)], "what still runs there is seen")
            eq([labels for labels, _ in daemon.metrics().select("nexus_backend_up")],
               [{"backend": "b"}], "its other gauges are gone")
            eq({e.outcome for e in a.log()}, {None}, "its streams run on")
            ok(reload(daemon, 2, backends=[{**backend(b), "name": "a"}]),
               "another server takes its name")
            eq(daemon.chat(MODEL).json()["x_backend"], "b", "what is new goes there")
            a.gate("held").release(200)
            eq(ends_of(streams), {"[DONE]"}, "and the streams of the first end whole")
        ok(a.wait(lambda: {e.outcome for e in a.log()} == {"complete"}), "the backend saw it, too")
        added.check("nexus_requests_total", 21, model=MODEL, backend="a", status="200")
        added.check("nexus_requests_total", 1, model=MODEL, backend="b", status="200")
        added.check("nexus_errors_total", 0)
        eq(daemon.metrics().sum("nexus_pending_requests"), 0,
           "the new one by that name is not charged for the old one's")


def discovered(fake, name=None):
    return {**backend(fake, discover=True), "name": name or fake.name}


def test_a_backend_that_is_checked_anew_serves_on():
    fake = FakeBackend("a", [MODEL])
    with Rig([fake], backends=[discovered(fake)]) as (daemon, a):
        daemon.wait_models(MODEL)
        n_before = len(a.log("*"))
        a.probe_behaviour = {"/v1/models": {"gate_head": "probe"}}
        ok(reload(daemon, 1, backends=[{**discovered(fake), "optional": True}]), "a reload")
        ok(a.wait(lambda: len(a.log("*")) > n_before), "makes it be asked again")
        eq(daemon.chat(MODEL).status, 200, "it serves meanwhile")
        a.gate("probe").release(1000)


def test_a_stated_list_that_is_edited():
    fake = FakeBackend("a", ["m", "n", "k"])
    def stated(**lengths):
        return {**backend(fake), "models": [{"id": i, "context_length": n}
                                            for i, n in lengths.items()]}
    def shown(daemon):
        return {row["id"]: row.get("context_length")
                for row in daemon.get("/v1/models").json()["data"]}
    with Rig([fake], backends=[stated(m=1, n=2)]) as (daemon, a):
        eq(shown(daemon), {"m": 1, "n": 2}, "what is stated")
        ok(reload(daemon, 1, backends=[stated(n=3, k=4)]), "another list")
        eq(shown(daemon), {"n": 3, "k": 4, "m": None}, "is in force at once, and alone")
        eq((daemon.chat("k").status, daemon.chat("m").status), (200, 503), "for requests, too")
        a.probe_behaviour = {"/v1/models": {"gate_head": "probe"}}
        policies = {"policies": [{"match": "x"}]}
        ok(reload(daemon, 2, backends=[discovered(fake)], routing=policies), "none is stated")
        eq(daemon.chat("k").status, 200, "what was serves until the backend has told its own")
        a.gate("probe").release(1000)
        ok(daemon.wait_models("m", "n", "k"), "and is all there is then")


def test_a_model_is_not_lost_before_its_new_backend_was_asked():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", [MODEL])
    with Rig([a, b], backends=[discovered(a)]) as (daemon, *_):
        daemon.wait_models(MODEL)
        b.probe_behaviour = {"/v1/models": {"gate_head": "check"}}
        with Load(daemon, MODEL) as load:
            ok(reload(daemon, 1, backends=[discovered(b)]), "another backend, still to be asked")
            ok(b.wait(lambda: b.log("*")), "it is asked")
            n_before = len(a.log())
            ok(a.wait(lambda: len(a.log()) > n_before), "requests go on at the one before")
            b.gate("check").release(1)
            ok(b.wait(lambda: len(b.log()) > 5), "and to the new one when it has answered")
            ok(reload(daemon, 2, backends=[discovered(a, "other")]), "under another name, too")
            ok(reload(daemon, 3, backends=[discovered(b)]), "and back before that one was asked")
            n_before = len(b.log())
            ok(b.wait(lambda: len(b.log()) > n_before + 5), "it serves on")
        eq(load.failures, [], f"{load.n_sent} requests: 0 failed")


def test_a_model_that_is_gone_is_gone_when_the_new_backend_was_asked():
    a, b = FakeBackend("a", [MODEL]), FakeBackend("b", ["other"])
    with Rig([a, b], backends=[discovered(a)]) as (daemon, *_):
        daemon.wait_models(MODEL)
        ok(reload(daemon, 1, backends=[discovered(b)]), "a backend without the model")
        ok(daemon.wait_models("other"), "has another one")
        eq(daemon.chat(MODEL).status, 404, "the first one is unknown")
        b.probe_behaviour = {"/v1/models": {"fault": "never"}}
        ok(reload(daemon, 2, backends=[discovered(b, "dumb")], health={"timeout": 0.3}),
           "one that never answers")
        ok(daemon.wait_models(), "is waited for as long as a check may take")


# --- backends that die and freeze ---


def two(**options):
    """a, in a process of its own, comes first."""
    fakes = [FakeProcess("a", [MODEL]), FakeBackend("b", [MODEL])]
    return Rig(fakes, backends=[backend(f, priority=n) for n, f in enumerate(fakes)],
               routing={"strategy": "priority_only"}, health=QUICK,
               timeouts={"first_byte": 2, "stream_idle": 2}, **options)


def check_load(load, moment, counted_as, added, n_held):
    """Only streams that were running at that moment may have failed."""
    eq([f for f in load.failures if f.began > moment], [],
       f"{load.n_sent} requests: none failed that began later")
    eq([f for f in load.failures if "upstream_truncated" not in f.text], [],
       f"and of those before only streams, {len(load.failures)} of them")
    n_failed = len(load.failures) + n_held
    eq((added.delta.sum("nexus_errors_total"),
        added.delta.sum("nexus_requests_total", status=counted_as)), (n_failed, n_failed),
       f"each failure is counted, as {counted_as}")


def wait_used_again(daemon):
    daemon.wait_healthy(2)
    eq(daemon.chat(MODEL).header("x-nexus-backend"), "a", "and is used again")


def test_a_killed_backend():
    with two() as (daemon, a, _):
        with Counting(daemon) as added:
            streams = held_streams(daemon, 10)
            waiting = [daemon.connect() for _ in range(10)]
            body = b'{"model":"m","messages":[],"x_fake":{"a":{"gate_head":"never"}}}'
            for connection in waiting:
                connection.request("POST", "/v1/chat/completions", None, body)
            ok(wait_until(lambda: len(a.log()) == 20), "all are at a")
            with Load(daemon, MODEL) as load:
                wait_until(lambda: load.n_sent > 50)
                a.kill()
                killed = time.monotonic()
                eq({"upstream_truncated" in end for end in ends_of(streams)}, {True},
                   "the streams that ran there are told")
                eq([c.read_response().status for c in waiting], [200] * 10,
                   "what had no answer yet gets one from b")
                daemon.wait_healthy(1)
        check_load(load, killed, "502", added, 10)
        eq(daemon.chat(MODEL).header("x-nexus-attempts"), "1", "it is not tried any more")
        a.start()
        wait_used_again(daemon)


def test_a_frozen_backend():
    with two() as (daemon, a, _):
        with Counting(daemon) as added, Load(daemon, MODEL) as load:
            wait_until(lambda: load.n_sent > 50)
            a.freeze()
            frozen = time.monotonic()
            daemon.wait_healthy(1)
        with Counting(daemon) as later:
            eq([daemon.chat(MODEL).header("x-nexus-attempts") for _ in range(10)], ["1"] * 10,
               "it is taken out")
        later.check("nexus_upstream_requests_total", 0, backend="a")
        check_load(load, frozen, "504", added, 0)
        a.thaw()
        wait_used_again(daemon)


def test_both_dead():
    a, b = FakeProcess("a", [MODEL]), FakeProcess("b", [MODEL])
    with Rig([a, b], backends=[backend(a), backend(b)], health=QUICK) as (daemon, *_):
        a.kill()
        b.kill()
        answer = daemon.chat(MODEL)
        ok(answer.status in (502, 503) and answer.error()["context"]["model"] == MODEL,
           "at once: an error with its context", answer)
        daemon.wait_healthy(0)
        times = []
        for _ in range(20):
            began = time.monotonic()
            answer = daemon.chat(MODEL)
            times.append(time.monotonic() - began)
        tap.diag(f"{1000 * sorted(times)[10]:.1f} ms at the median, {1000 * max(times):.1f} at most")
        eq((answer.status, answer.error()["code"]), (503, "no_healthy_backend"), "then 503")
        eq(answer.error()["context"]["excluded"],
           [{"backend": "a", "reason": "unhealthy"}, {"backend": "b", "reason": "unhealthy"}],
           "with a context that says why")
        a.start()
        b.start()
        daemon.wait_healthy(2)
        eq(daemon.chat(MODEL).status, 200, "and served again when they are back")


# --- the stop ---


def test_stop_with_streams():
    fake = FakeBackend("a", [MODEL])
    with Daemon(backends=[backend(fake)]) as daemon:
        streams = held_streams(daemon, N_STREAMS)
        daemon.kill(signal.SIGTERM)
        ok(daemon.wait_stderr("(stopping|drain)"), "SIGTERM", daemon.stderr)
        fake.gate("held").release(10 * N_STREAMS)
        eq(ends_of(streams), {"[DONE]"}, f"{N_STREAMS} streams end whole")
        eq(daemon.wait_exit(), 0, "and nexusd exits with 0")
        ok(fake.wait(lambda: {e.outcome for e in fake.log()} == {"complete"}),
           "no backend was cut off", {e.outcome for e in fake.log()})
    fake.stop()


if __name__ == "__main__":
    tap.run(globals())
