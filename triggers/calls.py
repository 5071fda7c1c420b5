"""The life of a TriggerCall: accept, claim, keep, finish, sweep, prune. The only writer of TriggerCall.state.

Two locks make it exact. Everything that decides over an application's queue holds that application's row lock
(SQLite: the write lock that BEGIN IMMEDIATE takes), and the constraint `one_running_call_an_application` stands behind it.
Work on the engine is guarded by the lease: who lost it must stop.
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from clusters.batches import delete_in_batches
from clusters.models import Application
from triggers.endings import report_ending, report_endings
from triggers.models import ACTIVE_STATES, TERMINAL_STATES, TRIGGER_ACTIONS, Action, CallState, TriggerCall, TriggerCallEvent
from triggers.requests import CallRequest
from triggers.selectors import only_active
from triggers.validation import explain_tag_refusal

log = structlog.get_logger("windlass.calls")

RUN_CALL_TASK = "triggers.run_call"
MAXIMUM_ATTEMPTS = 5  # take-overs of one call before it is given up as lost
UNTAKEN_AFTER = timedelta(seconds=5)  # a queued call that nobody took for this long is published again
EVENT_TEXT_LIMIT = 4000  # characters; what an engine or a registry says may be long


class QueueFull(Exception):
    """Too many calls wait already; the message says which limit. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class LeaseLost(Exception):
    """Another worker has taken the call over (or it has ended): stop, and write nothing more about it."""


# Accepting


def accept_call(request: CallRequest) -> TriggerCall:
    """Record the call: `queued`, `coalesced` or `rejected`; committed, and published on commit. Raises QueueFull.

    A repeated delivery id of the same trigger gives the first call again.
    """
    with transaction.atomic():
        _lock_application(request.application_id)
        if known := _find_delivery(request):
            return known
        call = _new_call(request)
        refusal = _find_refusal(request, call.queued_at)
        covering = None if refusal else _find_covering_redeploy(request)
        if refusal:
            call.state, (call.reason, call.message) = CallState.REJECTED, refusal
            call.completed_at = call.queued_at
        elif covering:
            call.state, call.coalesced_into_id = CallState.COALESCED, covering
            call.message = "An equal redeploy was waiting already; its outcome is this call's outcome."
            call.completed_at = call.queued_at
        else:
            _check_queue_limits(request)
            transaction.on_commit(lambda: publish_call(call.pk))
        call.save(force_insert=True)
    if call.is_active:
        log.info("call accepted", call_id=str(call.pk), action=call.action, source=call.source)
    else:
        if request.trigger:
            call.application = request.trigger.application  # known already
        report_ending(call)
    return call


def _lock_application(application_id: int) -> None:
    if connection.features.has_select_for_update:
        Application.objects.select_for_update().only("pk").get(pk=application_id)


def _new_call(request: CallRequest) -> TriggerCall:
    return TriggerCall(
        trigger=request.trigger,
        application_id=request.application_id,
        service_id=request.service_id,
        action=request.action,
        source=request.source,
        container=request.container,
        tag=request.tag,
        step=request.step,
        replicas=request.replicas,
        requested_by=request.requested_by,
        source_address=request.source_address,
        user_agent=request.user_agent[:255],
        delivery_id=request.delivery_id[:255],
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        queued_at=timezone.now(),
    )


def _find_delivery(request: CallRequest) -> TriggerCall | None:
    if not (request.trigger and request.delivery_id):
        return None
    # Without the condition of `one_call_a_delivery` in so many words SQLite reads all calls of the trigger instead.
    rows = TriggerCall.objects.order_by().extra(where=["NOT (triggers_triggercall.delivery_id = '')"])
    return rows.filter(trigger=request.trigger, delivery_id=request.delivery_id[:255]).first()


def _find_refusal(request: CallRequest, now: datetime) -> tuple[str, str] | None:
    """(reason, message) of an authentic call that is not run."""
    trigger = request.trigger
    if trigger and not trigger.enabled:
        return "disabled", "This trigger is disabled; enable it in the console."
    application = trigger.application if trigger else Application.objects.get(pk=request.application_id)
    if application.protected:
        return "protected", f"{application.name} is protected: the console runs in it, or its label says so. Nothing was done."
    if trigger and request.tag and (problem := explain_tag_refusal(trigger.tag_pattern, request.tag)):
        return "tag", problem
    if remaining := remaining_cooldown(request, now):
        return "cooldown", f"This trigger is cooling down; it accepts the next call in {remaining} s."
    return None


def remaining_cooldown(request: CallRequest, now: datetime) -> int:
    """Whole seconds until the trigger accepts a call in this direction again; 0 when it does now."""
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


