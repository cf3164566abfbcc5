#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The push to StatsD and Carbon: what arrives is what /metrics says, whatever happens between."""
import pathlib
import re
import signal
import subprocess
import tempfile

import tap
from fake_backend import FakeBackend
from harness import Rig, backend, config_text, find_program, wait_until
from statsd_receivers import TAGS, Tcp, Udp, Unix, expected, is_still
from tap import eq, ok

MODELS = ["llama3:70b", "mistral:7b"]
INTERVAL = 0.1


def push(receiver, **options):
    return {"enabled": True, "address": receiver.address, "dialect": receiver.dialect,
            "interval": INTERVAL, **options}


def rig(receiver, statsd=None, **options):
    fake = FakeBackend("gpu-1", options.pop("models", MODELS))
    statsd = push(receiver) if statsd is None else statsd
    return Rig([fake], backends=[backend(fake)], statsd=statsd, **options)


def traffic(daemon):
    for model in MODELS:
        daemon.chat(model)
        daemon.stream(model).all_data()
    daemon.chat(MODELS[0], x_fake={"*": {"status": 404}})
    daemon.chat("nobody knows it")


def wanted(daemon, dialect="plain"):
    daemon.settled()
    return expected(daemon.get("/metrics").body.decode(), dialect)


def check_totals(daemon, receiver, name):
    """All counters arrive, each count once."""
    want = wanted(daemon, receiver.dialect)
    wait_until(lambda: receiver.still_counters() == want)
    got = receiver.still_counters()
    wrong = {n: (got.get(n), want.get(n)) for n in {*got, *want} if got.get(n) != want.get(n)}
    eq(wrong, {}, f"{name}: every counter equals /metrics")
    eq(receiver.bad, [], f"{name}: every line is well-formed")
    ok(len(want) > 20, f"{name}: and there are many", want)


def sent(daemon, result="sent"):
    return daemon.metrics().sum("nexus_statsd_packets_total", result=result)


def test_plain():
    receiver = Udp("plain")
    with rig(receiver) as (daemon, _):
        traffic(daemon)
        check_totals(daemon, receiver, "plain")
        traffic(daemon)
        check_totals(daemon, receiver, "plain again")
        gauges = receiver.snapshot()[1]
        eq(gauges.get("nexus.backends_healthy"), 1, "a gauge")
        eq(gauges.get("nexus.pending_requests.gpu_1"), 0, "a gauge with a label")
        ok(any(n.endswith(".p99") for n in gauges), "percentiles")
        ok(max(receiver.sizes) <= 1432 and max(receiver.sizes) > 1200,
           "packets are full, and not too large", receiver.sizes)
        n = sent(daemon)
        ok(wait_until(lambda: len(receiver.sizes) >= n), "nexus_statsd_packets_total{sent}")
        ok(daemon.metrics().sum("nexus_statsd_bytes_total", result="sent") <= sum(receiver.sizes),
           "nexus_statsd_bytes_total{sent}")
        eq(sent(daemon, "dropped"), 0, "nothing was dropped")
        state = daemon.stats()["statsd"]
        eq((state["enabled"], state["address"], state["error"]), (True, receiver.address, None),
           "/v1/stats tells of it")
    receiver.close()


def test_tags():
    for dialect in ("graphite", "dogstatsd", "influx"):
        receiver = Udp(dialect)
        with rig(receiver, push(receiver, tags=TAGS)) as (daemon, _):
            traffic(daemon)
            check_totals(daemon, receiver, f"{dialect}, statsd.tags")
            counts = {n: v for n, v in wanted(daemon, dialect).items() if ".count." in n}
            found = {n.replace("_ms.", "_ms.count."): v for n, v in receiver.distributions.items()
                     if is_still(n) and "_ms." in n}
            if dialect == "dogstatsd":
                eq(found, {n: v for n, v in counts.items() if "_ms." in n},
                   "exactly so many observations")
            else:
                eq(dict(receiver.distributions), {}, "no distributions")
        receiver.close()


