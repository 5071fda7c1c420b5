"""Accepting a call: the row is committed before the caller is answered, and a worker is nudged on commit."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from clusters.engine.wording import explain_protection
from clusters.models import Application
from triggers.calls import nudges
from triggers.calls.ending import count_ending, report_ending
from triggers.calls.events import add_event
from triggers.calls.frozen import FreezeVerdict, count_seconds, hold_call, judge_freeze, runs_during_freezes
from triggers.calls.limits import take_from_limits
from triggers.calls.prune import surplus
from triggers.calls.queue import check_queue, find_covering_redeploy
from triggers.calls.rejections import store_rejection
from triggers.calls.repetitions import find_first_call, once_a_delivery
from triggers.calls.requests import CallRequest
from triggers.expiry import explain_end
from triggers.hook_queries import insert_call, lock_application
from triggers.models import CallState, TriggerCall
from triggers.reasons import Reason
from triggers.tag_patterns import explain_tag_refusal

log = structlog.get_logger("windlass.calls")


COVERED = "An equal redeploy is already waiting; its outcome is this call's outcome."


@dataclass(frozen=True)
class Rejection:
    """Why an authentic call does not run. `retry_after` is in seconds, for a cool-down and a freeze window."""

    reason: Reason
    message: str
    retry_after: int | None = None


@once_a_delivery
def accept_call(request: CallRequest) -> TriggerCall:
    """Record the call as `queued`, `coalesced` or `rejected`. It is committed, and a worker is nudged on commit.

    A repeated delivery id of the same trigger returns the first call (triggers.calls.repetitions). A call that is rejected
    for a cool-down or a freeze window has `retry_after` set. One that waits for the end of a freeze window has `held_until`.
    One that was only counted (triggers.calls.rejections) has the id of the row that counts it. Raises QueueFull, KeyReused,
    LinkUsedUp and CalledTooOften.
    """
    with take_turn(), transaction.atomic():
        lock_application(request.application_id)
        if known := find_first_call(request):
            return known
        call = _new_call(request)
        application = request.trigger.application if request.trigger else Application.objects.get(pk=request.application_id)
        frozen = judge_freeze(request, application, call.queued_at)
        rejection = _find_rejection(request, application, frozen, call.queued_at)
        covering = None if rejection else find_covering_redeploy(request, is_exempt=frozen.is_exempt)
        needs_nudge, is_stored = False, True
        if rejection:
            call.state, call.completed_at = CallState.REJECTED, call.queued_at
            call.reason, call.message, call.retry_after = rejection.reason, rejection.message, rejection.retry_after
            is_stored = store_rejection(call, request)
        elif covering:
            call.state, call.completed_at = CallState.COALESCED, call.queued_at
            call.coalesced_into_id = covering
            call.message = COVERED
        else:
            needs_nudge = check_queue(request)
        call.during_freezes = frozen.is_exempt or None
        if frozen.freeze and not rejection and not (covering and runs_during_freezes(covering)):
            hold_call(call, frozen.freeze, call.queued_at)
        if not rejection:
            if request.proof and request.trigger:
                call.took_one = take_from_limits(request.trigger, call.queued_at)
            insert_call(call)
            if request.override_reason:
                add_event(call, "warning", "freeze", f"No freeze window holds it back: {request.override_reason}")
    if needs_nudge and call.held_until is None:
        transaction.on_commit(lambda: nudges.publish_nudge(call.application_id))
    if is_stored:
        surplus.note_added()
    if call.is_active:
        log.info("call accepted", call_id=str(call.pk), action=call.action, source=call.source)
    elif is_stored:
        if request.trigger:
            call.application = request.trigger.application  # known already
        report_ending(call)
    else:
        count_ending(call)
    return call


SQLITE_SECONDS = 5.0  # for which SQLite lets a writer wait unless the settings say otherwise

_turn = threading.Lock()


@contextmanager
def take_turn() -> Iterator[None]:
    """Let the threads of a process that accept calls take turns on SQLite.

    SQLite has one writer at a time and makes waiting writers sleep for longer and longer. Within a transaction nobody waits:
    the write lock is held already. Raises OperationalError, as SQLite does, when its time for waiting is over: while another
    process holds the write lock, a thread would else wait as often as there are threads before it.
    """
    if connection.features.has_select_for_update or connection.in_atomic_block:
        yield
        return
    if not _turn.acquire(timeout=connection.settings_dict["OPTIONS"].get("timeout", SQLITE_SECONDS)):
        raise OperationalError("database is locked, and other calls wait for it")
    try:
        yield
    finally:
        _turn.release()


def _new_call(request: CallRequest) -> TriggerCall:
    return TriggerCall(
        trigger=request.trigger,
        application_id=request.application_id,
        service_id=request.service_id,
        action=request.action,
        source=request.source,
        container=request.container,
        tag=request.tag,
        start_stopped=request.start_stopped or None,
        returns_to=request.returns_to or None,
        step=request.step,
        replicas=request.replicas,
        requested_by=request.requested_by,
        source_address=request.source_address,
        user_agent=request.user_agent[:255],
        delivery_id=request.delivery_id,
        proof=request.proof or None,
        identity=request.identity,
        built_from=request.built_from,
        override_reason=request.override_reason or None,
        judged_image=request.judged_image,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        queued_at=timezone.now(),
    )


def _find_rejection(request: CallRequest, application: Application, frozen: FreezeVerdict, now: datetime) -> Rejection | None:
    trigger = request.trigger
    if trigger and not trigger.enabled:
        return Rejection(Reason.DISABLED, "This trigger is disabled; enable it in the console.")
    is_message = trigger and not request.proof and request.requested_by is None  # not by the link: that is narrowed already
    if trigger and is_message and (over := explain_end(trigger.expires_at, trigger.calls_left, now)):
        return Rejection(Reason.EXPIRED, f"{over} Only people can call it.")
    if application.protected:
        return Rejection(Reason.PROTECTED, f"{explain_protection(application.name)} Nothing was done.")
    if trigger and request.tag and (problem := explain_tag_refusal(trigger.tag_pattern, request.tag)):
        return Rejection(Reason.TAG, problem)
    if frozen.freeze and frozen.freeze.refuses:
        message = f"{frozen.freeze.describe_refusal(application.name)} Nothing was done."
        return Rejection(Reason.FROZEN, message, count_seconds(frozen.freeze, now))
    if remaining := _remaining_cooldown(request, now):
        message = f"This trigger is cooling down; it accepts the next call in {remaining} s."
        return Rejection(Reason.COOLDOWN, message, remaining)
    return None


def _remaining_cooldown(request: CallRequest, now: datetime) -> int:
    """Return the whole seconds until the trigger accepts another call in this direction; 0 if it does now."""
    trigger = request.trigger
    if not trigger or not trigger.cooldown_seconds:
        return 0
    calls = TriggerCall.objects.filter(trigger=trigger).exclude(state=CallState.REJECTED)
    if request.step is not None:
        calls = calls.filter(step__gt=0) if request.step > 0 else calls.filter(step__lt=0)
    last = calls.order_by("-queued_at").values_list("queued_at", flat=True).first()
    if last is None:
        return 0
    return max(math.ceil((last + timedelta(seconds=trigger.cooldown_seconds) - now).total_seconds()), 0)
