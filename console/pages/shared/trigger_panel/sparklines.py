"""A trigger's calls of seven days as a row of small bars: one for each day, with failures in a colour of their own."""

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
STEP, BAR, HEIGHT = 8, 6, 26  # a bar with its gap, a bar, the whole height; in units of the drawing
DAY = (
    f'<rect class="sparkline-day" x="{{0}}" y="0" width="{BAR}" height="{HEIGHT}"><title>{{1}}</title></rect>'
    f'<rect class="sparkline-base" x="{{0}}" y="{HEIGHT - 1}" width="{BAR}" height="1"/>'
)
PART = f'<rect class="tone-{{}}" x="{{}}" y="{{}}" width="{BAR}" height="{{}}"/>'


@dataclass(frozen=True)
class Sparkline:
    """A drawing of seven days. `text` says in words what `bars` show; `days` has each day's place and its tooltip."""

    bars: list[OutcomeBar]
    days: list[tuple[int, str]]
    total: int
    text: str

    def draw(self) -> SafeString:
        """Return the picture and the number beside it. Not a template, since a long list holds many of them."""
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
    """Return the triggers, each with `week`: its calls of today and the six days before, in UTC. Runs one query for all."""
    described = list(triggers)
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    counts = _count_by_day([trigger.pk for trigger in described], days)
    for trigger in described:
        trigger.week = _draw(days, counts[trigger.pk])  # type: ignore[attr-defined]
    return described


def _count_by_day(trigger_ids: list[int], days: list[date]) -> dict[int, dict[tuple[int, str], int]]:
    """Return the counts by trigger, then by the day's place among the days and the state."""
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
