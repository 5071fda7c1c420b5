"""Bounds the lines that requests of strangers write to the log: no flood fills the disk of whoever keeps it.

Strangers' requests are those without a signed-in user, except accepted calls of links, of which each has a row of its own.
Beyond LINES_A_SECOND of them, a process counts them by status, and writes the counts in one line every few seconds. What failed
in the console itself has as many lines of its own, so that no flood hides it. The metrics count every request to a link.
"""

import threading
from collections import Counter
from time import monotonic

import structlog

log = structlog.get_logger("windlass.request")

LINES_A_SECOND = 50


class LineLimit:
    """The lines of this process. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._second = 0
        self._lines: Counter[bool] = Counter()  # in that second, by whether the console failed
        self._left_out: Counter[int] = Counter()

    def admit(self, status: int) -> bool:
        """Return whether a request that was answered with `status` gets a line. If not, it is counted."""
        second = int(monotonic())
        with self._lock:
            if second != self._second:
                self._second, self._lines = second, Counter()
            self._lines[status >= 500] += 1
            if self._lines[status >= 500] <= LINES_A_SECOND:
                return True
            self._left_out[status] += 1
            return False

    def report(self) -> None:
        """Log how many requests got no line since the last report."""
        with self._lock:
            counts, self._left_out = self._left_out, Counter()
        if counts:
            log.warning("requests without a line", **{f"status_{status}": counts[status] for status in sorted(counts)})

    def forget(self) -> None:
        """Begin anew, without logging anything."""
        with self._lock:
            self._second, self._lines, self._left_out = 0, Counter(), Counter()


line_limit = LineLimit()
