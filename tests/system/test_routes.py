#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every route, method and face; the model list; health; the demo backend."""
import json
import os
import stat

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Daemon, Rig, backend, chat_body, shared
from http_client import content_of
from tap import eq, ok

GET_ROUTES = {"/v1/models": "/v1/models", "/v1/models/demo": "/v1/models/{id}",
              "/health": "/health", "/livez": "/livez", "/readyz": "/readyz",
              "/metrics": "/metrics", "/v1/stats": "/v1/stats"}
POST_ROUTES = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
               "/v1/rerank", "/v1/images/generations", "/v1/images/edits",
               "/v1/images/variations", "/v1/audio/transcriptions", "/v1/audio/translations",
               "/v1/audio/speech"]
MODELS = ["llama3:70b", "meta-llama/Llama-3/8B", "a b", "100%", "é"]


@shared
def rig():
    a = FakeBackend("a", MODELS)
    b = FakeBackend("b", MODELS[:1])
    models = [{"id": m} for m in MODELS]
    models[0].update({"context_length": 8192, "vision": False, "tools": True})
    return Rig([a, b], healthy=3, backends=[
        {**backend(a, discover=True), "models": models}, backend(b),
        {"name": "demo", "type": "demo"}],
        routing={"aliases": [{"name": "gpt-4", "model": "llama3:70b"}]})


def test_get_routes_and_head():
    daemon, *_ = rig()
    for path, template in GET_ROUTES.items():
        with Counting(daemon) as added:
            got = daemon.get(path)
            head = daemon.request("HEAD", path)
        eq((got.status, head.status), (200, 200), f"GET and HEAD {path}")
        eq(head.body, b"", f"HEAD {path} has no body")
        ok(got.header("content-type"), f"{path} has a content type")
        if path not in ("/metrics", "/v1/stats", "/health"):  # those change their size
            eq(head.header("content-length"), got.header("content-length"),
               f"HEAD {path}: the length GET has")
        for method in ("GET", "HEAD"):
            extra = 1 if (path, method) == ("/metrics", "GET") else 0
            count = added.delta.sum("gateway_requests_total", method=method, path=template,
                                    status="200")
            ok(count >= 1 and (extra or count == 1), f"counted as {method} {template}",
               added.delta.select("gateway_requests_total"))
        eq(added.delta.select("nexus_requests_total"), [], f"{path} is no model endpoint")


def test_405_names_what_is_allowed():
    daemon, a, b = rig()
    for path, template in GET_ROUTES.items():
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = daemon.request(method, path, b"{}")
            allowed = {m.strip() for m in (answer.header("allow") or "").split(",")}
            eq((answer.status, answer.error().get("code")), (405, "method_not_allowed"),
               f"{method} {path}")
            eq(allowed, {"GET", "HEAD"}, f"{method} {path}: Allow")
    for path in POST_ROUTES:
        for method in ("GET", "PUT", "DELETE"):
            with Counting(daemon) as added:
                answer = daemon.request(method, path)
            eq((answer.status, answer.header("allow")), (405, "POST"), f"{method} {path}")
            added.check("gateway_requests_total", 1, method=method, path=path, status="405")
        eq(daemon.request("HEAD", path).status, 405, f"HEAD {path}")
    eq(daemon.request("BREW", "/v1/models").status, 405, "a method nobody knows")
    ok(daemon.settled().sum("gateway_requests_total", status="405"), "405s are counted")
    methods = {labels["method"] for labels, _ in
               daemon.metrics().select("gateway_requests_total")}
    ok("BREW" not in methods, "an invented method makes no series", methods)
    eq((a.log(), b.log()), ([], []), "no backend was asked")


def test_404():
    daemon, *_ = rig()
    paths = ["/nope", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "//v1/models",
             "/V1/models", "/metrics/x", "/healthz", "/v1/models/none", "/admin/status",
             "/v1/%6dodels/none"]
    for path in paths:
        answer = daemon.get(path)
        eq(answer.status, 404, f"GET {path}")
        want = "model_not_found" if answer.error().get("param") == "model" else "not_found"
        eq(answer.error().get("code"), want, f"GET {path}: code")
        eq(answer.header("content-type"), "application/json", f"GET {path}: content type")
    for number in range(20):
        daemon.get(f"/invented/{number}")
    metrics = daemon.settled()
    seen = {labels["path"] for labels, _ in metrics.select("gateway_requests_total")}
    known = set(GET_ROUTES.values()) | set(POST_ROUTES) | {"unknown"}
    ok(seen <= known, "paths that clients invent make no series", seen - known)
    ok(metrics.sum("gateway_requests_total", path="unknown", status="404") >= 20,
       "they are counted as unknown")
    eq(daemon.get("/v1/models?x=1").status, 200, "a query changes no route")


