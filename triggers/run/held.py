"""Calls that wait for the end of freeze windows.

`TriggerCall.held_until` is a hint, by which the sweep leaves them out: the windows themselves decide, at each claim. Windows
and labels change, so each sweep compares the hints with them, and a call runs within seconds after it is held no longer.
"""

from datetime import datetime
from uuid import UUID

from django.utils import timezone

from clusters.models import Application
from triggers.calls.frozen import find_hold_end
from triggers.freezes import FrozenPlace, load_many_rules, load_rules
from triggers.models import CallState, TriggerCall
from triggers.timing.rules import Freeze, find_hold

QueuedRow = tuple[UUID, str, int | None]  # id, action and service


def list_free_calls(application_id: int) -> list[QueuedRow]:
    """Return the queued calls that no freeze window holds back, the oldest first; the others get the hint. Call it under the
    application's lock."""
    rows = TriggerCall.objects.filter(application_id=application_id, state=CallState.QUEUED).order_by("queued_at", "pk")
    queued = list(rows.values_list("pk", "action", "service_id", "during_freezes", "held_until", "message"))
    if not queued:
        return []
    cluster_id, label = Application.objects.values_list("cluster_id", "freeze_label").get(pk=application_id)
    rules = load_rules(FrozenPlace(application_id, cluster_id, label))
    if not rules:
        return [(pk, action, service_id) for pk, action, service_id, *_ in queued]
    now = timezone.now()
    free: list[QueuedRow] = []
    for pk, action, service_id, is_exempt, held_until, message in queued:
        freeze = None if is_exempt else find_hold(rules, action, now)
        if freeze is None:
            free.append((pk, action, service_id))
        else:
            note_hold(pk, freeze, held_until, message, now)
    return free


def note_hold(call_id: UUID, freeze: Freeze, held_until: datetime | None, message: str, now: datetime) -> None:
    """Write the hint and its sentence, unless the call has them."""
    sentence = freeze.describe_wait()
    if held_until and message.endswith(sentence):
        return
    queued = TriggerCall.objects.filter(pk=call_id, state=CallState.QUEUED)
    queued.update(held_until=find_hold_end(freeze, now), message=sentence)


def refresh_held_calls() -> None:
    """Compare the hints of all calls that wait with the windows as they are now."""
    rows = TriggerCall.objects.filter(state=CallState.QUEUED, held_until__isnull=False).order_by()
    held = list(rows.values_list("pk", "application_id", "action", "during_freezes", "held_until", "message"))
    if not held:
        return
    rules, now = load_many_rules({row[1] for row in held}), timezone.now()
    places = {(application_id, action) for _, application_id, action, *_ in held}
    freezes = {place: find_hold(rules.get(place[0], ()), place[1], now) for place in places}
    released = []
    for pk, application_id, action, is_exempt, held_until, message in held:
        freeze = None if is_exempt else freezes[application_id, action]
        if freeze is None:
            released.append(pk)
        else:
            note_hold(pk, freeze, held_until, message, now)
    if released:
        TriggerCall.objects.filter(pk__in=released, state=CallState.QUEUED).update(held_until=None, message="")
