#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon in use while one thing after the other goes wrong: every request must still end as it
should and be counted once, and neither memory nor descriptors may grow.

NEXUSD_TEST_SOAK_MINUTES says for how long (a fault every 10 seconds); without it each fault comes
once. NEXUSD_TEST_SEED repeats the order of an earlier run."""
import itertools
import json
import os
import random
import signal
import threading
import time

import tap
import test_exact
import test_faults
from fake_backend import FakeBackend
from fake_process import FakeProcess
from harness import Daemon, Stream, backend, chat_body, wait_until
from statsd_receivers import Udp
from steady import Watch
from tap import eq, ok
from test_metrics import check_identities

MINUTES = float(os.environ.get("NEXUSD_TEST_SOAK_MINUTES", "0"))
SEED = int(os.environ.get("NEXUSD_TEST_SEED", random.randrange(1 << 32)))
PAUSE_SECONDS = 10 if MINUTES else 0.1
# A long run is paced: the fake backends remember every request.
REQUEST_SECONDS = 0.005 if MINUTES else 0
N_CLIENTS = 8
N_PEERS = 100
N_READERS = 8
N_WRONG_ANSWERS = 20


class Soak:
    """The daemon with two backends that are counted exactly, and two that have a hard time."""

    def __init__(self):
        self.fakes = [FakeBackend(name, test_exact.MODELS) for name in ("a", "b")]
        self.victim = FakeBackend("victim", ["chaos"])
        self.mortal = FakeProcess("mortal", ["chaos"])
        self.dice = random.Random(SEED)
        self.receiver = Udp("plain")
        self.is_over = threading.Event()
        self.daemon = Daemon(
            backends=[*(backend(f, priority=n) for n, f in enumerate(self.fakes, 1)),
                      backend(self.victim), backend(self.mortal)],
            routing={"strategy": "priority_only"},
            health={"interval": 0.2, "timeout": 3, "failures": 4},
            timeouts={"first_byte": 5, "stream_idle": 5},
            # Of those in trouble only: which backend answers the others is counted exactly.
            breaker={"failures": 0, "error_rate": 0.8, "open": 1},
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
        self.daemon.wait_healthy(4)

    def many_reloads(self):
        for _ in range(20):
            self.daemon.kill(signal.SIGHUP)
        self.good_reload()

    def is_missed_and_found(self, name, begin, end):
        begin()
        ok(wait_until(lambda: self.daemon.health()["healthy"] == 3), f"a backend {name}: missed")
        end()
        ok(wait_until(lambda: self.daemon.health()["healthy"] == 4), "and found again")

    def backend_stops(self):
        self.is_missed_and_found("stops", self.victim.stop, self.victim.start)

    def backend_is_killed(self):
        self.is_missed_and_found("is killed", self.mortal.kill, self.mortal.start)

    def backend_freezes(self):
        self.is_missed_and_found("freezes", self.mortal.freeze, self.mortal.thaw)

    def ask_victim(self, behaviour, stream, **options):
        """Begins a request that only the two in trouble may get."""
        connection = self.daemon.connect(**options)
        body = chat_body("chaos", stream=stream, x_fake={"*": behaviour})
        connection.request("POST", "/v1/chat/completions", None, json.dumps(body).encode())
        return connection

    def backends_answer_wrongly(self):
        rows = [row for _, table in test_faults.before_the_first_byte()
                for row in table.values() if MINUTES or row[0] != "timeout"]
        asked = [self.ask_victim(behaviour, self.dice.random() < 0.5)
                 for _, behaviour in self.dice.sample(rows, N_WRONG_ANSWERS)]
        for connection in asked:
            Stream(connection).read_rest()
            connection.close()

    def clients_stop_reading(self):
        huge = {"fault": "huge_stream", "size": 4 << 20}
        readers = [self.ask_victim(huge, True, rcvbuf=4096) for _ in range(N_READERS)]
        ok(wait_until(lambda: self.daemon.metrics().sum("nexus_active_streams") >= N_READERS),
           "streams that nobody reads")
        for reader in readers:
            reader.reset()

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

    FAULTS = (good_reload, bad_reload, many_reloads, backend_leaves_the_configuration,
              backend_stops, backend_is_killed, backends_answer_wrongly, clients_leave,
              clients_stop_reading, peers_say_nothing, peers_stop_in_mid_head,
              receiver_is_away, scrapers_come)
    # It takes long: slow answers of a busy machine must not be taken for it.
    SLOW_FAULTS = (backend_freezes,)

    # --- the run ---

    def faults(self):
        """Each as often as any other, in another order each time."""
        faults = self.FAULTS + (self.SLOW_FAULTS if MINUTES else ())
        while True:
            yield from self.dice.sample(faults, len(faults))

    def run(self):
        """Returns how many faults there were, and what was held meanwhile."""
        watch = Watch(self.daemon)
        end = time.monotonic() + 60 * MINUTES
        for client in self.clients:
            client.start()
        for number, fault in enumerate(self.faults()):
            if time.monotonic() >= end and number >= len(self.FAULTS):
                break
            began = time.monotonic()
            fault(self)
            tap.diag(f"{number}: {fault.__name__}, {time.monotonic() - began:.1f} s")
            self.is_over.wait(PAUSE_SECONDS)
            watch.look()
        self.is_over.set()
        for client in self.clients:
            client.join(60)
        # From here on nothing counts.
        self.reload(self.config.replace("enabled = true", "enabled = false"), "success")
        return number, watch

    def stop(self):
        self.daemon.stop()
        for fake in (*self.fakes, self.victim, self.mortal):
            fake.stop()
        self.receiver.close()


def test_soak():
    tap.diag(f"NEXUSD_TEST_SEED={SEED}")
    soak = Soak()
    at_rest = soak.daemon.open_fds()
    n_faults, watch = soak.run()
    metrics = soak.daemon.settled()
    eq(soak.exact.surprises[:5], [], f"{sum(soak.exact.expected.values())} requests each ended as "
       "they should")
    wanted = {key: n for key, n in soak.exact.expected.items() if key[1] != "none"}
    counted = test_exact.counted(metrics, "nexus_requests_total", "model", "backend", "status")
    eq({key: n for key, n in counted.items() if key[1] in ("a", "b")}, wanted,
       "and are counted once")
    test_exact.check_backend_logs(metrics, soak.fakes)
    check_identities(metrics, soak.daemon.stats())
    watch.check()
    # Kept-alive connections to the backends may be there now.
    ok(wait_until(lambda: soak.daemon.open_fds() <= at_rest + 2 * N_CLIENTS + 8),
       f"{n_faults} faults leave no descriptor: {at_rest} at first",
       f"now {soak.daemon.open_fds()}")
    soak.stop()


if __name__ == "__main__":
    tap.run(globals())