def test_model_list():
    daemon, *_ = rig()
    document = daemon.get("/v1/models").json()
    ids = [m["id"] for m in document["data"]]
    eq(document["object"], "list", "object")
    eq(ids, sorted(MODELS + ["demo", "gpt-4"], key=lambda s: s.encode()),
       "every model and alias once, sorted by id")
    for entry in document["data"]:
        ok(entry["object"] == "model" and isinstance(entry["created"], int) and
           entry["created"] > 1600000000 and entry.get("owned_by"), f"{entry['id']}: the usual members",
           entry)
    by_id = {m["id"]: m for m in document["data"]}
    shared_model = by_id["llama3:70b"]
    eq(shared_model["context_length"], 8192, "context_length")
    ok("tools" in json.dumps(shared_model["capabilities"]), "capabilities", shared_model)
    names = [b if isinstance(b, str) else b["name"] for b in shared_model["backends"]]
    eq(sorted(names), ["a", "b"], "backends")
    ok("llama3:70b" in json.dumps({**by_id["gpt-4"], "id": 0}), "the alias tells its model",
       by_id["gpt-4"])
    again = {m["id"]: m["created"] for m in daemon.get("/v1/models").json()["data"]}
    eq(again, {m["id"]: m["created"] for m in document["data"]}, "created does not change")


def test_model_list_is_one_for_all():
    """Megabytes that are the same for everybody are not held once for each slow reader."""
    models = [f"{n:04}{'x' * 240}" for n in range(3000)]
    with Rig([a := FakeBackend("a", models)], backends=[backend(a, discover=True)]) as (daemon, _):
        daemon.wait_models(*models)
        whole = daemon.get("/v1/models").body
        with Counting(daemon) as added:
            before = daemon.resident_bytes()
            slow = [daemon.connect(rcvbuf=2048) for _ in range(60)]
            for connection in slow:
                connection.request("GET", "/v1/models")
            eq({connection.read_head().status for connection in slow}, {200}, "readers that stop")
            grown = daemon.resident_bytes() - before
            ok(grown < 20 * len(whole), "hold less than the list each",
               f"{grown} bytes with 60 readers of {len(whole)}")
            for connection in slow:
                connection.close()
        added.check("gateway_requests_total", 60, path="/v1/models")


def test_single_models():
    daemon, *_ = rig()
    listed = {m["id"]: m for m in daemon.get("/v1/models").json()["data"]}
    targets = {"llama3:70b": ["llama3:70b", "llama3%3A70b", "llama3%3a70b"],
               "meta-llama/Llama-3/8B": ["meta-llama/Llama-3/8B", "meta-llama%2FLlama-3%2f8B"],
               "a b": ["a%20b"], "100%": ["100%25"], "é": ["%C3%A9"], "gpt-4": ["gpt-4"]}
    for model, paths in targets.items():
        for path in paths:
            answer = daemon.get(f"/v1/models/{path}")
            eq((answer.status, answer.json()), (200, listed[model]), f"/v1/models/{path}")
    for path in ("100%2525", "llama3%253A70b", "a+b"):
        answer = daemon.get(f"/v1/models/{path}")
        eq((answer.status, answer.error().get("code")), (404, "model_not_found"),
           f"/v1/models/{path} is decoded once")


def test_health():
    daemon, *_ = rig()
    answer = daemon.get("/health").json()
    eq((answer["status"], answer["backends"], answer["models"]),
       ("healthy", {"total": 3, "healthy": 3, "unhealthy": 0}, {"total": len(MODELS) + 1}),
       "the summary")
    ok(isinstance(answer["version"], str) and isinstance(answer["uptime_seconds"], int),
       "version and uptime")
    verbose = daemon.get("/health?verbose").json()
    text = json.dumps(verbose)
    ok(all(f'"{name}"' in text for name in ("a", "b", "demo")), "?verbose lists the backends",
       verbose)
    metrics = daemon.settled()
    eq([metrics.get(n) for n in ("nexus_backends_total", "nexus_backends_healthy",
                                 "nexus_models_available")], [3, 3, len(MODELS) + 1], "the gauges")


