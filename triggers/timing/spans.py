"""Spans of time: weekly ones by the clocks of a time zone, and single ones.

A weekly span is what the clocks of its zone show. Where they skip or repeat its start or its end, because summer time begins or
ends, the longer reading counts: a freeze is never shorter than the clocks say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # as datetime.weekday() counts
WEEK = 7
YEARS = range(2000, 2200)  # of a single span: near the ends of what a date can be, no zone can be computed
SPANS_MAXIMUM = 100  # more that follow each other without a gap count as endless
LONGEST = timedelta(days=366)  # for which something endless is said to last where a moment is needed


@dataclass(frozen=True)
class Span:
    """From `start` until just before `end`, both with a zone."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


class Times(Protocol):
    """Times at which something holds. `zone` is the name of the zone in which people read them."""

    @property
    def zone(self) -> str: ...

    def find_span(self, moment: datetime) -> Span | None:
        """Return the span that has `moment` and ends last; None if there is none."""

    def find_next(self, moment: datetime) -> Span | None:
        """Return the first span that starts after `moment`; None if there is none."""


@cache
def list_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def find_zone(name: str) -> tzinfo:
    """Return the zone; UTC for a name that this machine does not know any longer."""
    return ZoneInfo(name) if name in list_zones() else UTC


@dataclass(frozen=True)
class WeeklyTimes:
    """Spans that begin each week on `days` (Monday is 0) at `start`, and end at the next `end` of `end_day`. Without an end day
    they end on the day on which they begin, or on the next one where `end` is not later than `start`."""

    days: tuple[int, ...]
    start: time
    end: time
    zone: str
    end_day: int | None = None

    def find_span(self, moment: datetime) -> Span | None:
        today = moment.astimezone(find_zone(self.zone)).date()
        longest = max(self._count_days(day) for day in self.days)
        spans = (self._make_span(today - timedelta(days=back)) for back in range(-1, longest + 2))
        return max((span for span in spans if span and moment in span), key=lambda span: span.end, default=None)

    def find_next(self, moment: datetime) -> Span | None:
        today = moment.astimezone(find_zone(self.zone)).date()
        spans = (self._make_span(today + timedelta(days=ahead)) for ahead in range(-1, WEEK + 2))
        return min((span for span in spans if span and span.start > moment), key=lambda span: span.start, default=None)

    def _make_span(self, day: date) -> Span | None:
        if day.weekday() not in self.days:
            return None
        last = day + timedelta(days=self._count_days(day.weekday()))
        return Span(min(self._read(day, self.start)), max(self._read(last, self.end)))

    def _count_days(self, weekday: int) -> int:
        """Return how many days after its first day a span ends."""
        if self.end_day is None:
            return 0 if self.end > self.start else 1
        return (self.end_day - weekday) % WEEK or (0 if self.end > self.start else WEEK)

    def _read(self, day: date, clock: time) -> tuple[datetime, datetime]:
        """Return the moments at which the zone's clocks can show this: two where they skip or repeat it."""
        shown = datetime.combine(day, clock, find_zone(self.zone))
        return shown.replace(fold=0).astimezone(UTC), shown.replace(fold=1).astimezone(UTC)


@dataclass(frozen=True)
class SingleTime:
    """One span."""

    start: datetime
    end: datetime
    zone: str = "UTC"

    def find_span(self, moment: datetime) -> Span | None:
        span = Span(self.start, self.end)
        return span if moment in span else None

    def find_next(self, moment: datetime) -> Span | None:
        return Span(self.start, self.end) if self.start > moment else None


def find_end(times: Iterable[Times], moment: datetime) -> datetime | None:
    """Return when none of the times holds any longer, from `moment` on: spans that touch or overlap count as one. Return
    `moment` itself if none holds now, and None if they are endless."""
    known, end = list(times), moment
    for _ in range(SPANS_MAXIMUM):
        later = max((span.end for one in known if (span := one.find_span(end))), default=end)
        if later == end:
            return end
        end = later
    return None


def write_moment(moment: datetime, zone: str) -> str:
    """Return `Mon 2026-11-30 06:00 (Europe/Berlin)`."""
    shown = moment.astimezone(find_zone(zone))
    return f"{DAYS[shown.weekday()]} {shown:%Y-%m-%d %H:%M} ({zone})"


def write_days(days: Iterable[int]) -> str:
    """Return `Mon-Fri`, `Sat, Sun` or `daily`."""
    chosen = sorted(set(days))
    if len(chosen) == WEEK:
        return "daily"
    if len(chosen) > 2 and chosen == list(range(chosen[0], chosen[-1] + 1)):
        return f"{DAYS[chosen[0]]}-{DAYS[chosen[-1]]}"
    return ", ".join(DAYS[day] for day in chosen)


def write_times(times: WeeklyTimes | SingleTime) -> str:
    """Return `Fri 18:00 to Mon 06:00 (Europe/Berlin)`, or two moments."""
    if isinstance(times, SingleTime):
        start, end = (moment.astimezone(find_zone(times.zone)) for moment in (times.start, times.end))
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({times.zone})"
    until = f"{DAYS[times.end_day]} " if times.end_day is not None else ""
    return f"{write_days(times.days)} {times.start:%H:%M} to {until}{times.end:%H:%M} ({times.zone})"
