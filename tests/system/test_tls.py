#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTPS backends: certificates are verified, against the system's store or the backend's ca_file."""
import pathlib
import tempfile

import tap
from certificates import Certificate
from fake_backend import FakeBackend
from harness import Counting, Daemon, backend
from tap import eq, ok


def tls_backend(folder, name, subject):
    certificate = Certificate(folder, name, subject)
    return FakeBackend(name, ["m", f"m-{name}"], tls=certificate.of_server()), str(certificate.path)


def test_verification():
    with tempfile.TemporaryDirectory(prefix="nexusd-test-") as path:
        folder = pathlib.Path(path)
        good, good_ca = tls_backend(folder, "good", "IP:127.0.0.1")
        elsewhere, elsewhere_ca = tls_backend(folder, "elsewhere", "DNS:elsewhere.example")
        unknown, _ = tls_backend(folder, "unknown", "IP:127.0.0.1")
        rows = [backend(good, ca_file=good_ca), backend(elsewhere, ca_file=elsewhere_ca),
                backend(unknown)]
        with Daemon(backends=rows, healthy=1) as daemon:
            for name in ("elsewhere", "unknown"):
                ok(daemon.wait_stderr(f"{name} is unhealthy"), f"{name}: the probe fails",
                   daemon.stderr)
            with Counting(daemon) as added:
                answer = daemon.chat("m")
                events = daemon.stream("m").all_data()
            eq((answer.status, answer.header("x-nexus-backend"), events[-1]),
               (200, "good", "[DONE]"), "a verified backend serves")
            added.check_request("m", "good", 200, n=2)
            eq([daemon.chat(f"m-{n}").status for n in ("elsewhere", "unknown")], [503, 503],
               "the others get nothing")
            eq((elsewhere.log("*"), unknown.log("*")), ([], []), "not even a probe's head")
        for fake in (good, elsewhere, unknown):
            fake.stop()


def test_https_to_a_plain_server():
    plain = FakeBackend("plain", ["m"])
    row = backend(plain, url=plain.url.replace("http:", "https:"))
    with Daemon(backends=[row], healthy=0, timeouts={"connect": 0.3},
                health={"timeout": 0.3}) as daemon:
        ok(daemon.wait_stderr("plain is unhealthy"), "no TLS there: a failure", daemon.stderr)
        eq(daemon.chat("m").status, 503, "and nothing is sent in the clear")
    eq(plain.log("*"), [], "the server saw no request")
    plain.stop()


if __name__ == "__main__":
    tap.run(globals())
