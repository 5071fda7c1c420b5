"""The newest refused call of each trigger in the panel: the answer to "we call it, and nothing happens"."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, JSONObject
from django.http import HttpRequest
from django.urls import reverse

from triggers.models import Decision, Delivery, Trigger

SHOWN_FOR = timedelta(days=7)
FIELDS = ("id", "received_at", "repeated", "repeated_at", "event", "message", "source_address", "user_agent")


@dataclass(frozen=True)
class RefusedCall:
    """`seen_at` is when the last of them came. `address` is the delivery's page, empty where the reader may not open it."""

    event: str
    message: str
    source_address: str | None
    user_agent: str
    repeated: int
    seen_at: datetime
    address: str


def with_newest_refusal(triggers: QuerySet[Trigger], now: datetime) -> QuerySet[Trigger]:
    """Annotate triggers with `newest_refusal`, which `add_refused_calls` reads: JSON, which saves a query of its own. And with
    `refusals_today`, their number since midnight in UTC."""
    refusals = Delivery.objects.filter(trigger=OuterRef("pk"), decision=Decision.REFUSED, received_at__gte=now - SHOWN_FOR)
    newest = refusals.order_by("-received_at").values(found=JSONObject(**{name: name for name in FIELDS}))
    today = refusals.filter(received_at__gte=now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)).order_by()
    number = today.values("trigger").annotate(number=Count("pk") + Sum("repeated")).values("number")
    return triggers.annotate(newest_refusal=Subquery(newest[:1]), refusals_today=Coalesce(Subquery(number), 0))


def add_refused_calls(request: HttpRequest, triggers: Iterable[Trigger]) -> list[Trigger]:
    """Return the triggers, each with `refused`, a RefusedCall or None, and with `refused_today`, a number."""
    shown = list(triggers)
    may_open = request.user.has_perm("triggers.view_delivery")
    for trigger in shown:
        found = trigger.newest_refusal  # type: ignore[attr-defined]
        may_see = found and request.user.has_perm("triggers.view_deliveryline", trigger)
        trigger.refused = read_refusal(found, may_open) if may_see else None  # type: ignore[attr-defined]
        trigger.refused_today = trigger.refusals_today if may_see else 0  # type: ignore[attr-defined]
    return shown


def read_refusal(found: dict[str, Any], may_open: bool) -> RefusedCall:
    seen_at = datetime.fromisoformat(found["repeated_at"] or found["received_at"])
    return RefusedCall(
        event=found["event"],
        message=found["message"],
        source_address=found["source_address"],
        user_agent=found["user_agent"],
        repeated=found["repeated"],
        seen_at=seen_at if seen_at.tzinfo else seen_at.replace(tzinfo=UTC),  # SQLite keeps UTC without saying so
        address=reverse("delivery", args=[UUID(found["id"])]) if may_open else "",
    )
