# SPDX-License-Identifier: Apache-2.0
"""Everything a backend can answer that is not an HTTP answer to the question."""
import asyncio
import itertools

from fake_wire import chunk, cut_stream, head

HUGE_BYTES = 32 << 20
PIECE = b"x" * 16384
JSON_TYPE = [("Content-Type", "application/json")]
WHOLE = b'{"id": "x", "object": "chat.completion", "choices": []}'


async def fault_close(_link, _entry, _behaviour):
    return False


async def fault_rst(link, _entry, _behaviour):
    link.reset()
    return False


async def fault_never(_link, _entry, _behaviour):
    await asyncio.Event().wait()


async def fault_garbage(link, _entry, _behaviour):
    await link.send(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
    return False


async def fault_header_bomb(link, _entry, _behaviour):
    await link.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(100000):
        await link.send(b"X-Bomb-%d: %s\r\n" % (number, b"y" * 1000))
    return False


async def fault_slow_head(link, _entry, behaviour):
    for byte in head(200, JSON_TYPE, len(WHOLE)):
        await link.send(bytes([byte]))
        await asyncio.sleep(behaviour.get("gap", 0.001))
    await link.send(WHOLE)
    return True


async def fault_head_stall(link, _entry, _behaviour):
    await link.send(head(200, JSON_TYPE, len(WHOLE)))
    await asyncio.Event().wait()


async def fault_cut(link, _entry, _behaviour):
    await link.send(head(200, JSON_TYPE, len(WHOLE)) + WHOLE[:20])
    return False


async def fault_cut_chunked(link, _entry, _behaviour):
    await link.send(head(200, JSON_TYPE, chunked=True) + chunk(WHOLE[:20]))
    return False


async def fault_extra(link, entry, _behaviour):
    """More bytes than announced: the surplus belongs to nobody."""
    entry.status, entry.answer = 200, WHOLE
    surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nevil!!"
    await link.send(head(200, JSON_TYPE, len(WHOLE)) + WHOLE + surplus)
    await link.gone()
    entry.outcome = "complete"
    return False


async def fault_extra_stream(link, entry, _behaviour):
    """A whole stream in chunks, and an answer to nobody behind it."""
    entry.status = 200
    entry.answer = (b'data: {"choices": [{"index": 0, "delta": {"content": "x"},'
                    b' "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
    surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nevil!!"
    await link.send(head(200, [("Content-Type", "text/event-stream")], chunked=True)
                    + chunk(entry.answer) + b"0\r\n\r\n" + surplus)
    await link.gone()
    entry.outcome = "complete"
    return False


async def fault_cut_large(link, entry, behaviour):
    """More than is judged before the relay, then the end (or silence) in the middle."""
    entry.status = 200
    await link.send(head(200, JSON_TYPE, 400000) + b'{"x": "' + PIECE * 8)
    return await cut_stream(link, behaviour.get("how", "close"))


async def fault_cut_large_chunked(link, entry, behaviour):
    entry.status = 200
    await link.send(head(200, JSON_TYPE, chunked=True) + chunk(b'{"x": "' + PIECE * 8))
    return await cut_stream(link, behaviour.get("how", "close"))


async def fault_cut_sound(link, entry, behaviour):
    """No JSON, cut in the middle."""
    entry.status = 200
    await link.send(head(200, [("Content-Type", "audio/mpeg")], 400000) + PIECE)
    return await cut_stream(link, behaviour.get("how", "close"))


async def fault_interim(link, entry, _behaviour):
    """Interim answers before the final one."""
    entry.status, entry.answer = 200, WHOLE
    await link.send(b"HTTP/1.1 100 Continue\r\n\r\n"
                    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nRetry-After: 9\r\n\r\n"
                    + head(200, JSON_TYPE, len(WHOLE)) + WHOLE)
    return True


async def fault_raw_head(link, entry, behaviour):
    """A head with exactly these lines beside the necessary ones."""
    entry.status, entry.answer = 200, WHOLE
    lines = behaviour["lines"].encode("latin-1")
    await link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + lines +
                    b"Content-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE)
    return True


async def fault_invalid_json(link, entry, _behaviour):
    entry.status = 200
    await link.send(head(200, JSON_TYPE, 12) + b'{"id": "x", ')
    return True


async def fault_huge(link, entry, behaviour):
    """A plain answer of `size` bytes, whole."""
    size = behaviour.get("size", HUGE_BYTES)
    opening, closing = b'{"choices": [], "pad": "', b'"}'
    entry.status = 200
    await link.send(head(200, JSON_TYPE, size) + opening)
    left = size - len(opening) - len(closing)
    while left > 0:
        await link.send(PIECE[:left])
        left -= len(PIECE[:left])
    await link.send(closing)
    return True


async def fault_huge_stream(link, entry, behaviour):
    """Content frames up to `size` bytes in all, then a proper end."""
    entry.status = 200
    await link.send(head(200, [("Content-Type", "text/event-stream")], chunked=True))
    frame = b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % PIECE[:8000]
    for _ in range(behaviour.get("size", HUGE_BYTES) // len(frame)):
        await link.send(chunk(frame))
    end = (b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
           b'data: [DONE]\n\n')
    await link.send(chunk(end) + b"0\r\n\r\n")
    return True


async def fault_drip(link, entry, behaviour):
    entry.status, entry.answer = 200, WHOLE
    await link.send(head(200, JSON_TYPE, len(WHOLE)))
    for byte in WHOLE:
        await link.send(bytes([byte]))
        await asyncio.sleep(behaviour.get("gap", 0.001))
    return True


async def fault_error_event(link, entry, _behaviour):
    """The stream's first event is an error."""
    entry.status = 200
    await link.send(head(200, [("Content-Type", "text/event-stream")], chunked=True))
    await link.send(chunk(b'data: {"error": {"message": "out of memory", "type": "server_error",'
                          b' "code": 500}}\n\n') + b"0\r\n\r\n")
    return True


async def fault_redirect(link, entry, behaviour):
    entry.status = 302
    await link.send(head(302, JSON_TYPE + [("Location", behaviour["location"])], 2) + b"{}")
    return True


async def fault_bad_length(link, _entry, _behaviour):
    await link.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n{} {} {}")
    return False


async def fault_script(link, entry, behaviour):
    """Exactly these pieces, then the end that `then` names: close, rst, stall, or keep."""
    entry.status = behaviour.get("status", 0)
    pieces = [text.encode("latin-1") for text in behaviour["send"]]
    for piece in itertools.chain(pieces, itertools.repeat(pieces[-1], behaviour.get("repeat", 0))):
        await link.send(piece)
        await asyncio.sleep(behaviour.get("gap", 0))
    then = behaviour.get("then", "close")
    return then == "keep" or await cut_stream(link, then)


FAULTS = {name[len("fault_"):]: function for name, function in list(globals().items())
          if name.startswith("fault_")}
