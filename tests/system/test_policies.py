#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Privacy zones, tiers and the policies that demand them: who may answer, and what is said of it."""
import re

import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, shared, wait_until
from tap import eq, ok

HOME, CLOUD, BIG = "home", "cloud", "big"
POLICIES = [{"match": "private*", "zone": "restricted"},
            {"match": "open-[a-c]"},
            {"match": "*-c", "zone": "restricted"},
            {"match": "good", "min_tier": 2},
            {"match": "exact", "min_tier": 2, "strict": True},
            {"match": "best", "min_tier": 4}]
MODELS = ["private", "private-c", "open-c", "shut-c", "good", "exact", "best", "free",
          "weak"]


@shared
def fleet():
    """home is restricted, of tier 1; cloud open, of tier 2; big restricted, of tier 3. cloud would
    always be the first choice, then big."""
    home, cloud, big = (FakeBackend(name, MODELS) for name in (HOME, CLOUD, BIG))
    rows = [backend(home, priority=3), backend(cloud, kind="openai", priority=1, tier=2),
            backend(big, kind="vllm", zone="restricted", priority=2, tier=3)]
    return Rig([home, cloud, big], backends=rows, breaker={"failures": 0, "error_rate": 0},
               routing={"strategy": "priority_only", "policies": POLICIES, "max_retries": 1,
                        "aliases": [{"name": "private-name", "model": "free"},
                                    {"name": "other-name", "model": "private-name"},
                                    {"name": "plain-name", "model": "private"}],
                        "fallbacks": [{"model": "shut-c", "to": ["free"]},
                                      {"model": "weak", "to": ["other-name"]}]})


def who(answer):
    return (answer.status, answer.header("x-nexus-backend"), answer.header("x-nexus-privacy-zone"),
            answer.header("x-nexus-route-reason"))


ALLOWED = (200, CLOUD, "open", "capability-match")
KEPT = (200, BIG, "restricted", "privacy-requirement")


def test_zones():
    daemon, *_ = fleet()
    with Counting(daemon) as added:
        for name, want in (("free", ALLOWED), ("private", KEPT), ("private-c", KEPT),
                           ("shut-c", KEPT), ("open-c", ALLOWED), ("private-name", KEPT),
                           ("other-name", KEPT), ("plain-name", KEPT)):
            eq(who(daemon.chat(name)), want, f"{name}: plain")
            stream = daemon.stream(name)
            eq(who(stream.head), want, f"{name}: streamed")
            stream.read_rest()
    added.check("nexus_routing_exclusions_total", 12, reason="privacy")
    added.check("nexus_routing_exclusions_total", 12)
    eq(daemon.post("/v1/embeddings", {"model": "private", "input": "x"})
       .header("x-nexus-backend"), BIG, "embeddings, too")


def test_zones_never_fail_open():
    daemon, home, cloud, big = fleet()
    home.default = big.default = {"status": 500}
    for name in ("private", "private-name", "shut-c"):
        with Counting(daemon) as added:
            answer = daemon.chat(name)
        eq(answer.status, 500, f"{name}: what failed is told", repr(answer))
        added.check("nexus_upstream_requests_total", 0, backend=CLOUD)
    eq(cloud.log(), [], "nothing of it went to the cloud, not even in place of a model")
    for fake in (home, big):
        fake.reset()
        fake.behave({"fault": "close"})
    with Counting(daemon) as added:
        eq(daemon.chat("private").status, 502, "nor when connections break")
    added.check("nexus_upstream_requests_total", 0, backend=CLOUD)


def test_an_alias_that_is_a_fallback():
    daemon, home, cloud, big = fleet()
    for fakes, want in (((cloud, big), (200, HOME)), ((cloud, big, big, home), (500, BIG))):
        for fake in fakes:
            fake.behave(*[{"status": 500}] * fakes.count(fake))
        with Counting(daemon) as added:
            answer = daemon.chat("weak")
        eq((answer.status, answer.header("x-nexus-backend")), want, "a policy for its name holds")
        added.check("nexus_upstream_requests_total", 1, backend=CLOUD)
        added.check("nexus_upstream_requests_total", 0, backend=CLOUD, model="free")
        added.check("nexus_routing_exclusions_total", 1, reason="privacy")
    eq([e.model for e in cloud.log()], ["weak"] * 2,
       "the cloud was asked for what may go there only")


def test_nobody_may():
    with Rig([a := FakeBackend("a", ["m"])], backends=[backend(a, zone="open")],
             routing={"policies": [{"match": "*", "zone": "restricted"}]}) as (daemon, a):
        with Counting(daemon) as added:
            answer = daemon.chat("m")
        eq((answer.status, answer.error()["code"]), (503, "no_healthy_backend"), "refused")
        eq(answer.error()["context"]["excluded"], [{"backend": "a", "reason": "privacy"}], "why")
        added.check_request("m", "none", 503, "no_healthy_backend")
        added.check("nexus_routing_exclusions_total", 1, reason="privacy")
        eq(a.log(), [], "the backend heard nothing")


