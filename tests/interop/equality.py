# SPDX-License-Identifier: Apache-2.0
"""10,000 mixed requests: what each real receiver of StatsD and Carbon lines has added up equals what
/metrics says, to the last count (sums of time: to the millisecond), although the way to it is closed
now and then."""
import contextlib
import os
import pathlib
import tempfile
import threading

import receivers
import tap
import test_exact
from fake_backend import FakeBackend
from harness import OPENMETRICS, Daemon, backend, wait_until
from statsd_receivers import MOVING, TAGS, Udp, expected, is_still

N_REQUESTS = int(os.environ.get("NEXUSD_TEST_EQUALITY_REQUESTS", "10000"))
N_SCRAPERS = 4
N_REFUSALS = 3
PERCENTILES = (".p50", ".p95", ".p99")


def packets(daemon, result):
    return daemon.metrics().sum("nexus_statsd_packets_total", result=result)


def refuse_now_and_then(daemon, way):
    """Closes the way to the receivers until packets were lost, and opens it until some arrived."""
    for phase in range(1, N_REFUSALS + 1):
        before = packets(daemon, "dropped")
        way.close()
        tap.ok(wait_until(lambda: packets(daemon, "dropped") >= before + 3, 60),
               f"refusal {phase}: packets are dropped")
        before = packets(daemon, "sent")
        way.open()
        tap.ok(wait_until(lambda: packets(daemon, "sent") > before, 60), "and arrive again")


def send_requests(daemon, fakes, way):
    """The mix, scraped meanwhile, while the way to the receivers is closed at times."""
    scrapers = [test_exact.Scraper(daemon) for _ in range(N_SCRAPERS)]
    run = test_exact.Run(daemon, fakes, test_exact.plan(N_REQUESTS, test_exact.USUAL))
    clients = [threading.Thread(target=run.client) for _ in range(test_exact.N_CLIENTS)]
    for thread in scrapers + clients:
        thread.start()
    refuse_now_and_then(daemon, way)
    for thread in clients:
        thread.join(600)
    for scraper in scrapers:
        scraper.is_over.set()
        scraper.join(30)
    tap.eq(sum((s.wrong[:3] for s in scrapers), []), [],
           f"{sum(s.n_scrapes for s in scrapers)} scrapes: no counter fell, _count is +Inf")
    tap.eq(run.surprises[:3], [], f"{N_REQUESTS} requests each ended as they should")


def samples(text):
    return {line for line in text.splitlines() if line[0] != "#" and not MOVING.match(line)}


def check_faces(daemon, title):
    """Classic text, OpenMetrics and JSON of a daemon at rest agree; returns the classic text."""
    daemon.settled()
    classic = daemon.get("/metrics").body.decode()
    modern = daemon.get("/metrics", {"Accept": OPENMETRICS}).body.decode()
    tap.eq(sorted(samples(classic) ^ samples(modern)), [], f"{title}: classic text = OpenMetrics")
    counted = daemon.metrics().sum("nexus_requests_total")
    tap.eq((daemon.stats()["requests"]["total"], counted), (N_REQUESTS, N_REQUESTS),
           f"{title}: /v1/stats = /metrics = what was sent")
    return classic


def compare(title, want, totals):
    """Waits until the receiver has it all, then compares name by name. `totals` gives what it has,
    which may hold gauges, too: none of them has a name that a counter has."""
    def got():
        return {name: n for name, n in totals().items()
                if n and name.startswith("nexus.") and is_still(name)}

    def is_there():
        found = got()
        return all(found.get(name) == n for name, n in want.items())

    wait_until(is_there, 60)
    found = got()
    wrong = {name: (n, found.get(name)) for name, n in want.items() if found.get(name) != n}
    tap.eq(dict(sorted(wrong.items())[:5]), {},
           f"{title}: {len(want)} totals are equal to the last count")
    more = {name for name in found.keys() - want.keys() if name.split(".")[1] in
            {n.split(".")[1] for n in want} and not name.endswith(PERCENTILES)}
    tap.eq(sorted(more), [], f"{title}: and there are no others")


def push_to(title, way, dialect, checks):
    """One daemon that pushes by `way`; checks are (title, function that gives the totals)."""
    fakes = [FakeBackend(name, test_exact.MODELS) for name in ("a", "b")]
    statsd = {"enabled": True, "address": way.address, "dialect": dialect, "interval": 1}
    if dialect == "dogstatsd":
        statsd["tags"] = TAGS
    # Of the mix several may fail in a row; that they open no circuit is not what is judged here.
    with Daemon(backends=[backend(f, priority=n) for n, f in enumerate(fakes, 1)],
                routing={"strategy": "priority_only"}, statsd=statsd,
                breaker={"failures": 0, "error_rate": 0}) as daemon:
        send_requests(daemon, fakes, way)
        want = expected(check_faces(daemon, title), dialect)
        for name, totals in checks:
            compare(name, {name: round(n) for name, n in want.items()}, totals)
    for fake in fakes:
        fake.stop()


def start(stack, name, why, make):
    """A receiver that the stack will stop, or None when it is missing: a skip with the reason."""
    if why:
        tap.skip(f"{name}: totals", why)
        return None
    receiver = make()
    stack.callback(receiver.stop)
    return receiver.start()


def test_plain(stack, folder, modules):
    """One stream of packets, handed to all that read the plain dialect."""
    carbon_missing = receivers.Carbon.missing()
    carbon = None if carbon_missing else start(stack, "carbon", None,
                                               lambda: receivers.Carbon(folder))
    etsy_missing = receivers.Etsy.missing() or carbon_missing or (
        None if modules else "no npm package statsd")
    found = [
        start(stack, "statsd", etsy_missing,
              lambda: receivers.Etsy(folder, pathlib.Path(modules) / "node_modules", carbon)),
        start(stack, "collectd", receivers.Collectd.missing(), lambda: receivers.Collectd(folder)),
        start(stack, "netdata", receivers.Netdata.missing(), lambda: receivers.Netdata(folder))]
    found = [receiver for receiver in found if receiver]
    if not found:
        return
    with receivers.UdpWay([r.port for r in found]) as way:
        push_to("plain", way, "plain", [(r.name, r.totals) for r in found])
        tap.eq(way.drops(), {port: 0 for port in way.drops()},
               f"no buffer overflowed in {way.n_packets} packets")


def test_dogstatsd():
    receiver = Udp("dogstatsd")
    with receivers.UdpWay([receiver.port]) as way:
        push_to("dogstatsd", way, "dogstatsd",
                [("strict DogStatsD receiver", lambda: receiver.snapshot()[0])])
    tap.eq(receiver.bad[:3], [], "dogstatsd: every line is well-formed")
    receiver.close()


def test_carbon(stack, folder):
    carbon = start(stack, "carbon", receivers.Carbon.missing(),
                   lambda: receivers.Carbon(folder / "direct"))
    if carbon:
        with receivers.TcpWay(carbon.port) as way:
            push_to("carbon", way, "carbon", [("carbon", carbon.totals)])


def test_all(modules):
    with tempfile.TemporaryDirectory(prefix="nexusd-equality-") as folder, \
            contextlib.ExitStack() as stack:
        test_plain(stack, pathlib.Path(folder), modules)
        test_dogstatsd()
        test_carbon(stack, pathlib.Path(folder))