def test_receiver_that_refuses():
    receiver = Udp("plain")
    with rig(receiver) as (daemon, _):
        traffic(daemon)
        check_totals(daemon, receiver, "at first")
        for phase in range(3):
            receiver.close()
            dropped = sent(daemon, "dropped")
            traffic(daemon)
            ok(wait_until(lambda: sent(daemon, "dropped") >= dropped + 3), "packets are refused")
            ok(daemon.wait_stderr(r"warning: statsd: cannot reach udp://.*Connection refused"),
               "which is logged")
            eq(daemon.stats()["statsd"]["error"], "Connection refused", "and in /v1/stats")
            receiver.reopen()
            check_totals(daemon, receiver, f"recovered, {phase}")
            ok(wait_until(lambda: daemon.stderr.count("statsd: reached") == phase + 1),
               "and that it is there again")
        eq(daemon.stderr.count("cannot reach"), 3, "each once")
    receiver.close()


def test_unix():
    with tempfile.TemporaryDirectory() as directory:
        receiver = Unix("plain", directory + "/statsd.sock")
        with rig(receiver) as (daemon, _):
            traffic(daemon)
            check_totals(daemon, receiver, "unixgram")
            receiver.close()
            traffic(daemon)
            ok(daemon.wait_stderr("cannot reach unixgram://"), "its absence is logged")
            receiver.reopen()
            check_totals(daemon, receiver, "there again")
        receiver.close()


def test_tcp():
    receiver = Tcp("plain")
    with rig(receiver) as (daemon, _):
        for n in (1, 2, 3):
            traffic(daemon)
            check_totals(daemon, receiver, f"connection {n}")
            receiver.hang_up()
            ok(wait_until(lambda: receiver.n_connections == n + 1), "it connects again")
        ok("cannot reach" not in daemon.stderr, "which is nothing to speak of")
        receiver.close()
        traffic(daemon)
        ok(daemon.wait_stderr("cannot reach tcp://.*refused"), "then nobody listens")
        receiver.reopen()
        check_totals(daemon, receiver, "until somebody does")
    receiver.close()


def test_stalled_tcp():
    """A receiver that reads nothing delays nothing, not even the end."""
    models = [f"m{n}" for n in range(100)]
    receiver = Tcp("carbon")
    with receiver.standing_still(), rig(receiver, models=models) as (daemon, _):
        for model in models:
            daemon.chat(model)
        ok(wait_until(lambda: sent(daemon, "dropped") > 100), "packets are dropped")
        eq(daemon.chat("m1").status, 200, "while requests are answered")
    receiver.close()
    eq(receiver.bad, [], "what it reads in the end is well-formed")


def test_carbon():
    for receiver in (Tcp("carbon"), Udp("carbon")):
        with rig(receiver, models=["a:b", "a/b", "a b"], metrics={"label_values": "raw"},
                 ) as (daemon, _):
            for model in ("a:b", "a/b", "a b"):
                daemon.chat(model)
            check_carbon(daemon, receiver)
        receiver.close()


def check_carbon(daemon, receiver):
    daemon.settled()
    metrics = daemon.metrics()

    def totals():
        return sorted(v for n, v in receiver.snapshot()[1].items()
                      if re.fullmatch(r"nexus\.requests\.a_b_[0-9a-f]{8}\.gpu-1\.200", n))
    ok(wait_until(lambda: totals() == [1, 1, 1]), "carbon: three models have three names",
       receiver.snapshot()[1])
    want = metrics.sum("nexus_prompt_tokens_total")
    ok(wait_until(lambda: sum(v for n, v in receiver.snapshot()[1].items()
                              if n.startswith("nexus.prompt_tokens.")) == want), "and totals")
    eq(receiver.bad, [], "every line is well-formed")


def reload(daemon, **options):
    line = len(daemon.stderr_lines)
    daemon.config_path.write_text(config_text(**options))
    daemon.kill(signal.SIGHUP)
    ok(daemon.wait_stderr("configuration reloaded", start=line), "a reload")


