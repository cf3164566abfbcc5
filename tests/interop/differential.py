# SPDX-License-Identifier: Apache-2.0
"""The same bytes for nexusd, nginx and haproxy: nexusd must not read a request into them that the
others read differently, and must read what comes through each of them as it was sent.

Every request names itself by a number in its body, so that one backend's log tells who let what
run. NEXUSD_TEST_SEED repeats a run, NEXUSD_TEST_MUTANTS makes it longer.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

import framing_cases
import tap
from fake_backend import FakeBackend
from harness import Daemon, backend, free_port, wait_until
from http_client import Connection

N_MUTANTS = int(os.environ.get("NEXUSD_TEST_MUTANTS", "400"))
SEED = int(os.environ.get("NEXUSD_TEST_SEED") or random.randrange(1 << 32))
N_AT_ONCE = 24
READ_SECONDS = 20
NAMES = {framing_cases.BODY: "outer", framing_cases.INNER_BODY: "inner"}
PROXIES = {"nginx": ["-e", "stderr", "-c"], "haproxy": ["-db", "-f"]}  # how each is told its file

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2000; }}
http {{
	access_log off;
	client_header_timeout 1;
	client_body_timeout 1;
	keepalive_timeout 1;
	lingering_timeout 1;
	client_max_body_size 64k;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	server {{ listen 127.0.0.1:{to_origin}; location / {{ proxy_pass {origin}; }} }}
	server {{ listen 127.0.0.1:{to_nexusd}; location / {{ proxy_pass {nexusd}; }} }}
}}
"""

HAPROXY = """
global
	maxconn 2000
defaults
	mode http
	timeout connect 5s
	timeout client 1s
	timeout server 20s
	timeout http-request 1s
	timeout http-keep-alive 1s
frontend to_origin
	bind 127.0.0.1:{to_origin}
	default_backend origin
frontend to_nexusd
	bind 127.0.0.1:{to_nexusd}
	default_backend nexusd
backend origin
	server origin {origin_address}
backend nexusd
	server nexusd {nexusd_address}
"""


# What goes wrong in mutants, beside bytes: whole lines.
LINES = (b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 999", b"Content-Length:",
         b"Content-Length : 5", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
         b"Transfer-Encoding : chunked", b"Transfer-Encoding: x, chunked", b"Host: y", b" folded",
         b"\tfolded", b": empty", b"X\0: y", b"Connection: content-length", b"Connection: close",
         b"Expect: 100-continue", b"Upgrade: h2c")
BYTES = b"\r\n\0\t\x0b :;,\"%+-_0159afxX\x7f\x80\xff"


def change(data, chance):
    """One change: a byte lost, new or another, a line more, a line twice, or a lone LF."""
    at = chance.randrange(len(data))
    ends = [match.end() for match in re.finditer(rb"\r\n", data)] or [0]
    end = chance.choice(ends)
    start = data.rfind(b"\r\n", 0, max(end - 2, 0)) + 2
    byte = bytes([chance.choice(BYTES)])
    return chance.choice((
        data[:at] + data[at + 1:],
        data[:at] + byte + data[at:],
        data[:at] + byte + data[at + 1:],
        data[:end] + chance.choice(LINES) + b"\r\n" + data[end:],
        data[:end] + data[min(start, end):end] + data[end:],
        data[:max(end - 2, 0)] + data[max(end - 1, 0):]))


def mutate(data, chance):
    """One to three changes of the framing, before the body or, sometimes, behind it."""
    before, body, behind = data.partition(framing_cases.BODY)
    for _ in range(chance.choice((1, 1, 2, 3))):
        if behind and chance.random() < 0.2:
            behind = change(behind, chance)
        else:
            before = change(before, chance)
    return before + body + behind


def cases():
    """{name: bytes}, each with a whole request behind what it is about."""
    chance = random.Random(SEED)
    sources = list(framing_cases.LEGAL.values())
    inner = framing_cases.INNER
    return {
        **{f"legal, {name}": data + inner for name, data in framing_cases.LEGAL.items()},
        **{f"hostile, {name}": data for name, (data, _) in framing_cases.CASES.items()},
        **{f"loose, {name}": data for name, data in framing_cases.LOOSE_CHUNKS.items()},
        **{f"mutant {n} of seed {SEED}": mutate(chance.choice(sources), chance) + inner
           for n in range(N_MUTANTS)}}


