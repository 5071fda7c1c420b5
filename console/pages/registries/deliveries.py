"""The deliveries on their page: filters from the address, and pages read in the order of time, never by counting."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, F, OuterRef, Prefetch, Q, QuerySet, Value, When
from django.http import HttpRequest

from clusters import access
from clusters.models import Application
from console.pages.shared.keyset import PagePosition, continue_behind, find_horizon
from console.pages.shared.page import read_query
from triggers.models import Decision, Delivery, DeliveryLine, Trigger

PAGE_SIZE = 50  # rows
SEARCHED = 20_000  # deliveries that one page searches for matches
READABLE = 4  # the factor by which laying a body out can lengthen it at most
SECRETS = (
    *(f"registry__{name}" for name in ("password", "ca", "hook_token", "signing_secret")),
    *(f"trigger__{name}" for name in ("secret", "old_secret")),
)
LINE_SECRETS = (
    *(f"trigger__{name}" for name in ("secret", "old_secret")),
    *(f"trigger__application__cluster__tls_{key}" for key in ("ca", "cert", "key")),
)


@dataclass(frozen=True)
class DeliveryFilters:
    """The filters in the address; invalid values count as no filter. `query` is a part of an image's or application's name."""

    query: str
    registry: int | None
    application: int | None
    trigger: int | None
    sender: str
    decision: str
    before: PagePosition | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> "DeliveryFilters":
        decision, sender = read_query(request, "decision"), read_query(request, "sender")
        return cls(
            query=read_query(request, "q"),
            registry=_read_number(request, "registry"),
            application=_read_number(request, "application"),
            trigger=_read_number(request, "trigger"),
            sender=sender[:32],
            decision=decision if decision in Decision.values else "",
            before=PagePosition.parse(read_query(request, "before")),
        )

    @property
    def is_narrow(self) -> bool:
        return bool(self.query or self.registry or self.application or self.trigger or self.sender or self.decision)

    @property
    def is_selective(self) -> bool:
        """True if few of very many deliveries may match and no index finds them."""
        return bool(self.query or self.application or self.trigger or self.sender)

    def apply(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Apply all filters except `before`, which selects the page."""
        if self.registry:
            rows = rows.filter(registry=self.registry)
        if self.sender:
            rows = rows.filter(sender=self.sender)
        if self.decision:
            rows = rows.filter(decision=self.decision)
        lines = DeliveryLine.objects.filter(delivery=OuterRef("pk"))
        if self.application:
            own = Trigger.objects.filter(application=self.application)
            rows = rows.filter(Exists(lines.filter(trigger__application=self.application)) | Q(trigger__in=own))
        if self.trigger:
            rows = rows.filter(Exists(lines.filter(trigger=self.trigger)) | Q(trigger=self.trigger))
        if self.query:
            named = Q(image__icontains=self.query) | Q(trigger__application__name__icontains=self.query)
            rows = rows.filter(Exists(lines.filter(named)))
        return rows

    def find_trigger(self, user: Any) -> Trigger | None:
        """Return the trigger that the list is narrowed to, if the reader may see it."""
        rows = access.scope_visible(Trigger.objects.defer("secret", "old_secret"), user)
        return rows.filter(pk=self.trigger).first() if self.trigger else None

    def find_application(self, user: Any) -> Application | None:
        """Return the application that the list is narrowed to, if the reader may see it."""
        rows = access.scope_visible(Application.objects.all(), user)
        return rows.filter(pk=self.application).first() if self.application else None


@dataclass(frozen=True)
class DeliveryPage:
    """One page. `older` is where the next page begins, None at the end. Nothing older than `searched_until` was searched."""

    deliveries: list[Delivery]
    older: PagePosition | None = None
    searched_until: datetime | None = None


def find_delivery_page(filters: DeliveryFilters) -> DeliveryPage:
    """At most PAGE_SIZE deliveries, those that no index finds among SEARCHED ones."""
    before = filters.before
    horizon = find_horizon(Delivery.objects.all(), "received_at", before, SEARCHED) if filters.is_selective else None
    rows = continue_behind(filters.apply(deliveries_with_relations()), "received_at", before)
    if horizon:
        rows = rows.filter(received_at__gte=horizon)
    found = list(rows[: PAGE_SIZE + 1])
    if len(found) > PAGE_SIZE:
        last = found[PAGE_SIZE - 1]
        return DeliveryPage(summarize_lines(found[:PAGE_SIZE]), PagePosition(last.received_at, last.pk))
    return DeliveryPage(summarize_lines(found), PagePosition(horizon) if horizon else None, horizon)


def list_newest(registry_id: int, number: int) -> list[Delivery]:
    return summarize_lines(deliveries_with_relations().filter(registry=registry_id)[:number])


def deliveries_with_relations() -> QuerySet[Delivery]:
    """Return deliveries, newest first, with all that a list row shows. `told` holds the most telling line, if there is one."""
    telling = Case(When(decision=F("delivery__decision"), then=Value(0)), default=Value(1))
    lines = DeliveryLine.objects.select_related("trigger__application__cluster").defer(*LINE_SECRETS)
    told = Prefetch("lines", lines.annotate(telling=telling).order_by("telling", "pk")[:1], to_attr="told")
    rows = Delivery.objects.select_related("registry", "trigger").defer("body", *SECRETS)
    return rows.prefetch_related(told).order_by("-received_at", "-pk")


def summarize_lines(rows: Iterable[Delivery]) -> list[Delivery]:
    """Return the deliveries, each with its most telling `line` (or None) and the number of `others`."""
    deliveries = list(rows)
    counted = DeliveryLine.objects.filter(delivery__in=[delivery.pk for delivery in deliveries]).order_by()
    counts = dict(counted.values_list("delivery").annotate(Count("pk"))) if deliveries else {}
    for delivery in deliveries:
        delivery.line = next(iter(delivery.told), None)  # type: ignore[attr-defined]
        delivery.others = max(counts.get(delivery.pk, 0) - 1, 0)  # type: ignore[attr-defined]
    return deliveries


def list_lines(delivery: Delivery) -> QuerySet[DeliveryLine]:
    """Return the delivery's lines in their order, with all that its page shows of each."""
    rows = DeliveryLine.objects.filter(delivery=delivery).order_by("pk").select_related("trigger__application__cluster", "call")
    return rows.defer(*LINE_SECRETS, *(f"call__{name}" for name in ("plan", "before", "after")))


def lay_out_body(body: str) -> str:
    """Return JSON indented; any other body, also JSON that was shortened, as it is."""
    try:
        laid_out = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
    return laid_out if len(laid_out) <= READABLE * len(body) + 100 else body


def _read_number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
