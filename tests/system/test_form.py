#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Forms, as images and sound are uploaded: routed by their field model, passed byte for byte."""
import fake_media
import tap
from harness import Counting, pair, shared
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"
PATHS = ["/v1/images/edits", "/v1/images/variations", "/v1/audio/transcriptions",
         "/v1/audio/translations"]
SOUND = bytes(range(256)) * 20 + b"\r\n--\r\n--other\r\n\n\r"
BOUNDARY = "----WebKitFormBoundary7MA4YWxk"


def part(name, value, more="", head=""):
    value = value if isinstance(value, bytes) else value.encode()
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n{head}\r\n'.encode() + value


def file_part(value=SOUND):
    return part("file", value, '; filename="a; name=model.wav"', "Content-Type: audio/wav\r\n")


def form(*parts, boundary=BOUNDARY):
    delimiter = f"--{boundary}".encode()
    return b"".join(delimiter + b"\r\n" + p + b"\r\n" for p in parts) + delimiter + b"--\r\n"


def upload(daemon, path, body, content_type=f"multipart/form-data; boundary={BOUNDARY}", **headers):
    return daemon.post(path, body, {"Content-Type": content_type, **headers})


@shared
def two():
    return pair(routing={"strategy": "priority_only",
                         "aliases": [{"name": "whisper-1", "model": MODEL}]})


def test_bytes_pass_and_the_field_routes():
    daemon, a, _ = two()
    shapes = {"model first": [part("model", MODEL), file_part()],
              "model last": [file_part(), part("language", "\xe9"), part("model", MODEL)],
              "model alone": [part("model", MODEL)]}
    for path in PATHS:
        for name, parts in shapes.items():
            body = form(*parts)
            with Counting(daemon) as added:
                answer = upload(daemon, path, body)
            entry = a.log(path)[-1]
            eq((answer.status, answer.body, entry.body), (200, entry.answer, body),
               f"{path}, {name}: byte for byte")
            eq((entry.header("content-type"), entry.header("content-length")),
               (f"multipart/form-data; boundary={BOUNDARY}", str(len(body))),
               f"{path}, {name}: the header with the boundary, and the length")
            added.check_request(LABEL, "a", 200)
            added.check("gateway_requests_total", 1, path=path, status="200")
            added.check("nexus_received_bytes_total", len(body), side="client")


def test_an_alias_changes_only_the_value():
    daemon, a, _ = two()
    for parts in ([part("model", "whisper-1"), file_part()],
                  [file_part(), part("model", "whisper-1"), part("prompt", "whisper-1")]):
        body = form(*parts)
        with Counting(daemon) as added:
            eq(upload(daemon, PATHS[2], body).status, 200, "an alias")
        sent = a.log()[-1].body
        eq(sent, body.replace(b"whisper-1", MODEL.encode(), 1), "the rest is untouched")
        fields = fake_media.form_of(a.log()[-1])
        eq((fields["model"], fields["file"]), (MODEL.encode(), SOUND), "and it can be read")
        added.check_request(LABEL, "a", 200)


def test_answers_that_are_no_json():
    daemon, a, _ = two()
    text = b"1\n00:00:00,000 --> 00:00:01,000\nwhat was said\n"
    a.behave({"body": text, "headers": {"Content-Type": "text/plain; charset=utf-8"}})
    with Counting(daemon) as added:
        answer = upload(daemon, PATHS[2], form(part("model", MODEL), file_part()))
    eq((answer.status, answer.body), (200, text), "a transcript as plain text")
    added.check_request(LABEL, "a", 200)
    a.behave({"body": 'data: {"type":"transcript.text.delta","delta":"x"}\n\n'
                      'data: {"type":"transcript.text.done","text":"x","usage":{"type":"tokens",'
                      '"input_tokens":14,"output_tokens":2}}\n\n',
              "headers": {"Content-Type": "text/event-stream"}})
    with Counting(daemon) as added:
        answer = upload(daemon, PATHS[2],
                        form(part("model", MODEL), part("stream", "true"), file_part()))
    eq(answer.body, a.log()[-1].answer, "a transcript as events")
    added.check_request(LABEL, "a", 200)
    added.check("nexus_prompt_tokens_total", 14, model=LABEL, backend="a")


