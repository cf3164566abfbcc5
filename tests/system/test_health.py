#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Health checks and discovery: each backend type, transitions, Ollama's names, what is known."""
import json

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, Rig, backend, wait_until
from prometheus_text import sanitize
from tap import eq, ok

FAST = {"interval": 0.05, "timeout": 1, "failures": 3, "successes": 2}


def model_ids(daemon):
    return [m["id"] for m in daemon.get("/v1/models").json()["data"]]


def test_discovery_by_type():
    fakes = {kind: FakeBackend(f"b-{kind}", [f"{kind}-one", f"{kind}/two"], kind)
             for kind in ("vllm", "sglang", "lmstudio", "exo", "generic", "openai", "llamacpp",
                          "ollama")}
    fakes["ollama"].models = ["ollama-one:latest", "two:7b"]
    fakes["vllm"].model_details = {"vllm-one": {"max_model_len": 4096}}
    fakes["sglang"].model_details = {"sglang-one": {"max_model_len": 8192}}
    fakes["llamacpp"].model_details = {"llamacpp-one": {"meta": {"n_ctx_train": 2048}}}
    fakes["ollama"].model_details = {
        "two:7b": {"capabilities": ["completion", "tools"],
                   "model_info": {"general.architecture": "llama",
                                  "llama.context_length": 1024}}}
    rows = [backend(f, discover=True) for f in fakes.values()]
    with Rig(list(fakes.values()), backends=rows) as (daemon, *_):
        want = sorted(m for f in fakes.values() for m in f.models)
        daemon.wait_models(*want)
        eq(model_ids(daemon), want, "every model of every type is found")
        probes = {"llamacpp": {"/health", "/v1/models"},
                  "ollama": {"/api/tags", "/api/show", "/api/ps"}}
        for kind, fake in fakes.items():
            asked = {e.path for e in fake.log("*")}
            ok(asked <= probes.get(kind, {"/v1/models"}), f"{kind}: only its own paths are asked", asked)
        # What a model can do is asked for once it is listed.
        wait_until(lambda: daemon.get("/v1/models/two:7b").json().get("context_length"))
        models = {m["id"]: m for m in daemon.get("/v1/models").json()["data"]}
        for model, length in (("vllm-one", 4096), ("sglang-one", 8192), ("llamacpp-one", 2048),
                              ("two:7b", 1024)):
            eq(models[model].get("context_length"), length, f"{model}: context length")
        for kind, fake in fakes.items():
            eq(daemon.chat(fake.models[0]).header("x-nexus-backend"), fake.name,
               f"{kind}: routed to its backend")
            eq(fake.log()[0].path, "/v1/chat/completions", f"{kind}: on the OpenAI path")
            row = next(b for b in daemon.stats()["backends"] if b["name"] == fake.name)
            eq((row["type"], row["zone"]), (kind, "open" if kind == "openai" else "restricted"),
               f"{kind}: its type, and the zone of that")
        metrics = daemon.settled()
        eq(metrics.get("nexus_models_available"), len(want), "nexus_models_available")
        for fake in fakes.values():
            ok(metrics.sum("nexus_backend_latency_seconds_count",
                           backend=sanitize(fake.name)) >= 1,
               f"{fake.name}: the probe's latency is recorded")
        check_ollama_names(daemon, fakes["ollama"])
        check_discovered_capabilities(daemon)


def check_ollama_names(daemon, ollama):
    ollama.reset()
    with Counting(daemon) as added:
        answer = daemon.chat("ollama-one")
    eq(answer.status, 200, "a name without a tag means :latest")
    ok(ollama.log()[0].model in ("ollama-one", "ollama-one:latest"), "and is understood there",
       ollama.log()[0].body)
    added.check_request("ollama_one_latest", "b_ollama", 200)
    eq(daemon.get("/v1/models/ollama-one").status, 200, "in /v1/models/{id}, too")
    eq(daemon.chat("two").status, 404, "but not another tag")
    eq(daemon.chat("vllm-one:latest").status, 404, "and not on other types")


def check_discovered_capabilities(daemon):
    tools = [{"type": "function", "function": {"name": "f"}}]
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    eq(daemon.chat("two:7b", tools=tools).status, 200, "Ollama says tools: yes")
    eq(daemon.post("/v1/chat/completions", {"model": "two:7b", "messages": image}).status, 400,
       "Ollama lists no vision: no")
    eq(daemon.post("/v1/chat/completions", {"model": "vllm-one", "messages": image}).status, 200,
       "vLLM says nothing: unknown counts as yes")


