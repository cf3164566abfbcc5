# SPDX-License-Identifier: Apache-2.0
"""What the fake backend sends: probe answers, completions, event streams."""
import asyncio
import base64
import json
import struct

import fake_media
from fake_faults import FAULTS
from fake_wire import chunk, cut_stream, head

# --- documents ---


def prompt_of(request):
    """The text the answer echoes: the last message, the prompt or the input."""
    messages = request.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return messages[-1].get("content")
    return request.get("prompt", request.get("input"))


def usage_of(behaviour, completion_tokens):
    usage = dict(behaviour.get("usage") or {"prompt_tokens": 11,
                                            "completion_tokens": completion_tokens})
    usage["total_tokens"] = usage["prompt_tokens"] + usage.get("completion_tokens", 0)
    return usage


def tool_calls_of(request):
    return [{"index": i, "id": f"call_{i}", "type": "function",
             "function": {"name": tool["function"]["name"], "arguments": '{"q":"\\u00e9 \\"x\\""}'}}
            for i, tool in enumerate(request.get("tools") or [])]


def chat_document(fake, request, behaviour):
    message = {"role": "assistant", "content": f"{fake.name}: {prompt_of(request)}"}
    finish = "stop"
    if request.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": tool_calls_of(request)}
        finish = "tool_calls"
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1,
              "model": request.get("model"), "x_backend": fake.name,
              "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    if not behaviour.get("no_usage"):
        answer["usage"] = usage_of(behaviour, 7)
    return answer


def completion_document(fake, request, behaviour):
    answer = {"id": "cmpl-1", "object": "text_completion", "created": 1,
              "model": request.get("model"), "choices": [
                  {"index": 0, "text": f"{fake.name}: {prompt_of(request)}",
                   "finish_reason": "stop"}]}
    if not behaviour.get("no_usage"):
        answer["usage"] = usage_of(behaviour, 7)
    return answer


def embedding(index, encoding):
    vector = [0.25, -1.5e-3, index]
    if encoding == "base64":
        return base64.b64encode(struct.pack("<3f", *vector)).decode()
    return vector


def embeddings_document(_fake, request, behaviour):
    given = request.get("input")
    n = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    answer = {"object": "list", "model": request.get("model"), "data": [
        {"object": "embedding", "index": i, "embedding": embedding(
            i, request.get("encoding_format"))} for i in range(n)]}
    if not behaviour.get("no_usage"):
        usage = behaviour.get("usage") or {"prompt_tokens": 5}
        answer["usage"] = dict(usage, total_tokens=usage["prompt_tokens"])
    return answer


MODEL_PATHS = {"/v1/chat/completions": chat_document, "/v1/completions": completion_document,
               "/v1/embeddings": embeddings_document, **fake_media.PATHS}


def odd_json(value):
    """JSON with whitespace no library would choose, so that a re-encoded answer is noticed."""
    text = json.dumps(value, separators=(" ,", " :\t"), ensure_ascii=False)
    return (text + "\n ").encode()


def probe_document(fake, entry):
    """(status, document) of the paths that health checks and discovery read."""
    if entry.path == "/health":
        return 200, {"status": "ok"}
    if entry.path in ("/v1/models", "/models"):
        return 200, {"object": "list", "data": [
            {"id": m, "object": "model", "created": 1, "owned_by": "fake",
             **fake.model_details.get(m, {})} for m in fake.models]}
    if fake.kind == "ollama" and entry.path == "/api/tags":
        return 200, {"models": [{"name": m, "model": m, "size": 1, "digest": f"d-{m}"}
                                for m in fake.models]}
    if fake.kind == "ollama" and entry.path == "/api/show":
        asked = entry.json()
        return 200, {"capabilities": ["completion"], "model_info": {}, "details": {},
                     **fake.model_details.get(asked.get("model") or asked.get("name"), {})}
    if fake.kind == "ollama" and entry.path == "/api/ps":
        return 200, {"models": []}
    return 404, {"error": {"message": "no such path", "type": "not_found", "code": None,
                           "param": None}}


# --- answering ---


async def answer(fake, link, entry):
    """Sends the whole answer; true when the connection stays usable."""
    behaviour = fake.behaviour_for(entry)
    if behaviour.get("gate_head"):
        await fake.gate(behaviour["gate_head"]).acquire()
    if fake.require_key and entry.header("authorization") != fake.require_key:
        behaviour = {"status": 401, "json": {"error": {"message": "bad key", "type": "x",
                                                       "param": None, "code": "bad_key"}}}
    request = _request_of(entry)
    if behaviour.get("reject_stream_options") and "stream_options" in request:
        status = 422 if behaviour["reject_stream_options"] == 422 else 400
        behaviour = {"status": status, "json": {"error": {
            "message": "Unrecognized request argument supplied: stream_options",
            "type": "invalid_request_error", "param": "stream_options", "code": None}}}
    if behaviour.get("fault"):
        entry.status = 0
        return await FAULTS[behaviour["fault"]](link, entry, behaviour)
    is_plain = "status" in behaviour or "body" in behaviour or "json" in behaviour
    wants_stream = behaviour.get("stream", bool(request.get("stream")) and not is_plain)
    if entry.path in MODEL_PATHS and wants_stream:
        return await stream_answer(fake, link, entry, behaviour)
    return await plain_answer(fake, link, entry, behaviour)


