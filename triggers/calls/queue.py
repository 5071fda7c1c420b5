"""What already waits at an application: the redeploy that covers a new one, and the limits of the queue."""

import uuid
from typing import NoReturn

from django.conf import settings

from triggers.calls.requests import CallRequest
from triggers.hook_queries import count_queued_calls, list_queued_calls
from triggers.models import TRIGGER_ACTIONS, Action
from triggers.notifications.full_queues import full_queues
from triggers.refusals import CallRefused

RETRY_QUEUE_SECONDS = 10


class QueueFull(CallRefused):
    """Too many calls are already waiting. The message says which limit was reached."""

    status, code = 429, "queue_full"

    def __init__(self, message: str, retry_after: int = RETRY_QUEUE_SECONDS) -> None:
        super().__init__(message)
        self.retry_after: int = retry_after


def find_covering_redeploy(request: CallRequest, *, is_exempt: bool = False) -> uuid.UUID | None:
    """Return the id of a queued redeploy of the same service or of the whole application. One that no freeze window holds back
    (`is_exempt`) is covered by another such one alone.

    A running redeploy does not count: its pull can be older than the push that this call is about. Neither does one that
    runs before a stop or a delete which was requested in between, nor one that changes the image to another tag or returns to a
    previous image.
    """
    if request.action != Action.REDEPLOY:
        return None
    covering = None
    for queued in list_queued_calls(request.application_id):
        wanted = (request.tag, request.start_stopped, request.returns_to or None)
        is_other = (queued.tag, queued.start_stopped, queued.returns_to) != wanted
        if queued.action not in TRIGGER_ACTIONS or (queued.action == Action.REDEPLOY and is_other):
            covering = None
        elif covering is None and queued.service_id in (None, request.service_id) and (queued.is_exempt or not is_exempt):
            covering = queued.id
    return covering


def check_queue(request: CallRequest) -> bool:
    """Return whether the call needs a nudge of its own: not if another call of its application is queued. Raises QueueFull.

    The application's lock is held, so nobody can claim the other call before this one is committed, and the end of the call
    that runs there nudges the next. So either a nudge is on its way for both, or a call runs, or the sweep finds them.
    """
    queue = count_queued_calls(request.application_id, request.trigger.pk if request.trigger else None)
    if queue.of_own >= settings.HOOK_TRIGGER_QUEUE_LIMIT:
        refuse_full(request, f"{queue.of_own} calls of this trigger are already waiting")
    if queue.of_all >= settings.HOOK_QUEUE_LIMIT:
        refuse_full(request, f"{queue.of_all} calls are already waiting")
    return not queue.has_queued


def refuse_full(request: CallRequest, limit: str) -> NoReturn:
    """Raises QueueFull."""
    full_queues.note(request.application_id, f"{limit}.")
    raise QueueFull(f"{limit}; nothing was recorded. Try again later.")
