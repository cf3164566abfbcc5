# SPDX-License-Identifier: Apache-2.0
"""Every event of the log is in the header, in both catalogs and in use, and so are its fields."""

import os
import re
import subprocess

import tap

HEADER = "include/nexusd/messages.h"
TABLE = "src/base/message.def"
ENTRY = re.compile(r"^-- ([0-9a-f]{32})\nSubject: ([^\n]+)\nDefined-By: nexusd\n"
                   r"Documentation: (\S+)\n\n(.*?)(?=\n-- |\Z)", re.M | re.S)


def rows(macro):
    return re.findall(rf"^{macro}\((\w+),", tap.read(TABLE), re.M)


def english():
    command = ["awk", "-v", f"source={tap.TREE}"]
    for program in ("src/rows.awk", "data/catalog.awk"):
        command += ["-f", os.path.join(tap.TREE, program)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def unused(prefix, names):
    return [f"{prefix}{name}: nobody logs it" for name in names
            if not re.search(rf"\b{prefix}{name}\b", code)]


ids = dict(re.findall(r'^#define NEXUSD_MESSAGE_(\w+)\s+"(\w+)"', tap.read(HEADER), re.M))
fields = dict(re.findall(r'^#define NEXUSD_FIELD_(\w+)\s+"(\w+)"', tap.read(HEADER), re.M))
code = "".join(tap.read(path) for path in tap.files("src", suffixes=(".c",))
               if path != "src/base/message.c")

tap.ok(rows("MESSAGE") == list(ids), "the header has the events of the table, in its order")
tap.ok(rows("FIELD") == list(fields), "and the fields")
tap.none([name for name, value in ids.items() if not re.fullmatch("[0-9a-f]{32}", value)],
         "an id is 128 bits in hexadecimal digits")
tap.ok(len(set(ids.values())) == len(ids), "no two events have the same")
tap.none([name for name, value in fields.items() if value != f"NEXUSD_{name}"],
         "a field is called as its macro says")
tap.none(unused("MESSAGE_", ids), "every event is logged somewhere")
tap.none(unused("NEXUSD_FIELD_", fields), "every field is set somewhere")

marks = {}
for language, text in (("en", english()), ("de", tap.read("data/nexusd.de.catalog"))):
    entries = {entry[0]: entry for entry in ENTRY.findall(text)}
    tap.ok(list(entries) == list(ids.values()) and text.count("\n-- ") == len(entries),
           f"catalog {language}: the events of the table, in its order",
           sorted(set(entries) ^ set(ids.values())))
    tap.none([line for line in text.split("\n") if len(line) > 78],
             f"catalog {language}: lines fit a terminal")
    marks[language] = {key: set(re.findall(r"@(\w+)@", entry[1] + entry[3]))
                       for key, entry in entries.items()}
    tap.none([f"{key}: {mark}" for key, found in marks[language].items() for mark in found
              if mark not in fields.values()], f"catalog {language}: fields are known")
tap.ok(marks["en"] == marks["de"], "both catalogs show the same fields")
tap.done()
