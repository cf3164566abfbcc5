# SPDX-License-Identifier: Apache-2.0
"""What is said in more than one place about the service, and must be the same there."""

import configparser
import os
import re
import xml.etree.ElementTree as xml

import tap


def first(pattern, path):
    match = re.search(pattern, tap.read(path), re.M)
    return match[1] if match else f"not found in {path}"


def same(what, values):
    tap.none([f"{where}: {value}" for where, value in values.items()]
             if len(set(values.values())) > 1 else [], f"{what} is the same everywhere")


ufw = configparser.ConfigParser()
ufw.read_string(tap.read("data/ufw/nexusd"))
firewalld = xml.fromstring(tap.read("data/firewalld/nexusd.xml"))
metainfo = xml.fromstring(tap.read("data/org.nexusd.nexusd.metainfo.xml"))

same("the version", {
    "configure.ac": first(r"^AC_INIT\(\[nexusd\], \[(.*)\]\)$", "configure.ac"),
    "debian/changelog": first(r"^nexusd \((.*)-\d+\)", "debian/changelog"),
    "rpm/nexusd.spec": first(r"^Version: +(\S+)$", "rpm/nexusd.spec"),
    "rpm/nexusd.spec, changelog": first(r"^\* .* - (\S+)-\d+$", "rpm/nexusd.spec"),
})
same("the port", {
    "nexusd.socket": first(r"^ListenStream=127\.0\.0\.1:(\d+)$", "data/nexusd.socket"),
    "nexusd.conf": first(r'address = "127\.0\.0\.1:(\d+)"', "data/nexusd.conf"),
    "firewalld": ",".join(port.get("port") for port in firewalld.iter("port")),
    "ufw": ufw["nexusd"]["ports"].removesuffix("/tcp"),
})
same("the summary", {
    "debian/control": first(r"^Description: (.*)$", "debian/control"),
    "rpm/nexusd.spec": first(r"^Summary: +(.*)$", "rpm/nexusd.spec"),
    "metainfo": metainfo.findtext("summary"),
})
tap.ok(set(ufw["nexusd"]) == {"title", "description", "ports"}, "ufw finds all it asks for")
tap.ok({port.get("protocol") for port in firewalld.iter("port")} == {"tcp"}, "firewalld: TCP only")
tap.ok(os.path.exists(os.path.join(tap.TREE, "data", metainfo.findtext("launchable") + ".in")),
       "AppStream launches the unit that is here")
tap.done()
