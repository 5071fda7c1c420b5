"""What freeze windows mean for a call that is requested: it is refused, it waits, or no window holds it back.

Where no window can concern a trigger, its link's query says so (triggers.hook_queries), and nothing more is asked.
"""

import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusters.models import Application
from triggers.calls.requests import CallRequest
from triggers.freezes import find_present_freeze
from triggers.models import TRIGGER_ACTIONS, TriggerCall
from triggers.timing.rules import Freeze
from triggers.timing.spans import LONGEST


@dataclass(frozen=True)
class FreezeVerdict:
    """`freeze` is what holds the call back now; None if nothing does. `is_exempt`: no window holds it back, now or later."""

    freeze: Freeze | None = None
    is_exempt: bool = False


def judge_freeze(request: CallRequest, application: Application, now: datetime) -> FreezeVerdict:
    """Runs one query, or none if nothing can freeze the call."""
    trigger = request.trigger
    if request.action not in TRIGGER_ACTIONS or (trigger and trigger.may_be_frozen is not None and not trigger.may_be_frozen):
        return FreezeVerdict()
    if request.override_reason or (trigger and trigger.during_freezes):
        return FreezeVerdict(is_exempt=True)
    return FreezeVerdict(find_present_freeze(application, request.action, now))


def hold_call(call: TriggerCall, freeze: Freeze, now: datetime) -> None:
    """Set on the call until when it waits, and the sentence that says so."""
    call.held_until = find_hold_end(freeze, now)
    call.message = f"{call.message} {freeze.describe_wait()}".lstrip()


def runs_during_freezes(call_id: uuid.UUID) -> bool:
    return TriggerCall.objects.filter(pk=call_id, during_freezes=True).exists()


def find_hold_end(freeze: Freeze, now: datetime) -> datetime:
    """A freeze without an end is looked at again and again; the call needs a moment nevertheless."""
    return freeze.ends_at or now + LONGEST


def count_seconds(freeze: Freeze, now: datetime) -> int:
    """Return the whole seconds until the freeze ends."""
    return max(math.ceil((find_hold_end(freeze, now) - now) / timedelta(seconds=1)), 1)
