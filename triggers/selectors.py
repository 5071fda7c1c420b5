"""What pages, the API and the hook read of triggers and calls."""

from datetime import timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from triggers import links
from triggers.models import ACTIVE_STATES, Trigger, TriggerCall


def public_base_url(request: HttpRequest) -> str:
    """WINDLASS_PUBLIC_URL, else the address the page was opened at; without a trailing slash."""
    return settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"


def build_trigger_link(trigger: Trigger, base_url: str) -> str:
    return links.build_link(base_url, trigger.link_fields, trigger.secret)


def build_status_url(call: TriggerCall, base_url: str, secret: str = "") -> str:
    """Where a caller without a login asks for the outcome. Without `secret` the caller sends it in X-Trigger-Secret."""
    query = f"?{urlencode({'secret': secret})}" if secret else ""
    return f"{base_url}/hook/calls/{call.pk}{query}"


def calls_with_relations() -> QuerySet[TriggerCall]:
    """Calls, newest first, with all that a list row shows."""
    return TriggerCall.objects.select_related(
        "trigger", "application", "application__cluster", "service", "requested_by"
    ).order_by("-queued_at")


def only_active(rows: QuerySet[TriggerCall]) -> QuerySet[TriggerCall]:
    """Those that wait or run. The states stand in the query itself: with parameters SQLite does not see that the index of
    active calls covers it, and reads all calls there are."""
    states = ", ".join(f"'{state.value}'" for state in ACTIVE_STATES)
    return rows.extra(where=[f"triggers_triggercall.state IN ({states})"])


def triggers_with_last_call() -> QuerySet[Trigger]:
    """Triggers with `last_call_id`, `last_call_state` and `last_call_at` annotated."""
    newest = TriggerCall.objects.filter(trigger=OuterRef("pk")).order_by("-queued_at")
    return Trigger.objects.select_related("application", "application__cluster", "service", "created_by").annotate(
        last_call_id=Subquery(newest.values("pk")[:1]),
        last_call_state=Subquery(newest.values("state")[:1]),
        last_call_at=Subquery(newest.values("queued_at")[:1]),
    )


def call_duration(call: TriggerCall) -> timedelta | None:
    """From the claim to the end; None while it has not ended or never ran."""
    return call.completed_at - call.started_at if call.started_at and call.completed_at else None


def outcome_of(call: TriggerCall) -> TriggerCall:
    """The call whose outcome counts for this one: itself, or the one it was coalesced into."""
    return call.coalesced_into or call
