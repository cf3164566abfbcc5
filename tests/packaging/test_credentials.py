# SPDX-License-Identifier: Apache-2.0
"""A key reaches its backend, and can be seen nowhere else."""
import contextlib
import os
import pathlib
import pwd
import secrets
import signal
import tempfile

import service
import tap
from fake_backend import FakeBackend
from service import UNIT, main_pid, must, prop, run
from tap import eq, ok

KEY = "sk-test-" + secrets.token_hex(16)
HALF = KEY[len("sk-test-"):][:16]  # not even a part of it


def config(fake):
    return (f'backends = ( {{ name = "cloud"; type = "openai"; url = "{fake.url}"; '
            'credential = "cloud-key"; models = [ "model-a" ]; } );\n')


@contextlib.contextmanager
def keyed():
    """The service with a backend that asks for the key; yields the backend."""
    fake = FakeBackend("cloud", kind="openai")
    fake.require_key = f"Bearer {KEY}"
    path = service.CONFIG / "credentials" / "cloud-key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    try:
        with service.configured(config(fake)):
            yield fake
    finally:
        path.unlink()
        fake.stop()


def processes():
    """Every process of the service: name of a file of /proc and its bytes."""
    group = prop("ControlGroup")
    found = {}
    for pid in pathlib.Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split():
        for name in ("environ", "cmdline", "status", "comm"):
            found[f"/proc/{pid}/{name}"] = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    return found


def leaks(texts):
    return [name for name, text in texts.items() if HALF.encode() in text]


def test_key():
    began = service.journal_end()
    with keyed() as fake:
        ok(service.has_model("model-a"), "the backend takes the key", fake.recent(3))
        log = fake.log()
        ok(log and all(e.header("authorization") == f"Bearer {KEY}" for e in log),
           "every request there has it", [e.header("authorization") for e in log])
        fake.require_key = "Bearer another"
        eq(service.ask(model="model-a").status, 401, "a key that is refused")
        texts = processes()
        eq(leaks(texts), [], f"{len(texts)} files of its processes do not have it")
        faces = {target: service.get(target).body
                 for target in ("/metrics", "/v1/stats", "/v1/stats?history=1", "/health?verbose",
                                "/v1/models")}
        eq(leaks(faces), [], "nothing that is served has it")
        shown = {name: must("systemctl", name, "--no-pager", UNIT).encode()
                 for name in ("status", "show", "cat")}
        eq(leaks(shown), [], "systemctl does not show it")
    must("journalctl", "--sync")
    exported = must("journalctl", "-o", "export", "--after-cursor", began).encode()
    eq(leaks({"journal": exported}), [], f"the journal does not have it in {len(exported)} bytes")


def test_others_cannot_read_it():
    with keyed():
        copy = str(pathlib.Path("/proc", str(main_pid()), "root", "run/credentials", UNIT))
        nobody = pwd.getpwnam("nobody")
        done = run("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                   "--clear-groups", "grep", "-r", HALF, f"/run/credentials/{UNIT}", copy,
                   str(service.CONFIG))
        ok(done.returncode != 0 and KEY not in done.stdout, "another user finds no copy of it",
           done.stdout)


def test_core():
    """A crash leaves no image of the memory, although the limits of the machine allow one."""
    with tempfile.TemporaryDirectory(dir="/run", prefix="nexusd-core-") as folder, keyed(), \
            service.drop_in(f"[Service]\nWorkingDirectory={folder}\nReadWritePaths={folder}\n"):
        os.chmod(folder, 0o777)
        service.restart()
        ok(service.has_model("model-a"), "it serves with the key")
        pid = main_pid()
        eq(prop("LimitCORE"), "0", "the unit allows no core dump")
        os.kill(pid, signal.SIGSEGV)
        ok(service.wait_until(lambda: main_pid() not in (0, pid)), "a crash is followed by a start")
        cores = {str(p): p.read_bytes() for p in pathlib.Path(folder).iterdir()}
        eq(leaks(cores), [], f"{len(cores)} core dumps have it not")


tap.run(globals())