def _find_covering_redeploy(request: CallRequest) -> Any | None:
    """The id of a queued redeploy of the same service or of the whole application. A running one does not count: its pull may
    be older than the push that this call is about; nor does one that runs before a stop or a delete asked for meanwhile."""
    if request.action != Action.REDEPLOY:
        return None
    covering = None
    for pk, action, service_id, tag in _list_queued(request.application_id):
        if action not in TRIGGER_ACTIONS or (action == Action.REDEPLOY and tag != request.tag):
            covering = None
        elif covering is None and action == Action.REDEPLOY and service_id in (None, request.service_id):
            covering = pk
    return covering


def _list_queued(application_id: int) -> Iterable[tuple[Any, str, int | None, str]]:
    """Id, action, service and tag of the calls that wait for their turn at the application, in its order."""
    queued = TriggerCall.objects.filter(application_id=application_id, state=CallState.QUEUED)
    return queued.order_by("queued_at", "pk").values_list("pk", "action", "service_id", "tag")


def _check_queue_limits(request: CallRequest) -> None:
    own = Q(trigger=request.trigger) if request.trigger else Q(application_id=request.application_id, trigger__isnull=True)
    waiting = TriggerCall.objects.filter(state=CallState.QUEUED).aggregate(all=Count("pk"), own=Count("pk", filter=own))
    if waiting["own"] >= settings.HOOK_TRIGGER_QUEUE_LIMIT:
        raise QueueFull(f"{waiting['own']} calls of this trigger are waiting already; nothing was recorded. Try again later.")
    if waiting["all"] >= settings.HOOK_QUEUE_LIMIT:
        raise QueueFull(f"{waiting['all']} calls are waiting already; nothing was recorded. Try again later.")


def publish_call(call_id: Any) -> None:
    """Nudge a worker. A broker that is away costs time only: sweep_calls publishes the call again."""
    try:
        current_app.send_task(RUN_CALL_TASK, (str(call_id),), retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("broker away, the sweep will publish the call", call_id=str(call_id), error=str(error))


# Running


def claim_call(application_id: int, owner: str) -> TriggerCall | None:
    """Take the application's next call for `owner`: one whose lease ran out, else the oldest queued. None: nothing to do,
    or another worker is at it. The queued scaling calls of the same service come along, merged into it."""
    now = timezone.now()
    with transaction.atomic():
        _lock_application(application_id)
        running = TriggerCall.objects.filter(
            application_id=application_id, state=CallState.RUNNING, merged_into__isnull=True
        ).first()
        if running:
            return _take_over(running, owner, now)
        call = (
            TriggerCall.objects.filter(application_id=application_id, state=CallState.QUEUED)
            .order_by("queued_at", "pk")
            .first()
        )
        if call is None:
            return None
        claimed = TriggerCall.objects.filter(pk=call.pk, state=CallState.QUEUED).update(
            state=CallState.RUNNING, started_at=now, attempts=1, lease_owner=owner, lease_expires_at=_lease_end(now)
        )
        if not claimed:
            return None
        if call.action == Action.SCALING:
            members = _list_waiting_scalings(application_id, call.service_id)
            TriggerCall.objects.filter(pk__in=members).update(state=CallState.RUNNING, started_at=now, merged_into=call)
    return get_call(call.pk)


def _list_waiting_scalings(application_id: int, service_id: int | None) -> list[Any]:
    """Ids; those behind a stop, a delete or their like wait for it. Asked for by application: given the service too, SQLite
    would read all calls that the service ever had."""
    before = takewhile(lambda queued: queued[1] in TRIGGER_ACTIONS, _list_queued(application_id))
    return [pk for pk, action, service, _ in before if action == Action.SCALING and service == service_id]


def _take_over(call: TriggerCall, owner: str, now: datetime) -> TriggerCall | None:
    if call.lease_expires_at and call.lease_expires_at > now:
        return None
    taken = TriggerCall.objects.filter(
        pk=call.pk, state=CallState.RUNNING, lease_owner=call.lease_owner, lease_expires_at=call.lease_expires_at
    ).update(lease_owner=owner, lease_expires_at=_lease_end(now), attempts=F("attempts") + 1)
    return get_call(call.pk) if taken else None


def get_call(call_id: Any) -> TriggerCall:
    """The call with the rows a runner needs."""
    return TriggerCall.objects.select_related("application__cluster", "service", "trigger").get(pk=call_id)


def merged_calls(call: TriggerCall) -> list[TriggerCall]:
    """The leader and the scaling calls merged into it, in the order they were queued."""
    return list(
        TriggerCall.objects.filter(Q(pk=call.pk) | Q(merged_into=call)).select_related("trigger").order_by("queued_at", "pk")
    )


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.CALL_LEASE_SECONDS)