def test_transitions():
    a, b = FakeBackend("a", ["m"]), FakeBackend("b", ["m"])
    with Rig([a, b], backends=[backend(a), backend(b)], health=FAST,
             routing={"strategy": "round_robin"}) as (daemon, *_):
        a.probe_behaviour = {"/v1/models": {"status": 500}}
        n_before = len(a.log("*"))
        daemon.wait_healthy(1)
        n_failures = len(a.log("*")) - n_before
        ok(n_failures >= 3, "unhealthy after three failures in a row", n_failures)
        health = daemon.get("/health").json()
        eq((health["status"], health["backends"]),
           ("degraded", {"total": 2, "healthy": 1, "unhealthy": 1}), "/health: degraded")
        eq(model_ids(daemon), ["m"], "its models stay listed")
        for _ in range(6):
            eq(daemon.chat("m").header("x-nexus-backend"), "b", "only b is used")
        a.probe_behaviour = {}
        daemon.wait_healthy(2)
        used = {daemon.chat("m").header("x-nexus-backend") for _ in range(4)}
        eq(used, {"a", "b"}, "a is used again")
        lines = [l for l in daemon.stderr_lines if "a" in l and "health" in l]
        ok(2 <= len(lines) <= 4, "each transition is logged once", "\n".join(daemon.stderr_lines))
        a.stop()
        b.stop()
        daemon.wait_healthy(0)
        answer = daemon.get("/health")
        eq((answer.status, answer.json()["status"]), (503, "unhealthy"), "none: 503 unhealthy")
        eq(daemon.get("/readyz").status, 200, "it is ready all the same")
        metrics = daemon.settled()
        eq([metrics.get(n) for n in ("nexus_backends_total", "nexus_backends_healthy",
                                     "nexus_models_available")], [2, 0, 0], "the gauges")
        a.start()
        b.start()
        daemon.wait_healthy(2)
        eq(daemon.chat("m").status, 200, "and all is well again")


def test_ollama_is_asked_once_per_model():
    a = FakeBackend("a", ["x:latest", "y:7b"], "ollama")
    with Rig([a], backends=[backend(a, discover=True)], health=FAST) as (daemon, _):
        daemon.wait_models("x:latest", "y:7b")
        seen = len(a.log("/api/tags"))
        a.wait(lambda: len(a.log("/api/tags")) >= seen + 5)
        ok(len(a.log("/api/show")) <= 2, "POST /api/show only for new models", len(a.log("/api/show")))
        a.models.append("z:1b")
        ok(daemon.wait_models("x:latest", "y:7b", "z:1b"), "a new one is found")
        shown = [e.body for e in a.log("/api/show")]
        ok(any(b"z:1b" in body for body in shown), "and shown", shown)


def test_one_failure_is_not_enough():
    a = FakeBackend("a", ["m"])
    with Rig([a], backends=[backend(a)], health=FAST) as (daemon, _):
        for bad in (1, 2):
            a.probe_behaviour = {"/v1/models": [{"status": 503}] * bad}
            seen = len(a.log("*"))
            a.wait(lambda n=seen + bad + 4: len(a.log("*")) >= n)
            eq(a.probe_behaviour, {"/v1/models": []}, f"{bad} failed")
        unhealthy = [l for l in daemon.stderr_lines if "unhealthy" in l]
        eq(unhealthy, [], "one failure, or two, change nothing")


def test_unreadable_probe_answers():
    bodies = {"not JSON": "<html>", "no list": "{}", "list of another kind": '{"data": {}}',
              "cut": '{"data": [', "empty": ""}
    fakes = [FakeBackend(f"b{n}", ["m"]) for n in range(len(bodies))]
    for fake, body in zip(fakes, bodies.values()):
        fake.probe_behaviour = {"/v1/models": {"body": body}}
    good = FakeBackend("good", ["m"])
    with Daemon(backends=[backend(f) for f in fakes + [good]], healthy=1) as daemon:
        wait_until(lambda: daemon.health()["unhealthy"] == len(fakes))
        text = daemon.get("/health?verbose").body.decode()
        metrics = daemon.metrics()
        eq(metrics.get("nexus_backends_healthy"), 1, "200 with an unreadable body is a failure")
        for fake, name in zip(fakes, bodies):
            eq(metrics.sum("nexus_backend_latency_seconds_count", backend=fake.name), 0,
               f"{name}: no latency of a failed probe")
            if metrics.has_family("nexus_health_checks_total"):
                results = metrics.select("nexus_health_checks_total", backend=fake.name)
                ok(results and all(r["result"] not in ("ok", "success") for r, n in results if n),
                   f"{name}: its own result", results)
        ok(good.name in text, "/health?verbose names the good one", text)
    for fake in fakes + [good]:
        fake.stop()


def test_what_was_asked_is_told():
    fakes = [FakeBackend("a", ["m"]), FakeBackend("o", ["n"], "ollama"),
             FakeBackend("u", ["p"])]
    fakes[0].probe_behaviour = {"/v1/models": {"status": 404}}
    fakes[1].probe_behaviour = {"/api/tags": {"status": 404}}
    fakes[2].probe_behaviour = {"/v1/models": {"body": "{}"}}
    with Daemon(backends=[backend(f) for f in fakes], healthy=0) as daemon:
        for name, detail in (("a", "GET /v1/models: HTTP status 404"),
                             ("o", "GET /api/tags: HTTP status 404"),
                             ("u", "GET /v1/models: the answer is not a list of models")):
            ok(daemon.wait_stderr(f"backend {name} is unhealthy: {detail} "), detail,
               daemon.stderr)
    for fake in fakes:
        fake.stop()


