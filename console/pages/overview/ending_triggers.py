"""The triggers that are about to expire, or that were over lately, for the overview: of each cluster the most urgent one.

It comes with the query of the clusters, as JSON, which saves a query of its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONObject
from django.http import HttpRequest
from django.urls import reverse

from clusters.models import Cluster
from triggers.expiry import NOTICE, describe_notice
from triggers.models import Trigger, TriggerCall

FIELDS = ("pk", "name", "public_id", "action", "expires_at", "calls_left", "application__name")


@dataclass(frozen=True)
class EndingTrigger:
    """`more` is the number of further ones on the same cluster."""

    name: str
    address: str
    application: str
    notice: str
    more: int


def with_ending_trigger(clusters: QuerySet[Cluster], now: datetime) -> QuerySet[Cluster]:
    """Annotate clusters with `ending_trigger` and `ending_number`, which `list_ending_triggers` reads."""
    ending = find_ending_triggers(now).filter(application__cluster=OuterRef("pk"))
    first = ending.order_by(F("expires_at").asc(nulls_first=True), "pk")
    number = ending.order_by().values("application__cluster").annotate(number=Count("pk")).values("number")
    return clusters.annotate(
        ending_trigger=Subquery(first.values(found=JSONObject(**{name: name for name in FIELDS}))[:1]),
        ending_number=Coalesce(Subquery(number), 0),
    )


def find_ending_triggers(now: datetime) -> QuerySet[Trigger]:
    """Select the enabled triggers that expire within NOTICE, that expired within it, or that were called within it for the last
    time. What has been over for longer is no news."""
    recent = TriggerCall.objects.filter(trigger=OuterRef("pk"), queued_at__gte=now - NOTICE)
    dated = Q(expires_at__gt=now - NOTICE, expires_at__lte=now + NOTICE)
    return Trigger.objects.filter(dated | Q(Exists(recent), calls_left=0), enabled=True)


def list_ending_triggers(request: HttpRequest, clusters: Iterable[Cluster], now: datetime) -> list[EndingTrigger]:
    """Return those that the reader may see. Runs no query."""
    return [
        read_ending_trigger(cluster.ending_trigger, cluster.ending_number, now)  # type: ignore[attr-defined]
        for cluster in clusters
        if cluster.ending_trigger and request.user.has_perm("triggers.view_trigger", cluster)  # type: ignore[attr-defined]
    ]


def read_ending_trigger(found: dict[str, Any], number: int, now: datetime) -> EndingTrigger:
    expires_at = datetime.fromisoformat(found["expires_at"]) if found["expires_at"] else None
    if expires_at and expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)  # SQLite keeps UTC without saying so
    trigger = Trigger(name=found["name"], public_id=found["public_id"], action=found["action"])
    return EndingTrigger(
        name=str(trigger),
        address=reverse("trigger", args=[found["pk"]]),
        application=found["application__name"],
        notice=describe_notice(expires_at, found["calls_left"], now),
        more=number - 1,
    )
