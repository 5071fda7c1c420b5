"""Changes that people make to triggers and calls, each with its entry in the audit log.

Pages, the API and the admin call these functions after they have checked the user's permission (clusters.access).
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest

from clusters.access.audit import record_act
from clusters.access.changes import list_changes, read_stored_values, read_values
from clusters.callers import client_address
from clusters.models import Application, Container, Service
from triggers.calls import cancel
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.images.previous import describe_returns
from triggers.models import NARROWING, Action, Trigger, TriggerCall
from triggers.names import propose_name
from triggers.pushes.subscriptions import SubscriptionChanges

# What people choose when they create a trigger, besides what it acts on.
OPTIONS = (
    "name",
    "min_replicas",
    "max_replicas",
    "cooldown_seconds",
    "tag_pattern",
    "on_failure",
    "alert_state",
    "post_only",
    "during_freezes",
    *NARROWING,
)


def request_call(
    request: HttpRequest,
    source: TriggerCall.Source,
    application: Application,
    service: Service | None = None,
    **wanted: Any,
) -> TriggerCall:
    """Accept a call by the request's user. `wanted` are fields of CallRequest. Raises QueueFull."""
    call_request = CallRequest(
        source=source,
        application_id=application.pk,
        service_id=service.pk if service else None,
        requested_by=request.user,
        source_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        **wanted,
    )
    with transaction.atomic():
        call = accept_call(call_request)
        details = {
            "service": service and service.name,
            "container": call.container,
            "tag": call.tag,
            "start_stopped": call.start_stopped,
            "previous": "; ".join(describe_returns(call.returns_to)),
            "step": call.step,
            "replicas": call.replicas,
            "trigger": str(call.trigger or ""),
            "override_reason": call.override_reason,
        }
        known = {name: value for name, value in details.items() if value not in (None, "")}
        verb, target = describe_request(call)
        record_act(request, verb, target, call=str(call.pk), asked=call.action, source=source.value, **known)
    return call


def request_cancel(request: HttpRequest, call: TriggerCall) -> TriggerCall:
    """Cancel the call and return the cancelled one: of several scaling calls that run as one change, the call that leads
    them. Raises AlreadyEnded."""
    with transaction.atomic():
        cancelled = cancel.cancel_call(call, request.user.get_username())
        record_act(request, "call.cancel", cancelled.application, call=str(cancelled.pk), asked=cancelled.action)
    return cancelled


def permission_for(act: str, container: str = "") -> str:
    """Return the permission that `act` needs on an application, or on a container of it."""
    if act == Action.DELETE:
        return "clusters.delete_container" if container else "clusters.delete_application"
    return "triggers.add_triggercall"


def find_service_of(application: Application, container: str) -> Service | None:
    """Return the service of the container with that name, as last seen."""
    return Service.objects.filter(application=application, containers__name=container).first() if container else None


def describe_request(call: TriggerCall) -> tuple[str, Model]:
    """Return the audit log's verb and object. Calls that delete have verbs of their own, so that people find them."""
    if call.action != Action.DELETE:
        return "call", call.application
    if not call.container:
        return "application.delete", call.application
    known = Container.objects.select_related("service__application")
    container = known.filter(service__application=call.application, name=call.container).first()
    return "container.remove", container or call.application


def create_trigger(request: HttpRequest, trigger: Trigger, subscriptions: SubscriptionChanges | None = None) -> None:
    trigger.created_by = request.user  # type: ignore[assignment]
    subscriptions = subscriptions or SubscriptionChanges()
    trigger.name = trigger.name or propose_name(trigger)
    with transaction.atomic():
        trigger.save()
        subscriptions.save(trigger)
        usual = read_values(Trigger(), OPTIONS)
        changes = list_changes(
            {}, {name: value for name, value in read_values(trigger, OPTIONS).items() if value != usual[name]}
        )
        record_trigger_act(request, "create", trigger, type=trigger.action, changes=changes, **subscriptions.describe())


def change_trigger(
    request: HttpRequest, trigger: Trigger, fields: Collection[str], subscriptions: SubscriptionChanges | None = None
) -> None:
    """Save the named fields and the subscriptions. In the audit log, enabling and disabling have verbs of their own."""
    subscriptions = subscriptions or SubscriptionChanges()
    with transaction.atomic():
        others = sorted(set(fields) - {"enabled"})
        before = read_stored_values(trigger, others) if others else {}
        trigger.save(update_fields=fields)
        subscriptions.save(trigger)
        if "enabled" in fields:
            record_trigger_act(request, "enable" if trigger.enabled else "disable", trigger)
        if others or subscriptions:
            changes = list_changes(before, read_values(trigger, before))
            record_trigger_act(request, "change", trigger, changes=changes, **subscriptions.describe())


def rotate_secret(request: HttpRequest, trigger: Trigger, overlap: timedelta = timedelta(0)) -> None:
    """Give the trigger a new secret. The one before it works for `overlap` more."""
    with transaction.atomic():
        trigger.rotate_secret(overlap)
        ends = trigger.old_secret_ends_at.isoformat(timespec="seconds") if trigger.old_secret_ends_at else "at once"
        record_trigger_act(request, "rotate", trigger, old_secret_ends=ends)


def end_old_secret(request: HttpRequest, trigger: Trigger) -> None:
    """Make the secret before the last rotation stop working at once. Nothing happens if there is none."""
    if not trigger.has_old_secret:
        return
    with transaction.atomic():
        trigger.end_old_secret()
        record_trigger_act(request, "end_old", trigger)


def reveal_secret(request: HttpRequest, trigger: Trigger) -> None:
    """Record that a user sees the link or the secret. Call it first, unless the user has just created the secret."""
    record_trigger_act(request, "reveal", trigger)


def delete_trigger(request: HttpRequest, trigger: Trigger) -> None:
    with transaction.atomic():
        record_trigger_act(request, "delete", trigger)
        trigger.delete()


def record_trigger_act(request: HttpRequest, verb: str, trigger: Trigger, **details: Any) -> None:
    record_act(request, f"trigger.{verb}", trigger, application=trigger.application.name, **details)
