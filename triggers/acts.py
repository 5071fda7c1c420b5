"""What people do with triggers and calls, on the pages, in the API and in the admin: the change and its line in the audit log.

Whether they may is asked before (clusters.access).
"""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest

from clusters.access.audit import record_act
from clusters.callers import client_address
from clusters.models import Application, Container, Service
from triggers.calls import cancel
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.models import Action, Trigger, TriggerCall
from triggers.pushes.subscriptions import SubscriptionChanges


def start_call(
    request: HttpRequest,
    source: TriggerCall.Source,
    application: Application,
    service: Service | None = None,
    **wanted: Any,
) -> TriggerCall:
    """Accept a call from the request's user; `wanted` are fields of CallRequest. Raises QueueFull."""
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
        asked = {
            "service": service and service.name,
            "container": call.container,
            "tag": call.tag,
            "step": call.step,
            "replicas": call.replicas,
            "trigger": str(call.trigger or ""),
        }
        known = {name: value for name, value in asked.items() if value not in (None, "")}
        word, target = describe_act(call)
        record_act(request, word, target, call=str(call.pk), asked=call.action, source=source.value, **known)
    return call


def cancel_call(request: HttpRequest, call: TriggerCall) -> TriggerCall:
    """The call that is cancelled: for one of several scaling calls that run as one change, that which leads them. Raises
    AlreadyEnded."""
    with transaction.atomic():
        cancelled = cancel.cancel_call(call, request.user.get_username())
        record_act(request, "call.cancel", cancelled.application, call=str(cancelled.pk), asked=cancelled.action)
    return cancelled


def permission_for(act: str, container: str = "") -> str:
    """The permission that an act on an application, or on a container of it, asks for."""
    if act == Action.DELETE:
        return "clusters.delete_container" if container else "clusters.delete_application"
    return "triggers.add_triggercall"


def find_service_of(application: Application, container: str) -> Service | None:
    """Of the container by that name, as last seen."""
    return Service.objects.filter(application=application, containers__name=container).first() if container else None


def describe_act(call: TriggerCall) -> tuple[str, Model]:
    """The log's word, and what it is about: what is lost by a call is found there by a word of its own."""
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
    with transaction.atomic():
        trigger.save()
        subscriptions.save(trigger)
        record_trigger_act(request, "create", trigger, type=trigger.action, **subscriptions.describe())


def change_trigger(
    request: HttpRequest, trigger: Trigger, fields: Collection[str], subscriptions: SubscriptionChanges | None = None
) -> None:
    """Save the fields that were set, and the subscriptions. Switching it on and off has words of its own in the log."""
    subscriptions = subscriptions or SubscriptionChanges()
    with transaction.atomic():
        trigger.save(update_fields=fields)
        subscriptions.save(trigger)
        if "enabled" in fields:
            record_trigger_act(request, "enable" if trigger.enabled else "disable", trigger)
        others = sorted(set(fields) - {"enabled"})
        if others or subscriptions:
            known = {"fields": others} if others else {}
            record_trigger_act(request, "change", trigger, **known, **subscriptions.describe())


def rotate_secret(request: HttpRequest, trigger: Trigger) -> None:
    with transaction.atomic():
        trigger.rotate_secret()
        record_trigger_act(request, "rotate", trigger)


def reveal_secret(request: HttpRequest, trigger: Trigger) -> None:
    """Call it before the link or the secret is shown to somebody who did not make it just now."""
    record_trigger_act(request, "reveal", trigger)


def delete_trigger(request: HttpRequest, trigger: Trigger) -> None:
    with transaction.atomic():
        record_trigger_act(request, "delete", trigger)
        trigger.delete()


def record_trigger_act(request: HttpRequest, word: str, trigger: Trigger, **details: Any) -> None:
    record_act(request, f"trigger.{word}", trigger, application=trigger.application.name, **details)
