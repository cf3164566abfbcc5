# SPDX-License-Identifier: Apache-2.0
"""Requests as bytes, legal and hostile. Behind each hostile one stands a whole other request, which
must never run; test_framing.py sends them to nexusd, tests/interop/differential.py to others, too.
"""
BODY = b'{"model":"llama3:70b","messages":[],"user":"outer-00000"}'
INNER_BODY = b'{"model":"llama3:70b","user":"inner-00000"}'
INNER = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         b"Content-Length: %d\r\n\r\n%s" % (len(INNER_BODY), INNER_BODY))


def numbered(data, number):
    """The same bytes, but for the number by which a backend's log tells whose bodies they are."""
    return data.replace(b"outer-00000", b"outer-%05d" % number).replace(
        b"inner-00000", b"inner-%05d" % number)


def post(*lines, body=b"", line=b"POST /v1/chat/completions HTTP/1.1", host=b"Host: x\r\n"):
    """A request whose head is exactly these lines."""
    return line + b"\r\n" + host + b"".join(entry + b"\r\n" for entry in lines) + b"\r\n" + body


JSON_LINE = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def smuggle(*lines, body=b""):
    """A head whose two readings differ by the inner request behind it."""
    return post(JSON_LINE, *lines, body=body + INNER)


# name: (bytes, the statuses allowed; None stands for a close without an answer)
CASES = {
    "CL then TE": (smuggle(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), {400}),
    "TE then CL": (smuggle(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), {400}),
    "CL longer than the chunks": (smuggle(CHUNKED, b"Content-Length: 400", body=b"0\r\n\r\n"),
                                  {400}),
    "two CL, different": (smuggle(b"Content-Length: 0", b"Content-Length: 5"), {400}),
    "two CL, the same": (smuggle(b"Content-Length: 0", b"Content-Length: 0"), {400}),
    "CL list": (smuggle(b"Content-Length: 0, 0"), {400}),
    "CL signed": (smuggle(b"Content-Length: +0"), {400}),
    "CL negative": (smuggle(b"Content-Length: -1"), {400}),
    "CL hexadecimal": (smuggle(b"Content-Length: 0x0"), {400}),
    "CL with blanks inside": (smuggle(b"Content-Length: 0 0"), {400}),
    "CL empty": (smuggle(b"Content-Length:"), {400}),
    "CL fraction": (smuggle(b"Content-Length: 0.0"), {400}),
    "CL 2^64-1": (smuggle(b"Content-Length: 18446744073709551615"), {400, 413}),
    "CL 2^64": (smuggle(b"Content-Length: 18446744073709551616"), {400, 413}),
    "CL 30 digits": (smuggle(b"Content-Length: " + b"9" * 30), {400, 413}),
    "CL too large": (smuggle(b"Content-Length: 65537"), {413}),
    "CL name with a blank before the colon": (smuggle(b"Content-Length : 0"), {400}),
    "TE twice": (smuggle(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), {400}),
    "TE twice, other first": (smuggle(b"Transfer-Encoding: identity", CHUNKED,
                                      body=b"0\r\n\r\n"), {400, 501}),
    "TE with a blank before the colon": (smuggle(b"Transfer-Encoding : chunked", LENGTH,
                                                 body=b"0\r\n\r\n"), {400}),
    "TE with a tab before the colon": (smuggle(b"Transfer-Encoding\t: chunked",
                                               body=b"0\r\n\r\n"), {400}),
    "TE on 1.0": (post(JSON_LINE, CHUNKED, body=b"0\r\n\r\n" + INNER,
                       line=b"POST /v1/chat/completions HTTP/1.0"), {400}),
    "TE gzip": (smuggle(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"), {400, 501}),
    "TE gzip, chunked": (smuggle(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), {400, 501}),
    "TE chunked, gzip": (smuggle(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), {400, 501}),
    "TE identity": (smuggle(b"Transfer-Encoding: identity"), {400, 501}),
    "TE xchunked": (smuggle(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), {400, 501}),
    "TE quoted": (smuggle(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), {400, 501}),
    "TE chunked;q=1": (smuggle(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), {400, 501}),
    "TE empty": (smuggle(b"Transfer-Encoding:"), {400, 501}),
    "TE after a vertical tab": (smuggle(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
                                {400, 501}),
    "TE folded": (smuggle(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), {400, 501}),
    "fold": (post(JSON_LINE, LENGTH, b"X-F: a\r\n b", body=BODY + INNER), {400}),
    "fold with a tab": (post(JSON_LINE, LENGTH, b"X-F: a\r\n\tb", body=BODY + INNER), {400}),
    "fold in the first line": (post(b" X: y", JSON_LINE, LENGTH, body=BODY + INNER), {400}),
    "NUL in a value": (post(JSON_LINE, LENGTH, b"X-N: a\0b", body=BODY + INNER), {400}),
    "NUL in a name": (post(JSON_LINE, LENGTH, b"X\0N: ab", body=BODY + INNER), {400}),
    "NUL hides a CL": (smuggle(b"X: a\0\r\nContent-Length: 5", b"Content-Length: 0"), {400}),
    "control in a value": (post(JSON_LINE, LENGTH, b"X-C: a\x01b", body=BODY + INNER), {400}),
    "DEL in a value": (post(JSON_LINE, LENGTH, b"X-C: a\x7fb", body=BODY + INNER), {400}),
    "CR in a value": (post(JSON_LINE, LENGTH, b"X-C: a\rb", body=BODY + INNER), {400}),
    "bare LF after a header": (post(JSON_LINE, LENGTH, b"X-L: a\nX-M: b", body=BODY + INNER),
                               {400}),
    "bare LF hides a TE": (smuggle(b"X: a\nTransfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n"),
                           {400}),
    "bare LF head": (b"GET /v1/models HTTP/1.1\nHost: x\n\n" + INNER, {400}),
    "bare LF ends the head": (b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\n" + INNER, {400}),
    "bare LF in the request line": (b"GET /v1/models HTTP/1.1\nHost: x\r\n\r\n" + INNER, {400}),
    "empty header name": (smuggle(b": x", b"Content-Length: 5"), {400}),
    "blank header name": (smuggle(b" : x", b"Content-Length: 5"), {400}),
    "header without a colon": (smuggle(b"X-Nothing", b"Content-Length: 0"), {400}),
    "name with a blank": (smuggle(b"X Y: z", b"Content-Length: 0"), {400}),
    "name with a parenthesis": (smuggle(b"X(Y): z", b"Content-Length: 0"), {400}),
    "name with a high byte": (smuggle(b"X\xe9: z", b"Content-Length: 0"), {400}),
    "two Hosts": (post(b"Host: y", JSON_LINE, LENGTH, body=BODY + INNER), {400}),
    "two Hosts, the same": (post(b"Host: x", JSON_LINE, LENGTH, body=BODY + INNER), {400}),
    "no Host": (post(JSON_LINE, LENGTH, body=BODY + INNER, host=b""), {400}),
    "%00 in the path": (b"GET /v1/models%00/x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "%00 in the query": (b"GET /v1/models?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "NUL in the target": (b"GET /v1/mod\0els HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "control in the target": (b"GET /v1/mod\x01els HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "blank in the target": (b"GET /v1/models x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "two blanks in the line": (b"GET  /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "tab in the line": (b"GET\t/v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "no target": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400, None}),
    "no version": (b"GET /v1/models\r\nHost: x\r\n\r\n" + INNER, {400, 505, None}),
    "HTTP/1.2": (b"GET /v1/models HTTP/1.2\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "HTTP/2.0": (b"GET /v1/models HTTP/2.0\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "HTTP/0.9": (b"GET /v1/models HTTP/0.9\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "http/1.1": (b"GET /v1/models http/1.1\r\nHost: x\r\n\r\n" + INNER, {400, 505}),
    "method with a colon": (b"GE:T /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, {400}),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505, None}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, {400, 408, None}),
    "garbage": (b"\xff\xfe\xfd\r\n\r\n" + INNER, {400, None}),
    "chunk size not hexadecimal": (post(JSON_LINE, CHUNKED, body=b"zz\r\n" + INNER), {400, None}),
    "chunk size negative": (post(JSON_LINE, CHUNKED, body=b"-1\r\n" + INNER), {400, None}),
    "chunk size with 0x": (post(JSON_LINE, CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n" + INNER),
                           {400, None}),
    "chunk size of 17 digits": (post(JSON_LINE, CHUNKED,
                                     body=b"10000000000000005\r\nhello\r\n0\r\n\r\n" + INNER),
                                {400, 413, None}),
    "chunk larger than the limit": (post(JSON_LINE, CHUNKED, body=b"fffffff\r\n" + b"x" * 70000),
                                    {400, 413}),
    "chunk without its end": (post(JSON_LINE, CHUNKED, body=b"5\r\nhelloXX0\r\n\r\n" + INNER),
                              {400, None}),
}

LEGAL = {
    "plain": post(JSON_LINE, LENGTH, body=BODY),
    "no blank after the colon": post(b"Content-Type:application/json", b"Content-Length:%d"
                                     % len(BODY), body=BODY, host=b"Host:x\r\n"),
    "blanks around values": post(b"Content-Type:  application/json \t", b"X-E:", b"X-F: ", LENGTH,
                                 body=BODY),
    "names in any case": post(b"content-TYPE: application/json", b"CONTENT-LENGTH: %d" % len(BODY),
                              body=BODY, host=b"hOST: x\r\n"),
    "chunked": post(JSON_LINE, CHUNKED, body=CHUNKS),
    "CL with leading zeros": post(JSON_LINE, b"Content-Length: 00%d" % len(BODY), body=BODY),
    "chunk sizes in capitals, trailers": post(
        JSON_LINE, CHUNKED, body=b"%X\r\n%s\r\n0\r\nX-T: v\r\n\r\n" % (len(BODY), BODY)),
    "many headers": post(JSON_LINE, LENGTH, *[b"X-%d: %d" % (n, n) for n in range(60)], body=BODY),
    "HTTP/1.0": post(JSON_LINE, LENGTH, body=BODY, line=b"POST /v1/chat/completions HTTP/1.0"),
    "HTTP/1.0 without Host": post(JSON_LINE, LENGTH, body=BODY, host=b"",
                                  line=b"POST /v1/chat/completions HTTP/1.0"),
    "a blank line before": b"\r\n" + post(JSON_LINE, LENGTH, body=BODY),
    "high bytes in a value": post(JSON_LINE, LENGTH, b"X-H: \xe9\xff", body=BODY),
}


def chunked(body):
    return post(JSON_LINE, CHUNKED, body=body + INNER)


# What some readers take for the end of a body in chunks: an answer to what stands before it is
# allowed, one to the request behind it is not.
LOOSE_CHUNKS = {
    "lone LF after a size": chunked(b"%x\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "lone LF after the data": chunked(b"%x\r\n%s\n0\r\n\r\n" % (len(BODY), BODY)),
    "lone LF after the last size": chunked(b"%x\r\n%s\r\n0\n\r\n" % (len(BODY), BODY)),
    "lone LF at the end": chunked(b"%x\r\n%s\r\n0\r\n\n" % (len(BODY), BODY)),
    "lone LFs only": chunked(b"%x\n%s\n0\n\n" % (len(BODY), BODY)),
    "lone LF after a trailer": chunked(b"%x\r\n%s\r\n0\r\nX: y\n\r\n" % (len(BODY), BODY)),
    "lone CR after a size": chunked(b"%x\r%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "trailer that is a length": chunked(b"%x\r\n%s\r\n0\r\nContent-Length: 5\r\n\r\n"
                                        % (len(BODY), BODY)),
    "extension with a quote": chunked(b'%x;a="\r\n%s\r\n0\r\n\r\n' % (len(BODY), BODY)),
    "extension with a lone LF": chunked(b"%x;a\nb\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "blank before a size": chunked(b" %x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "blank after a size": chunked(b"%x \r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "size with a plus": chunked(b"+%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "size of 20 digits": chunked(b"%020x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "last size of zeros": chunked(b"%x\r\n%s\r\n000\r\n\r\n" % (len(BODY), BODY)),
    "no end": chunked(b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)),
    "end before the data": chunked(b"0\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
}
# Of these those that have one reading by RFC 9112: the request behind them is the next one.
SOUND_CHUNKS = {"trailer that is a length", "extension with a quote", "size of 20 digits",
                "last size of zeros"}
