# SPDX-License-Identifier: Apache-2.0
"""An upgrade to a higher version under load: nothing refused, nothing cut, nothing lost.

NEXUSD_TEST_STREAM_SECONDS is how long the streams take that run across it.
"""
import os
import pathlib
import re
import tempfile

import service
import tap
from fake_backend import FakeBackend
from load import Load
from service import main_pid, must, wait_until
from tap import eq, ok

N_LOOPS = 50
N_STREAMS = 50
STREAM_SECONDS = float(os.environ.get("NEXUSD_TEST_STREAM_SECONDS", "6"))
GAP_SECONDS = 0.5
HIGHER = "+higher"


def higher_version(folder):
    """The package as its own successor; returns the file and the version."""
    must("sh", "-c", f"cd {folder} && apt-get -q download nexusd && dpkg-deb -R nexusd_*.deb tree")
    control = pathlib.Path(folder) / "tree/DEBIAN/control"
    version = re.search(r"(?m)^Version: (.*)$", control.read_text())[1] + HIGHER
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    must("dpkg-deb", "--root-owner-group", "-b", f"{folder}/tree", f"{folder}/new.deb")
    return f"{folder}/new.deb", version


def config(fake):
    return (f'backends = ( {{ name = "slow"; type = "vllm"; url = "{fake.url}"; '
            'models = [ "model-a" ]; } );\n')


def upgrade(deb, version):
    """Installs it while requests run; checks that the service went over to the new files."""
    before, inode = main_pid(), os.stat("/usr/sbin/nexusd").st_ino
    done = service.run("dpkg", "-i", deb)
    eq(done.returncode, 0, "the upgrade succeeds", done.stdout)
    eq(must("dpkg-query", "-W", "-f", "${Version}", "nexusd"), version, "to the higher version")
    after = main_pid()
    ok(after not in (0, before), "another process is the main one", before, done.stdout)
    ok(os.stat("/usr/sbin/nexusd").st_ino != inode and
       os.stat(f"/proc/{after}/exe").st_ino == os.stat("/usr/sbin/nexusd").st_ino,
       "and it runs the new program")
    return before


def test_under_load():
    fake = FakeBackend("slow")
    fake.default = {"chunks": int(STREAM_SECONDS / GAP_SECONDS), "gap": GAP_SECONDS}
    with tempfile.TemporaryDirectory() as folder, service.configured(config(fake)):
        deb, version = higher_version(folder)
        ok(service.has_model("model-a"), "the backend is there")
        asked = service.settled().sum("nexus_requests_total", model="model_a", status="200")
        load = Load("model-a", N_LOOPS, N_STREAMS).start()
        old = upgrade(deb, version)
        eq(load.n_streaming(), N_STREAMS, "every stream still runs after the upgrade")
        ok(pathlib.Path(f"/proc/{old}").exists(), "the old process finishes them")
        n_answered = load.stop()
        eq(dict(load.streams), {"answered": N_STREAMS}, "no stream was cut")
        eq(set(load.outcomes), {"answered"}, "no request was refused or failed", load.outcomes)
        tap.diag(f"{load.outcomes['answered']} requests, {N_STREAMS} streams of {STREAM_SECONDS} s")
        ok(wait_until(lambda: not pathlib.Path(f"/proc/{old}").exists()), "then it ends")
        counted = service.settled().sum("nexus_requests_total", model="model_a", status="200")
        eq(counted - asked, n_answered, "each is counted once, over both processes")
        eq(service.prop("NRestarts"), "0", "nothing was restarted")
    fake.stop()


def test_downgrade():
    """Back to what was there before, by apt."""
    before = main_pid()
    version = must("dpkg-query", "-W", "-f", "${Version}", "nexusd").removesuffix(HIGHER)
    must("apt-get", "-q", "-y", "--allow-downgrades", "install", f"nexusd={version}")
    ok(main_pid() not in (0, before) and service.ask().status == 200,
       "a downgrade is handed over, too")


def test_bad_configuration():
    """What does not start leaves the old process serving, and the upgrade says so."""
    before = main_pid()
    path = service.CONFIG / "conf.d/90-test.conf"
    path.write_text("wrokers = 2;\n")
    try:
        done = service.run("apt-get", "-q", "-y", "--reinstall", "install", "nexusd")
        eq((done.returncode, main_pid()), (0, before), "the old process stays", done.stdout)
        ok("goes on" in done.stdout, "the package says so", done.stdout)
        eq(service.ask().status, 200, "and it serves")
    finally:
        path.unlink()


tap.run(globals())
