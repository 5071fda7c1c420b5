"""Repeated deliveries: how they are recognised, and which call answers them.

A caller that is not sure whether a request arrived sends it again with the same id. It gets the call that the first request
made, in its present state. The constraint `one_call_a_delivery` stands behind this.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps

from django.db import IntegrityError

from triggers.calls.requests import CallRequest
from triggers.hook_queries import find_call_id
from triggers.models import CallState, Trigger, TriggerCall
from triggers.reasons import Reason
from triggers.refusals import CallRefused

KEY_HEADER = "Idempotency-Key"  # the caller chooses its value; GitLab sends it too
# Ids of events. GitHub, Gitea and Forgejo send one event to every link that they were given, with the same id.
EVENT_ID_HEADERS = ("X-GitHub-Delivery", "X-Gitea-Delivery", "X-Forgejo-Delivery")
DELIVERY_ID_LENGTH = 255  # characters of TriggerCall.delivery_id
REPLAYED_HEADER = "Idempotent-Replayed"
REPEATED = "This delivery was received before and made this call, so nothing new was done."


class KeyReused(CallRefused):
    """The same Idempotency-Key came with other parameters, so this is not a repetition."""

    status, code = 422, "key_reused"

    def __init__(self) -> None:
        super().__init__(
            f"This {KEY_HEADER} was used for a call with another type, step or tag, so nothing was done. "
            "Send the same request again, or use another key."
        )


def has_delivery_id(headers: Mapping[str, str]) -> bool:
    return any(headers.get(name) for name in (KEY_HEADER, *EVENT_ID_HEADERS))


def identify_delivery(headers: Mapping[str, str], step: int | None, tag: str) -> str:
    """Return the delivery id that the headers give; empty without one."""
    if key := headers.get(KEY_HEADER):
        return fit_id(key)
    event = next((headers[name] for name in EVENT_ID_HEADERS if headers.get(name)), "")
    return fit_id(" ".join(filter(None, (event, str(step or ""), tag)))) if event else ""


def fit_id(text: str) -> str:
    """Return the text itself, or a hash of a text that does not fit the column."""
    if len(text) <= DELIVERY_ID_LENGTH and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def find_first_call(request: CallRequest) -> TriggerCall | None:
    """Return the call that answers a repetition; None for a new delivery. Call it in the transaction that makes the call.

    A rejected call did nothing and is no answer: it gives up its id, so that what was refused (for a cool-down or a disabled
    trigger) can be retried. What a person cancelled stays cancelled. Raises KeyReused.
    """
    known = find_call_of_delivery(request.trigger, request.delivery_id)
    if known is None:
        return None
    if known.state == CallState.REJECTED and known.reason != Reason.CANCELLED:
        TriggerCall.objects.filter(pk=known.pk).update(delivery_id="")
        return None
    if (known.step, known.tag) != (request.step, request.tag):
        raise KeyReused
    known.is_repetition = True
    return known


def find_call_of_delivery(trigger: Trigger | None, delivery_id: str) -> TriggerCall | None:
    if not (trigger and delivery_id):
        return None
    call_id = find_call_id(trigger.pk, delivery_id)
    known = TriggerCall.objects.filter(pk=call_id).first() if call_id else None
    if known:
        known.trigger = trigger  # loaded already
    return known


def once_a_delivery(accept: Callable[[CallRequest], TriggerCall]) -> Callable[[CallRequest], TriggerCall]:
    """Wrap a function that records a call, so that of two processes that get one delivery at once, the second returns the call
    of the first."""

    @wraps(accept)
    def accept_once(request: CallRequest) -> TriggerCall:
        try:
            return accept(request)
        except IntegrityError:
            if not request.delivery_id:
                raise
            return accept(request)

    return accept_once