def _request_of(entry):
    try:
        request = entry.json()
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def _plain_body(fake, entry, behaviour):
    """(status, body) of a plain answer."""
    status = behaviour.get("status", 200)
    if "body" in behaviour:
        body = behaviour["body"]
        return status, body if isinstance(body, bytes) else body.encode()
    if "json" in behaviour:
        return status, odd_json(behaviour["json"])
    if status != 200:
        return status, odd_json({"error": {"message": f"{fake.name} says {status}",
                                           "type": "fake_error", "param": None,
                                           "code": f"fake_{status}"}})
    if entry.path in MODEL_PATHS:
        made = MODEL_PATHS[entry.path](fake, _request_of(entry), behaviour)
        return 200, made if isinstance(made, bytes) else odd_json(made)
    found, document = probe_document(fake, entry)
    return found, odd_json(document)


async def plain_answer(fake, link, entry, behaviour):
    status, body = _plain_body(fake, entry, behaviour)
    kind = "audio/mpeg" if body is fake_media.SPEECH else "application/json"
    headers = list({"Content-Type": kind, **behaviour.get("headers", {})}.items())
    if "retry_after" in behaviour:
        headers.append(("Retry-After", behaviour["retry_after"]))
    entry.status, entry.answer = status, body
    if behaviour.get("chunked"):
        middle = len(body) // 2
        await link.send(head(status, headers, chunked=True) + chunk(body[:middle]))
        if behaviour.get("gate_half"):
            await fake.gate(behaviour["gate_half"]).acquire()
        await link.send(chunk(body[middle:]) + b"0\r\n\r\n")
    else:
        await link.send(head(status, headers, len(body)) + body)
    return True


# --- streams ---


def stream_frames(fake, request, behaviour):
    """The events' data, in order; content frames are those the gate holds."""
    def event(delta, finish=None):
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                "model": request.get("model"), "x_backend": fake.name,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    count = behaviour.get("chunks", 3)
    frames = [event({"role": "assistant", "content": f"[{prompt_of(request)}]"})]
    frames += [event({"content": f" {fake.name}{i}"}) for i in range(count)]
    if request.get("tools"):
        frames.append(event({"tool_calls": tool_calls_of(request)}))
    if not behaviour.get("no_finish"):
        frames.append(event({}, "tool_calls" if request.get("tools") else "stop"))
    asked = (request.get("stream_options") or {}).get("include_usage")
    if asked and not behaviour.get("no_usage"):
        for frame in frames:
            frame["usage"] = None
        frames.append({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                       "model": request.get("model"), "choices": [],
                       "usage": usage_of(behaviour, count)})
    texts = [json.dumps(f, separators=(", ", ":")) for f in frames]
    if not behaviour.get("no_done"):
        texts.append("[DONE]")
    return texts


def encode_frame(text, behaviour):
    eol = behaviour.get("eol", "\n")
    lines = ""
    if behaviour.get("comment"):
        lines += f": keep-alive{eol}{eol}"
    if behaviour.get("multiline") and text.startswith("{"):
        first, rest = text.split(", ", 1)
        lines += f"event: message{eol}data: {first},{eol}data:{rest}{eol}{eol}"
    else:
        lines += f"data: {text}{eol}{eol}"
    return lines.encode()


async def stream_answer(fake, link, entry, behaviour):
    request = _request_of(entry)
    if entry.path == "/v1/responses":
        frames = fake_media.response_frames(fake, request, behaviour)
    else:
        frames = [encode_frame(t, behaviour) for t in stream_frames(fake, request, behaviour)]
    if behaviour.get("bom"):
        frames[0] = "\ufeff".encode() + frames[0]
    cut = behaviour.get("after")
    headers = list({"Content-Type": "text/event-stream", **behaviour.get("headers", {})}.items())
    entry.status = 200
    await link.send(head(200, headers, chunked=True))
    for number, frame in enumerate(frames):
        if number == cut:
            return await cut_stream(link, behaviour.get("how", "close"))
        await _pace(fake, behaviour, number)
        entry.answer += frame
        await _send_frame(link, frame, behaviour)
        fake.notify()
    if cut is not None and cut >= len(frames):
        return await cut_stream(link, behaviour.get("how", "close"))
    await link.send(b"0\r\n\r\n")
    return True


async def _pace(fake, behaviour, number):
    if behaviour.get("gate") and number > 0:
        await fake.gate(behaviour["gate"]).acquire()
    elif behaviour.get("gap") and number > 0:
        await asyncio.sleep(behaviour["gap"])


async def _send_frame(link, frame, behaviour):
    if not behaviour.get("split"):
        await link.send(chunk(frame))
        return
    for byte in frame:
        await link.send(chunk(bytes([byte])))
