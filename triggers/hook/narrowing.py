"""What narrows a trigger's link: who has proved that they may call it is refused here if its options say so.

The checks stand in the order in which they are made. None takes a query, or any work to speak of, while it is unused.
"""

from django.http import HttpRequest
from django.utils import timezone

from clusters.callers import client_address
from triggers.allowed_addresses import is_allowed
from triggers.bodies import Parameters, has_body
from triggers.calls.limits import check_limits
from triggers.calls.lost_answers import lost_answers
from triggers.calls.repetitions import has_delivery_id
from triggers.expiry import explain_expiry
from triggers.models import Proof, Trigger
from triggers.reasons import Reason
from triggers.refusals import CallRefused

SECRET_HEADER = "X-Trigger-Secret"  # noqa: S105 - a header's name
SECRETS = (Proof.SECRET, Proof.OLD_SECRET)


class LinkNarrowed(CallRefused):
    """An option of the trigger excludes the caller. `reason` says which."""

    status = 403

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"Nothing was done: {message}", code=reason)
        self.reason = reason


def check_narrowing(
    request: HttpRequest, parameters: Parameters, trigger: Trigger, proof: Proof, *, may_repeat: bool = False
) -> None:
    """Refuse a caller that the trigger's options exclude, by whatever they are proved. `may_repeat`: the proof has an id, so
    the request can repeat another one. Raises LinkNarrowed, LinkUsedUp and CalledTooOften."""
    check_address(request, trigger)
    if trigger.expires_at is not None:
        check_expiry(trigger)
    if (trigger.calls_left == 0 or trigger.calls_a_minute) and not (may_repeat or can_be_repetition(request, trigger)):
        check_limits(trigger, timezone.now())
    if trigger.header_only:
        check_secret_place(request, parameters, proof)


def check_address(request: HttpRequest, trigger: Trigger) -> None:
    if not trigger.allowed_addresses:
        return
    address = client_address(request)
    if not is_allowed(trigger.allowed_addresses, address):
        seen = f"the call comes from {address}" if address else "the call comes from an address that cannot be read"
        raise LinkNarrowed(Reason.ADDRESS, f"{seen}, and this link can be called from its allowed addresses only.")


def check_expiry(trigger: Trigger) -> None:
    if over := explain_expiry(trigger.expires_at, timezone.now()):
        raise LinkNarrowed(Reason.EXPIRED, f"{over} Whoever manages the trigger can set another date.")


def can_be_repetition(request: HttpRequest, trigger: Trigger) -> bool:
    """Return whether the request may repeat a call that was accepted, and then gets that call's answer whatever the limits.
    Of such a request triggers.calls.accept judges."""
    return has_body(request) or has_delivery_id(request.headers) or lost_answers.has_any(trigger.pk)


def check_secret_place(request: HttpRequest, parameters: Parameters, proof: Proof) -> None:
    """Raises LinkNarrowed for a secret in the address, whatever else was sent, and for one that is not in the header."""
    if parameters.get_from_query("secret"):
        where = "the secret is in the address, where proxies log it"
    elif proof in SECRETS and not request.headers.get(SECRET_HEADER):
        where = "the secret is in the body"
    else:
        return
    advice = f"Send it in the {SECRET_HEADER} header alone."
    raise LinkNarrowed(Reason.IN_ADDRESS, f"{where}, and this trigger takes it in a header only. {advice}")
