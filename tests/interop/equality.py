# SPDX-License-Identifier: Apache-2.0
"""10,000 mixed requests: what each real receiver of StatsD and Carbon lines has added up equals what
/metrics says, to the last count (sums of time: to the millisecond)."""
import os
import pathlib
import re
import tempfile
import threading

import receivers
import tap
import test_exact
from fake_backend import FakeBackend
from harness import OPENMETRICS, Daemon, backend, wait_until

N_REQUESTS = int(os.environ.get("NEXUSD_TEST_EQUALITY_REQUESTS", "10000"))
N_SCRAPERS = 4
# What a look at the metrics, or time alone, moves.
MOVING_NAMES = ("event_loop|uptime|statsd|metrics_render|received_bytes|sent_bytes|"
                "backend_latency|health_checks|client_conn")
MOVING = re.compile(rf"gateway_|process_|nexus_({MOVING_NAMES})")
PUSHED_MOVING = re.compile(rf"nexus\.(gateway_(?!overhead)|process_|{MOVING_NAMES})")
# Carbon keeps these among the rest.
PUSHED_GAUGE = re.compile(r"nexus\.(backends|backends_healthy|backend_up|models_available|"
                          r"pending_requests|active_streams|metric_series|config_last_reload\w*)"
                          r"(\.\w+)?$|.*\.p(50|95|99)$")
UNITS = {"_seconds": ("_ms", 1000), "_usd": ("_microusd", 1_000_000), "_bytes": ("_bytes", 1)}


def family_of(name):
    """(the family as it is pushed, by how much values are multiplied)"""
    name = name.removeprefix("nexus_").removesuffix("_total")
    for unit, (pushed, factor) in UNITS.items():
        if name.endswith(unit):
            return name.removesuffix(unit) + pushed, factor
    return name, 1


def value_of(text):
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def bound_of(le, factor):
    """The end of a bucket's name: its bound in the pushed unit."""
    if le == "+Inf":
        return "inf"
    text = f"{float(le) * factor:.6f}".rstrip("0").rstrip(".")
    return text.replace(".", "_")


def expected_totals(text):
    """{name in the plain dialect: total} of all counters and histograms of a classic text."""
    totals, kinds, below = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            kinds[line.split()[2]] = line.split()[3]
            continue
        match = re.fullmatch(r'([a-z_0-9]+)(?:\{(.*)\})? (\S+)', line)
        if not match or MOVING.match(match[1]):
            continue
        labels = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or "")
        base = re.sub(r"_(bucket|sum|count)$", "", match[1])
        if kinds.get(match[1]) == "counter":
            add_counter(totals, match[1], labels, float(match[3]))
        elif kinds.get(base) == "histogram":
            add_histogram(totals, below, match[1], base, labels, float(match[3]))
    return {name: n for name, n in totals.items() if n}


def path_of(family, labels):
    return ".".join(["nexus", family, *(value_of(v) for k, v in labels if k != "le")])


def add_counter(totals, name, labels, value):
    family, factor = family_of(name)
    totals[path_of(family, labels)] = int(value * factor + 1e-6)


def add_histogram(totals, below, name, base, labels, value):
    family, factor = family_of(base)
    path = path_of(family, labels)
    if name.endswith("_bucket"):
        totals[f"{path}.bucket_{bound_of(labels[-1][1], factor)}"] = (
            int(value) - below.get(path, 0))
        below[path] = int(value)
    elif name.endswith("_sum"):
        totals[f"{path}.sum"] = int(value * factor + 1e-6)
    else:
        totals[f"{path}.count"] = int(value)


def comparable(totals):
    """What a receiver has, but for what moves and for gauges."""
    return {name: n for name, n in totals.items() if n and name.startswith("nexus.") and
            not PUSHED_MOVING.match(name) and not PUSHED_GAUGE.match(name)}


def send_requests(daemon, fakes):
    """The mix of test_exact.py, scraped meanwhile; True when all went as they should."""
    test_exact.N_REQUESTS = N_REQUESTS
    scrapers = [test_exact.Scraper(daemon) for _ in range(N_SCRAPERS)]
    run = test_exact.Run(daemon, fakes)
    clients = [threading.Thread(target=run.client) for _ in range(test_exact.N_CLIENTS)]
    for thread in scrapers + clients:
        thread.start()
    for thread in clients:
        thread.join(600)
    for scraper in scrapers:
        scraper.is_over.set()
        scraper.join(30)
    n_scrapes = sum(s.n_scrapes for s in scrapers)
    tap.eq(sum((s.wrong[:3] for s in scrapers), []), [],
           f"{n_scrapes} scrapes meanwhile: no counter fell, _count is +Inf")
    tap.eq(run.surprises[:3], [], f"{N_REQUESTS} requests each ended as they should")


