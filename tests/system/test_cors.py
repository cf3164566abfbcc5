#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What browsers need to let pages of other origins use nexusd (the CORS protocol of Fetch)."""
import json
import pathlib
import subprocess
import tempfile

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend
from tap import eq, ok

MODEL, CHAT = "m", "/v1/chat/completions"
PAGE, OTHER, APP = "https://chat.example.org", "https://evil.example.org", "app://obsidian.md"


def rig(*origins):
    fake = FakeBackend("a", [MODEL])
    return Rig([fake], backends=[backend(fake)], cors_origins=list(origins))


def ask_before(daemon, origin, path=CHAT, method="POST", headers="authorization, content-type"):
    """What a browser asks before it sends a request of a page."""
    fields = {"Origin": origin, "Access-Control-Request-Method": method,
              "Access-Control-Request-Headers": headers}
    return daemon.request("OPTIONS", path, None, {k: v for k, v in fields.items() if v})


def allowed(answer):
    return answer.header("access-control-allow-origin")


def test_asking_before():
    with rig(PAGE, APP) as (daemon, fake), Counting(daemon) as added:
        for origin in (PAGE, APP):
            answer = ask_before(daemon, origin)
            eq((answer.status, allowed(answer), answer.header("access-control-allow-methods"),
                answer.header("access-control-allow-headers"), answer.header("vary")),
               (204, origin, "POST", "authorization, content-type", "Origin"),
               f"{origin} may ask for a model")
        ok(int(answer.header("access-control-max-age")) > 0, "and need not ask each time")
        eq((answer.header("content-length"), answer.body), (None, b""), "there is no body")
        answer = ask_before(daemon, PAGE, "/v1/models", "GET", None)
        eq((answer.status, answer.header("access-control-allow-methods"),
            answer.header("access-control-allow-headers")), (204, "GET, HEAD", None),
           "for the models, without headers of its own")
        answer = ask_before(daemon, PAGE, "/v1/models", "GET", ", ".join(["x-header"] * 700))
        eq((answer.status, answer.header("access-control-allow-headers")), (204, None),
           "nor with thousands of them")
        eq(fake.log(), [], "no backend was asked")
    added.check("gateway_requests_total", 2, method="OPTIONS", path=CHAT, status="204")
    added.check("gateway_requests_total", 2, method="OPTIONS", path="/v1/models", status="204")
    eq(added.delta.select("nexus_requests_total"), [], "no request for a model is counted")


def test_not_allowed():
    with rig(PAGE) as (daemon, _):
        for origin in (OTHER, PAGE + ".evil.example", "null", "HTTPS://CHAT.EXAMPLE.ORG", None):
            answer = ask_before(daemon, origin)
            eq((answer.status, answer.header("allow"), allowed(answer)), (405, "POST", None),
               f"{origin} is not allowed")
            answer = daemon.get("/v1/models", {"Origin": origin} if origin else None)
            eq((answer.status, allowed(answer), answer.header("vary")), (200, None, "Origin"),
               f"{origin}: no cache mixes up the answers")
        answer = daemon.request("OPTIONS", CHAT, None, {"Origin": PAGE})
        eq((answer.status, allowed(answer)), (405, PAGE), "a plain OPTIONS is not that question")
        eq(ask_before(daemon, PAGE, "/nowhere").status, 404, "nor is a path that is not there")


def test_what_browsers_send_unasked():
    with rig(PAGE) as (daemon, fake):
        body = json.dumps(harness.chat_body(MODEL)).encode()
        for origin in (PAGE, OTHER):
            for kind, status in ((None, 415), ("text/plain", 415), ("application/json", 200)):
                answer = daemon.request("POST", CHAT, body, {"Origin": origin, "Content-Type": kind})
                eq(answer.status, status, f"a body from {origin} with the type {kind}")
        eq(len(fake.log()), 2, "no backend saw the others")
        eq(daemon.request("POST", CHAT, body, {"Content-Type": None}).status, 200, "what is no page needs no type")


def test_answers():
    with rig(PAGE) as (daemon, _), Counting(daemon) as added:
        headers = {"Origin": PAGE}
        answers = [daemon.chat(MODEL, headers=headers), daemon.get("/v1/models", headers),
                   daemon.get("/health", headers), daemon.get("/metrics", headers)]
        eq([(answer.status, allowed(answer)) for answer in answers], [(200, PAGE)] * 4,
           "answers may be read")
        ok(all(answer.header("access-control-expose-headers") == "*" for answer in answers),
           "with their headers")
        eq([answer.header("access-control-allow-credentials") for answer in answers], [None] * 4,
           "but cookies are not let through")
        stream = daemon.stream(MODEL, headers=headers)
        eq((allowed(stream.head), stream.all_data()[-1]), (PAGE, "[DONE]"), "streams, too")
        for what, answer, status in (
                ("unknown model", daemon.chat("nobody", headers=headers), 404),
                ("unknown path", daemon.get("/nowhere", headers), 404),
                ("no JSON", daemon.post(CHAT, b"{", headers), 400),
                ("wrong method", daemon.request("PUT", "/health", headers=headers), 405)):
            eq((answer.status, allowed(answer)), (status, PAGE), f"{what}: and errors")
    added.check("nexus_requests_total", 2, model=MODEL, status="200")


def test_all_and_none():
    with rig("*") as (daemon, _):
        eq((ask_before(daemon, OTHER).status, allowed(daemon.chat(MODEL, headers={"Origin": OTHER}))),
           (204, "*"), "an asterisk allows all")
    with rig() as (daemon, _):
        answer = daemon.chat(MODEL, headers={"Origin": PAGE})
        eq((ask_before(daemon, PAGE).status, allowed(answer), answer.header("vary")),
           (405, None, None), "without the option nothing is said")


def test_reload():
    with rig(PAGE) as (daemon, fake):
        text = daemon.make_config(backends=[backend(fake)], cors_origins=[OTHER])
        daemon.config_path.write_text(text)
        eq(daemon.request("POST", "/admin/reload", address=daemon.admin_address).status, 200,
           "a reload")
        ok(harness.wait_until(lambda: ask_before(daemon, OTHER).status == 204), "adds one")
        ok(harness.wait_until(lambda: ask_before(daemon, PAGE).status == 405), "and removes one")


def test_bad_origins():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as folder:
        config = pathlib.Path(folder) / "nexusd.conf"
        for origin, status in (
                (PAGE, 0), ("http://[::1]:8080", 0), ("tauri://localhost", 0), ("*", 0),
                ("chrome-extension://abcdefgh", 0), (PAGE + "/", 1), (PAGE + "/app", 1),
                ("chat.example.org", 1), ("https://Chat.example.org", 1), ("https://*.org", 1),
                ("https://", 1), ("https://h:port", 1), ("https://u@h", 1), ("://h", 1),
                ("null", 1)):
            config.write_text(harness.config_text(cors_origins=[origin]))
            done = subprocess.run([harness.find_program(), "-c", config, "--check-config"],
                                  capture_output=True, text=True, check=False)
            eq((done.returncode, "no browser sends" in done.stderr), (status, status == 1), origin,
               done.stderr)


if __name__ == "__main__":
    tap.run(globals())
