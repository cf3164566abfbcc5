# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as the fake backend writes it: heads, chunks, and the ways in which it falls silent."""
import asyncio

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
           408: "Request Timeout", 429: "Too Many Requests", 500: "Internal Server Error",
           503: "Service Unavailable"}


def head(status, headers, length=None, chunked=False, close=False):
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif length is not None:
        lines.append(f"Content-Length: {length}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def cut_stream(link, how):
    """close: without the last chunk; rst; end: whole by its framing; stall: silence."""
    if how == "rst":
        link.reset()
    elif how == "end":
        await link.send(b"0\r\n\r\n")
        return True
    elif how == "stall":
        await asyncio.Event().wait()
    return False