def test_demo_backend():
    daemon, *_ = rig()
    with Counting(daemon) as added:
        answer = daemon.chat("demo", "How are the ducks?")
    document = answer.json()
    eq(answer.status, 200, "the demo model answers")
    ok("How are the ducks?" in document["choices"][0]["message"]["content"], "it echoes the prompt")
    eq((document["object"], document["model"], document["choices"][0]["finish_reason"]),
       ("chat.completion", "demo", "stop"), "as OpenAI does")
    usage = document["usage"]
    eq(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"], "usage adds up")
    eq(answer.header("x-nexus-backend"), "demo", "X-Nexus-Backend")
    added.check_request("demo", "demo", 200)
    added.check("nexus_tokens_total_sum", usage["prompt_tokens"], type="prompt", model="demo")
    eq(daemon.chat("demo", "How are the ducks?").json()["choices"], document["choices"],
       "it is deterministic")
    with Counting(daemon) as added:
        events = daemon.stream("demo", "How are the ducks?").all_data()
    text = content_of(events)
    eq((text, events[-1]), (document["choices"][0]["message"]["content"], "[DONE]"),
       "the streamed answer is the same text")
    ok(not any(json.loads(e).get("usage") for e in events[:-1]), "no usage unasked")
    added.check_request("demo", "demo", 200)
    added.check("nexus_tokens_total_sum", usage["completion_tokens"], type="completion")
    events = daemon.stream("demo", "x", stream_options={"include_usage": True}).all_data()
    ok(json.loads(events[-2])["usage"]["total_tokens"] > 0, "usage when asked")


def test_prompt_shapes_the_demo_understands():
    daemon, *_ = rig()
    parts = [{"type": "text", "text": "part one"}, {"type": "text", "text": "part two"}]
    shapes = {"parts": [{"role": "user", "content": parts}],
              "null content": [{"role": "user", "content": "q"},
                               {"role": "assistant", "content": None, "tool_calls": []}],
              "no content": [{"role": "assistant"}], "no messages": [],
              "unicode": [{"role": "user", "content": "é \u2028 😀 \" \\ \n \u0001"}]}
    for name, messages in shapes.items():
        answer = daemon.post("/v1/chat/completions", {"model": "demo", "messages": messages})
        eq(answer.status, 200, f"demo, {name}")
        ok(answer.json()["choices"][0]["message"]["content"] is not None, f"demo, {name}: text")
    eq(daemon.post("/v1/completions", {"model": "demo", "prompt": "p"}).status in (200, 400, 404),
       True, "legacy completions end in an orderly way")


def test_faces_and_several_listeners():
    a = FakeBackend("a")
    ports = [harness.free_port() for _ in range(3)]
    addresses = [f"127.0.0.1:{p}" for p in ports]
    has_ipv6 = os.path.exists("/proc/net/if_inet6") and "lo" in open("/proc/net/if_inet6").read()
    listeners = [{"address": addresses[0], "faces": ["api", "metrics"]},
                 {"address": addresses[1], "faces": ["api"]},
                 {"address": addresses[2], "faces": ["metrics"]}]
    if has_ipv6:
        listeners.append({"address": f"[::1]:{ports[0]}", "faces": ["api"]})
    rig_options = {"listeners": listeners, "workers": 2, "backends": [backend(a)]}
    daemon = Daemon(text=harness.config_text(**rig_options), wait=False)
    daemon.address = addresses[0]
    with daemon:
        daemon.wait_ready()
        daemon.wait_healthy(1)
        wanted = {"/v1/models": (200, 200, 404), "/metrics": (200, 404, 200),
                  "/v1/stats": (200, 404, 200), "/health": (200, 200, 200),
                  "/livez": (200, 200, 200), "/readyz": (200, 200, 200)}
        for path, statuses in wanted.items():
            got = tuple(daemon.get(path, address=x).status for x in addresses)
            eq(got, statuses, f"{path} on api+metrics, api, metrics")
        body = json.dumps(chat_body("model-a")).encode()
        got = [daemon.request("POST", "/v1/chat/completions", body, address=x).status
               for x in addresses]
        eq(got, [200, 200, 404], "chat on api+metrics, api, metrics")
        if has_ipv6:
            eq(daemon.get("/v1/models", address=f"[::1]:{ports[0]}").status, 200, "IPv6")
        else:
            tap.skip("IPv6", "no IPv6 on this machine")
    a.stop()


def test_unix_listener():
    a = FakeBackend("a")
    folder = harness.tempfile.TemporaryDirectory(prefix="nexusd-test-")
    path = os.path.join(folder.name, "api.sock")
    address = f"unix:{path}"
    listeners = [{"address": address, "faces": ["api", "metrics"], "mode": "0640"}]
    for life in ("first", "second, after a stale socket file"):
        text = harness.config_text(listeners=listeners, backends=[backend(a)])
        daemon = Daemon(text=text, wait=False)
        daemon.address = address
        with daemon:
            daemon.wait_ready()
            daemon.wait_healthy(1)
            eq(daemon.chat("model-a").status, 200, f"chat over a unix socket, {life}")
            eq(stat.S_IMODE(os.stat(path).st_mode), 0o640, f"its mode, {life}")
        ok(not os.path.exists(path), f"its file is removed at the end, {life}")
        if life == "first":
            left = harness.socket.socket(harness.socket.AF_UNIX)
            left.bind(path)
            left.close()
    folder.cleanup()
    a.stop()


if __name__ == "__main__":
    tap.run(globals())
