#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The strategies that choose by weight, by load and by session, over all workers."""
import threading

import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, wait_until
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


def hold(daemon, fakes, n, body=b'{"model":"llama3:70b","messages":[]}'):
    """n requests, one after the other, that stay in flight until their backends are told."""
    held, before = [daemon.connect() for _ in range(n)], sum(asked(fakes))
    for number, connection in enumerate(held):
        connection.request("POST", "/v1/chat/completions", None, body)
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


def home_of(daemon, **fields):
    """The one backend that a few equal requests go to; None when there are several."""
    headers = fields.pop("headers", None)
    path = fields.pop("path", "/v1/chat/completions")
    names = {daemon.post(path, {"model": MODEL, **fields}, headers).header("x-nexus-backend")
             for _ in range(3)}
    return names.pop() if len(names) == 1 else None


def user(text):
    return {"role": "user", "content": text}


def test_session_of_a_user():
    names = [f"user-{n}" for n in range(24)]
    with fleet("session", {}, {}, {}) as (daemon, *fakes):
        homes = {name: home_of(daemon, user=name, messages=[user("hello")]) for name in names}
        eq(set(homes.values()), {"a", "b", "c"}, "each user has one backend, and all are used")
        eq({name: home_of(daemon, messages=[user("more"), user("yet more")], user=name)
            for name in names}, homes, "whatever they ask")
        eq(home_of(daemon, messages=[], prompt_cache_key="user-3", user="user-4"),
           homes["user-3"], "prompt_cache_key comes before user")
        fakes[0].behave({"status": 500})
        moved = next(name for name in names if homes[name] == "a")
        eq(daemon.chat(MODEL, user=moved).header("x-nexus-backend") in ("b", "c"), True,
           "a failed attempt goes on elsewhere")
        eq(home_of(daemon, messages=[], user=moved), "a", "and the next request is at home again")
        eq(daemon.settled().sum("nexus_requests_total", status="200"), 3 * 24 * 2 + 3 + 1 + 3,
           "all are counted")
        # Another process, and other backends in front.
        with Rig(fakes, backends=[backend(f) for f in reversed(fakes)],
                 routing={"strategy": "session"}) as (other, *_):
            eq({name: home_of(other, user=name, messages=[]) for name in names}, homes,
               "another gateway chooses the same")


def test_session_of_a_header():
    with fleet("session", {}, {}, {}, session_key="header:X-Chat") as (daemon, *fakes):
        homes = [home_of(daemon, messages=[], user=f"u{n}", headers={"x-chat": f"chat-{n}"})
                 for n in range(12)]
        ok(None not in homes and len(set(homes)) == 3, "each value has one backend", homes)
        eq([home_of(daemon, messages=[], headers={"X-Chat": f"chat-{n}"}) for n in range(12)],
           homes, "whoever asks")
        before = asked(fakes)
        for _ in range(6):
            daemon.chat(MODEL, user="the same")
        eq([n - m for n, m in zip(asked(fakes), before)], [2, 2, 2],
           "without the header smart chooses, and equals take turns")


def test_refusals_are_not_quick_answers():
    """Else smart, which goes by this average, would prefer who refuses."""
    with fleet("smart", {}, max_retries=0) as (daemon, a):
        def average():
            rows = daemon.get("/admin/backends", address=daemon.admin_address).json()["backends"]
            return rows[0]["average_latency_ms"]
        a.behave({"fault": "slow_head", "gap": 0.005})
        eq(daemon.chat(MODEL).status, 200, "a slow answer")
        slow = average()
        for status in (429, 500, 503, 408, 400, 401, 404):
            a.behave({"status": status})
            with Counting(daemon) as added:
                eq(daemon.chat(MODEL).status, status, f"{status} is relayed")
            added.check("nexus_requests_total", 1, backend="a", status=str(status))
            eq(average(), slow, "and no sign of its speed")
        eq(daemon.chat(MODEL).status, 200, "a quick answer")
        ok(average() < slow, "is one", (average(), slow))


def test_session_of_a_conversation():
    system = {"role": "system", "content": "You are a helpful assistant. " * 100}
    with fleet("session", {}, {}, {}, session_key="prefix") as (daemon, *_):
        homes = []
        for n in range(12):
            messages, seen = [system, user(f"question {n}")], set()
            for turn in range(3):
                seen.add(home_of(daemon, messages=messages, user=f"user {turn}"))
                messages = [*messages, {"role": "assistant", "content": "well"}, user("go on")]
            ok(len(seen) == 1 and None not in seen, f"conversation {n} stays", seen)
            homes += seen
        eq(len(set(homes)), 3, "conversations spread over all")
        for path, begin, go_on in (
                ("/v1/completions", {"prompt": "once " * 300}, {"prompt": "once " * 300 + "upon"}),
                ("/v1/responses", {"input": [user("a")]}, {"input": [user("a"), user("b")]})):
            eq(home_of(daemon, path=path, **begin), home_of(daemon, path=path, **go_on),
               f"{path}: so does what it begins with")


def test_sessions_are_bounded():
    with fleet("session", {}, {}, {}) as (daemon, *fakes):
        for fake in fakes:
            fake.default = {"gate_head": "hold"}
        held = hold(daemon, fakes, 24, b'{"model":"llama3:70b","messages":[],"user":"busy"}')
        ok(max(asked(fakes)) <= 11, "one busy user is spread at a quarter above the share",
           asked(fakes))
        release(fakes, held)


if __name__ == "__main__":
    tap.run(globals())
