#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The strategies that choose by weight and by load, over all workers."""
import threading

import tap
from fake_backend import FakeBackend
from harness import Rig, backend, wait_until
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"


def fleet(strategy, *options, **routing):
    """Backends a, b, c ... that all have the model, each with its options."""
    fakes = [FakeBackend(chr(ord("a") + i), [MODEL]) for i in range(len(options))]
    return Rig(fakes, backends=[backend(f, **o) for f, o in zip(fakes, options)],
               routing={"strategy": strategy, **routing})


def asked(fakes):
    return [len(fake.log()) for fake in fakes]


def run_together(work, n):
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def hold(daemon, fakes, n):
    """n requests, one after the other, that stay in flight until their backends are told."""
    held, before = [daemon.connect() for _ in range(n)], sum(asked(fakes))
    for number, connection in enumerate(held):
        connection.request("POST", "/v1/chat/completions", None,
                           b'{"model":"llama3:70b","messages":[]}')
        wait_until(lambda n=number: sum(asked(fakes)) > before + n)
    return held


def release(fakes, held):
    for fake in fakes:
        fake.gate("hold").release(len(held))
    eq([connection.read_response().status for connection in held], [200] * len(held),
       "all are answered")


def test_weights_are_shares():
    with fleet("weighted", {"weight": 5}, {}, {"weight": 2}) as (daemon, *fakes):
        run_together(lambda: [daemon.chat(MODEL) for _ in range(16)], 5)
        eq(asked(fakes), [50, 10, 20], "80 concurrent requests, exactly by weight")
        metrics = daemon.settled()
        eq([metrics.get("nexus_requests_total", model=LABEL, backend=f.name, status="200")
            for f in fakes], [50, 10, 20], "the counters agree")


def test_least_pending_levels_the_load():
    with fleet("least_pending", {"priority": 1}, {"priority": 90}, {}) as (daemon, *fakes):
        for fake in fakes:
            fake.default = {"gate_head": "hold"}
        held = hold(daemon, fakes, 12)
        eq(asked(fakes), [4, 4, 4], "whatever the priority")
        eq([daemon.metrics().get("nexus_pending_requests", backend=f.name) for f in fakes],
           [4, 4, 4], "as the gauge says")
        fakes[1].gate("hold").release(4)
        ok(wait_until(lambda: daemon.metrics().get("nexus_pending_requests", backend="b") == 0),
           "b is done")
        held += hold(daemon, fakes, 4)
        eq(asked(fakes), [4, 8, 4], "and gets what comes next")
        release(fakes, held)


def test_power_of_two_evens_out():
    with fleet("power_of_two", {}, {}, {}) as (daemon, *fakes):
        for fake in fakes:
            fake.default = {"gate_head": "hold"}
        held = hold(daemon, fakes, 30)
        counts = asked(fakes)
        ok(max(counts) - min(counts) <= 4, "30 in flight are spread", counts)
        release(fakes, held)
        eq(daemon.settled().sum("nexus_pending_requests"), 0, "nothing is pending afterwards")


if __name__ == "__main__":
    tap.run(globals())
