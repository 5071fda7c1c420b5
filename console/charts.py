"""Small charts, drawn on the server as SVG: numbers in, rectangles out. Colours are the style sheet's."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from clusters.models import Application
from triggers.models import CallState
from triggers.tallies import APPLICATION, count_calls, count_calls_of

HOURS = 24
STEP, BAR, HEIGHT = 10, 8, 60  # of a bar with its gap, of a bar, of the chart; in the chart's own units
# Outcomes as the chart stacks them, from the bottom: word, css class, states.
OUTCOMES: tuple[tuple[str, str, tuple[CallState, ...]], ...] = (
    ("succeeded", "ok", (CallState.SUCCEEDED,)),
    ("rolled back", "warn", (CallState.ROLLED_BACK,)),
    ("failed", "bad", (CallState.FAILED,)),
    ("coalesced or rejected", "idle", (CallState.COALESCED, CallState.REJECTED)),
    ("queued or running", "busy", (CallState.QUEUED, CallState.RUNNING)),
)


@dataclass(frozen=True)
class Part:
    """A rectangle: the calls of one hour with one outcome."""

    tone: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """An hour: where the pointer finds it, and what it says."""

    x: int
    title: str


@dataclass(frozen=True)
class CallChart:
    """`totals`: (word, tone, number) of each outcome that there is. `text` says the same in a sentence."""

    parts: list[Part]
    columns: list[Column]
    totals: list[tuple[str, str, int]]
    most: int
    text: str
    width: int = STEP * HOURS
    height: int = HEIGHT
    bar: int = BAR
    step: int = STEP

    @property
    def total(self) -> int:
        return sum(number for *_, number in self.totals)


def chart_calls(applications: QuerySet[Application] | None, now: datetime) -> CallChart:
    """Calls of the applications (None: of all) by the hour (of UTC) they were queued in and by outcome: the present hour and
    the 23 before it. One query."""
    first = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    hours = [first + timedelta(hours=number) for number in range(HOURS)]
    counts = _count_by_hour(applications, hours)
    numbers = [[sum(counts.get((place, state), 0) for state in states) for *_, states in OUTCOMES] for place in range(HOURS)]
    most = max(map(sum, numbers))
    sums = [sum(column) for column in zip(*numbers, strict=True)]
    totals = [(word, tone, number) for (word, tone, _), number in zip(OUTCOMES, sums, strict=True) if number]
    return CallChart(
        parts=[part for index, column in enumerate(numbers) for part in _stack(index * STEP, column, most)],
        columns=[Column(index * STEP, f"{hours[index]:%H:%M} UTC: {describe(numbers[index])}") for index in range(HOURS)],
        totals=totals,
        most=most,
        text=f"Calls of the last {HOURS} hours: {describe(sums)}; at most {most} in one hour.",
    )


def describe(numbers: list[int]) -> str:
    """`12 calls, 11 succeeded, 1 failed`."""
    total = sum(numbers)
    said = [f"{number} {word}" for (word, *_), number in zip(OUTCOMES, numbers, strict=True) if number]
    return ", ".join([f"{total} call{'' if total == 1 else 's'}", *said]) if total else "no call"


def _count_by_hour(applications: QuerySet[Application] | None, hours: list[datetime]) -> dict[tuple[int, str], int]:
    if applications is None:
        return count_calls(hours)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for (_, place, state), number in count_calls_of(APPLICATION, applications, hours).items():
        counts[place, state] += number
    return counts


def _stack(x: int, numbers: list[int], most: int) -> list[Part]:
    """One upon another; what there is can be seen, if it is one among thousands."""
    parts, below = [], float(HEIGHT)
    for (_, tone, _), number in zip(OUTCOMES, numbers, strict=True):
        if number:
            height = max(number / most * (HEIGHT - 2 * len(OUTCOMES)), 2)
            below = round(below - height, 2)
            parts.append(Part(tone, x, below, round(height, 2)))
    return parts
