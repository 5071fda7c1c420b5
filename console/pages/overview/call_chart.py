"""Small charts, drawn on the server as SVG: numbers in, rectangles out. Colours are the style sheet's."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from clusters.models import Application
from console.pages.shared.outcome_counts import OUTCOMES, Part, describe_outcomes, stack_outcomes, sum_outcomes
from triggers.calls.tallies import APPLICATION, count_calls, count_calls_of

HOURS = 24
STEP, BAR, HEIGHT = 10, 8, 60  # of a bar with its gap, of a bar, of the chart; in the chart's own units


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
    numbers = sum_outcomes(counts, HOURS)
    most = max(map(sum, numbers))
    sums = [sum(column) for column in zip(*numbers, strict=True)]
    totals = [(word, tone, number) for (word, tone, _), number in zip(OUTCOMES, sums, strict=True) if number]
    return CallChart(
        parts=[part for index, column in enumerate(numbers) for part in stack_outcomes(index * STEP, column, most, HEIGHT)],
        columns=[
            Column(index * STEP, f"{hour:%H:%M} UTC: {describe_outcomes(column)}")
            for index, (hour, column) in enumerate(zip(hours, numbers, strict=True))
        ],
        totals=totals,
        most=most,
        text=f"Calls of the last {HOURS} hours: {describe_outcomes(sums)}; at most {most} in one hour.",
    )


def _count_by_hour(applications: QuerySet[Application] | None, hours: list[datetime]) -> dict[tuple[int, str], int]:
    if applications is None:
        return count_calls(hours)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for (_, place, state), number in count_calls_of(APPLICATION, applications, hours).items():
        counts[place, state] += number
    return counts
