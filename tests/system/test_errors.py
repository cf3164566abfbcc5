#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every error a client can cause: status, envelope, counters, and that no backend was bothered."""
import json
import pathlib

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, shared
from tap import eq, ok

MODEL = "llama3:70b"
GOOD = b'{"model":"llama3:70b","messages":[]}'


@shared
def rig():
    a = FakeBackend("a", [MODEL, "blind"])
    models = [{"id": MODEL}, {"id": "blind", "vision": False, "tools": False, "json_mode": False,
                              "context_length": 64}]
    return Rig([a], backends=[{**backend(a, discover=True), "models": models}],
               limits={"max_body": "64K", "max_header": "8K"})


def check_envelope(answer, status, code, kind, param=None):
    name = f"{status} {code}"
    error = answer.error()
    eq(answer.status, status, f"{name}: status", repr(answer))
    eq((error.get("type"), error.get("code"), error.get("param")), (kind, code, param),
       f"{name}: type, code, param")
    ok(set(error) >= {"message", "type", "param", "code"} and error.get("message"),
       f"{name}: all four members", error)
    eq(answer.header("content-type"), "application/json", f"{name}: content type")
    ok(answer.header("x-request-id"), f"{name}: X-Request-Id")


SYNTAX = {
    "empty body": b"", "blank": b"  ", "not JSON": b"hello", "array": b"[1]", "string": b'"x"',
    "null": b"null", "cut": GOOD[:-1], "trailing bytes": GOOD + b"x",
    "two documents": GOOD + GOOD, "trailing NUL": GOOD + b"\0",
    "trailing comma": b'{"model":"llama3:70b",}', "single quotes": b"{'model':'llama3:70b'}",
    "comment": b'{"model":"llama3:70b"/**/}', "NaN": b'{"model":"llama3:70b","t":NaN}',
    "leading zero": b'{"model":"llama3:70b","t":01}', "plus": b'{"model":"llama3:70b","t":+1}',
    "bare dot": b'{"model":"llama3:70b","t":1.}', "unquoted": b'{model:"llama3:70b"}',
    "raw newline in a string": b'{"model":"llama3:70b","a":"\n"}',
    "bad escape": b'{"model":"llama3:70b","a":"\\x41"}',
    "lone surrogate": b'{"model":"llama3:70b","a":"\\ud800"}',
    "surrogates reversed": b'{"model":"llama3:70b","a":"\\udc00\\ud800"}',
    "bad UTF-8": b'{"model":"llama3:70b","a":"\xff"}',
    "overlong UTF-8": b'{"model":"llama3:70b","a":"\xc0\xaf"}',
    "UTF-8 surrogate": b'{"model":"llama3:70b","a":"\xed\xa0\x80"}',
    "UTF-8 BOM": b"\xef\xbb\xbf" + GOOD, "UTF-16": GOOD.decode().encode("utf-16"),
    "depth 257": b'{"model":"llama3:70b","x":' + b"[" * 256 + b"]" * 256 + b"}",
    "depth 30000": b'{"model":"llama3:70b","x":' + b"[" * 30000,
}


def test_json_that_is_refused():
    daemon, a = rig()
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        with Counting(daemon) as added:
            for name, body in SYNTAX.items():
                answer = daemon.post(path, body)
                ok(answer.status == 400 and answer.error().get("code") in (
                    "invalid_json", "invalid_field"), f"{path}, {name}: 400", repr(answer))
        added.check_request("_unknown", "none", 400, "bad_request", len(SYNTAX))
    eq(a.log(), [], "the backend saw none of them")
    check_envelope(daemon.post("/v1/chat/completions", b"{"), 400, "invalid_json",
                   "invalid_request_error")


FIELDS = {
    "no model": (b"{}", "model"), "model null": (b'{"model":null}', "model"),
    "model number": (b'{"model":5}', "model"), "model list": (b'{"model":["x"]}', "model"),
    "model empty": (b'{"model":""}', "model"), "model 257": (b'{"model":"%s"}' % (b"m" * 257),
                                                            "model"),
    "model with control": (b'{"model":"a\\u0007b"}', "model"),
    "model with NUL": (b'{"model":"llama3:70b\\u0000"}', "model"),
    "model with NUL in its name": (b'{"model":"llama3:70b","model\\u0000x":"evil"}', "model"),
    "model twice": (b'{"model":"llama3:70b","model":"evil"}', "model"),
    "model twice, escaped": (b'{"model":"llama3:70b","mod\\u0065l":"evil"}', "model"),
    "stream in capitals": (b'{"model":"llama3:70b","STREAM":true}', "stream"),
    "stream with a long s": ('{"model":"llama3:70b","\u017ftream":true}'.encode(), "stream"),
    "model twice, in capitals": (b'{"model":"llama3:70b","MODEL":"evil"}', "model"),
    "stream twice": (b'{"model":"llama3:70b","stream":false,"stream":true}', "stream"),
    "stream string": (b'{"model":"llama3:70b","stream":"yes"}', "stream"),
    "stream number": (b'{"model":"llama3:70b","stream":1}', "stream"),
    "stream_options list": (b'{"model":"llama3:70b","stream":true,"stream_options":[]}',
                            "stream_options"),
}


