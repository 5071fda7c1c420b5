"""The audit log: who did what, with filters, in pages that are not counted, and as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from clusters.access.audit import ACTIONS, record_act
from clusters.models import AuditEntry
from console.pages.shared.days import DaySpan
from console.pages.shared.exports import describe_filters, send_csv
from console.pages.shared.keyset import take_older
from console.pages.shared.page import console_page, is_partial, list_visible, read_query, require

PAGE_SIZE = 50  # rows
EXPORT_CHUNK = 1000  # rows of one query
COLUMNS = ("time", "user", "address", "action", "target type", "target id", "target", "cluster", "details", "count", "last")

SHOWN = (
    *("time", "actor", "address", "action", "target_type", "target_id", "target", "details", "count", "last_at"),
    "cluster__name",
)


@dataclass(frozen=True)
class AuditFilters:
    """The filters in the address. `before` is the id of the entry above the page."""

    actor: str
    action: str
    days: DaySpan
    before: int | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> "AuditFilters":
        before = request.GET.get("before", "")
        return cls(
            actor=read_query(request, "user"),
            action=read_query(request, "action"),
            days=DaySpan.from_request(request),
            before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        )

    @property
    def is_narrow(self) -> bool:
        return bool(self.actor or self.action or self.days)

    def apply(self, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Match whole names and words only, since each filter has an index for that."""
        if self.actor:
            rows = rows.filter(actor=self.actor)
        if self.action:
            rows = rows.filter(action=self.action)
        return self.days.apply(rows, "time")


@require_safe
@console_page
def audit(request: HttpRequest) -> HttpResponse:
    require(request, "clusters.view_auditentry")
    filters = AuditFilters.from_request(request)
    rows = _list_entries(request, filters)
    above = AuditEntry.objects.filter(pk=filters.before).first() if filters.before else None
    found = list((_older_than(rows, above) if above else rows)[: PAGE_SIZE + 1])
    context = {
        "title": "Audit log",
        "cluster_filter": True,
        "filters": filters,
        "actions": ACTIONS.items(),
        "entries": found[:PAGE_SIZE],
        "has_older": len(found) > PAGE_SIZE,
        "has_newer": above is not None,
    }
    return render(request, "console/users/_audit.html" if is_partial(request, "list") else "console/users/audit.html", context)


@require_safe
@console_page
def audit_export(request: HttpRequest) -> HttpResponseBase:
    """Stream all entries that match the filters, newest first."""
    require(request, "clusters.view_auditentry")
    rows = _list_entries(request, AuditFilters.from_request(request))
    record_act(request, "audit.export", **describe_filters(request))
    return send_csv(request, "audit", COLUMNS, map(_entry_cells, _read_all(rows)))


def _list_entries(request: HttpRequest, filters: AuditFilters) -> QuerySet[AuditEntry]:
    rows = AuditEntry.objects.select_related("cluster").only(*SHOWN)
    return filters.apply(list_visible(request, rows)).order_by("-time", "-pk")


def _older_than(rows: QuerySet[AuditEntry], entry: AuditEntry) -> QuerySet[AuditEntry]:
    return take_older(rows, "time", entry.time, entry.pk)


def _read_all(rows: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    chunk = list(rows[:EXPORT_CHUNK])
    while chunk:
        yield from chunk
        chunk = list(_older_than(rows, chunk[-1])[:EXPORT_CHUNK])


def _entry_cells(entry: AuditEntry) -> tuple[Any, ...]:
    changes = [f"{name}: {new}" if old is None else f"{name}: {old} → {new}" for name, old, new in entry.shown_changes]
    details = "; ".join([*changes, *(f"{name}: {value}" for name, value in entry.shown_details)])
    counted = (entry.count, entry.last_at.isoformat(timespec="seconds") if entry.last_at else "")
    about = (entry.target_type, entry.target_id, entry.target, entry.cluster or "")
    return (entry.time.isoformat(timespec="seconds"), entry.actor, entry.address or "", entry.action, *about, details, *counted)
