"""The calls on the Activity page: filters from the address, and pages read in the order of an index, never by counting."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from clusters import access
from clusters.selectors import without_keys
from console.pages.shared.days import DaySpan
from console.pages.shared.keyset import PagePosition, continue_behind, find_horizon
from console.pages.shared.page import read_query
from console.pages.shared.visible_calls import find_called_applications
from triggers.models import Action, CallState, Trigger, TriggerCall
from triggers.selectors import calls_with_relations, find_newest, keep_calls_of, only_active

PAGE_SIZE = 50  # rows
SEARCHED = 20_000  # calls that one page searches for matches
FEW = 5  # applications: up to so many, each one's calls are searched on their own instead of among all calls
EXPORT_CHUNK = 500  # rows of one query
RANGES = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
}
DAYS = "days"  # the range that the reader gives by two days


@dataclass(frozen=True)
class ActivityFilters:
    """The filters in the address; invalid values count as no filter. `query` is a part of an application's name.
    `days` counts where the
    range is DAYS. `trigger` is the id of the trigger that was called, or None for all calls."""

    query: str
    state: str
    source: str
    action: str
    range: str
    days: DaySpan
    trigger: int | None
    before: PagePosition | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> "ActivityFilters":
        def choose(name: str, choices: Any) -> str:
            value = read_query(request, name)
            return value if value in choices else ""

        trigger = read_query(request, "trigger")
        return cls(
            query=read_query(request, "q"),
            state=choose("state", ("active", *CallState.values)),
            source=choose("source", TriggerCall.Source.values),
            action=choose("action", Action.values),
            range=choose("range", (*RANGES, DAYS)),
            days=DaySpan.from_request(request),
            trigger=int(trigger) if re.fullmatch(r"[0-9]{1,18}", trigger) else None,
            before=PagePosition.parse(read_query(request, "before")),
        )

    @property
    def is_narrow(self) -> bool:
        return bool(self.query or self.state or self.source or self.action or self.range or self.trigger is not None)

    def apply(self, rows: QuerySet[TriggerCall]) -> QuerySet[TriggerCall]:
        """Apply all filters except `query`, which selects applications, and `before`, which selects the page."""
        if self.state:
            rows = only_active(rows) if self.state == "active" else rows.filter(state=self.state)
        if self.source:
            rows = rows.filter(source=self.source)
        if self.action:
            rows = rows.filter(action=self.action)
        if self.range == DAYS:
            return self.days.apply(rows, "queued_at")
        if self.range:
            rows = rows.filter(queued_at__gte=timezone.now() - RANGES[self.range][1])
        return rows


@dataclass(frozen=True)
class ActivityPage:
    """One page. `older` is where the next page begins, None at the end. Nothing older than `searched_until` was searched."""

    calls: list[TriggerCall]
    older: PagePosition | None = None
    searched_until: datetime | None = None


@dataclass(frozen=True)
class Search:
    """The calls that match, as two ways to find them: `by_time` is fast where many match, `by_application` where few do.

    `by_application` has one query for each application and is empty where the applications are too many. The database's planner
    cannot be relied on to choose between the two."""

    by_time: QuerySet[TriggerCall]
    by_application: list[QuerySet[TriggerCall]]
    is_selective: bool


def search_calls(request: HttpRequest, filters: ActivityFilters) -> Search:
    rows = filters.apply(calls_with_relations().order_by("-queued_at", "-pk"))
    if filters.trigger is not None:
        trigger = find_filtered_trigger(request, filters)
        fits = trigger is not None and filters.query.lower() in trigger.application.name.lower()
        return Search(rows.filter(trigger=trigger) if fits else rows.none(), [], is_selective=False)
    applications = find_called_applications(request, filters.query)
    if applications is None:
        return Search(rows, [], bool(filters.state or filters.source or filters.action))
    few = list(applications.values_list("pk", flat=True)[: FEW + 1])
    parts = [filters.apply(TriggerCall.objects.filter(application=pk)) for pk in few]
    return Search(keep_calls_of(applications, rows), parts if len(few) <= FEW else [], is_selective=True)


def find_filtered_trigger(request: HttpRequest, filters: ActivityFilters) -> Trigger | None:
    """Return the trigger whose calls alone are listed, on whichever cluster, if the reader can see it and its calls."""
    rows = without_keys(access.scope_visible(Trigger.objects.all(), request.user), "application__cluster")
    trigger = rows.filter(pk=filters.trigger).first() if filters.trigger is not None else None
    may_read = trigger is not None and request.user.has_perm(access.view_permission(TriggerCall), trigger)
    return trigger if may_read else None


def find_activity_page(search: Search, before: PagePosition | None) -> ActivityPage:
    """At most PAGE_SIZE calls, found among SEARCHED ones, or among all of a few applications."""
    horizon = find_horizon(TriggerCall.objects.all(), "queued_at", before, SEARCHED) if search.is_selective else None
    rows = search.by_time.filter(queued_at__gte=horizon) if horizon else search.by_time
    found = list(_continue(rows, before)[: PAGE_SIZE + 1])
    if horizon and len(found) <= PAGE_SIZE and search.by_application:
        found, horizon = _take_parts(search, before, PAGE_SIZE + 1), None
    if len(found) > PAGE_SIZE:
        last = found[PAGE_SIZE - 1]
        return ActivityPage(found[:PAGE_SIZE], PagePosition(last.queued_at, last.pk))
    return ActivityPage(found, PagePosition(horizon) if horizon else None, horizon)


def read_all(search: Search) -> Iterator[TriggerCall]:
    """Every call that matches, newest first, a chunk at a time."""
    before = None
    while chunk := _take_chunk(search, before):
        yield from chunk
        before = PagePosition(chunk[-1].queued_at, chunk[-1].pk)


def _take_chunk(search: Search, before: PagePosition | None) -> list[TriggerCall]:
    if search.by_application:
        return _take_parts(search, before, EXPORT_CHUNK)
    return list(_continue(search.by_time, before)[:EXPORT_CHUNK])


def _take_parts(search: Search, before: PagePosition | None, number: int) -> list[TriggerCall]:
    return list(find_newest([_continue(part, before) for part in search.by_application], number))


def _continue(rows: QuerySet[TriggerCall], before: PagePosition | None) -> QuerySet[TriggerCall]:
    return continue_behind(rows, "queued_at", before)
