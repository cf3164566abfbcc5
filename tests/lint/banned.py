# SPDX-License-Identifier: Apache-2.0
"""Functions and constructs that have no place in nexusd, each with what to use instead."""

import re

import tap

BANNED = {
    "strcpy": "struct buf", "strcat": "struct buf", "strncpy": "struct buf",
    "stpcpy": "struct buf",
    "sprintf": "snprintf or buf_printf", "vsprintf": "vsnprintf",
    "strtok": "str_split", "strtok_r": "str_split",
    "atoi": "str_to_u64", "atol": "str_to_u64", "atoll": "str_to_u64", "atof": "strtod, checked",
    "gets": "getline", "scanf": "a parser", "sscanf": "a parser", "fscanf": "a parser",
    "alloca": "an array of fixed size or malloc", "strdupa": "strdup",
    "system": "nothing: nexusd runs no programs", "popen": "nothing: nexusd runs no programs",
    "mktemp": "mkstemp", "tmpnam": "mkstemp",
    "gethostbyname": "getaddrinfo on the resolver's thread",
    "gmtime": "gmtime_r", "localtime": "localtime_r",
    "rand": "getrandom", "srand": "getrandom", "random": "getrandom",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
TYPEDEF = re.compile(r"\btypedef\s+(struct|enum|union)\b")
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                             re.DOTALL)


def code_lines(path):
    """The code alone: comments and literals blanked, line numbers kept."""
    def blank(match):
        return "\n" * match.group().count("\n") or " "
    return enumerate(COMMENT_OR_TEXT.sub(blank, tap.read(path)).split("\n"), 1)


calls, typedefs = [], []
for path in tap.files("src", "include", "tests", suffixes=(".c", ".h")):
    for number, line in code_lines(path):
        for name in CALL.findall(line):
            calls.append(f"{path}:{number}: {name}(); use {BANNED[name]}")
        if path.startswith("src/") and TYPEDEF.search(line):
            typedefs.append(f"{path}:{number}: typedef of a struct, enum or union")

tap.none(calls, "no banned function is called")
tap.none(typedefs, "no struct, enum or union hides behind a typedef")
tap.done()