@contextlib.contextmanager
def server(name, config, ports):
    """A proxy with this configuration, until the block ends."""
    said = config.with_suffix(".said")
    with said.open("wb") as output:
        process = subprocess.Popen([program_of(name), *PROXIES[name], str(config)],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        if not wait_until(lambda: all(is_open(port) for port in ports)):
            raise RuntimeError(f"{name} does not listen: {said.read_text()}")
        yield
    finally:
        process.terminate()
        process.wait(READ_SECONDS)


def program_of(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")


def is_open(port):
    try:
        Connection(f"127.0.0.1:{port}").close()
        return True
    except OSError:
        return False


def send(address, data):
    with Connection(address, timeout=READ_SECONDS) as connection:
        try:
            connection.send(data)
            connection.read_to_end()
        except OSError:
            pass


def read_log(entries, keys):
    """{(case, route): the bodies of the requests that ran, in their order}"""
    found = {key: [] for key in keys}
    for entry in entries:
        match = re.search(rb"(outer|inner)-(\d{5})", entry.body)
        if match:
            body = entry.body.replace(match[0], match[1] + b"-00000")
            found[keys[int(match[2])]].append(NAMES.get(body, body))
    return found


def send_all(routes, named):
    """The keys of the cases, in the order of their numbers."""
    keys = [(name, route) for name in named for route in routes]
    with concurrent.futures.ThreadPoolExecutor(N_AT_ONCE) as pool:
        sent = [pool.submit(send, routes[route], framing_cases.numbered(named[name], number))
                for number, (name, route) in enumerate(keys)]
    for one in sent:
        one.result()
    return keys


def start(stack, folder, origin, daemon):
    """{route: address}; a proxy in front of the backend, and the same in front of nexusd."""
    routes = {"nexusd": daemon.address}
    for name, config in (("nginx", NGINX), ("haproxy", HAPROXY)):
        ports = (free_port(), free_port())
        path = pathlib.Path(folder, f"{name}.conf")
        path.write_text(config.format(
            folder=folder, to_origin=ports[0], to_nexusd=ports[1], origin=origin.url,
            origin_address=origin.url.removeprefix("http://"), nexusd=f"http://{daemon.address}",
            nexusd_address=daemon.address))
        stack.enter_context(server(name, path, ports))
        routes[name], routes[f"{name}, nexusd"] = (f"127.0.0.1:{port}" for port in ports)
    return routes


def differs(own, other):
    """nexusd ran something that is not how the other one's reading begins; a refusal is none."""
    return own and other and other[:len(own)] != own


def may_be_lax(data, library):
    """What nexusd(8) says, under LIBMICROHTTPD, that a version of it takes."""
    return (library < (1, 0) and re.search(rb"\0|[\r\n]:", data) is not None or
            library < (1, 0, 5) and b"chunked" in data.lower())


def judge(named, ran, library):
    def names(condition):
        return [(name, named[name], {route: ran[name, route] for route in
                                     ("nexusd", *PROXIES)}) for name in named if condition(name)]

    def has_more(name, proxy):
        """More than the proxy sends to a backend came through nexusd behind it."""
        return any(body not in ran[name, proxy] for body in ran[name, f"{proxy}, nexusd"])

    tap.eq(names(lambda n: n.startswith("legal") and any(
        ran[n, route][:1] != ["outer"] for route in ("nexusd", *PROXIES))), [],
        "differential: all run the legal requests")
    tap.eq(names(lambda n: n.startswith("hostile") and ran[n, "nexusd"]), [],
           "differential: nexusd runs none of the hostile ones")
    for proxy in PROXIES:
        tap.eq(names(lambda n: differs(ran[n, "nexusd"], ran[n, proxy])), [],
               f"differential: nexusd reads nothing in another way than {proxy}")
        tap.eq(names(lambda n: has_more(n, proxy)), [],
               f"differential: behind {proxy}, nexusd runs only what {proxy} sends")
    tap.eq(names(lambda n: ran[n, "nexusd"] and not any(ran[n, proxy] for proxy in PROXIES) and
                 not may_be_lax(named[n], library)), [],
           "differential: nexusd runs nothing that both refuse")
    tap.diag(f"seed {SEED}; of {len(named)} cases nexusd ran something in "
             f"{len(names(lambda n: ran[n, 'nexusd']))}, " + ", ".join(
                 f"{proxy} in {len(names(lambda n: ran[n, proxy]))}" for proxy in PROXIES))


def test_all():
    for proxy in PROXIES:
        if not program_of(proxy):
            tap.skip("the same bytes for nginx and haproxy", f"no {proxy}")
            return
    named = cases()
    origin = FakeBackend("a", ["llama3:70b"])
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nexusd-differential-"))
        daemon = stack.enter_context(Daemon(
            backends=[backend(origin)], timeouts={"head": 1, "body": 1, "idle": 1},
            limits={"max_body": "64K"}))
        keys = send_all(start(stack, folder, origin, daemon), named)
        daemon.settled()
        judge(named, read_log(origin.log(), keys), daemon.library())
    origin.stop()


if __name__ == "__main__":
    test_all()
    raise SystemExit(tap.done())
