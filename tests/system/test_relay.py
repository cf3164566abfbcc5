#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plain answers: bytes, headers and models pass as they are, and the counters know."""
import gzip
import json
import threading

import harness
import tap
from fake_backend import FakeBackend
from harness import Counting, Rig, backend, shared
from http_client import Incomplete
from prometheus_text import sanitize
from tap import eq, ok

MODEL = "llama3:70b"
ALIASES = [{"name": "gpt-4", "model": MODEL}, {"name": "gpt-5", "model": "gpt-4"},
           {"name": 'odd "alias"/é', "model": "quote\"d/é:x"}]


@shared
def rig():
    a = FakeBackend("a", [MODEL, "meta/llama-3 8B", 'quote"d/é:x'])
    cloud = FakeBackend("cloud.1", ["cloud-model"], "openai")
    passing = FakeBackend("passing", ["pass-model"])
    bad_key = FakeBackend("bad-key", ["refused-model"])
    cloud.require_key = "Bearer sk-secret-1234"
    bad_key.require_key = "Bearer another"
    keys = harness.tempfile.TemporaryDirectory()
    key_file = harness.pathlib.Path(keys.name) / "cloud-key"
    key_file.write_text("sk-secret-1234\n")
    key_file.chmod(0o600)
    tap.at_end.append(keys.cleanup)
    return Rig([a, cloud, passing, bad_key], backends=[
        backend(a), backend(cloud, credential="cloud-key"),
        backend(passing, forward_authorization=True, url=passing.url + "/v1/"),
        backend(bad_key)],
        credentials_directory=keys.name, healthy=3,
        routing={"aliases": ALIASES, "strategy": "priority_only"})


BODIES = {
    "odd whitespace": b'\r\n\t {  "model" :\t"llama3:70b" ,\n "messages":[ ] }\r\n  ',
    "unknown fields": b'{"model":"llama3:70b","messages":[],"zz":{"a":[1,{"b":null}]},"":0}',
    "nested duplicates": b'{"model":"llama3:70b","messages":[{"role":"user","role":"x"}]}',
    "nested members called model": b'{"messages":[{"model":"evil","content":"\\"model\\":\\"x\\""'
                                   b'}],"model":"llama3:70b"}',
    "big numbers": b'{"model":"llama3:70b","seed":123456789012345678901234567890,"t":1.0E+400,'
                   b'"u":-0.0,"v":1e-999}',
    "unicode": '{"model":"llama3:70b","messages":[{"role":"user","content":"é 漢字 😀 \u2028"}]}'
               .encode(),
    "escapes": b'{"model":"llama3:70b","messages":[{"content":"\\u00e9\\ud83d\\ude00\\/\\u0000"}]}',
    "escaped model": b'{"model":"llama3\\u003a70b","messages":[]}',
    "stop, tools, content null": b'{"model":"llama3:70b","stop":"x","messages":[{"role":"assistant"'
                                 b',"content":null,"tool_calls":[]},{"role":"user"}],"stream":false}',
    "depth 250": b'{"model":"llama3:70b","x":' + b"[" * 249 + b"]" * 249 + b"}",
    "300 KB": b'{"model":"llama3:70b","messages":[{"role":"user","content":"'
              + b"y" * 300000 + b'"}]}',
}


def test_request_bodies_pass_byte_for_byte():
    daemon, a, *_ = rig()
    with Counting(daemon) as added:
        for name, body in BODIES.items():
            answer = daemon.post("/v1/chat/completions", body)
            eq(answer.status, 200, f"{name}: answered")
            entry = a.log()[-1]
            eq(entry.body, body, f"{name}: upstream body")
            eq(entry.header("content-length"), str(len(body)), f"{name}: exact length")
            eq(entry.header("transfer-encoding"), None, f"{name}: not chunked")
            eq(answer.body, entry.answer, f"{name}: answer's body")
    added.check_request("llama3_70b", "a", 200, n=len(BODIES))
    eq(len(a.log()), len(BODIES), "one upstream request each")


def test_chunked_request_is_relayed_with_its_length():
    daemon, a, *_ = rig()
    body = b'{"model":"llama3:70b", "messages":[]}'
    with daemon.connect() as connection:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 7):
            piece = body[start:start + 7]
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\nTrailer-Field: ignored\r\n\r\n")
        eq(connection.read_response().status, 200, "chunked request without a Content-Type")
    eq(a.log()[-1].body, body, "upstream body")
    eq(a.log()[-1].header("trailer-field"), None, "trailers stay here")


