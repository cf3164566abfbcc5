# SPDX-License-Identifier: Apache-2.0
"""Samples of a Prometheus or OpenMetrics text, and the sums that tests ask of them."""
import re

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: # .*)?$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')


def sanitize(name):
    """The label rule of metrics.label_values = "sanitized"."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return "_" + name if name[:1].isdigit() else name


def is_subset(wanted, labels):
    return all(labels.get(name) == value for name, value in wanted.items())


class Metrics:
    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = {}
        for line in text.split("\n"):  # a label may hold what else ends a line
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._add(line)

    def _add(self, line):
        match = _SAMPLE.match(line)
        if not match:
            raise ValueError(f"not a sample line: {line!r}")
        labels = frozenset(_LABEL.findall(match[2] or ""))
        key = (match[1], labels)
        if key in self.samples:
            raise ValueError(f"sample twice: {line!r}")
        self.samples[key] = float(match[3])

    def has_family(self, name):
        """Whether the family is known, with or without samples (either format's name)."""
        return name in self.types or name.removesuffix("_total") in self.types

    def get(self, name, **labels):
        """The sample with exactly these labels, None when it is not there."""
        return self.samples.get((name, frozenset(labels.items())))

    def sum(self, name, **labels):
        """The sum of all samples that carry at least these labels."""
        return sum(value for (n, found), value in self.samples.items()
                   if n == name and is_subset(labels, dict(found)))

    def select(self, name, **labels):
        """[(labels, value)] of the samples that carry at least these labels."""
        return [(dict(found), value) for (n, found), value in self.samples.items()
                if n == name and is_subset(labels, dict(found))]

    def since(self, before):
        """What was added since `before`; samples that did not change are left out."""
        later = Metrics("")
        later.types = self.types
        for key, value in self.samples.items():
            added = value - before.samples.get(key, 0)
            if added:
                later.samples[key] = added
        return later