def test_fields_of_the_wrong_type():
    daemon, a = rig()
    for name, (body, param) in FIELDS.items():
        answer = daemon.post("/v1/chat/completions", body)
        eq((answer.status, answer.error().get("code"), answer.error().get("param")),
           (400, "invalid_field", param), name, repr(answer))
    eq(a.log(), [], "the backend saw none of them")
    check_envelope(daemon.post("/v1/chat/completions", b"{}"), 400, "invalid_field",
                   "invalid_request_error", "model")
    eq(daemon.post("/v1/chat/completions", b'{"model":"llama3:70b","stream":null}').status, 200,
       "stream null is as good as absent")


def test_json_test_suite():
    """The published JSON parser cases, when they are at hand."""
    folder = harness.os.environ.get("JSON_TEST_SUITE")
    if not folder or not pathlib.Path(folder).is_dir():
        raise tap.Skip("JSON_TEST_SUITE is not set")
    daemon, _ = rig()
    wrong = []
    cases = sorted(pathlib.Path(folder).glob("**/[yn]_*.json"))
    ok(len(cases) > 200, f"{len(cases)} cases")
    for case in cases:
        body = b'{"model":"llama3:70b","x":' + case.read_bytes() + b"}"
        want = 200 if case.name.startswith("y_") else 400
        status = daemon.post("/v1/chat/completions", body).status
        if status != want and not (want == 400 and status == 413):
            wrong.append((case.name, status))
    eq(wrong, [], "each case is judged right")


def test_content_types():
    daemon, a = rig()
    wanted = {"application/json": 200, "application/json; charset=utf-8": 200,
              "Application/JSON": 200, "application/x-www-form-urlencoded": 415,
              "text/plain": 415, "multipart/form-data; boundary=x": 415, "application/xml": 415}
    for kind, want in wanted.items():
        answer = daemon.post("/v1/chat/completions", GOOD, {"Content-Type": kind})
        eq(answer.status, want, f"Content-Type: {kind}")
    n_relayed = len(a.log())
    with Counting(daemon) as added:
        answer = daemon.post("/v1/chat/completions", GOOD,
                             {"Content-Type": "application/x-www-form-urlencoded"})
    check_envelope(answer, 415, "unsupported_media_type", "invalid_request_error")
    ok("Content-Type: application/json" in answer.error()["message"], "says which header to add")
    added.check_request("_unknown", "none", 415, "bad_request")
    for coding in ("gzip", "deflate", "br", "gzip, identity"):
        eq(daemon.post("/v1/chat/completions", GOOD, {"Content-Encoding": coding}).status, 415,
           f"Content-Encoding: {coding}")
    eq(daemon.post("/v1/chat/completions", GOOD, {"Content-Encoding": "identity"}).status, 200,
       "Content-Encoding: identity is none")
    eq(len(a.log()), n_relayed + 1, "the backend saw only the legal ones")


def test_unknown_model():
    daemon, a = rig()
    with Counting(daemon) as added:
        answer = daemon.chat("gpt-nope")
    check_envelope(answer, 404, "model_not_found", "invalid_request_error", "model")
    ok(MODEL in answer.error()["message"], "it lists what is known")
    added.check_request("_unknown", "none", 404, "model_not_found")
    eq(daemon.chat("x" * 256).status, 404, "256 bytes are a legal name")
    hostile = 'x"}\n evil_metric 1\n\u202e<script>'
    answer = daemon.post("/v1/chat/completions", {"model": hostile.replace("\n", "")})
    eq(answer.status, 404, "a hostile name")
    ok(answer.json(), "is quoted properly")
    eq(a.log(), [], "[repair] no backend is asked, nothing waits")


def test_invented_models_make_no_series():
    daemon, _ = rig()
    daemon.chat("first-unknown")
    before = daemon.settled()
    with daemon.connect() as connection:
        for number in range(500):
            connection.request("POST", "/v1/chat/completions", None,
                               b'{"model":"invented-%d"}' % number)
            connection.read_response()
    after = daemon.settled()
    eq(len(after.samples), len(before.samples), "[repair] 500 invented models add no series")
    eq(after.sum("nexus_requests_total") - before.sum("nexus_requests_total"), 500,
       "[repair] and are counted, as one")