def test_expect_continue():
    daemon, a, *_ = rig()
    body = b'{"model":"llama3:70b"}'
    with daemon.connect() as connection:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        eq(connection.read_head().status, 100, "100 Continue before the body")
        connection.send(body)
        eq(connection.read_response().status, 200, "then the answer")
    eq(a.log()[-1].header("expect"), None, "no Expect upstream")


ANSWERS = {
    "odd but valid JSON": b' \n{"choices" : [ ],"usage":{"prompt_tokens":3,"completion_tokens":4},'
                          b'"x":{"y":1,"y":2}, "n": 12345678901234567890, "s":"\\u00e9"}\t',
    "no usage": b'{"choices":[]}',
    "usage null": b'{"choices":[],"usage":null}',
    "deep": b'{"x":' + b"[" * 200 + b"]" * 200 + b"}",
    "200 KB, beyond what is judged before the relay": b'{"x":"' + b"z" * 200000 + b'"}',
    "big, not JSON at all": b"\x00\xff" * 50000,
}


def test_answer_bodies_pass_byte_for_byte():
    daemon, a, *_ = rig()
    for name, body in ANSWERS.items():
        for chunked in (False, True):
            a.behave({"body": body, "chunked": chunked, "status": 200})
            answer = daemon.chat(MODEL)
            eq((answer.status, answer.body), (200, body), f"{name}, chunked {chunked}")
    daemon.settled()
    eq(len(a.log()), 2 * len(ANSWERS), "asked once each")


def test_alias_changes_only_the_value_of_model():
    daemon, a, *_ = rig()
    for alias, target in (("gpt-4", MODEL), ("gpt-5", MODEL), ('odd "alias"/é', 'quote"d/é:x')):
        before, after = b'{ "a":"gpt-4" , "model" :  ', b' ,"model2":"gpt-4","t":1.50}  '
        with Counting(daemon) as added:
            answer = daemon.post("/v1/chat/completions",
                                 before + json.dumps(alias).encode() + after)
        eq(answer.status, 200, f"alias {alias}")
        sent = a.log()[-1].body
        ok(sent.startswith(before) and sent.endswith(after), f"{alias}: the rest is untouched",
           sent)
        eq(json.loads(sent)["model"], target, f"{alias}: the model's real name")
        added.check("nexus_requests_total", 1, model=sanitize(target), backend="a",
                    status="200")
        eq(len(added.delta.select("nexus_requests_total")), 1, f"{alias}: is no label value")


def test_slashes_and_spaces_in_model_names():
    daemon, a, *_ = rig()
    with Counting(daemon) as added:
        eq(daemon.chat("meta/llama-3 8B").status, 200, "served")
    added.check_request("meta_llama_3_8B", "a", 200)
    eq(a.log()[-1].model, "meta/llama-3 8B", "asked for by its name")


def test_completions_and_embeddings():
    daemon, a, *_ = rig()
    cases = [("/v1/completions", {"model": MODEL, "prompt": "once"}),
             ("/v1/embeddings", {"model": MODEL, "input": "x"}),
             ("/v1/embeddings", {"model": MODEL, "input": ["x", "y"]}),
             ("/v1/embeddings", {"model": MODEL, "input": [[1, 2], [3]]})]
    for path, document in cases:
        with Counting(daemon) as added:
            answer = daemon.post(path, document)
        eq(answer.status, 200, f"{path} {document}")
        entry = a.log(path)[-1]
        eq((answer.body, entry.json()), (entry.answer, document), f"{path}: byte for byte")
        added.check_request("llama3_70b", "a", 200)
        added.check("gateway_requests_total", 1, method="POST", path=path, status="200")
        added.check("nexus_tokens_total_sum", 11 if "prompt" in document else 5, type="prompt")


def test_tools_pass():
    daemon, a, *_ = rig()
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    answer = daemon.chat(MODEL, tools=tools, tool_choice="auto")
    call = answer.json()["choices"][0]["message"]["tool_calls"][0]
    eq(call["function"]["arguments"], '{"q":"é "x""}'.replace('"x"', '\\"x\\"').replace(
        "é", "\\u00e9"), "[repair] tool calls arrive as sent")
    eq(a.log()[-1].json()["tools"], tools, "[repair] tools are passed on")


