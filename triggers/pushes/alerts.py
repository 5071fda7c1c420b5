"""Act on alerts that arrive at a trigger's link, or say why not. triggers.payloads.alerts reads the notifications.

A trigger acts on one state of a group of alerts (`Trigger.alert_state`) and ignores the other. Senders repeat a notification
while the group lasts, so one occurrence of the group makes one call. An occurrence lasts as long as each notification shares
an alert with those before it, whichever alerts join the group and whichever end early. The earliest start alone could not
identify it: it changes as soon as the first alert has ended. Each decision is stored as a delivery.

Some senders name neither an alert nor a start. An occurrence of theirs lasts until they report the other state, or until they
have reported nothing for LASTING: the other state could have been lost.
"""

import uuid
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.hook_queries import lock_application
from triggers.models import AlertGroup, AlertState, CallState, Decision, Trigger, TriggerCall
from triggers.payloads.monitors.notification import ALERTS_MAXIMUM, OTHER, Notification, digest
from triggers.pushes.deliveries import Receipt, make_line, store_delivery
from triggers.pushes.receiving import Message, start_delivery

STATE_VERBS = {AlertState.FIRING: "fires", AlertState.RESOLVED: "is resolved"}
DUPLICATE = "Duplicate: this alert has already made its call."
LASTING = timedelta(days=1)
UNNAMED = "unnamed"  # stands for the alert of a sender that names none


def acts_on(trigger: Trigger, notification: Notification) -> bool:
    return notification.state == trigger.alert_state


def ignore_notification(message: Message, notification: Notification, trigger: Trigger) -> Receipt:
    """Store a notification of the state that the trigger does not act on, or of neither state. It makes no call."""
    if notification.state == OTHER:
        return store_notification(message, notification, trigger, Decision.ALERT, f"Nothing was done: {notification.reason}")
    awaited = STATE_VERBS[AlertState(trigger.alert_state)]
    sentence = f"Nothing was done: the {describe_alert(notification)}, and this trigger acts when it {awaited}."
    with transaction.atomic():
        if notification.lasts:
            ended = begin_key(notification, trigger.alert_state)
            AlertGroup.objects.filter(trigger=trigger, key__startswith=ended).delete()
        return store_notification(message, notification, trigger, Decision.ALERT, sentence)


def accept_notification(message: Message, notification: Notification, request: CallRequest, proved_id: str = "") -> TriggerCall:
    """Return the call that the notification makes, or has already made. `proved_id` identifies one that is signed, where
    nothing else does. Raises QueueFull, and then stores nothing."""
    assert request.trigger
    with transaction.atomic():
        lock_application(request.application_id)  # of two notifications at once, the second sees what the first one did
        group = recall_group(notification, request)
        call = accept_call(replace(request, delivery_id=group.delivery_id if group else proved_id))
        if group and (call.state != CallState.REJECTED or call.is_repetition):  # else the notification has not counted
            group.save()
        store_notification(message, notification, request.trigger, *describe_result(notification, call), call)
    return call


def recall_group(notification: Notification, request: CallRequest) -> AlertGroup | None:
    """Return the group with the delivery id of its present occurrence, not saved yet; None when nothing identifies one.

    Links that request different things have different ids, such as two receivers of which one scales out and one scales in."""
    if not (notification.start or notification.lasts):
        return None
    key = make_key(notification, request)
    group = AlertGroup.objects.filter(trigger=request.trigger, key=key).first() or AlertGroup(trigger=request.trigger, key=key)
    known = group.alerts if is_same_occurrence(notification, group) else []
    if not known:
        group.delivery_id = f"alert {digest(key, notification.start or str(uuid.uuid4()))}"
    current = sorted(notification.alerts) or known or [UNNAMED]
    others = (name for name in known if name not in current)
    group.alerts = [*current, *others][:ALERTS_MAXIMUM]
    group.notified_at = timezone.now()
    return group


def is_same_occurrence(notification: Notification, group: AlertGroup) -> bool:
    if notification.alerts:
        return not notification.alerts.isdisjoint(group.alerts)
    return group.notified_at is not None and group.notified_at > timezone.now() - LASTING


def make_key(notification: Notification, request: CallRequest) -> str:
    """Return the key of the group's row. Where the other state ends an occurrence, its rows are found by how they begin:
    whoever reports that state may ask for another step or for none."""
    asked = (str(request.step), request.tag)
    if not notification.lasts:
        return digest(notification.group, notification.state, *asked)
    return begin_key(notification, notification.state) + digest(*asked)[:32]


def begin_key(notification: Notification, state: str) -> str:
    return digest(notification.group, state)[:32]


def describe_result(notification: Notification, call: TriggerCall) -> tuple[Decision, str]:
    if call.is_repetition:
        return Decision.DUPLICATE, DUPLICATE
    if call.state == CallState.REJECTED:
        return Decision.REJECTED, call.message
    return Decision.TRIGGERED, f"The {describe_alert(notification)}. {call.message}".strip()


def describe_alert(notification: Notification) -> str:
    """Return `alert HighCPU fires`, without a name when the group holds alerts of several rules."""
    return " ".join(filter(None, ("alert", notification.name, STATE_VERBS[AlertState(notification.state)])))


def store_notification(
    message: Message,
    notification: Notification,
    trigger: Trigger,
    decision: Decision,
    sentence: str,
    call: TriggerCall | None = None,
) -> Receipt:
    delivery = start_delivery(message, None, trigger)
    delivery.sender, delivery.event = notification.sender, notification.event
    delivery.body = notification.kept or delivery.body
    return store_delivery(delivery, [make_line("", "", "", decision, sentence, trigger=trigger, call=call)])


def prune_alert_groups() -> int:
    """Delete groups without a notification for as long as calls are kept. Return how many were deleted."""
    horizon = timezone.now() - timedelta(days=settings.CALL_RETENTION_DAYS)
    return AlertGroup.objects.filter(notified_at__lt=horizon).delete()[0]
