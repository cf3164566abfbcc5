#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon in use while one thing after the other goes wrong: every request must still end as it
should and be counted once, and neither memory nor descriptors may grow.

NEXUSD_TEST_SOAK_MINUTES says for how long (a fault every 10 seconds); without it each fault comes
once."""
import itertools
import os
import signal
import threading
import time

import tap
import test_exact
from fake_backend import FakeBackend
from harness import Daemon, backend, wait_until
from statsd_receivers import Udp
from tap import eq, ok
from test_metrics import check_identities

MINUTES = float(os.environ.get("NEXUSD_TEST_SOAK_MINUTES", "0"))
PAUSE_SECONDS = 10 if MINUTES else 0.2
# A long run is paced: the fake backends remember every request.
REQUEST_SECONDS = 0.005 if MINUTES else 0
N_CLIENTS = 8
N_PEERS = 100
# Reached after a while: pools, buffers and arenas of all threads.
WARM_ROUNDS = 30
SLACK_BYTES = 4 << 20


class Soak:
    """The daemon with two backends that are counted exactly, and a third that has a hard time."""

    def __init__(self):
        self.fakes = [FakeBackend(name, test_exact.MODELS) for name in ("a", "b")]
        self.victim = FakeBackend("victim", ["chaos"])
        self.receiver = Udp("plain")
        self.is_over = threading.Event()
        self.daemon = Daemon(
            backends=[*(backend(f, priority=n) for n, f in enumerate(self.fakes, 1)),
                      backend(self.victim)],
            routing={"strategy": "priority_only"}, health={"interval": 1},
            statsd={"enabled": True, "address": self.receiver.address, "interval": 1})
        self.config = self.daemon.config_path.read_text()
        self.exact = test_exact.Run(self.daemon, self.fakes, self.requests())
        self.clients = [threading.Thread(target=self.exact.client) for _ in range(N_CLIENTS)]

    def requests(self):
        """The usual mix, until it is over."""
        for turn in itertools.count():
            for number, name, model in test_exact.plan(1000, test_exact.USUAL):
                if self.is_over.wait(REQUEST_SECONDS):
                    return
                yield turn * 1000 + number, name, model

    def reloads(self, result):
        return self.daemon.metrics().sum("nexus_config_reloads_total", result=result)

    def reload(self, text, result):
        before = self.reloads(result)
        self.daemon.config_path.write_text(text)
        self.daemon.kill(signal.SIGHUP)
        ok(wait_until(lambda: self.reloads(result) > before), f"a reload, {result}")

    # --- what goes wrong ---

    def good_reload(self):
        self.reload(self.config, "success")

    def bad_reload(self):
        self.reload(self.config + "no_such_option = 1;\n", "failure")

    def backend_leaves_the_configuration(self):
        rows = self.config.splitlines(keepends=True)
        self.reload("".join(r.replace('name = "victim"', 'name = "other"') for r in rows), "success")
        self.reload(self.config, "success")
        self.daemon.wait_healthy(3)

    def backend_dies(self):
        self.victim.stop()
        ok(wait_until(lambda: self.daemon.health()["healthy"] == 2), "a backend is missed")
        self.victim.start()
        ok(wait_until(lambda: self.daemon.health()["healthy"] == 3), "and found again")

    def clients_leave(self):
        threads = [threading.Thread(target=test_exact.chaos_client,
                                    args=(self.daemon, n, 20, ["chaos"])) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    def peers_say_nothing(self):
        peers = [self.daemon.connect() for _ in range(N_PEERS)]
        for peer in peers:
            peer.reset()

    def peers_stop_in_mid_head(self):
        peers = [self.daemon.connect() for _ in range(N_PEERS)]
        for peer in peers:
            peer.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Le")
        for peer in peers:
            peer.close()

    def receiver_is_away(self):
        before = self.daemon.metrics().sum("nexus_statsd_packets_total", result="dropped")
        self.receiver.close()
        ok(wait_until(lambda: self.daemon.metrics().sum("nexus_statsd_packets_total",
                                                        result="dropped") > before),
           "pushes are refused")
        self.receiver.reopen()

    def scrapers_come(self):
        for _ in range(50):
            self.daemon.get("/metrics", {"Accept-Encoding": "gzip"})
            self.daemon.stats()

    FAULTS = (good_reload, bad_reload, backend_leaves_the_configuration, backend_dies,
              clients_leave, peers_say_nothing, peers_stop_in_mid_head, receiver_is_away,
              scrapers_come)

    # --- the run ---

    def run(self):
        """Returns (resident bytes, descriptors) after each round."""
        found = []
        end = time.monotonic() + 60 * MINUTES
        for client in self.clients:
            client.start()
        for number, fault in enumerate(itertools.cycle(self.FAULTS)):
            if time.monotonic() >= end and number >= len(self.FAULTS):
                break
            fault(self)
            found.append((self.daemon.resident_bytes(), self.daemon.open_fds()))
            self.is_over.wait(PAUSE_SECONDS)
        self.is_over.set()
        for client in self.clients:
            client.join(60)
        # From here on nothing counts.
        self.reload(self.config.replace("enabled = true", "enabled = false"), "success")
        return found

    def stop(self):
        self.daemon.stop()
        for fake in (*self.fakes, self.victim):
            fake.stop()
        self.receiver.close()


def check_memory(found):
    memory = [resident for resident, _ in found]
    tap.diag(f"resident MB: {[round(m / 1e6, 1) for m in memory[::max(1, len(memory) // 30)]]}")
    if len(memory) < 2 * WARM_ROUNDS:
        return
    middle = len(memory) // 2
    early, late = max(memory[WARM_ROUNDS // 2:middle]), max(memory[middle:])
    ok(late <= early + SLACK_BYTES, f"memory stays: {early} bytes at first, {late} later")


def test_soak():
    soak = Soak()
    at_rest = soak.daemon.open_fds()
    found = soak.run()
    metrics = soak.daemon.settled()
    eq(soak.exact.surprises[:5], [], f"{sum(soak.exact.expected.values())} requests each ended as "
       "they should")
    wanted = {key: n for key, n in soak.exact.expected.items() if key[1] != "none"}
    counted = test_exact.counted(metrics, "nexus_requests_total", "model", "backend", "status")
    eq({key: n for key, n in counted.items() if key[1] in ("a", "b")}, wanted,
       "and are counted once")
    test_exact.check_backend_logs(metrics, soak.fakes)
    check_identities(metrics, soak.daemon.stats())
    check_memory(found)
    # Kept-alive connections to the backends may be there now.
    ok(wait_until(lambda: soak.daemon.open_fds() <= at_rest + 2 * N_CLIENTS + 8),
       f"{len(found)} faults leave no descriptor: {at_rest} at first",
       f"now {soak.daemon.open_fds()}")
    soak.stop()


if __name__ == "__main__":
    tap.run(globals())
