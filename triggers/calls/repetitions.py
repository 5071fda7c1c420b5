"""Deliveries that come again: what they are known by, and which call answers them.

Who does not know whether a request arrived sends it once more with the same id. It gets the call that the first one made, at
whatever stage that is by now. Behind it stands the constraint `one_call_a_delivery`.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps

from django.db import IntegrityError

from triggers.calls.requests import CallRequest
from triggers.models import CallState, Trigger, TriggerCall
from triggers.refusals import CallRefused

KEY_HEADER = "Idempotency-Key"  # of the caller's own choosing; GitLab sends it too
# Names of events. GitHub and its like send one event by all the links that they were given, with the same id.
DELIVERY_HEADERS = ("X-GitHub-Delivery", "X-Gitea-Delivery", "X-Forgejo-Delivery")
ID_LENGTH = 255  # characters of TriggerCall.delivery_id
REPLAYED_HEADER = "Idempotent-Replayed"
REPEATED = "This is a repetition of a delivery that has made its call already, so nothing new was done."


class KeyReused(CallRefused):
    """The same Idempotency-Key came with other parameters, so this is not a repetition."""

    status, code = 422, "key_reused"

    def __init__(self) -> None:
        super().__init__(
            f"This {KEY_HEADER} was used for a call with another type, step or tag, so nothing was done. "
            "Send the same request again, or use another key."
        )


def identify_delivery(headers: Mapping[str, str], step: int | None, tag: str) -> str:
    """By a header; empty without one."""
    if key := headers.get(KEY_HEADER):
        return fit_id(key)
    event = next((headers[name] for name in DELIVERY_HEADERS if headers.get(name)), "")
    return fit_id(" ".join(filter(None, (event, str(step or ""), tag)))) if event else ""


def fit_id(text: str) -> str:
    """The text itself, or a hash of one that the column does not take."""
    if len(text) <= ID_LENGTH and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def find_first_call(request: CallRequest) -> TriggerCall | None:
    """The call that answers a repetition; None for a delivery that is new. Ask in the transaction that makes the call.

    A rejected call did nothing and is no answer: it hands over its id, so that what was refused (a cool-down, a disabled
    trigger) can be tried again. What a person cancelled stays cancelled. Raises KeyReused."""
    known = find_call_of_delivery(request.trigger, request.delivery_id)
    if known is None:
        return None
    if known.state == CallState.REJECTED and known.reason != "cancelled":
        TriggerCall.objects.filter(pk=known.pk).update(delivery_id="")
        return None
    if (known.step, known.tag) != (request.step, request.tag):
        raise KeyReused
    known.is_repetition = True
    return known


def find_call_of_delivery(trigger: Trigger | None, delivery_id: str) -> TriggerCall | None:
    if not (trigger and delivery_id):
        return None
    # Without the condition of `one_call_a_delivery` in so many words SQLite reads all calls of the trigger instead.
    rows = TriggerCall.objects.order_by().extra(where=["NOT (triggers_triggercall.delivery_id = '')"])
    return rows.filter(trigger=trigger, delivery_id=delivery_id).first()


def once_a_delivery(accept: Callable[[CallRequest], TriggerCall]) -> Callable[[CallRequest], TriggerCall]:
    """For what records a call: of two processes that get the same delivery at once the second finds the first one's call."""

    @wraps(accept)
    def accept_once(request: CallRequest) -> TriggerCall:
        try:
            return accept(request)
        except IntegrityError:
            if not request.delivery_id:
                raise
            return accept(request)

    return accept_once
