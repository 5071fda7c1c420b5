"""The rows of rejected calls: few, so that a link that is called on and on while its trigger is disabled fills no disk."""

from triggers.calls.requests import CallRequest
from triggers.models import TriggerCall
from triggers.repeats import insert_or_count, make_row_id


def store_rejection(call: TriggerCall, request: CallRequest) -> bool:
    """Store a rejected call, or count it on the first one of the same minute. Return whether it has a row of its own.

    A call that is counted gets the id of that first one: of the same trigger, rejected for the same reason. What people request
    always has a row, since the audit log names it."""
    if request.trigger is None or request.requested_by is not None:
        call.save(force_insert=True)
        return True
    direction = 0 if call.step is None else 1 if call.step > 0 else -1
    parts = (request.trigger.pk, call.service_id, direction, call.source, call.reason)
    call.pk = make_row_id("call", *parts, at=call.queued_at)
    return insert_or_count(call, call.queued_at)