def test_tiers():
    daemon, *_ = fleet()
    strict, flexible = {"X-Nexus-Strict": "true"}, {"X-Nexus-Flexible": "True"}
    for name, headers, want, n_out in (
            ("good", {}, CLOUD, 1), ("good", strict, CLOUD, 2), ("exact", {}, CLOUD, 2),
            ("exact", flexible, CLOUD, 1), ("exact", {**strict, **flexible}, CLOUD, 2),
            ("good", {"X-Nexus-Strict": "false"}, CLOUD, 1), ("free", strict, CLOUD, 0)):
        with Counting(daemon) as added:
            answer = daemon.chat(name, headers=headers)
        eq((answer.status, answer.header("x-nexus-backend")), (200, want), f"{name} {headers}")
        added.check("nexus_routing_exclusions_total", n_out, reason="tier")
    with Counting(daemon) as added:
        answer = daemon.chat("best", headers=flexible)
    eq((answer.status, answer.error()["code"]), (503, "no_healthy_backend"), "never a lower one")
    eq(answer.error()["context"]["excluded"],
       [{"backend": name, "reason": "tier"} for name in (BIG, CLOUD, HOME)], "and all are named")
    added.check("nexus_routing_exclusions_total", 3, reason="tier")


def test_a_higher_tier_stands_in():
    daemon, _, cloud, _ = fleet()
    for headers, status, name in (({}, 200, BIG), ({"X-Nexus-Strict": "true"}, 500, CLOUD)):
        cloud.reset()
        cloud.behave({"status": 500}, {"status": 500})
        answer = daemon.chat("good", headers=headers)
        eq((answer.status, answer.header("x-nexus-backend")), (status, name), f"{headers}")


def test_headers_that_say_nothing():
    daemon, *fakes = fleet()
    for header in ("X-Nexus-Strict", "X-Nexus-Flexible"):
        with Counting(daemon) as added:
            answer = daemon.chat("free", headers={header: "yes"})
        eq((answer.status, answer.error()["code"], answer.error()["param"]),
           (400, "invalid_field", header), f"{header}: yes is no answer")
        added.check_request("free", "none", 400, "bad_request")
    daemon.chat("free", headers={"X-Nexus-Strict": "true", "X-Nexus-Flexible": "true"})
    eq([e.header(h) for f in fakes for e in f.log()
        for h in ("x-nexus-strict", "x-nexus-flexible")], [None, None],
       "they are no business of the backend")


def test_capacity_overflow():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["m"])
    with Rig([a, b], backends=[backend(a, priority=1), backend(b, priority=2)],
             routing={"strategy": "priority_only"}) as (daemon, *_):
        a.behave({"status": 429, "retry_after": 60})
        eq(who(daemon.chat("m")), (200, "b", "restricted", "failover"), "a is too busy")
        with Counting(daemon) as added:
            eq(who(daemon.chat("m")), (200, "b", "restricted", "capacity-overflow"),
               "and is not asked again")
        added.check("nexus_routing_exclusions_total", 1, reason="rate_limited_upstream")


def test_capabilities_have_three_values():
    fakes = [FakeBackend(name, ["m"]) for name in ("no", "unknown", "yes")]
    facts = ({"vision": False, "tools": False, "json_mode": False, "context_length": 100}, {},
             {"vision": True, "tools": True, "json_mode": True, "context_length": 100000})
    rows = [{**backend(fake), "models": [{"id": "m", **fact}]} for fake, fact in zip(fakes, facts)]
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    with Rig(fakes, backends=rows, routing={"strategy": "round_robin"}) as (daemon, *_):
        for name, fields in {
                "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
                "JSON": {"response_format": {"type": "json_object"}},
                "vision": {"messages": [image]},
                "context": {"messages": [{"role": "user", "content": "word " * 500}]}}.items():
            before = [len(fake.log()) for fake in fakes]
            with Counting(daemon) as added:
                for _ in range(4):
                    daemon.post("/v1/chat/completions", {"model": "m", "messages": [], **fields})
            eq([len(f.log()) - n for f, n in zip(fakes, before)], [0, 2, 2],
               f"{name}: only a known no excludes")
            added.check("nexus_routing_exclusions_total", 4, reason="capability")
        for _ in range(3):
            daemon.chat("m")
        eq(len(fakes[0].log()), 1, "who needs nothing special may go anywhere")


def test_what_is_shown():
    daemon, *_ = fleet()
    eq({row["name"]: row["zone"] for row in daemon.stats()["backends"]},
       {HOME: "restricted", CLOUD: "open", BIG: "restricted"}, "/v1/stats: zones")
    eq({labels["name"]: labels["zone"]
        for labels, _ in daemon.metrics().select("nexus_backend_info")},
       {HOME: "restricted", CLOUD: "open", BIG: "restricted"}, "nexus_backend_info: zones")


def test_reload():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["m"])
    options = {"backends": [backend(a, zone="open", priority=1), backend(b, priority=2)]}
    routing = {"strategy": "priority_only"}
    with Rig([a, b], routing=routing, **options) as (daemon, *_):
        eq(daemon.chat("m").header("x-nexus-backend"), "a", "without a policy")
        for policies, want in (([{"match": "m", "zone": "restricted"}], "b"), ([], "a")):
            daemon.config_path.write_text(daemon.make_config(
                routing={**routing, "policies": policies}, **options))
            daemon.kill(1)
            ok(wait_until(lambda w=want: daemon.chat("m").header("x-nexus-backend") == w),
               f"{len(policies)} policies from the next request on")
        daemon.config_path.write_text(daemon.make_config(
            routing={**routing, "policies": [{"match": "[m", "zone": "restricted"}]}, **options))
        before = len(daemon.stderr_lines)
        daemon.kill(1)
        ok(daemon.wait_stderr(re.escape("routing.policies.match is no pattern"), start=before),
           "a bad pattern is an error, and the old configuration stays")


if __name__ == "__main__":
    tap.run(globals())
