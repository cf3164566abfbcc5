# SPDX-License-Identifier: Apache-2.0
"""Every text for people is found by gettext, and every language has all of them."""

import os
import re
import shutil
import subprocess
import tempfile

import tap

FUNCTIONS = ("_", "N_", "_n", "config_error", "refuse_file", "assignment_refuse",
             "assignment_refuse_saying")
ROWS = ("OPTION",)
MARK = re.compile(r'(?<!\w)(?:' + "|".join(FUNCTIONS) + r')\([^;{]*?"|^(?:' + "|".join(ROWS) + r')\(',
                  re.M)
MAKEVARS = tap.read("po/Makevars").replace("\\\n", " ")
XGETTEXT_OPTIONS = re.search(r"^XGETTEXT_OPTIONS = (.*)$", MAKEVARS, re.M)[1].split()


def listed(name):
    return [line for line in tap.read(name).split("\n") if line and not line.startswith("#")]


def run(*command):
    return subprocess.run([*map(str, command)], cwd=tap.TREE, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)


def check_language(folder, template, language):
    path, merged = f"po/{language}.po", os.path.join(folder, "merged.po")
    formats = run("msgfmt", "--check", "-o", os.devnull, path)
    tap.none(formats.stderr.splitlines(), f"{path}: msgfmt has nothing to say against it")
    run("msgmerge", "--quiet", "--no-fuzzy-matching", "-o", merged, path, template)
    for kind, what in (("--untranslated", "lacks no text"), ("--only-fuzzy", "has no guesses"),
                       ("--only-obsolete", "has no text that is gone")):
        found = run("msgattrib", kind, "--no-wrap", merged).stdout
        tap.none(re.findall(r"^(?:#~ )?(msgid \".+)$", found, re.M), f"{path}: {what}")


files = listed("po/POTFILES.in")
marked = [path for path in tap.files("src", suffixes=(".c", ".h", ".def"))
          if MARK.search(tap.read(path)) and path != "src/base/i18n.h"]
tap.none(sorted(set(marked) ^ set(files)), "po/POTFILES.in names the files with texts, no others")
keywords = re.findall(r"--keyword=(\w+)", " ".join(XGETTEXT_OPTIONS))
tap.ok(sorted(keywords) == sorted(FUNCTIONS + ROWS), "the keywords of po/Makevars are those known here")

if shutil.which("xgettext"):
    with tempfile.TemporaryDirectory() as scratch:
        pot = os.path.join(scratch, "nexusd.pot")
        extracted = run("xgettext", *XGETTEXT_OPTIONS, "-o", pot, *files)
        tap.none(extracted.stderr.splitlines(), "xgettext reads all of them")
        for name in listed("po/LINGUAS"):
            check_language(scratch, pot, name)
else:
    tap.skip("every language has every text", "xgettext is not here")
tap.done()