def test_reload():
    one, two = Udp("plain"), Tcp("dogstatsd")
    fake = FakeBackend("gpu-1", MODELS)
    name = "nexus.requests.llama3_70b.gpu_1.200"
    common = {"backends": [backend(fake)], "workers": 2}
    with Rig([fake], **common) as (daemon, _):
        common["listeners"] = [{"address": daemon.address, "faces": ["api", "metrics"]}]
        for _ in range(5):
            daemon.chat(MODELS[0])
        daemon.settled()  # a client may have its answer a moment before it is counted
        reload(daemon, **common, statsd=push(one))
        ok(wait_until(lambda: one.snapshot()[1]), "switched on")
        daemon.chat(MODELS[0])
        ok(wait_until(lambda: one.snapshot()[0].get(name) == 1),
           "it counts from there on", one.snapshot()[0])
        daemon.chat(MODELS[0])
        reload(daemon, **common, statsd=push(two))
        ok(wait_until(lambda: one.snapshot()[0][name] + two.snapshot()[0].get(name, 0) == 2),
           "another address and dialect go on where the first ones ended",
           one.snapshot()[0], two.snapshot()[0])
        daemon.chat(MODELS[0])
        daemon.settled()
        reload(daemon, **common, statsd={"enabled": False})
        ok(wait_until(lambda: one.snapshot()[0][name] + two.snapshot()[0].get(name, 0) == 3),
           "switched off, the last counts go out")
        daemon.chat(MODELS[0])
        daemon.settled()
        n = sent(daemon)
        reload(daemon, **common, statsd=push(one))
        ok(wait_until(lambda: sent(daemon) > n), "switched on again")
        daemon.chat(MODELS[0])
        ok(wait_until(lambda: one.snapshot()[0][name] + two.snapshot()[0][name] == 4),
           "what was counted meanwhile is not sent")
        eq(one.bad + two.bad, [], "every line is well-formed")
    one.close()
    two.close()


def test_last_push():
    for receiver in (Udp("plain"), Tcp("plain")):
        with rig(receiver, push(receiver, interval=3600)) as (daemon, _):
            traffic(daemon)
            want = wanted(daemon)
            eq(receiver.still_counters(), {}, "nothing yet")
            daemon.stop()
            wait_until(lambda: receiver.still_counters() == want)
            eq(receiver.still_counters(), want, "a stop sends the last counts")
        receiver.close()


def test_name():
    """Of the addresses of a name, those that do not answer are passed over."""
    receiver = Udp("plain")
    address = receiver.address.replace("127.0.0.1", "localhost")
    with rig(receiver, push(receiver, address=address)) as (daemon, _):
        traffic(daemon)
        check_totals(daemon, receiver, "by name")
    receiver.close()


def test_nobody_there():
    receiver = Udp("plain")
    receiver.close()
    statsd = push(receiver, address="udp://name.invalid:8125", allow=["nexus_*"], deny=["*_info"],
                  prefix="x", max_packet=1024)
    with rig(receiver, statsd) as (daemon, _):
        ok(daemon.wait_stderr("statsd: cannot reach udp://name.invalid:8125: "),
           "a name that is none is logged")
        eq(daemon.chat(MODELS[0]).status, 200, "and delays nothing")
    with rig(receiver, push(receiver, address="tcp://192.0.2.1:9")) as (daemon, _):
        eq(daemon.chat(MODELS[0]).status, 200, "nor does one that never answers")


def test_examples():
    """Each file of data/statsd is a configuration, and the receiver it is for is said in it."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "data" / "statsd"
    for path in sorted(folder.glob("*.conf")):
        check = subprocess.run([find_program(), "--check-config", "-c", str(path)],
                               capture_output=True, text=True, check=False)
        eq((check.returncode, check.stderr), (0, ""), f"data/statsd/{path.name}")
        ok("enabled = true" in path.read_text(), "and switches the push on")
    ok(len(list(folder.glob("*.conf"))) >= 6, "there are some")


if __name__ == "__main__":
    tap.run(globals())