def extend_lease(call_id: Any, owner: str) -> None:
    """Raises LeaseLost."""
    kept = TriggerCall.objects.filter(pk=call_id, state=CallState.RUNNING, lease_owner=owner).update(
        lease_expires_at=_lease_end(timezone.now())
    )
    if not kept:
        raise LeaseLost


def save_progress(call: TriggerCall, owner: str, **fields: Any) -> None:
    """Store what the runner learned (`plan`, `before`). Raises LeaseLost."""
    if not TriggerCall.objects.filter(pk=call.pk, state=CallState.RUNNING, lease_owner=owner).update(**fields):
        raise LeaseLost
    for name, value in fields.items():
        setattr(call, name, value)


def save_targets(call: TriggerCall, owner: str, targets: Iterable[tuple[TriggerCall, int]], before: Any) -> None:
    """Fix what the relative steps mean, once: a call taken over later works towards the same counts. Raises LeaseLost."""
    with transaction.atomic():
        save_progress(call, owner, before=before)
        for member, count in targets:
            TriggerCall.objects.filter(pk=member.pk).update(target_replicas=count)


def add_event(call: TriggerCall, level: str, operation: str, text: str) -> None:
    TriggerCallEvent.objects.create(call=call, time=timezone.now(), level=level, operation=operation[:32], text=_clean(text))


def finish_call(
    call: TriggerCall,
    owner: str,
    state: CallState,
    reason: str,
    message: str,
    after: Any = None,
    member_messages: dict[Any, str] | None = None,
) -> None:
    """End the call and those merged into it, and nudge the application's next one. Raises LeaseLost."""
    now = timezone.now()
    ending = {"state": state, "reason": reason[:64], "after": after, "completed_at": now, "lease_expires_at": None}
    with transaction.atomic():
        ended = TriggerCall.objects.filter(pk=call.pk, state=CallState.RUNNING, lease_owner=owner).update(
            **ending, message=_clean(message)
        )
        if not ended:
            raise LeaseLost
        members = list(TriggerCall.objects.filter(merged_into=call, state=CallState.RUNNING).values_list("pk", flat=True))
        for member_id in members:
            TriggerCall.objects.filter(pk=member_id).update(
                **ending, before=call.before, message=_clean((member_messages or {}).get(member_id, message))
            )
        transaction.on_commit(lambda: publish_next_call(call.application_id))
        transaction.on_commit(lambda: report_endings([call.pk, *members]), robust=True)


def _clean(text: str) -> str:
    """What an engine or a registry says, fit for a column: PostgreSQL takes no NUL."""
    return text.replace("\0", "")[:EVENT_TEXT_LIMIT]


def publish_next_call(application_id: int) -> None:
    following = (
        TriggerCall.objects.filter(application_id=application_id, state=CallState.QUEUED)
        .order_by("queued_at")
        .values_list("pk")
    ).first()
    if following:
        publish_call(following[0])


# Keeping house


def sweep_calls() -> int:
    """Publish what nobody works at: queued calls of idle applications, and running ones whose lease ran out."""
    now = timezone.now()
    busy = TriggerCall.objects.filter(
        application_id=OuterRef("application_id"), state=CallState.RUNNING, merged_into__isnull=True, lease_expires_at__gt=now
    )
    waiting = Q(state=CallState.QUEUED, queued_at__lt=now - UNTAKEN_AFTER)
    expired = Q(state=CallState.RUNNING, merged_into__isnull=True, lease_expires_at__lte=now)
    live = only_active(TriggerCall.objects.order_by("application_id", "queued_at"))
    idle = live.filter(waiting | expired).exclude(Exists(busy))
    chosen: dict[int, Any] = {}
    for application_id, call_id in idle.values_list("application_id", "pk"):
        chosen.setdefault(application_id, call_id)
    for call_id in chosen.values():
        publish_call(call_id)
    return len(chosen)


def prune_calls() -> int:
    """Delete ended calls by age and count (settings), never a live one. Returns how many calls went."""
    horizon = timezone.now() - timedelta(days=settings.CALL_RETENTION_DAYS)
    times = TriggerCall.objects.order_by("-queued_at").values_list("queued_at", flat=True)
    live = only_active(TriggerCall.objects.all()).count()
    for newest_surplus in times[settings.CALL_RETENTION_COUNT + live :][:1]:
        horizon = max(horizon, newest_surplus)
    still_covered = TriggerCall.objects.filter(state__in=ACTIVE_STATES, coalesced_calls=OuterRef("pk"))
    old = TriggerCall.objects.filter(queued_at__lte=horizon, state__in=TERMINAL_STATES).exclude(Exists(still_covered))
    return delete_in_batches(old.order_by("queued_at"))
