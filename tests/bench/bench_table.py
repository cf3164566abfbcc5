# SPDX-License-Identifier: Apache-2.0
"""The table of bench-quick: medians over the rounds, nexusd beside nginx, each row with its bar."""

import statistics


def median_of(rounds, name, key=None):
    values = [figures[name] if key is None else figures[name][key]
              for figures in rounds if name in figures]
    return statistics.median(values) if values else None


def ratios_of(rounds, key):
    return [figures["nexusd"][key] / figures["nginx"][key]
            for figures in rounds if figures.get("nginx", {}).get(key)]


def differences_of(rounds):
    return [figures["nexusd"] - figures["nginx"] for figures in rounds if "nginx" in figures]


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, ours, theirs, bar, is_met, compared=None):
        """`bar` is text; `is_met` is True, False or None where it cannot be told."""
        self.rows.append({"what": what, "nexusd": ours, "nginx": theirs, "compared": compared,
                          "bar": bar, "met": is_met})

    def add_ratio(self, what, rounds, key, bar, is_met):
        ratios = ratios_of(rounds, key)
        compared = met = None
        if ratios:
            ratio = statistics.median(ratios)
            compared = f"{ratio:.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
            met = is_met(ratio)
        self.add(what, median_of(rounds, "nexusd", key), median_of(rounds, "nginx", key), bar, met,
                 compared)

    def add_difference(self, what, rounds, most_us):
        differences = differences_of(rounds)
        compared = met = None
        if differences:
            difference = statistics.median(differences)
            compared = f"{difference:+.0f} ({min(differences):+.0f} to {max(differences):+.0f})"
            met = difference <= most_us
        self.add(what, median_of(rounds, "nexusd"), median_of(rounds, "nginx"),
                 f"<= nginx + {most_us}", met, compared)

    def add_memory(self, what, memory, key, most):
        ours = memory["nexusd"][key]
        self.add(what, ours, memory.get("nginx", {}).get(key), f"<= {most}", ours <= most)

    def print(self):
        print(f"{'':46}{'nexusd':>9}{'nginx':>9}  {'nexusd to nginx':23}bar")
        for row in self.rows:
            verdict = {True: "ok", False: "MISSED", None: "-"}[row["met"]]
            print(f"{row['what']:46}{figure(row['nexusd']):>9}{figure(row['nginx']):>9}  "
                  f"{row['compared'] or '':23}{row['bar']:15}{verdict}")


def figure(value):
    if value is None:
        return "-"
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:.{decimals}f}"


def make_table(results):
    table = Table()
    throughput, streams, memory = results["throughput"], results["streams"], results["memory"]
    table.add_ratio("CPU per request, us", throughput, "cpu_us", "<= 2.0x", lambda r: r <= 2.0)
    table.add_ratio("requests/s, 64 connections", throughput, "rps", ">= 0.45x",
                    lambda r: r >= 0.45)
    table.add_difference("added p50, 8 connections, closed loop, us", results["added_p50"], 40)
    table.add_difference("added p50, 8 connections, 2000 req/s, us", results["added_p50_rate"], 40)
    table.add_ratio("CPU per chunk, 100 streams, us", streams, "cpu_us", "<= 1.3x",
                    lambda r: r <= 1.3)
    first = median_of(streams, "nexusd", "added_first_us")
    table.add("added p99 to first chunk, 100 streams, us", first,
              median_of(streams, "nginx", "added_first_us"), "<= 1000", first <= 1000)
    table.add_memory("own memory, idle process, KB", memory, "idle", 5120)
    table.add_memory("per silent connection (1000), KB", memory, "silent", 5)
    table.add_memory("per used idle connection (1000), KB", memory, "used", 13)
    table.add_memory("per stream (200), KB", memory, "stream", 50)
    table.add_memory("own memory after the 1000, to before", memory, "after", 1.1)
    return table