def test_model_list_changes():
    a = FakeBackend("a", ["one"])
    with Rig([a], backends=[backend(a, discover=True)], health=FAST) as (daemon, _):
        ok(daemon.wait_models("one"), "at first", model_ids(daemon))
        a.models = ["one", "two"]
        ok(daemon.wait_models("one", "two"), "a new model appears")
        eq(daemon.chat("two").status, 200, "and is served")
        created = {m["id"]: m["created"] for m in daemon.get("/v1/models").json()["data"]}
        ok(created["two"] >= created["one"], "created is when it was first seen")
        a.models = ["two"]
        answer = None

        def is_gone():
            nonlocal answer
            answer = daemon.chat("one")
            return answer.status == 503
        ok(wait_until(is_gone), "a model nobody lists now", repr(answer))
        eq(answer.error().get("code"), "no_backend", "is known, and listed by nobody")
        eq(daemon.chat("two").status, 200, "the other goes on")


def test_dead_from_the_start():
    a = FakeBackend("a", ["m"])
    dead = {"name": "dead", "type": "generic", "url": f"http://127.0.0.1:{harness.free_port()}",
            "models": ["m", "only-dead"], "priority": 0}
    shy = {"name": "shy", "type": "ollama", "url": f"http://127.0.0.1:{harness.free_port()}",
           "optional": True}
    with Rig([a], backends=[backend(a), dead, shy], healthy=1) as (daemon, _):
        wait_until(lambda: daemon.health()["unhealthy"] == 1)
        eq(daemon.health(), {"total": 2, "healthy": 1, "unhealthy": 1},
           "a dead one counts, an optional one that never answered does not")
        eq(daemon.metrics().get("nexus_backends_total"), 2, "in the gauge, too")
        for _ in range(4):
            eq(daemon.chat("m").header("x-nexus-backend"), "a", "requests pass the dead one by")
        answer = daemon.chat("only-dead")
        eq((answer.status, answer.error().get("code")), (503, "no_healthy_backend"),
           "its own models are known, and unusable")


def test_request_failure_triggers_a_probe():
    a = FakeBackend("a", ["m"])
    with Rig([a], backends=[backend(a)], health={"interval": 3600},
             routing={"max_retries": 0}) as (daemon, _):
        n_before = len(a.log("/v1/models"))
        a.behave({"fault": "rst"})
        eq(daemon.chat("m").status, 502, "a request meets a dead connection")
        ok(a.wait(lambda: len(a.log("/v1/models")) > n_before), "a probe follows at once")
        eq(daemon.chat("m").status, 200, "and its success keeps the backend in use")


def test_probes_carry_the_key():
    with harness.tempfile.TemporaryDirectory() as folder:
        key = harness.pathlib.Path(folder) / "key"
        key.write_text("sk-probe")
        key.chmod(0o600)
        a = FakeBackend("a", ["m"], "openai")
        a.require_key = "Bearer sk-probe"
        with Rig([a], backends=[backend(a, discover=True, credential="key")],
                 env={"CREDENTIALS_DIRECTORY": folder}) as (daemon, _):
            a.require_key = "Bearer sk-probe"
            ok(daemon.wait_models("m"), "found with the key from $CREDENTIALS_DIRECTORY")
            eq(json.loads(daemon.chat("m").body)["x_backend"], "a", "and served")


def test_slow_probe_times_out():
    a, slow = FakeBackend("a", ["m"]), FakeBackend("slow", ["m"])
    slow.probe_behaviour = {"/v1/models": {"fault": "never"}}
    with Daemon(backends=[backend(a), backend(slow)], healthy=1,
                health={"interval": 0.2, "timeout": 0.5}) as daemon:
        # On a busy machine the other one may be late, too: it recovers.
        ok(wait_until(lambda: {row["id"]: row["status"] for row in daemon.stats()["backends"]} ==
                      {"a": "healthy", "slow": "unhealthy"}), "no answer in time is a failure")
        eq(daemon.chat("m").header("x-nexus-backend"), "a", "the other one serves")
    a.stop()
    slow.stop()


def test_backend_that_wants_the_clients_key():
    fake = FakeBackend("a", ["m"])
    fake.require_key = "Bearer client"
    row = backend(fake, forward_authorization=True)
    with Rig([fake], backends=[row], health=FAST, healthy=1) as (daemon, _):
        eq(daemon.chat("m", headers={"Authorization": "Bearer client"}).status, 200,
           "alive though it refuses the check; the client's key opens it")


if __name__ == "__main__":
    tap.run(globals())
