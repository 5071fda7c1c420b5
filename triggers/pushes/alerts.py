"""What a trigger does about alerts that its link is told of: act, or say why not. What they say: triggers.payloads.alerts.

A trigger acts on one state of a group of alerts (`Trigger.alert_state`) and ignores the other. A group is told of again and
again while it lasts, so one occurrence of it makes one call: it lasts as long as a notification shares an alert with those
before it. Alerts that join a group, and others that end before it does, change nothing about that; the earliest start alone
would not tell, since it is another one as soon as the first alert has ended. The decision stands in the access log.
"""

from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.models import AlertGroup, AlertState, CallState, Decision, Delivery, Trigger, TriggerCall
from triggers.payloads.alerts import ALERTS_MAXIMUM, Notification, digest
from triggers.pushes.deliveries import Message, describe_message, make_line, store_delivery

HAPPENS = {AlertState.FIRING: "fires", AlertState.RESOLVED: "is resolved"}
DUPLICATE = "Duplicate: this alert has made its call already."


def is_awaited(notification: Notification, trigger: Trigger) -> bool:
    return notification.state == trigger.alert_state


def ignore_notification(message: Message, notification: Notification, trigger: Trigger) -> Delivery:
    """It is the other state's: no call is made."""
    awaited = HAPPENS[AlertState(trigger.alert_state)]
    sentence = f"Nothing was done: the {describe_alert(notification)}, and this trigger acts when it {awaited}."
    return store_notification(message, notification, trigger, Decision.ALERT, sentence)


def accept_notification(message: Message, notification: Notification, request: CallRequest) -> TriggerCall:
    """The call that it makes, or has made before. Raises QueueFull: then it leaves no trace."""
    assert request.trigger
    with transaction.atomic():
        call = accept_call(replace(request, delivery_id=identify_notification(notification, request)))
        store_notification(message, notification, request.trigger, *describe_result(notification, call), call)
    return call


def identify_notification(notification: Notification, request: CallRequest) -> str:
    """The delivery id of the occurrence that it is about, which is remembered; empty where the alerts tell no start. Links that
    ask for different things (two receivers, one to scale out and one to scale in) have each its own."""
    if not notification.start:
        return ""
    now = timezone.now()
    key = digest(notification.group, notification.state, str(request.step), request.tag)
    delivery_id = f"alert {digest(key, notification.start)}"
    group, is_new = AlertGroup.objects.select_for_update().get_or_create(
        trigger=request.trigger, key=key, defaults={"delivery_id": delivery_id, "notified_at": now}
    )
    told_before = () if is_new or notification.alerts.isdisjoint(group.alerts) else group.alerts
    if not told_before:
        group.delivery_id = delivery_id
    others = (name for name in told_before if name not in notification.alerts)
    group.alerts = [*sorted(notification.alerts), *others][:ALERTS_MAXIMUM]
    group.notified_at = now
    group.save()
    return group.delivery_id


def describe_result(notification: Notification, call: TriggerCall) -> tuple[Decision, str]:
    if call.is_repetition:
        return Decision.DUPLICATE, DUPLICATE
    if call.state == CallState.REJECTED:
        return Decision.REJECTED, call.message
    return Decision.TRIGGERED, f"The {describe_alert(notification)}. {call.message}".strip()


def describe_alert(notification: Notification) -> str:
    """`alert HighCPU fires`: without a name where the group holds alerts of several rules."""
    return " ".join(filter(None, ("alert", notification.name, HAPPENS[AlertState(notification.state)])))


def store_notification(
    message: Message,
    notification: Notification,
    trigger: Trigger,
    decision: Decision,
    sentence: str,
    call: TriggerCall | None = None,
) -> Delivery:
    delivery = describe_message(message, None, trigger)
    delivery.sender, delivery.event = notification.sender, notification.state
    return store_delivery(delivery, [make_line("", "", "", decision, sentence, trigger=trigger, call=call)])


def prune_alert_groups() -> int:
    """Forget what was not told of for as long as calls are kept. Returns how many went."""
    horizon = timezone.now() - timedelta(days=settings.CALL_RETENTION_DAYS)
    return AlertGroup.objects.filter(notified_at__lt=horizon).delete()[0]
