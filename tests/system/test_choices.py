#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Streams of several choices: each of them has its own end."""
import json

import tap
from harness import Counting, pair, shared
from tap import eq, ok

MODEL = "llama3:70b"
LABEL = "llama3_70b"


@shared
def two():
    return pair(routing={"strategy": "priority_only"})


def choice(index, text, reason=None):
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


def event(*choices):
    return "data: %s\n\n" % json.dumps({"choices": choices})


def test_one_of_several_choices_has_ended():
    """Neither the backend's close nor its last chunk says that the others have, too."""
    daemon, a, _ = two()
    begun = event(choice(0, "a")) + event(choice(1, "b")) + event(choice(0, "", "stop"))
    both = event(choice(0, "", "stop"), choice(1, ""))
    ends = {
        "the other goes on": (begun + event(choice(1, "half of")), False),
        "half a frame of the other": (begun + event(choice(1, "half of"))[:-20], False),
        "the other has begun in the last event": (
            event(choice(0, "a", "stop")) + event(choice(1, "b"))[:-1], False),
        "told in one event": (begun + both, False),
        "the other has ended first": (event(choice(2, "c", "stop")) + event(choice(0, "a")), False),
        "the other ends": (begun + event(choice(1, "", "length")), True),
        "more of one that has ended": (begun + event(choice(1, "", "stop"), choice(0, "")), True),
        "both in one event": (event(choice(0, "a", "stop"), choice(1, "b", "stop")), True),
        "many": ("".join(event(choice(n, "", "stop")) for n in (7, 63, 64, 127, 128, 0)), True),
    }
    for name, (body, is_whole) in ends.items():
        for framing in ({}, {"chunked": True}, {"fault": "script", "then": "close", "send": [
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body]}):
            a.behave({"body": body, "headers": {"Content-Type": "text/event-stream"}, **framing})
            with Counting(daemon) as added:
                stream = daemon.stream(MODEL)
                raw = stream.read_rest().decode()
            eq((raw == body, stream.is_cut), (is_whole, not is_whole), name)
            if is_whole:
                added.check_request(LABEL, "a", 200)
                continue
            whole = body[:body.rindex("\n\n") + 2]
            ok(raw.startswith(whole) and "upstream_truncated" in raw[len(whole):],
               f"{name}: is told", raw)
            added.check_request(LABEL, "a", 502, "backend_error")


if __name__ == "__main__":
    tap.run(globals())
