"""The documented JSON answers of the hook: a call's state, a call's outcome, a delivery, or why nothing was accepted."""

import time
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.response import Response

from triggers.calls.lost_answers import lost_answers
from triggers.calls.repetitions import REPEATED, REPLAYED_HEADER
from triggers.hook.outcome_tokens import make_outcome_token
from triggers.hook.waiting import ON_DISCONNECT, TooManyWaiters, waiters
from triggers.models import CallState, Decision, DeliveryLine, TriggerCall
from triggers.pushes.deliveries import Receipt
from triggers.reasons import Reason
from triggers.refusals import CallRefused
from triggers.selectors import build_status_url, outcome_of, public_base_url

log = structlog.get_logger("windlass.hook")

# 423 is Locked: no client repeats such a request by itself, as it would one with 429 or 503, for days.
REJECTED_STATUS: dict[str, int] = {Reason.COOLDOWN: 429, Reason.FROZEN: 423}
SPOILED = (CallState.FAILED, CallState.ROLLED_BACK)
CONTINUES = "The call continues; get its outcome from statusUrl."


def answer(status: int, message: str = "", call: TriggerCall | None = None, **more: Any) -> Response:
    """Build the documented body: `code` is a string that equals the HTTP status. Clients take any but "200" as a failure."""
    body = {"code": str(status), "message": message, "requestId": str(call.pk) if call else None}
    response = Response({**body, **more}, status=status)
    response["Cache-Control"] = "no-store"
    # A browser would name the link, with its secret, as the referrer of what it loads next, such as the site's icon.
    response["Referrer-Policy"] = "no-referrer"
    return response


def answer_refusal(refusal: CallRefused) -> Response:
    response = answer(refusal.status, refusal.message)
    if refusal.reason:
        response.data["reason"] = refusal.reason
    if refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response


def answer_with_call(request: HttpRequest, call: TriggerCall, wait: int) -> Response:
    """Answer with what was decided about a call, or after up to `wait` seconds with its outcome; `wait` 0 does not hold the
    answer."""
    # A repetition gets a cancelled call as its state, like any other call that the first delivery made.
    if call.state == CallState.REJECTED and call.reason != Reason.CANCELLED:
        response = answer_with_rejection(call)
    else:
        response = answer_accepted(request, call, wait)
    return mark_repetition(response) if call.is_repetition else response


def mark_repetition(response: Response) -> Response:
    response[REPLAYED_HEADER] = "true"
    response.data["message"] = f"{response.data['message']} {REPEATED}".strip()
    return response


def answer_with_rejection(call: TriggerCall) -> Response:
    response = answer(REJECTED_STATUS.get(call.reason, 403), call.message, call, state=call.state, reason=call.reason)
    if call.retry_after is not None:
        response["Retry-After"] = str(call.retry_after)
    return response


def answer_accepted(request: HttpRequest, call: TriggerCall, wait: int) -> Response:
    """Answer 202 for a call that waits for the end of a freeze window; 504 at once if the caller's `wait` ends before that."""
    seconds = count_held_seconds(call)
    if wait and seconds > wait:
        return answer(504, f"{call.message} {CONTINUES}", call, **describe_call(request, call))
    if wait:
        return answer_with_outcome(request, call, wait)
    return answer_with_state(request, call, status=202 if seconds else 200)


def count_held_seconds(call: TriggerCall) -> float:
    """Return for how long a freeze window still holds the call back; 0 if none does."""
    held = outcome_of(call) if TriggerCall.coalesced_into.is_cached(call) else call
    if held.held_until is None or held.state not in (CallState.QUEUED, CallState.COALESCED):
        return 0.0
    return max((held.held_until - timezone.now()).total_seconds(), 0.0)


def answer_with_state(request: HttpRequest, call: TriggerCall, status: int = 200) -> Response:
    return answer(status, call.message, call, **describe_call(request, call))


def answer_with_outcome(request: HttpRequest, call: TriggerCall, seconds: int) -> Response:
    """Hold the answer until the call, or the one that covers it, has ended: 200 succeeded, 500 failed or rolled back, 504
    not known yet."""
    request.acknowledged_at = time.perf_counter()  # type: ignore[attr-defined] # for console.telemetry.request_log
    try:
        waiters.wait_for_end(
            call.coalesced_into_id or call.pk,
            seconds,
            share=call.trigger_id,
            on_disconnect=request.META.get(ON_DISCONNECT),
            on_loss=lambda: lost_answers.note(call),
        )
        ended = TriggerCall.objects.select_related("coalesced_into").get(pk=call.pk)
        ended.trigger = call.trigger if ended.trigger_id else None  # known already, with its secret
    except TooManyWaiters:
        message = f"Too many callers are already waiting. {CONTINUES}"
        return answer(504, message, call, **describe_call(request, call))
    except DatabaseError as error:
        log.error("the database does not return a call's outcome", error=str(error))
        message = "The database does not answer. The call was recorded before that; get its outcome from statusUrl later."
        return answer(504, message, call, **describe_call(request, call))
    call, outcome = ended, outcome_of(ended)
    described = {**describe_call(request, call), "state": outcome.state, "reason": outcome.reason}
    if outcome.state in SPOILED and outcome.failure:
        described["failure"] = outcome.failure
    if outcome.state == CallState.SUCCEEDED:
        return answer(200, outcome.message, call, **described)
    if outcome.is_active:
        why = "The console is restarting." if waiters.is_stopping else f"Not finished after {seconds} s."
        return answer(504, " ".join(filter(None, [why, outcome.message, CONTINUES])), call, **described)
    return answer(500, outcome.message, call, **described)


def describe_call(request: HttpRequest, call: TriggerCall) -> dict[str, Any]:
    more: dict[str, Any] = {"state": call.state}
    if call.reason:
        more["reason"] = call.reason
    if call.coalesced_into_id:
        more["coalescedInto"] = str(call.coalesced_into_id)
    if seconds := count_held_seconds(call):
        more["heldUntil"] = (timezone.now() + timedelta(seconds=round(seconds))).isoformat(timespec="seconds")
    if call.state in SPOILED and call.failure:
        more["failure"] = call.failure
    # The same however the caller sent its secret: the token reads this outcome alone.
    token = make_outcome_token(call.pk, call.trigger.public_id) if call.trigger_id and call.trigger else ""
    more["statusUrl"] = build_status_url(call, public_base_url(request), token)
    return more


def answer_push(request: HttpRequest, receipt: Receipt, wait: int) -> Response:
    """Answer a push at a trigger's own link: like a plain call if the push made one, with the decision about each image."""
    call = next((line.call for line in receipt.lines if line.decision == Decision.TRIGGERED), None)
    if call is None:
        return answer_with_delivery(receipt)
    call.trigger = receipt.delivery.trigger  # the same one, with its secret
    response = answer_accepted(request, call, wait)
    response.data |= describe_delivery(receipt)
    return response


def answer_with_delivery(receipt: Receipt) -> Response:
    """Answer 200 also for a message that is ignored: registries repeat a refused message, in order and without end."""
    delivery = receipt.delivery
    code = 401 if delivery.decision == Decision.SIGNATURE else 200
    return answer(code, delivery.message, **describe_delivery(receipt))


def describe_delivery(receipt: Receipt) -> dict[str, Any]:
    return {"deliveryId": str(receipt.delivery.pk), "lines": [describe_line(line) for line in receipt.lines]}


def describe_line(line: DeliveryLine) -> dict[str, str]:
    call = {"requestId": str(line.call_id)} if line.call_id else {}
    return {name: getattr(line, name) for name in ("image", "tag", "digest", "decision", "message")} | call
