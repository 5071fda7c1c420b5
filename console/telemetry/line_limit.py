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
REASONS_A_SECOND = 5  # lines of Django's that say why a request was refused, besides the request's own


class LineLimit:
    """The lines of this process. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._second = 0
        self._lines: Counter[bool] = Counter()  # in that second, by whether the console failed
        self._left_out: Counter[int] = Counter()
        self._reasons = 0

    def admit_reason(self) -> bool:
        """Return whether a line that says why a request was refused is written."""
        with self._lock:
            self._begin_second()
            self._reasons += 1
            return self._reasons <= REASONS_A_SECOND

    def _begin_second(self) -> None:
        second = int(monotonic())
        if second != self._second:
            self._second, self._lines, self._reasons = second, Counter(), 0

    def admit(self, status: int) -> bool:
        """Return whether a request that was answered with `status` gets a line. If not, it is counted."""
        with self._lock:
            self._begin_second()
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
            self._second, self._lines, self._left_out, self._reasons = 0, Counter(), Counter(), 0


line_limit = LineLimit()