def test_usage_is_counted():
    daemon, a, *_ = rig()
    a.behave({"usage": {"prompt_tokens": 120, "completion_tokens": 34}}, {"no_usage": True},
             {"body": b'{"usage":{"prompt_tokens":-3,"completion_tokens":1.5}}'},
             {"body": b'{"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":"7"}}'})
    with Counting(daemon) as added:
        statuses = [daemon.chat(MODEL).status for _ in range(4)]
    eq(statuses, [200] * 4, "all answered")
    for kind, want in (("prompt", 120), ("completion", 34)):
        labels = {"model": "llama3_70b", "backend": "a", "type": kind}
        added.check("nexus_tokens_total_sum", want, **labels)
        added.check("nexus_tokens_total_count", 1, **labels)
        le = "500.0" if kind == "prompt" else "50.0"
        added.check("nexus_tokens_total_bucket", 1, le=le, **labels)
    if added.after.has_family("nexus_usage_missing_total"):
        added.check("nexus_usage_missing_total", 3, model="llama3_70b", backend="a")


def test_request_headers_allow_list():
    daemon, a, *_ = rig()
    sent = {"Authorization": "Bearer client-secret", "X-Api-Key": "client-secret",
            "Cookie": "c=1", "X-Evil": "1", "Connection": "X-Hop", "X-Hop": "1", "TE": "trailers",
            "Proxy-Authorization": "x", "Upgrade": "h2c", "Accept-Encoding": "gzip, br",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "tracestate": "v=1", "X-Request-Id": "abc.DEF-123", "X-Forwarded-For": "6.6.6.6",
            "Content-Type": "application/json; charset=utf-8"}
    answer = daemon.chat(MODEL, headers=sent)
    entry = a.log()[-1]
    eq(answer.status, 200, "answered")
    for name in ("authorization", "x-api-key", "cookie", "x-evil", "x-hop", "te", "upgrade",
                 "proxy-authorization"):
        eq(entry.header(name), None, f"{name} is not passed on")
    for name in ("traceparent", "tracestate"):
        eq(entry.header(name), sent[name], f"{name} is passed on")
    eq(entry.header("accept-encoding"), "identity", "no encodings are asked for")
    eq((entry.header("content-type") or "").split(";")[0], "application/json", "content type")
    eq(entry.header("x-request-id"), "abc.DEF-123", "request id upstream")
    eq(answer.header("x-request-id"), "abc.DEF-123", "request id echoed")
    ok(not any("client-secret" in v for _, v in entry.headers), "no secret of the client leaks")
    eq(entry.header("host"), f"127.0.0.1:{a.port}", "the backend's own Host")


def test_what_connection_names_goes_no_further():
    daemon, a, *_ = rig()
    a.behave({"json": {}, "headers": {"Connection": "x-ratelimit-a, keep-alive",
                                      "X-Ratelimit-A": "1", "X-Ratelimit-B": "2"}})
    answer = daemon.chat(MODEL, headers={
        "Connection": "OpenAI-Project ,keep-alive", "connection": "tracestate",
        "OpenAI-Project": "p", "OpenAI-Beta": "b", "tracestate": "v=1"})
    got = [a.log()[-1].header(name) for name in ("openai-project", "openai-beta", "tracestate")]
    eq(got, [None, "b", None], "of the client's")
    eq([answer.header("x-ratelimit-a"), answer.header("x-ratelimit-b")], [None, "2"],
       "of the backend's")


def test_request_id_is_made_when_missing_or_bad():
    daemon, a, *_ = rig()
    seen = set()
    for given in (None, "", "a b", "x" * 65, "tab\there", "é"):
        headers = {} if given is None else {"X-Request-Id": given}
        answer = daemon.chat(MODEL, headers=headers)
        made = answer.header("x-request-id") or ""
        parts = made.split("-")
        ok([len(p) for p in parts] == [8, 4, 4, 4, 12] and parts[2][:1] == "7",
           f"{given!r}: a UUIDv7 is made", made)
        eq(a.log()[-1].header("x-request-id"), made, f"{given!r}: and sent upstream")
        seen.add(made)
    eq(len(seen), 6, "each one is new")
    eq(daemon.chat(MODEL, headers={"X-Request-Id": "y" * 64}).header("x-request-id"), "y" * 64,
       "64 characters are accepted")
    ok(daemon.get("/v1/models").header("x-request-id"), "other routes have one, too")
    ok(daemon.chat("unknown").header("x-request-id"), "errors have one, too")


