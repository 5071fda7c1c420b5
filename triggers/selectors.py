"""The queries that pages, the API and the hook have in common."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery, UUIDField
from django.db.models.expressions import RawSQL

from clusters.access import scope, view_permission
from clusters.callers import public_base_url as public_base_url
from clusters.models import Application, Cluster, Service
from triggers import links
from triggers.models import ACTIVE_STATES, Action, CallState, DeliveryLine, ImageSubscription, Trigger, TriggerCall

# Columns that no list shows: long ones, and secrets, which take time to decrypt.
KEYS = tuple(f"application__cluster__{name}" for name in Cluster.KEYS)
TRIGGER_SECRETS = ("trigger__secret", "trigger__old_secret", "trigger__signature_key")
SECRETS = (*TRIGGER_SECRETS, *KEYS)
UNLISTED = ("plan", "failure", "before", "after", *SECRETS)


def build_trigger_link(trigger: Trigger, base_url: str) -> str:
    """Return the trigger's link. Where each call is signed instead, it holds no secret."""
    return links.build_link(base_url, trigger.link_fields, "" if trigger.needs_no_secret else trigger.secret)


def build_status_url(call: TriggerCall, base_url: str, token: str = "") -> str:
    """Return the address of the outcome, which needs no login. `token` is the call's (triggers.hook.outcome_tokens)."""
    return f"{base_url}/hook/calls/{call.pk}{f'?token={token}' if token else ''}"


def get_call(call_id: UUID) -> TriggerCall:
    """Return the call with its application, cluster, service and trigger. Raises TriggerCall.DoesNotExist."""
    return TriggerCall.objects.select_related("application__cluster", "service", "trigger").get(pk=call_id)


def find_application_id(call_id: UUID | str) -> int | None:
    """Return the id of the application that the call is about; None for an unknown call."""
    return TriggerCall.objects.filter(pk=call_id).values_list("application_id", flat=True).first()


def calls_with_relations() -> QuerySet[TriggerCall]:
    """Return calls, the newest first, with everything that a list row shows."""
    rows = TriggerCall.objects.select_related("trigger", "application", "application__cluster", "service", "requested_by")
    return rows.defer(*UNLISTED).order_by("-queued_at")


def whole_calls() -> QuerySet[TriggerCall]:
    """Return calls with everything that a call's own page shows."""
    return calls_with_relations().select_related("coalesced_into", "merged_into").defer(None).defer(*SECRETS)


def find_newest(parts: Sequence[QuerySet[TriggerCall]], number: int) -> QuerySet[TriggerCall]:
    """Return the `number` newest of all calls in the parts.

    Each part is a query of its own within the one, and so uses its own index. For the calls of one application or another, a
    planner would read every call of both.
    """
    chosen = [part.order_by("-queued_at", "-pk").values("pk")[:number].query.sql_with_params() for part in parts]
    union = " UNION ALL ".join(f"SELECT * FROM ({sql}) AS part_{place}" for place, (sql, _) in enumerate(chosen))
    found = RawSQL(union, [value for _, values in chosen for value in values])  # noqa: S611 - the querysets' own
    return calls_with_relations().filter(pk__in=found).order_by("-queued_at", "-pk")[:number]


def has_redeploys(application: str) -> Exists:
    """Return whether redeploys have ended, so that previous images can be known. `application`: the field with its id."""
    ended = TriggerCall.objects.filter(application=OuterRef(application), action=Action.REDEPLOY, before__isnull=False)
    return Exists(ended.filter(state=CallState.SUCCEEDED))


def list_calls_about(service: Service, number: int) -> QuerySet[TriggerCall]:
    """Return the newest calls of the service and of its application as a whole."""
    whole = TriggerCall.objects.filter(application=service.application_id, service=None)
    return find_newest([TriggerCall.objects.filter(service=service), whole], number)


def keep_calls_of(applications: QuerySet[Application], rows: QuerySet[TriggerCall]) -> QuerySet[TriggerCall]:
    """Keep the calls of these applications, for reading few of very many in the order of time.

    The condition is on each row: over a join, SQLite begins with the applications and sorts all their calls.
    """
    return rows.filter(Exists(applications.filter(pk=OuterRef("application_id"))))


def scope_calls(rows: QuerySet[TriggerCall], user: Any) -> QuerySet[TriggerCall]:
    """Keep the calls that the user can see, as `access.scope_visible` does, for reading in the order of time."""
    everything = Application.objects.order_by()
    applications = scope(everything, user, view_permission(TriggerCall))
    return rows if applications is everything else keep_calls_of(applications, rows)


def only_active(rows: QuerySet[TriggerCall]) -> QuerySet[TriggerCall]:
    """Keep the calls that wait or run.

    The states are written into the query itself: with parameters, SQLite does not see that the index of active calls covers
    it, and reads every call.
    """
    states = ", ".join(f"'{state.value}'" for state in ACTIVE_STATES)
    return rows.extra(where=[f"triggers_triggercall.state IN ({states})"])


def triggers_with_last_call() -> QuerySet[Trigger]:
    """Return triggers annotated with `last_call_id`, `last_call_state` and `last_call_at`."""
    newest = TriggerCall.objects.filter(trigger=OuterRef("pk")).order_by("-queued_at")
    rows = Trigger.objects.select_related("application", "application__cluster", "service", "created_by")
    rows = rows.defer("old_secret", "signature_key", *KEYS)
    return rows.annotate(
        last_call_id=Subquery(newest.values("pk")[:1]),
        last_call_state=Subquery(newest.values("state")[:1]),
        last_call_at=Subquery(newest.values("queued_at")[:1]),
    )


def subscriptions_with_last_delivery() -> QuerySet[ImageSubscription]:
    """Return subscriptions annotated with `last_decision`, `last_at`, `last_call` and `last_delivery`, of the newest delivery
    line."""
    lines = DeliveryLine.objects.filter(trigger=OuterRef("trigger"), image=OuterRef("repository")).order_by("-pk")
    return ImageSubscription.objects.annotate(
        last_decision=Subquery(lines.values("decision")[:1]),
        last_at=Subquery(lines.values("delivery__received_at")[:1]),
        last_call=Subquery(lines.values("call")[:1], output_field=UUIDField()),
        last_delivery=Subquery(lines.values("delivery")[:1], output_field=UUIDField()),
    )


def call_duration(call: TriggerCall) -> timedelta | None:
    """Return the time from the claim to the end; None if the call has not ended or never ran."""
    return call.completed_at - call.started_at if call.started_at and call.completed_at else None


def outcome_of(call: TriggerCall) -> TriggerCall:
    """Return the call whose outcome counts for this one: itself, or the one that it was coalesced into."""
    return call.coalesced_into or call
