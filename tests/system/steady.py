# SPDX-License-Identifier: Apache-2.0
"""Whether what a daemon holds stays the same over time."""
import itertools
import statistics
import time

from tap import diag, ok

FEWEST_SAMPLES = 60          # fewer say nothing: pools, buffers and arenas fill up at first
WARM_SHARE = 1 / 3           # of the samples come before that is over
SLACK_RESIDENT_BYTES = 1 << 20
SLACK_DESCRIPTORS = 16  # kept connections come and go


def slope(points):
    """The median of the slopes between all pairs (Theil and Sen): a few outliers do not move it."""
    return statistics.median((y2 - y1) / (x2 - x1)
                             for (x1, y1), (x2, y2) in itertools.combinations(points, 2))


def growth(points):
    """From the first to the last of (time, value), by the slope."""
    return slope(points) * (points[-1][0] - points[0][0])


class Watch:
    def __init__(self, daemon):
        self.daemon = daemon
        self.samples = []  # (seconds, resident bytes, descriptors)

    def look(self):
        self.samples.append((time.monotonic(), self.daemon.resident_bytes(),
                             self.daemon.open_fds()))

    def check(self):
        """Memory and descriptors do not grow. Says nothing after a short time."""
        every = max(1, len(self.samples) // 20)
        diag(f"resident MB: {[round(r / 1e6, 1) for _, r, _ in self.samples[::every]]}")
        diag(f"descriptors: {[n for _, _, n in self.samples[::every]]}")
        if len(self.samples) < FEWEST_SAMPLES:
            return
        warm = self.samples[int(len(self.samples) * WARM_SHARE):]
        minutes = (warm[-1][0] - warm[0][0]) / 60
        if not self.daemon.is_sanitized():
            grown = growth([(t, resident) for t, resident, _ in warm])
            ok(grown < SLACK_RESIDENT_BYTES, f"memory stays: {grown / 1024:.0f} KiB more in "
               f"{minutes:.1f} minutes")
        grown = growth([(t, n) for t, _, n in warm])
        ok(grown < SLACK_DESCRIPTORS, f"descriptors stay: {grown:.1f} more")
