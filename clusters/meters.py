"""The meters, and what this process has counted since the counts were last drained (`drain_counts`).

Counting is a dictionary entry under a lock, and knows neither Django nor Prometheus. `console.telemetry.totals` adds the
drained counts of all processes to one sum in the database, and /metrics shows that sum. Each label takes few values: codes of
our own, and clusters by their uid. Never use a link, a name that a caller sent, or a sentence.
"""

import re
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping

Series = tuple[str, tuple[tuple[str, str], ...]]  # a name as Prometheus has it, and its labels

CODE = re.compile(r"[a-z0-9_]{0,64}")
SECONDS_OF_AN_ANSWER = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SECONDS_OF_A_CALL = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_lock = threading.Lock()
_counts: dict[Series, float] = defaultdict(float)


class Counter:
    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...]) -> None:
        self.name, self.help, self.labels = name, help_text, labels

    def add(self, *values: str) -> None:
        """Count one more. `values` are in the order of `labels`."""
        series = self.name, _label(self.labels, values)
        with _lock:
            _counts[series] += 1


class Histogram:
    kind = "histogram"

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self.name, self.help, self.labels = name, help_text, labels
        self.bounds = bounds  # seconds, each included
        self._cells: dict[tuple[str, ...], list[float]] = {}  # by labels: a count for each bound and beyond, then the sum

    def observe(self, seconds: float, *values: str) -> None:
        """Count one observation. A negative time, from a clock that was set back, counts as 0."""
        seconds = max(seconds, 0.0)
        place = bisect_left(self.bounds, seconds)
        with _lock:
            cells = self._cells.get(values)
            if cells is None:
                cells = self._cells[values] = [0.0] * (len(self.bounds) + 2)
            cells[place] += 1
            cells[-1] += seconds

    def move_to(self, counts: dict[Series, float]) -> None:
        """Add all buckets to `counts`, also empty ones, and reset them. Call it under the lock."""
        for values, (*cells, total) in self._cells.items():
            labels = _label(self.labels, values)
            below = 0.0
            for bound, number in zip([*map(str, self.bounds), "+Inf"], cells, strict=True):
                below += number
                counts[f"{self.name}_bucket", (*labels, ("le", bound))] += below
            counts[f"{self.name}_count", labels] += below
            counts[f"{self.name}_sum", labels] += total
        self._cells.clear()


def _label(names: tuple[str, ...], values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value if CODE.fullmatch(value) else "other") for name, value in zip(names, values, strict=True))


CALLS_ENDED = Counter("windlass_calls_ended_total", "Calls that have ended.", ("action", "state", "reason"))
CALL_WAIT_SECONDS = Histogram(
    "windlass_call_wait_seconds", "Time from the acceptance of a call to its start.", ("action",), SECONDS_OF_A_CALL
)
CALL_RUN_SECONDS = Histogram(
    "windlass_call_run_seconds", "Time from the start of a call to its end.", ("action", "state"), SECONDS_OF_A_CALL
)
REQUESTS_TURNED_AWAY = Counter(
    "windlass_requests_turned_away_total", "Requests that ended before they were read, by status.", ("status",)
)
HOOK_REQUESTS = Counter(
    "windlass_hook_requests_total", "Requests to links, by kind of link and HTTP status of the response.", ("link", "code")
)
HOOK_ACK_SECONDS = Histogram(
    "windlass_hook_ack_seconds",
    "Time from a request to a link to its response, or until it begins to wait for its call to end.",
    ("link",),
    SECONDS_OF_AN_ANSWER,
)
ENGINE_REQUESTS = Counter("windlass_engine_requests_total", "Requests to engines, by outcome.", ("cluster", "outcome"))
NOTIFICATIONS = Counter(
    "windlass_notification_attempts_total",
    "Attempts to send a notification, by kind of channel and outcome.",
    ("kind", "outcome"),
)
METERS: tuple[Counter | Histogram, ...] = (
    CALLS_ENDED,
    CALL_WAIT_SECONDS,
    CALL_RUN_SECONDS,
    HOOK_REQUESTS,
    HOOK_ACK_SECONDS,
    ENGINE_REQUESTS,
    REQUESTS_TURNED_AWAY,
    NOTIFICATIONS,
)


def drain_counts() -> dict[Series, float]:
    """Return what was counted since the last call, and reset the counts."""
    with _lock:
        for meter in METERS:
            if isinstance(meter, Histogram):
                meter.move_to(_counts)
        drained = dict(_counts)
        _counts.clear()
    return drained


def restore_counts(counts: Mapping[Series, float]) -> None:
    """Add drained counts that could not be stored back to this process's counts."""
    with _lock:
        for series, number in counts.items():
            _counts[series] += number
