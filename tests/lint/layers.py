# SPDX-License-Identifier: Apache-2.0
"""Every #include obeys the layers, and every third-party header stays behind its fence."""

import re

import tap

LAYER = {
    "base": 0,
    "loop": 1, "metrics": 1, "config": 1,
    "export": 2, "backend": 2, "upstream": 2, "http": 2,
    "health": 3, "route": 3,
    "api": 4,
    "daemon": 5,
    "ctl": 6,
}

# a program of its own: what it may see of the others
ONLY = {"ctl": ("base", "config")}

# header prefix: the folders or files that may include it
FENCES = {
    "microhttpd.h": ("src/http/",),
    "curl/": ("src/upstream/", "src/ctl/gateway.c"),
    "gnutls/": ("src/http/tls.c",),
    "libconfig.h": ("src/config/",),
    "json-c/": ("src/base/jsonx.c",),
    "json.h": ("src/base/jsonx.c",),
    "libintl.h": ("src/base/i18n.h",),
    "zlib.h": ("src/export/gzip.c",),
    "systemd/": ("src/daemon/service.c",),
}

# api/ decides; it opens nothing and starts nothing
NOT_IN_API = ("sys/socket.h", "netinet/", "arpa/", "sys/epoll.h", "pthread.h", "threads.h")

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def includes(path):
    for number, line in enumerate(tap.read(path).splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def untold_fences():
    """Those that the table of HACKING.md does not have."""
    text = tap.read("HACKING.md")
    for header, places in FENCES.items():
        library = {"json.h": "json-c"}.get(header, re.sub(r"/$|\.h$", "", header))
        for place in places:
            name = place.rstrip("/").split("/")[-1]
            if f"{library} in `{name}`" not in text:
                yield f"HACKING.md: {library} in `{name}` is not in its table"


def layer_finding(path, header):
    parts = path.split("/")
    folder = parts[1] if len(parts) > 2 else "main"
    target = header.split("/")[0]
    if header in ("config.h", "nexusd/messages.h"):
        return None
    if "/" not in header or target not in LAYER:
        return "is not of the form folder/header.h"
    if folder not in LAYER and folder != "main":
        return f"folder src/{folder} has no layer in this lint's table"
    own = LAYER.get(folder, 7)
    if target == folder or (LAYER[target] < own and target in ONLY.get(folder, LAYER)):
        return None
    return f"src/{folder} (layer {own}) must not see {target} (layer {LAYER[target]})"


def own_header_first(path, found):
    header = path[len("src/"):-2] + ".h"
    if header in tap_sources and (not found or found[0][2] != header):
        return [f"{path}: does not include {header} first"]
    return []


upward, fenced, order = [], [], []
tap_sources = {p[len("src/"):] for p in tap.files("src", suffixes=(".c", ".h"))}
for path in tap.files("src", suffixes=(".c", ".h", ".def")):
    found = list(includes(path))
    for number, quoted, header in found:
        where = f'{path}:{number}: "{header}"'
        problem = layer_finding(path, header) if quoted else None
        if problem:
            upward.append(f"{where} {problem}")
        for prefix, allowed in FENCES.items():
            if header.startswith(prefix) and not path.startswith(allowed):
                fenced.append(f"{where} belongs behind {' '.join(allowed)}")
        if path.startswith("src/api/") and header.startswith(NOT_IN_API):
            fenced.append(f"{where} has no place in src/api")
    if path.endswith(".c"):
        order += own_header_first(path, found)

tap.none(upward, "a folder includes itself and lower layers only")
tap.none(fenced, "third-party headers stay behind their fences")
tap.none(list(untold_fences()), "which HACKING.md names")
tap.none(order, "a .c file includes its own header first")
tap.done()
