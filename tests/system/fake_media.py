# SPDX-License-Identifier: Apache-2.0
"""What the fake backend answers beside completions: responses, rankings, images, sound, text."""
import base64
import email
import email.policy
import json

SPEECH = bytes(range(256)) * 40  # no JSON, no text
TRANSCRIPT = "what was said"


def input_usage(behaviour, output_tokens):
    usage = dict(behaviour.get("usage") or {"input_tokens": 11, "output_tokens": output_tokens})
    usage.setdefault("total_tokens", usage["input_tokens"] + usage.get("output_tokens", 0))
    return usage


def response_object(fake, request, behaviour, status="completed"):
    text = f"{fake.name}: {request.get('input')}"
    answer = {"id": "resp_1", "object": "response", "created_at": 1, "status": status,
              "model": request.get("model"), "error": None, "x_backend": fake.name,
              "output": [{"type": "message", "role": "assistant", "content": [
                  {"type": "output_text", "text": text}]}], "usage": None}
    if status == "completed" and not behaviour.get("no_usage"):
        answer["usage"] = input_usage(behaviour, 7)
    return answer


def rerank_document(fake, request, behaviour):
    documents = request.get("documents") or []
    return {"id": "rerank-1", "model": request.get("model"), "x_backend": fake.name,
            "results": [{"index": i, "relevance_score": 1 / (i + 1)}
                        for i in range(len(documents))],
            "usage": behaviour.get("usage") or {"prompt_tokens": 9, "total_tokens": 9}}


def images_document(fake, _request, behaviour):
    return {"created": 1, "x_backend": fake.name, "usage": input_usage(behaviour, 1000),
            "data": [{"b64_json": base64.b64encode(SPEECH[:600]).decode()}]}


def transcript_document(_fake, _request, behaviour):
    return {"text": TRANSCRIPT, "usage": input_usage(behaviour, 4)}


def speech_bytes(_fake, _request, _behaviour):
    return SPEECH


# What makes an answer: a document, or bytes that are no JSON.
PATHS = {"/v1/responses": response_object, "/v1/rerank": rerank_document,
         "/v1/images/generations": images_document,
         "/v1/images/edits": images_document, "/v1/images/variations": images_document,
         "/v1/audio/transcriptions": transcript_document,
         "/v1/audio/translations": transcript_document,
         "/v1/audio/speech": speech_bytes}


def form_of(entry):
    """The fields of a form, by name, as an independent parser reads them."""
    head = f"Content-Type: {entry.header('content-type')}\n\n".encode()
    message = email.message_from_bytes(head + entry.body, policy=email.policy.HTTP)
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in message.iter_parts()}


def response_events(fake, request, behaviour):
    """The events of a streamed response, in order, as (type, document)."""
    count = behaviour.get("chunks", 3)
    begun = response_object(fake, request, behaviour, "in_progress")
    events = [("response.created", {"response": begun}),
              ("response.in_progress", {"response": begun})]
    events += [("response.output_text.delta", {"item_id": "m", "delta": f" {fake.name}{i}"})
               for i in range(count)]
    events.append(("response.output_text.done", {"item_id": "m", "text": "all"}))
    if not behaviour.get("no_finish"):
        behaviour = {**behaviour, "usage": behaviour.get("usage") or
                     {"input_tokens": 11, "output_tokens": count}}
        last = behaviour.get("last", "response.completed")
        events.append((last, {"response": response_object(fake, request, behaviour)}))
    return [(kind, {"type": kind, "sequence_number": n, **document})
            for n, (kind, document) in enumerate(events)]


def response_frames(fake, request, behaviour):
    return [f"event: {kind}\ndata: {json.dumps(document)}\n\n".encode()
            for kind, document in response_events(fake, request, behaviour)]
