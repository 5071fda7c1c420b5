"""The calls of a trigger in seven days as a row of small bars: one a day, what went wrong in a colour of its own."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console.pages.shared.outcome_counts import OutcomeBar, describe_outcomes, stack_outcomes, sum_outcomes
from triggers.calls.tallies import TRIGGER, count_calls_of
from triggers.models import Trigger

DAYS = 7
STEP, BAR, HEIGHT = 8, 6, 26  # of a bar with its gap, of a bar, of the whole; in the drawing's own units
DAY = (
    f'<rect class="sparkline-day" x="{{0}}" y="0" width="{BAR}" height="{HEIGHT}"><title>{{1}}</title></rect>'
    f'<rect class="sparkline-base" x="{{0}}" y="{HEIGHT - 1}" width="{BAR}" height="1"/>'
)
PART = f'<rect class="tone-{{}}" x="{{}}" y="{{}}" width="{BAR}" height="{{}}"/>'


@dataclass(frozen=True)
class Sparkline:
    """`text` says in words what `bars` show; `days` what each day's place says under the pointer."""

    bars: list[OutcomeBar]
    days: list[tuple[int, str]]
    total: int
    text: str

    def draw(self) -> SafeString:
        """The picture and the number beside it. Written here, since a long list of triggers holds many of them."""
        return format_html(
            '<span class="sparkline"><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
            ' aria-label="{text}">{days}{bars}</svg>'
            '<span class="sparkline-total" aria-hidden="true" title="{text}">{total}</span></span>',
            width=STEP * DAYS - (STEP - BAR),
            height=HEIGHT,
            text=self.text,
            total=f"{self.total:,}",
            days=format_html_join("", DAY, self.days),
            bars=format_html_join("", PART, ((bar.tone, bar.x, bar.y, bar.height) for bar in self.bars)),
        )


def add_sparklines(triggers: Iterable[Trigger], now: datetime) -> list[Trigger]:
    """The triggers, each with `week`: its calls by day (of UTC), the present one and the six before it. One query for all."""
    described = list(triggers)
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    counts = _count_by_day([trigger.pk for trigger in described], days)
    for trigger in described:
        trigger.week = _draw(days, counts[trigger.pk])  # type: ignore[attr-defined]
    return described


def _count_by_day(trigger_ids: list[int], days: list[date]) -> dict[int, dict[tuple[int, str], int]]:
    """By trigger, and then by the day's place among the days and by state."""
    midnights = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
    counts: dict[int, dict[tuple[int, str], int]] = defaultdict(dict)
    for (trigger_id, place, state), number in count_calls_of(
        TRIGGER, Trigger.objects.filter(pk__in=trigger_ids), midnights
    ).items():
        counts[trigger_id][place, state] = number
    return counts


def _draw(days: list[date], counts: dict[tuple[int, str], int]) -> Sparkline:
    numbers = sum_outcomes(counts, DAYS)
    sums = [sum(outcome) for outcome in zip(*numbers, strict=True)]
    most = max(map(sum, numbers))
    return Sparkline(
        bars=[bar for index, outcomes in enumerate(numbers) for bar in stack_outcomes(index * STEP, outcomes, most, HEIGHT)],
        days=[
            (index * STEP, f"{day:%a} {day.day} {day:%b}: {describe_outcomes(outcomes)}")
            for index, (day, outcomes) in enumerate(zip(days, numbers, strict=True))
        ],
        total=sum(sums),
        text=f"In {DAYS} days: {describe_outcomes(sums)}.",
    )
