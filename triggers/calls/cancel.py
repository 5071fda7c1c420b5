"""Cancelling a call, while it waits or while it runs."""

import uuid

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from triggers.calls.ending import report_endings
from triggers.calls.events import add_event, clean_event_text
from triggers.calls.limits import give_back
from triggers.hook_queries import lock_application
from triggers.models import CallState, TriggerCall
from triggers.reasons import Reason
from triggers.selectors import get_call

log = structlog.get_logger("windlass.calls")


class AlreadyEnded(Exception):
    """The call has ended, so it cannot be cancelled."""


def cancel_call(call: TriggerCall, name: str) -> TriggerCall:
    """Cancel the call in the name of `name` (for people to read). Return the cancelled call as it is now.

    A queued call ends at once: nothing was done. The worker of a running call notices within a second, rolls back what it can,
    and ends the call. Scaling calls that run as one change are cancelled together, whichever is named; the one that leads
    them is returned. Raises AlreadyEnded.
    """
    now, by = timezone.now(), clean_event_text(name)[:150]
    with transaction.atomic():
        lock_application(call.application_id)
        call.refresh_from_db(fields=["state", "merged_into"])
        led = Q(pk=call.merged_into_id or call.pk) if call.state == CallState.RUNNING else Q(pk=call.pk)
        requested = {"cancel_requested_at": now, "cancelled_by": by}
        queued = TriggerCall.objects.filter(led, state=CallState.QUEUED)
        running = TriggerCall.objects.filter(led, state=CallState.RUNNING)
        message = f"Cancelled by {by} while it waited; nothing was done."
        ended = {"state": CallState.REJECTED, "reason": Reason.CANCELLED, "message": message, "completed_at": now}
        if queued.update(**requested, **ended):
            if call.took_one and call.trigger_id:
                give_back(call.trigger_id)
            add_event(call, "warning", "cancel", message)
            transaction.on_commit(lambda: report_endings([call.pk]), robust=True)
        elif running.filter(cancel_requested_at__isnull=True).update(**requested):
            add_event(running.get(), "warning", "cancel", f"Cancelled by {by}: the call stops at the next safe step.")
        elif not running.exists():
            raise AlreadyEnded
    log.info("call cancelled", call_id=str(call.pk), by=by)
    return get_call(call.merged_into_id or call.pk)


def read_cancellation(call_id: uuid.UUID) -> str | None:
    """Return the name of the person who cancelled the call; None if nobody did."""
    cancelled = TriggerCall.objects.filter(pk=call_id, cancel_requested_at__isnull=False)
    return cancelled.values_list("cancelled_by", flat=True).first()