def test_failures_are_retried():
    daemon, a, b = two()
    body = form(part("model", MODEL), file_part())
    for behaviour in ({"status": 503}, {"status": 404}, {"fault": "rst"}, {"fault": "cut"}):
        a.behave(behaviour)
        with Counting(daemon) as added:
            answer = upload(daemon, PATHS[2], body)
        eq((answer.status, answer.header("x-nexus-backend")), (200, "b"), f"{behaviour} at a")
        eq(b.log()[-1].body, body, "the same bytes")
        added.check_request(LABEL, "b", 200)


FORMS = {
    "no model": (form(file_part()), 400, "invalid_field", "model"),
    "an empty model": (form(part("model", "")), 400, "invalid_field", "model"),
    "a model with a line end": (form(part("model", "a\nb")), 400, "invalid_field", "model"),
    "no UTF-8": (form(part("model", b"\xff")), 400, "invalid_field", "model"),
    "a long model": (form(part("model", "m" * 257)), 400, "invalid_field", "model"),
    "two models": (form(part("model", MODEL), part("model", "x")), 400, "invalid_field", "model"),
    "a file as model": (form(part("model", MODEL, '; filename="x"')), 400, "invalid_field",
                        "model"),
    "an unknown model": (form(part("model", "none")), 404, "model_not_found", "model"),
    "no end": (form(part("model", MODEL))[:-4], 400, "invalid_form", None),
    "another boundary": (form(part("model", MODEL), boundary="x"), 400, "invalid_form", None),
    "a bare LF": (form(part("prompt", "x")).replace(b"\r\n--" + BOUNDARY.encode() + b"--",
                                            b"\n--" + BOUNDARY.encode() + b"--"),
                  400, "invalid_form", None),
    "JSON": (b'{"model":"llama3:70b"}', 400, "invalid_form", None),
    "nothing": (b"", 400, "invalid_form", None),
}


def test_what_is_refused():
    daemon, a, b = two()
    for name, (body, status, code, param) in FORMS.items():
        with Counting(daemon) as added:
            answer = upload(daemon, PATHS[2], body)
        error = answer.error()
        eq((answer.status, error.get("code"), error.get("param")), (status, code, param), name)
        added.check("nexus_requests_total", 1, model="_unknown", backend="none",
                    status=str(status))
    eq((a.log(), b.log()), ([], []), "no backend hears of it")


def test_content_types():
    daemon, a, _ = two()
    body = form(part("model", MODEL), boundary="B")
    cases = {"multipart/form-data": (400, "invalid_form"),
             "multipart/form-data; boundary=B; boundary=C": (400, "invalid_form"),
             "multipart/mixed; boundary=B": (415, "unsupported_media_type"),
             "text/plain": (415, "unsupported_media_type")}
    for content_type, want in cases.items():
        answer = upload(daemon, PATHS[2], body, content_type)
        eq((answer.status, answer.error().get("code")), want, content_type)
    ok("multipart/form-data" in answer.error()["message"], "says what it may be", answer)
    eq(upload(daemon, PATHS[2], body, 'MULTIPART/form-data; charset=x; boundary="B"').status, 200,
       "quotes and case make no difference")
    eq(upload(daemon, "/v1/chat/completions", body, "multipart/form-data; boundary=B").status, 415,
       "a completion is no form")
    eq(daemon.post(PATHS[0], {"model": MODEL}).status, 200, "JSON will do, too")
    eq(a.log()[-1].header("content-type"), "application/json", "and is sent as JSON")


if __name__ == "__main__":
    tap.run(globals())