def test_response_headers():
    daemon, a, *_ = rig()
    a.behave({"json": {"ok": 1}, "headers": {
        "X-Ratelimit-Remaining-Requests": "9", "Set-Cookie": "evil=1", "Server": "secret/1",
        "X-Internal": "1", "Keep-Alive": "timeout=5", "Openai-Processing-Ms": "3",
        "Content-Type-Options": "x"}})
    answer = daemon.chat(MODEL)
    eq(answer.header("x-nexus-backend"), "a", "X-Nexus-Backend")
    eq(answer.header("x-nexus-backend-type"), "local", "X-Nexus-Backend-Type")
    eq(answer.header("x-nexus-route-reason"), "capability-match", "X-Nexus-Route-Reason")
    eq(answer.header("x-nexus-attempts"), "1", "X-Nexus-Attempts")
    eq(answer.header("x-nexus-fallback-model"), None, "no X-Nexus-Fallback-Model")
    timing = answer.header("server-timing") or ""
    ok(harness.re.fullmatch(r"gw;dur=\d+\.\d{3}, upstream;dur=\d+\.\d{3}", timing),
       "Server-Timing", timing)
    eq(answer.header("x-ratelimit-remaining-requests"), "9", "x-ratelimit-* passes")
    for name in ("set-cookie", "x-internal", "keep-alive"):
        eq(answer.header(name), None, f"the backend's {name} does not pass")
    eq(answer.header("content-type"), "application/json", "content type")
    eq(len([n for n, _ in answer.headers if n.lower() == "content-type"]), 1, "once")
    answer = daemon.chat("cloud-model")
    eq((answer.header("x-nexus-backend"), answer.header("x-nexus-backend-type")),
       ("cloud.1", "cloud"), "a cloud backend")


def test_keys():
    daemon, a, cloud, passing, bad_key = rig()
    headers = {"Authorization": "Bearer of-the-client"}
    eq(daemon.chat("cloud-model", headers=headers).status, 200, "the backend's key is accepted")
    eq(cloud.log()[-1].header("authorization"), cloud.require_key,
       "[repair] the backend's own key is set, not the client's")
    eq(daemon.chat("pass-model", headers=headers).status, 200, "forward_authorization")
    eq(passing.log()[-1].header("authorization"), headers["Authorization"],
       "the client's key is passed on where the backend wants it")
    daemon.chat(MODEL, headers=headers)
    eq(a.log()[-1].header("authorization"), None, "[repair] and nowhere else")
    eq(daemon.chat("pass-model").status, 200, "a base URL that ends in /v1/ is the same one")
    eq(passing.log("*")[-1].target, "/v1/chat/completions", "no /v1/v1")
    everything = daemon.get("/metrics").body + daemon.get("/v1/stats").body + \
        daemon.get("/health?verbose").body + daemon.stderr.encode()
    ok(b"sk-secret-1234" not in everything, "the key is in no answer and not in the log")
    ok(not bad_key.log(), "a backend that refuses the probe gets no request")


def test_upstream_4xx_is_relayed_as_it_is():
    daemon, a, *_ = rig()
    error_types = {400: "bad_request", 401: "backend_error", 403: "backend_error",
                   404: "bad_request", 422: "bad_request"}
    for status, error_type in error_types.items():
        body = b'{"error": {"message":"from\\u0020upstream"}, "n":%d} ' % status
        a.behave({"status": status, "body": body})
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.status, answer.body), (status, body), f"[repair] {status} is relayed")
        eq(answer.header("x-nexus-backend"), "a", f"{status}: says who")
        added.check_request("llama3_70b", "a", status, error_type)
    eq(len(a.log()), len(error_types), "[repair] a 4xx is not tried again")


