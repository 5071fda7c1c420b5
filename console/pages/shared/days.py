"""Spans of days in the address of a list: `since=2026-11-28&until=2026-11-30`. Days are UTC days, and both are included."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date

from console.pages.shared.page import read_query

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class DaySpan:
    """From the beginning of `since` to the end of `until`; None for an open end. What is no date counts as none."""

    since: date | None
    until: date | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> "DaySpan":
        return cls(_read_date(request, "since"), _read_date(request, "until"))

    def __bool__(self) -> bool:
        return bool(self.since or self.until)

    def apply(self, rows: QuerySet[Row], field: str) -> QuerySet[Row]:
        """Keep the rows whose time in `field` is within the span."""
        if self.since:
            rows = rows.filter(**{f"{field}__gte": _start_of(self.since)})
        if self.until:
            rows = rows.filter(**{f"{field}__lt": _start_of(self.until) + timedelta(days=1)})
        return rows


def _read_date(request: HttpRequest, name: str) -> date | None:
    try:
        found = parse_date(read_query(request, name))
    except ValueError:
        return None
    return found if found and 1970 <= found.year <= 9000 else None


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