def faces_agree(daemon, title):
    """Classic text, OpenMetrics and JSON of a daemon at rest; returns what is expected."""
    daemon.settled()
    classic = daemon.get("/metrics").body.decode()
    modern = daemon.get("/metrics", {"Accept": OPENMETRICS}).body.decode()
    stats = daemon.stats()
    want = expected_totals(classic)
    plain = {l for l in classic.splitlines() if not l.startswith("#") and not MOVING.match(l)}
    other = {l for l in modern.splitlines() if not l.startswith("#") and not MOVING.match(l)}
    tap.eq(sorted(plain ^ other), [], f"{title}: classic text = OpenMetrics")
    total = sum(n for name, n in want.items() if name.startswith("nexus.requests."))
    tap.eq((stats["requests"]["total"], total), (N_REQUESTS, N_REQUESTS),
           f"{title}: /v1/stats = /metrics = what was sent")
    return want


def check_receiver(title, want, totals):
    """Waits until the receiver has it all, then compares name by name."""
    wait_until(lambda: comparable(totals()) == want, 60)
    got = comparable(totals())
    different = {name: (want.get(name), got.get(name)) for name in want.keys() | got.keys()
                 if want.get(name) != got.get(name)}
    tap.eq(dict(sorted(different.items())[:5]), {},
           f"{title}: {len(want)} totals are equal to the last count")


def push_to(folder, title, address, dialect, checks):
    """One daemon that pushes to `address`; checks are (title, function that gives the totals)."""
    fakes = [FakeBackend(name, test_exact.MODELS) for name in ("a", "b")]
    with Daemon(backends=[backend(f, priority=n) for n, f in enumerate(fakes, 1)],
                routing={"strategy": "priority_only"},
                statsd={"enabled": True, "address": address, "dialect": dialect,
                        "interval": 1}) as daemon:
        send_requests(daemon, fakes)
        want = faces_agree(daemon, title)
        for name, totals in checks:
            check_receiver(f"{title}: {name}", want, totals)
    for fake in fakes:
        fake.stop()


def start_all(made):
    """The receivers that are installed, started; the others are skipped with the reason."""
    started = []
    for receiver, why in made:
        if why:
            tap.skip(f"totals of {receiver}", why)
        else:
            started.append(receiver.start())
    return started


def test_statsd_receivers(folder, modules):
    carbon = None if receivers.Carbon.missing() else receivers.Carbon(folder).start()
    started = [carbon] if carbon else []
    etsy_missing = receivers.Etsy.missing() or receivers.Carbon.missing() or (
        None if (pathlib.Path(modules) / "statsd").is_dir() else "no npm package statsd")
    try:
        targets = start_all([
            ("statsd" if etsy_missing else receivers.Etsy(folder, modules, carbon), etsy_missing),
            ("collectd" if receivers.Collectd.missing() else receivers.Collectd(folder),
             receivers.Collectd.missing()),
            ("netdata" if receivers.Netdata.missing() else receivers.Netdata(folder),
             receivers.Netdata.missing())])
        started += targets
        if targets:
            tee = receivers.Tee([r.port for r in targets])
            tee.start()
            push_to(folder, "plain", f"udp://127.0.0.1:{tee.port}", "plain",
                    [(r.name, r.totals) for r in targets])
            tap.eq(tee.drops(), {port: 0 for port in tee.drops()},
                   f"no receiver's buffer overflowed in {tee.n_packets} packets")
            tee.stop()
    finally:
        for receiver in started:
            receiver.stop()


def test_carbon(folder):
    if receivers.Carbon.missing():
        tap.skip("totals of carbon", receivers.Carbon.missing())
        return
    carbon = receivers.Carbon(pathlib.Path(folder) / "direct").start()
    try:
        push_to(folder, "carbon", carbon.address, "carbon", [("carbon", carbon.totals)])
    finally:
        carbon.stop()


def test_all(modules):
    with tempfile.TemporaryDirectory(prefix="nexusd-equality-") as folder:
        test_statsd_receivers(folder, modules)
        test_carbon(folder)
