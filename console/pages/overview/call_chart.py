"""The chart of the calls of the last 24 hours, drawn on the server as SVG. Colours come from the style sheet."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from clusters.models import Application
from console.pages.shared.outcome_counts import OUTCOMES, OutcomeBar, describe_outcomes, stack_outcomes, sum_outcomes
from triggers.calls.tallies import APPLICATION, count_calls, count_calls_of

HOURS = 24
STEP, BAR, HEIGHT = 10, 8, 60  # widths of a bar with and without its gap, height of the chart; in units of the chart


@dataclass(frozen=True)
class Column:
    """An hour of the chart, with the text that hovering shows."""

    x: int
    title: str


@dataclass(frozen=True)
class CallChart:
    """A chart of calls by hour.

    `totals` holds (word, tone, number) of each outcome that occurred. `text` describes the chart in a sentence.
    """

    parts: list[OutcomeBar]
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
    """Chart the calls of the applications (None means all) by outcome and by the UTC hour in which they were queued.

    The chart covers the current hour and the 23 before it. One query.
    """
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
