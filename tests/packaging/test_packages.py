# SPDX-License-Identifier: Apache-2.0
"""Installing, removing, purging and reinstalling, with the state of the machine in between."""
import pathlib

import service
import tap
from service import CONFIG, UNIT, must, run
from tap import eq, ok

ALIAS = 'routing: { aliases = ( { name = "kept"; model = "demo"; } ); };\n'


def listening():
    return {line.split()[4] for line in must("ss", "-H", "-l", "-t", "-u", "-n").splitlines()}


def failed():
    return must("systemctl", "--failed", "--plain", "--no-legend")


def apt(*arguments):
    return run("apt-get", "-q", "-y", *arguments, seconds=300)


def test_install():
    before = listening(), failed()
    done = apt("install", "nexusd")
    eq(done.returncode, 0, "apt installs it, and asks nothing", done.stdout[-3000:])
    eq(must("systemctl", "is-active", UNIT).strip(), "active", "it is active")
    eq(listening() - before[0], {service.ADDRESS}, "only an address of loopback is new")
    eq(failed(), before[1], "no unit failed")
    eq(service.ask().status, 200, "it answers")
    eq(must("dpkg", "--verify", "nexusd"), "", "every file is as packaged")


def test_remove():
    files = [pathlib.Path(line) for line in must("dpkg", "-L", "nexusd").splitlines()]
    (CONFIG / "nexusd.conf").write_text(ALIAS)
    done = apt("remove", "nexusd")
    eq(done.returncode, 0, "it is removed", done.stdout[-3000:])
    eq(run("systemctl", "is-active", UNIT).stdout.strip(), "inactive", "its process is gone")
    ok(service.ADDRESS not in listening(), "nothing listens")
    left = [str(p) for p in files if p.is_file() and pathlib.Path("/etc") not in p.parents]
    eq(left, [], "no file is left but those of /etc")
    ok((CONFIG / "nexusd.conf").exists(), "the configuration is")
    eq(failed(), "", "no unit failed")


def test_install_again():
    eq(apt("install", "nexusd").returncode, 0, "it is installed again")
    eq(service.ask(model="kept").status, 200, "and answers, with the configuration of before")


def test_purge():
    before = set(must("dpkg", "-L", "nexusd").splitlines())
    eq(apt("purge", "nexusd").returncode, 0, "it is purged")
    left = [path for path in sorted(before) if pathlib.Path(path).is_file()]
    eq((left, CONFIG.exists()), ([], False), "nothing is left, nor what was put into /etc/nexusd")
    left = must("sh", "-c", "find /etc/systemd /var/lib/systemd/deb-systemd-helper-enabled "
                "/run/systemd/system /var/lib -name '*nexusd*' -not -path '/var/lib/dpkg/*' "
                "-not -path '/var/lib/apt/*' 2>/dev/null || true")
    eq(left, "", "no link or state of a unit is left")
    eq(failed(), "", "no unit failed")


def test_install_after_purge():
    eq(apt("install", "nexusd").returncode, 0, "it is installed once more")
    eq(service.ask().status, 200, "and answers")


tap.run(globals())
