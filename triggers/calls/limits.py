"""How often a trigger's own link can be called: n calls in all, and n calls in any minute.

Only what is accepted by the link counts. Rejected calls, repetitions, refused calls, and what people, registries and polling
request take nothing. `take_from_limits` judges in the transaction that accepts, under the application's lock, so both limits
are exact however many web processes there are. `check_limits` refuses most callers before that, without a lock.
"""

import math
from datetime import datetime, timedelta

from django.db.models import F

from triggers.hook_queries import find_nth_newest_call
from triggers.models import Trigger
from triggers.reasons import Reason
from triggers.refusals import CallRefused

MINUTE = timedelta(minutes=1)


class LinkUsedUp(CallRefused):
    """The link was for a number of calls, and they were made."""

    status, code = 403, Reason.EXPIRED
    reason = Reason.EXPIRED

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done: this link was for a limited number of calls, and all of them have been made. "
            "Whoever manages the trigger can allow more."
        )


class CalledTooOften(CallRefused):
    """The link was called as often as it can be within a minute."""

    status, code = 429, Reason.RATE
    reason = Reason.RATE

    def __init__(self, limit: int, retry_after: int) -> None:
        calls = "1 call" if limit == 1 else f"{limit} calls"
        super().__init__(
            f"Nothing was done: this link accepts {calls} a minute. Call it again in {retry_after} s.", retry_after=retry_after
        )


def check_limits(trigger: Trigger, now: datetime) -> None:
    """Raises LinkUsedUp and CalledTooOften."""
    if trigger.calls_left == 0:
        raise LinkUsedUp
    check_rate(trigger, now)


def check_rate(trigger: Trigger, now: datetime) -> None:
    """Compare with the calls of the last minute: one look at an index, and no row for what is refused. Raises
    CalledTooOften."""
    if not trigger.calls_a_minute:
        return
    since = now - MINUTE
    nth = find_nth_newest_call(trigger.pk, since, trigger.calls_a_minute)
    if nth is not None:
        raise CalledTooOften(trigger.calls_a_minute, max(math.ceil((nth - since).total_seconds()), 1))


def take_from_limits(trigger: Trigger, now: datetime) -> bool | None:
    """Take a call from the trigger's limits, in the transaction that accepts it. Return True if it took one of a number of
    calls, None if they are not limited. Raises LinkUsedUp and CalledTooOften."""
    check_rate(trigger, now)
    if trigger.calls_left is None:
        return None
    limited = Trigger.objects.filter(pk=trigger.pk, calls_left__isnull=False)
    if limited.filter(calls_left__gt=0).update(calls_left=F("calls_left") - 1):
        return True
    if limited.exists():
        raise LinkUsedUp
    return None  # the limit was removed meanwhile


def give_back(trigger_id: int) -> None:
    """Give back what a call took that ended without having done anything."""
    Trigger.objects.filter(pk=trigger_id, calls_left__isnull=False).update(calls_left=F("calls_left") + 1)
