"""Callers that hung up while they waited for an outcome, and call again: `wget` does so 20 times of itself.

A plain call has no id of its delivery, so two equal ones are two calls. Where the first one's caller left without an answer,
and the same caller repeats the same request within seconds, while that call still waits or runs, it is the same delivery. A
process knows this of its own callers. Whoever needs more sends an Idempotency-Key (triggers.calls.repetitions).
"""

import threading
import time
import uuid
from collections.abc import Hashable

from triggers.calls.requests import CallRequest
from triggers.models import TriggerCall
from triggers.selectors import outcome_of

REPEATED_WITHIN = 10.0  # seconds after the caller left
KEPT = 1000  # calls


class LostAnswers:
    """The calls of this process whose callers left. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: dict[tuple[Hashable, ...], tuple[float, uuid.UUID]] = {}  # the oldest first

    def note(self, call: TriggerCall) -> None:
        """Note that the caller left without an answer. Reads nothing from the database."""
        key = (call.trigger_id, call.service_id, call.step, call.tag, call.source_address, call.user_agent)
        with self._lock:
            self._lost.pop(key, None)
            self._lost[key] = (time.monotonic() + REPEATED_WITHIN, call.pk)
            while len(self._lost) > KEPT:
                del self._lost[next(iter(self._lost))]

    def has_any(self, trigger_id: int) -> bool:
        """Return whether a caller of the trigger has left without an answer lately."""
        with self._lock:
            now = time.monotonic()
            return any(key[0] == trigger_id and until > now for key, (until, _) in self._lost.items())

    def find_call(self, request: CallRequest) -> TriggerCall | None:
        """Return the call that the request repeats, if it still waits or runs."""
        if request.delivery_id or request.trigger is None or not self._lost:
            return None
        agent = request.user_agent[:255]  # as it is stored
        key = (request.trigger.pk, request.service_id, request.step, request.tag, request.source_address, agent)
        with self._lock:
            until, call_id = self._lost.get(key, (0.0, None))
        if call_id is None or time.monotonic() > until:
            return None
        call = TriggerCall.objects.select_related("coalesced_into").filter(pk=call_id).first()
        if call is None or not outcome_of(call).is_active:
            return None
        call.trigger = request.trigger  # loaded already, with its secret
        call.is_repetition = True
        return call


lost_answers = LostAnswers()