def test_redirect_is_not_followed():
    daemon, a, cloud, *_ = rig()
    a.behave({"fault": "redirect", "location": cloud.url + "/v1/chat/completions"})
    answer = daemon.chat(MODEL)
    eq(len(cloud.log()), 0, "the place it points to is not asked")
    ok(answer.status != 200, "and nothing is passed off as an answer", answer)


def test_destination_is_never_the_clients_choice():
    daemon, a, cloud, *_ = rig()
    body = {"model": MODEL, "base_url": cloud.url, "api_base": cloud.url, "url": cloud.url}
    headers = {"Host": f"127.0.0.1:{cloud.port}", "X-Forwarded-Host": "evil"}
    eq(daemon.post("/v1/chat/completions", body, headers).status, 200, "answered")
    eq((len(a.log()), len(cloud.log())), (1, 0), "body and Host choose nothing")
    daemon.get(f"{cloud.url}/v1/models")
    eq([e for e in cloud.log("*") if e.method == "GET" and e.header("user-agent") is None
        and e.header("host") == "test"], [], "an absolute target chooses nothing")


def test_encoded_answers_are_relayed_raw():
    daemon, a, *_ = rig()
    packed = gzip.compress(b'{"choices":[]}')
    a.behave({"body": packed, "headers": {"Content-Encoding": "gzip"}})
    answer = daemon.chat(MODEL)
    eq((answer.status, answer.header("content-encoding"), answer.body), (200, "gzip", packed),
       "an encoding that nobody asked for passes as it is")


def test_interim_answers_stay_upstream():
    daemon, a, *_ = rig()
    a.behave({"fault": "interim"})
    with daemon.connect() as connection:
        connection.request("POST", "/v1/chat/completions", None,
                           json.dumps(harness.chat_body(MODEL)).encode())
        answer = connection.read_head()
        eq((answer.status, answer.header("retry-after"), answer.header("link")),
           (200, None, None), "100 and 103 are not the answer")
        eq(connection.read_body(), a.log()[-1].answer, "the final one is")


def test_hostile_upstream_headers():
    daemon, a, *_ = rig()
    heads = {"folded": "Retry-After: 1\r\n Set-Cookie: evil=1\r\n",
             "control": "Retry-After: 1\x01\r\n", "high bytes": "Retry-After: \xff\r\n",
             "bare CR": "Retry-After: 1\rSet-Cookie: evil=1\r\n",
             "bare LF": "X-Ratelimit-A: 1\nSet-Cookie: evil=1\r\n",
             "many": "".join(f"X-Ratelimit-{n}: {n}\r\n" for n in range(300)),
             "long": "X-Ratelimit-Long: " + "y" * 20000 + "\r\n"}
    for name, lines in heads.items():
        a.behave({"fault": "raw_head", "lines": lines})
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        ok(answer.status in (200, 502), f"{name}: an orderly answer", repr(answer))
        raw = answer.raw_head
        ok(not any(n.lower() == "set-cookie" for n, _ in answer.headers) and b"\x01" not in raw
           and b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b""),
           f"{name}: nothing slips through", raw)
        added.check("nexus_requests_total", 1)
        a.reset()


def test_more_headers_than_there_is_room_for():
    daemon, a, *_ = rig()
    for size in (200, 1000, 1400):
        for stream in (False, True):
            a.behave({"headers": {f"x-ratelimit-{n}": "v" * size for n in range(11)},
                      "stream": stream})
            with Counting(daemon) as added:
                answer = daemon.chat(MODEL, stream=stream)
            ok(answer and answer.header("content-type") and len(answer.raw_head) < 4096,
               f"11 headers of {size} bytes, stream {stream}", answer)
            added.check("nexus_requests_total", 1, status="200")


