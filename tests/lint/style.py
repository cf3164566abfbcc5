# SPDX-License-Identifier: Apache-2.0
"""Limits that no formatter checks: sizes, licence lines, stems, words, complete file lists."""

import os
import re

import tap

MAX_FILE_LINES = 400
MAX_TEST_LINES = 600  # one program tests one module
MAX_FUNCTION_LINES = 60
MAX_COLUMNS = 100
MAX_CONFIGURE_LINES = 250
TAB = 8

CODE = (".c", ".h", ".def", ".py", ".sh", ".js", ".mjs")
# What autopoint copies, and what the Makefile of po makes.
GETTEXT = re.compile(r"m4/(?!nexusd_)|po/(?!Makevars$|LINGUAS$|POTFILES\.in$|local\.mk$|[\w@]+\.po$)")
# Put together here, so that this file does not contain them.
LICENCE = "SPDX-License-" + "Identifier: Apache-2.0"
WORDS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
NO_LICENCE_LINE = (".md", ".json", ".xz", ".conf.example", "COPYING", "NEWS", "LINGUAS",
                   "debian/changelog", "debian/control", "debian/copyright",
                   "debian/source/format", "README", "README.Debian")


def sources():
    """All text files that people write."""
    top = [f for f in ("configure.ac", "Makefile.am", "autogen.sh", "README.md", "HACKING.md",
                       "NEWS", "SECURITY.md", "CONTRIBUTING.md", ".clang-format", ".clang-tidy",
                       ".editorconfig", ".ci/run")
           if os.path.exists(os.path.join(tap.TREE, f))]
    below = tap.files("src", "include", "tests", "scripts", "m4", "data", "man", "po", "debian",
                      "rpm", "docs")
    built = (".o", ".a", ".log", ".trs", ".dirstamp", ".Po", ".Tpo", ".service", "~")
    return [p for p in top + below
            if not p.endswith(built) and not GETTEXT.match(p) and is_text(p)]


def is_text(path):
    with open(os.path.join(tap.TREE, path), "rb") as file:
        return b"\0" not in file.read(4096)


def functions(text):
    """(name, first line, length) of each function; K&R puts its braces into column 0."""
    start = None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield head_name(lines, start), start, number - start + 1
            start = None


def head_name(lines, brace):
    head = " ".join(lines[max(0, brace - 6):brace - 1])
    names = re.findall(r"(\w+)\(", head)
    return names[-1] if names else "?"


long_files, long_functions, wide, licence, words = [], [], [], [], []
for path in sources():
    text = tap.read(path)
    lines = text.splitlines()
    limit = MAX_TEST_LINES if path.startswith("tests/") else MAX_FILE_LINES
    if path.endswith(CODE) and len(lines) > limit:
        long_files.append(f"{path}: {len(lines)} lines")
    if path.endswith((".c", ".h")):
        long_functions += [f"{path}:{at}: {name}: {n} lines"
                           for name, at, n in functions(text) if n > MAX_FUNCTION_LINES]
    if path.endswith((".c", ".h")):
        wide += [f"{path}:{number}" for number, line in enumerate(lines, 1)
                 if len(line.expandtabs(TAB)) > MAX_COLUMNS and '"' not in line]
    if not path.endswith(NO_LICENCE_LINE) and \
            not any(LICENCE in line for line in lines[:2]):
        licence.append(f"{path}: no SPDX line at its top")
    words += [f"{path}:{number}: {line.strip()[:60]}"
              for number, line in enumerate(lines, 1) if WORDS.search(line)]

tap.none(long_files,
         f"no source is longer than {MAX_FILE_LINES} lines, no test than {MAX_TEST_LINES}")
tap.none(long_functions, f"no function is longer than {MAX_FUNCTION_LINES} lines")
tap.none(wide, f"no line of code is wider than {MAX_COLUMNS} columns")
tap.none(licence, "every file names its licence")
tap.none(words, "nothing is left for later in a comment")

configure_lines = len(tap.read("configure.ac").splitlines())
tap.ok(configure_lines <= MAX_CONFIGURE_LINES,
       f"configure.ac has {configure_lines} lines of at most {MAX_CONFIGURE_LINES}")

stems, doubles = {}, []
for path in tap.files("src", suffixes=(".c", ".h")):
    stem = os.path.splitext(os.path.basename(path))[0]
    folder = os.path.dirname(path)
    if stems.setdefault(stem, folder) != folder:
        doubles.append(f"{path}: {stem} is also in {stems[stem]}")
tap.none(doubles, "the stems of src/ are unique")

missing = []
for path in tap.files("src", "tests", suffixes=CODE):
    folder = os.path.dirname(path)
    listed = tap.read(os.path.join(folder, "local.mk" if folder != "tests" else "unit/local.mk"))
    # A program of one source is listed as the program.
    names = [path, path[:-2] if path.endswith(".c") else path]
    if not any(re.search(r"(?m)(?:^|\s)" + re.escape(name) + r"(?:\s|$)", listed)
               for name in names):
        missing.append(f"{path}: not in {folder}/local.mk")
tap.none(missing, "every source file is in its folder's local.mk")
tap.done()