def test_capability_mismatch():
    daemon, a = rig()
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    asks = {"tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "json mode": {"response_format": {"type": "json_object"}},
            "json schema": {"response_format": {"type": "json_schema", "json_schema": {}}},
            "context length": {"messages": [{"role": "user", "content": "word " * 5000}]},
            "vision": {"messages": [{"role": "user", "content": image}]}}
    missing = ("tools", "json_mode", "json_mode", "context_length", "vision")
    for (name, fields), word in zip(asks.items(), missing):
        with Counting(daemon) as added:
            answer = daemon.post("/v1/chat/completions",
                                 {"model": "blind", "messages": [], **fields})
        eq((answer.status, answer.error().get("code")), (400, "capability_mismatch"), name,
           repr(answer))
        context = answer.error()["context"]
        eq(([row["missing"] for row in context["excluded"]], "retry_after_seconds" in context),
           ([word], False), "it says what is missing, for good")
        added.check_request("blind", "none", 400, "capability_mismatch")
    eq(a.log(), [], "a known no excludes")
    for name, fields in asks.items():
        answer = daemon.post("/v1/chat/completions", {"model": MODEL, "messages": [], **fields})
        eq(answer.status, 200, f"{name}: unknown counts as yes")
    for name, fields in {"no tools": {"tools": []}, "text": {"response_format": {"type": "text"}},
                         "null": {"tools": None, "response_format": None}}.items():
        answer = daemon.post("/v1/chat/completions", {"model": "blind", "messages": [], **fields})
        eq(answer.status, 200, f"{name}: asks for nothing special", repr(answer))


def test_bodies_that_are_too_large():
    daemon, a = rig()
    body = b'{"model":"llama3:70b","x":"' + b"y" * (64 * 1024 - 29) + b'"}'
    eq(len(body), 65536, "exactly the limit")
    eq(daemon.post("/v1/chat/completions", body).status, 200, "is accepted")
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                            b"Content-Length: 65537\r\n\r\n")
            answer = connection.read_response()
            check_envelope(answer, 413, "payload_too_large", "invalid_request_error")
            ok(connection.is_closed(), "413 comes before the body, and the connection ends")
    added.check_request("_unknown", "none", 413, "payload_too_large")
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                            b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
            eq(connection.read_head().status, 413, "no 100 Continue for a body that is too large")
    added.check_request("_unknown", "none", 413, "payload_too_large")
    with Counting(daemon) as added:
        with daemon.connect() as connection:
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(80):
                    connection.send(b"400\r\n" + b" " * 1024 + b"\r\n")
            except ConnectionError:
                pass
            answer = connection.read_response()
            eq((answer.status, answer.error().get("code")), (413, "payload_too_large"),
               "a chunked body is refused where it grows past the limit")
    added.check_request("_unknown", "none", 413, "payload_too_large")
    eq(len(a.log()), 1, "the backend saw only the legal one")


def test_heads_that_are_too_large():
    daemon, _ = rig()
    answer = daemon.get("/v1/models", {"X-Large": "y" * 6000})
    eq(answer.status, 200, "6000 bytes of head are fine")
    with Counting(daemon) as added:
        answer = daemon.get("/v1/models", {f"X-{n}": "y" * 900 for n in range(10)})
        check_envelope(answer, 431, "headers_too_large", "invalid_request_error")
        answer = daemon.get("/v1/models?" + "q" * 9000)
        check_envelope(answer, 414, "uri_too_long", "invalid_request_error")
    for status in ("414", "431"):
        added.check("gateway_requests_total", 1, status=status)
    for answer in (daemon.get("/v1/models", {"X-Large": "y" * 20000}),
                   daemon.get("/v1/models?" + "q" * 20000)):
        ok(answer is not None and answer.status in (400, 413, 414, 431),
           "20 KB are refused by the library itself", repr(answer))
    eq(daemon.get("/v1/models").status, 200, "and it goes on")


def test_error_bodies_hold_no_secret_and_no_html():
    daemon, _ = rig()
    for answer in (daemon.get("/<script>"), daemon.chat("<script>alert(1)</script>"),
                   daemon.post("/v1/chat/completions", b"<html>")):
        ok(answer.header("content-type") == "application/json" and
           json.loads(answer.body)["error"], f"{answer.status} is JSON", repr(answer))


if __name__ == "__main__":
    tap.run(globals())