def test_what_the_body_needs():
    """The headers that say how to read it are not lost among others, nor to Connection."""
    daemon, a, *_ = rig()
    body = gzip.compress(b'{"choices":[]}')
    coding = "Content-Encoding: gzip\r\n"
    many = [180] * 10 + [1] * 40
    cases = {
        "behind many": ("".join(f"X-Ratelimit-{n}: {'v' * size}\r\n"
                                for n, size in enumerate(many)) + coding, "gzip"),
        "Connection": ("Connection: Content-Type, content-encoding, content-length\r\n" + coding,
                       "gzip"),
        "no room, and another answers": (f"Content-Encoding: {'x' * 2048}\r\n", None),
    }
    for name, (lines, passed) in cases.items():
        head = (f"HTTP/1.1 200 OK\r\n{lines}Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        a.behave({"fault": "script", "send": [head + body.decode("latin-1")], "then": "keep"})
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq((answer.header("content-type"), answer.header("content-encoding"), answer.body == body),
           ("application/json", passed, passed is not None), name)
        added.check("nexus_requests_total", 1, status="200")
        added.check("nexus_retries_total", 0 if passed else 1)


def test_large_answers_that_break():
    """Beyond what is judged before the relay nothing can be mended: the client must see the cut."""
    daemon, a, *_ = rig()
    for fault in ("cut_large", "cut_large_chunked"):
        for how in ("close", "rst"):
            a.reset()
            a.behave({"fault": fault, "how": how})
            with Counting(daemon) as added:
                with daemon.connect() as connection:
                    connection.request("POST", "/v1/chat/completions", None,
                                       json.dumps(harness.chat_body(MODEL)).encode())
                    head = connection.read_response(head_only=True)
                    try:
                        connection.read_body()
                        ok(False, f"{fault}, {how}: the cut is passed on")
                    except (Incomplete, ConnectionError):
                        ok(True, f"{fault}, {how}: the cut is passed on")
            eq(head.status, 200, "the head was out")
            eq(len(a.log()), 1, "it is not tried again")
            added.check_request("llama3_70b", "a", 502, "backend_error")


def test_the_border_of_judging():
    daemon, a, *_ = rig()
    for size, status in ((65536, 502), (65537, 200)):
        a.default = {"body": "x" * size}
        with Counting(daemon) as added:
            answer = daemon.chat(MODEL)
        eq(answer.status, status, f"{size} bytes that are no JSON")
        added.check("nexus_requests_total", 1, status=str(status))
    a.default = {"body": '"' + "x" * 65534 + '"'}
    eq(len(daemon.chat(MODEL).body), 65536, "64 KiB of JSON arrive whole")


def test_large_bodies():
    daemon, a, *_ = rig()
    body = b'{"model":"llama3:70b","x":"' + b"y" * (9 << 20) + b'"}'
    eq(daemon.post("/v1/chat/completions", body).status, 200, "[repair] 9 MiB are accepted")
    eq(a.log()[-1].body, body, "and arrive")
    with daemon.connect() as connection:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                        b"Content-Length: 10485761\r\n\r\n")
        eq(connection.read_response().status, 413, "10 MiB and a byte are not")


def test_concurrent_requests_are_not_mixed_up():
    daemon, a, *_ = rig()
    wrong = []

    def run(client):
        with daemon.connect() as connection:
            for number in range(25):
                marker = f"c{client}n{number}" * (1 + number * 40)
                body = json.dumps(harness.chat_body(MODEL, marker)).encode()
                connection.request("POST", "/v1/chat/completions", None, body)
                answer = connection.read_response()
                if answer.json()["choices"][0]["message"]["content"] != f"a: {marker}":
                    wrong.append(marker)

    with Counting(daemon) as added:
        threads = [threading.Thread(target=run, args=(n,)) for n in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    eq(wrong, [], "32 clients with 25 requests each get their own answers")
    added.check_request("llama3_70b", "a", 200, n=800)


def test_keep_alive_and_pipelining():
    daemon, a, *_ = rig()
    with daemon.connect() as connection:
        for number in range(5):
            connection.request("POST", "/v1/chat/completions", None,
                               json.dumps(harness.chat_body(MODEL, str(number))).encode())
            answer = connection.read_response()
            ok(f"a: {number}" in answer.json()["choices"][0]["message"]["content"],
               f"request {number} on one connection")
    daemon.settled()
    eq(len({e.connection for e in a.log()}), 1, "upstream connections are used again")


def test_large_plain_answer():
    daemon, a, *_ = rig()
    a.behave({"fault": "huge", "size": 20 << 20})
    with Counting(daemon) as added:
        answer = daemon.chat(MODEL)
    eq((answer.status, len(answer.body)), (200, 20 << 20), "20 MiB arrive whole")
    added.check_request("llama3_70b", "a", 200)


if __name__ == "__main__":
    tap.run(globals())
