"""The life of a TriggerCall: accept, claim, keep, hand over, cancel, finish, sweep, prune. Alone writes TriggerCall.state.

Two locks make it exact. Everything that decides over an application's queue holds that application's row lock
(SQLite: the write lock that BEGIN IMMEDIATE takes), and the constraint `one_running_call_an_application` stands behind it.
Work on the engine is guarded by the lease: who lost it must stop. Its times are the database's own, so that clocks of hosts
that differ do no harm.
"""

import math
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, Min, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone
from kombu.exceptions import OperationalError

from clusters.batches import delete_in_batches
from clusters.engine.wording import explain_protection
from clusters.models import Application
from triggers.calls.ending import report_ending, report_endings
from triggers.calls.repetitions import find_first_call, once_a_delivery
from triggers.calls.requests import CallRequest
from triggers.models import ACTIVE_STATES, TERMINAL_STATES, TRIGGER_ACTIONS, Action, CallState, TriggerCall, TriggerCallEvent
from triggers.selectors import only_active
from triggers.tag_patterns import explain_tag_refusal

log = structlog.get_logger("windlass.calls")

RUN_CALL_TASK = "triggers.run_call"
MAXIMUM_ATTEMPTS = 5  # take-overs of one call before it is given up as lost
UNTAKEN_AFTER = timedelta(seconds=5)  # a queued call that nobody took for this long is published again
CLUSTER_LOCK = 0x57494E44  # of PostgreSQL's advisory locks, those with a cluster's id
EVENT_TEXT_LIMIT = 4000  # characters; what an engine or a registry says may be long


# By hand: a hook's answer waits for these, and to build one from a queryset takes many times as long as the database needs to
# answer it. Scalings, of which many may wait, neither cover a redeploy nor stand in its way.
LOCK_APPLICATION = "SELECT id FROM clusters_application WHERE id = %s FOR UPDATE"
LIST_QUEUED = """
    SELECT id, action, service_id, tag FROM triggers_triggercall
    WHERE application_id = %s AND state = 'queued' AND action <> 'scaling' ORDER BY queued_at, id
"""
COUNT_QUEUED = """
    SELECT (SELECT COUNT(*) FROM triggers_triggercall WHERE state = 'queued'),
           (SELECT COUNT(*) FROM triggers_triggercall WHERE state = 'queued' AND {own}),
           EXISTS (SELECT 1 FROM triggers_triggercall WHERE state = 'queued' AND application_id = %s)
"""
COUNT_QUEUED_OF_TRIGGER = COUNT_QUEUED.format(own="trigger_id = %s")
COUNT_QUEUED_OF_PEOPLE = COUNT_QUEUED.format(own="application_id = %s AND trigger_id IS NULL")


class QueueFull(Exception):
    """Too many calls wait already; the message says which limit. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class LeaseLost(Exception):
    """Another worker has taken the call over (or it has ended): stop, and write nothing more about it."""


class AlreadyEnded(Exception):
    """There is nothing to cancel any more."""


# Accepting


@once_a_delivery
def accept_call(request: CallRequest) -> TriggerCall:
    """Record the call: `queued`, `coalesced` or `rejected`; committed, and published on commit. Raises QueueFull and KeyReused.

    A repeated delivery id of the same trigger gives the first call again (triggers.calls.repetitions).
    """
    with take_turn(), transaction.atomic():
        _lock_application(request.application_id)
        if known := find_first_call(request):
            return known
        call = _new_call(request)
        refusal = _find_refusal(request, call.queued_at)
        covering = None if refusal else _find_covering_redeploy(request)
        needs_nudge = False
        if refusal:
            call.state, (call.reason, call.message) = CallState.REJECTED, refusal
            call.completed_at = call.queued_at
        elif covering:
            call.state, call.coalesced_into_id = CallState.COALESCED, covering
            call.message = "An equal redeploy was waiting already; its outcome is this call's outcome."
            call.completed_at = call.queued_at
        else:
            needs_nudge = _check_queue(request)
        call.save(force_insert=True)
    if needs_nudge:
        transaction.on_commit(lambda: publish_call(call.pk))
    if call.is_active:
        log.info("call accepted", call_id=str(call.pk), action=call.action, source=call.source)
    else:
        if request.trigger:
            call.application = request.trigger.application  # known already
        report_ending(call)
    return call


_turn = threading.Lock()


@contextmanager
def take_turn() -> Iterator[None]:
    """SQLite has one writer at a time, and lets those who wait sleep for longer and longer: the threads of a process that
    accept calls take turns. Not within a transaction: who writes already waits for nobody."""
    if connection.features.has_select_for_update or connection.in_atomic_block:
        yield
    else:
        with _turn:
            yield


def _lock_application(application_id: int) -> None:
    if connection.features.has_select_for_update:
        with connection.cursor() as cursor:
            cursor.execute(LOCK_APPLICATION, [application_id])
            if cursor.fetchone() is None:
                raise Application.DoesNotExist


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
        delivery_id=request.delivery_id,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        queued_at=timezone.now(),
    )


def _find_refusal(request: CallRequest, now: datetime) -> tuple[str, str] | None:
    """(reason, message) of an authentic call that is not run."""
    trigger = request.trigger
    if trigger and not trigger.enabled:
        return "disabled", "This trigger is disabled; enable it in the console."
    application = trigger.application if trigger else Application.objects.get(pk=request.application_id)
    if application.protected:
        return "protected", f"{explain_protection(application.name)} Nothing was done."
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
    with connection.cursor() as cursor:
        cursor.execute(LIST_QUEUED, [request.application_id])
        for pk, action, service_id, tag in cursor.fetchall():
            if action not in TRIGGER_ACTIONS or (action == Action.REDEPLOY and tag != request.tag):
                covering = None
            elif covering is None and service_id in (None, request.service_id):
                covering = pk
    return uuid.UUID(covering) if isinstance(covering, str) else covering  # SQLite has text for it


def _check_queue(request: CallRequest) -> bool:
    """Whether the call needs a nudge of its own: not where another one of its application is queued already. Raises QueueFull.

    The application's lock is held, so that nobody can claim the other call before this one is committed, and the end of
    whatever runs there nudges the next. So a nudge is on its way for both, or a call runs, or the sweep finds them.
    """
    sql, own = (
        (COUNT_QUEUED_OF_TRIGGER, request.trigger.pk) if request.trigger else (COUNT_QUEUED_OF_PEOPLE, request.application_id)
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [own, request.application_id])
        of_all, of_own, has_queued = cursor.fetchone()
    if of_own >= settings.HOOK_TRIGGER_QUEUE_LIMIT:
        raise QueueFull(f"{of_own} calls of this trigger are waiting already; nothing was recorded. Try again later.")
    if of_all >= settings.HOOK_QUEUE_LIMIT:
        raise QueueFull(f"{of_all} calls are waiting already; nothing was recorded. Try again later.")
    return not has_queued


def publish_call(call_id: Any) -> None:
    """Nudge a worker. A broker that is away costs time only: sweep_calls publishes the call again."""
    try:
        current_app.send_task(RUN_CALL_TASK, (str(call_id),), retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("broker away, the sweep will publish the call", call_id=str(call_id), error=str(error))


# Running


def claim_call(application_id: int, owner: str) -> TriggerCall | None:
    """Take the application's next call for `owner`: one whose lease ran out, else the oldest queued. None: nothing to do,
    or another worker is at it, or its cluster has as many running calls as it may have; whatever ends then nudges again.
    The queued scaling calls of the same service come along, merged into it."""
    running = TriggerCall.objects.filter(application_id=application_id, state=CallState.RUNNING, merged_into__isnull=True)
    # Without a lock: a thousand nudges for a busy application are cheap.
    if running.filter(_is_held()).exists():
        return None
    with transaction.atomic():
        _lock_application(application_id)
        if begun := running.first():
            return _take_over(begun, owner)
        call = (
            TriggerCall.objects.filter(application_id=application_id, state=CallState.QUEUED)
            .order_by("queued_at", "pk")
            .first()
        )
        if call is None or not _take_place(application_id):
            return None
        now = timezone.now()
        claimed = TriggerCall.objects.filter(pk=call.pk, state=CallState.QUEUED).update(
            state=CallState.RUNNING, started_at=now, attempts=1, lease_owner=owner, lease_expires_at=_lease_end()
        )
        if not claimed:
            return None
        if call.action == Action.SCALING:
            members = _list_waiting_scalings(application_id, call.service_id)
            TriggerCall.objects.filter(pk__in=members).update(state=CallState.RUNNING, started_at=now, merged_into=call)
    return get_call(call.pk)


def _take_place(application_id: int) -> bool:
    """Whether the application's cluster may have one more running call. Those who ask this of one cluster wait for each
    other's commit, so that the limit is exact; SQLite lets one transaction write at a time anyway."""
    cluster_id = Application.objects.values_list("cluster_id", flat=True).get(pk=application_id)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # not the cluster's row: the watcher locks that first, and applications after it
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [CLUSTER_LOCK, cluster_id % 2**31])
    return count_running(cluster_id) < settings.CLUSTER_CALLS


def count_running(cluster_id: int) -> int:
    """The cluster's running calls, those merged into others not counted."""
    running = only_active(TriggerCall.objects.filter(application__cluster=cluster_id))
    return running.filter(state=CallState.RUNNING, merged_into__isnull=True).count()


def _list_waiting_scalings(application_id: int, service_id: int | None) -> list[Any]:
    """Ids; those behind a stop, a delete or their like wait for it. Asked for by application: given the service too, SQLite
    would read all calls that the service ever had."""
    queued = TriggerCall.objects.filter(application_id=application_id, state=CallState.QUEUED).order_by("queued_at", "pk")
    before = takewhile(lambda call: call[1] in TRIGGER_ACTIONS, queued.values_list("pk", "action", "service_id"))
    return [pk for pk, action, service in before if action == Action.SCALING and service == service_id]


def _take_over(call: TriggerCall, owner: str) -> TriggerCall | None:
    was_handed_over = not call.lease_owner
    lapsed = TriggerCall.objects.filter(~_is_held(), pk=call.pk, state=CallState.RUNNING, lease_owner=call.lease_owner)
    attempts = call.attempts if was_handed_over else call.attempts + 1
    if not lapsed.update(lease_owner=owner, lease_expires_at=_lease_end(), attempts=attempts):
        return None
    if was_handed_over:
        add_event(call, "info", "resume", "Another worker goes on with it.")
    else:
        add_event(call, "warning", "resume", f"Taken over from a lost worker, attempt {attempts}.")
    return get_call(call.pk)


def get_call(call_id: Any) -> TriggerCall:
    """The call with the rows a runner needs."""
    return TriggerCall.objects.select_related("application__cluster", "service", "trigger").get(pk=call_id)


def merged_calls(call: TriggerCall) -> list[TriggerCall]:
    """The leader and the scaling calls merged into it, in the order they were queued."""
    return list(
        TriggerCall.objects.filter(Q(pk=call.pk) | Q(merged_into=call)).select_related("trigger").order_by("queued_at", "pk")
    )


def lease_seconds() -> float:
    """How long a lease holds without being extended. Who takes a call over from a worker that seems lost waits for the rest of
    CALL_LEASE_SECONDS: by then that worker, should it live after all because the database's clock jumped, has found out."""
    return settings.CALL_LEASE_SECONDS * 2 / 3


def _lease_end() -> Combinable:
    return Now() + timedelta(seconds=lease_seconds())


def _is_held() -> Q:
    """A lease that ends later than any can was given by a clock that has been set back since."""
    longest = Now() + timedelta(seconds=2 * settings.CALL_LEASE_SECONDS)
    return Q(lease_expires_at__gt=Now(), lease_expires_at__lte=longest)


def extend_lease(call_id: Any, owner: str) -> None:
    """Raises LeaseLost."""
    kept = TriggerCall.objects.filter(pk=call_id, state=CallState.RUNNING, lease_owner=owner).update(
        lease_expires_at=_lease_end()
    )
    if not kept:
        raise LeaseLost


def hand_over(call: TriggerCall, owner: str) -> None:
    """Give the lease back, so that another worker takes the call at once; no attempt is counted. Raises LeaseLost."""
    with transaction.atomic():
        kept = TriggerCall.objects.filter(pk=call.pk, state=CallState.RUNNING, lease_owner=owner)
        if not kept.update(lease_owner="", lease_expires_at=Now()):
            raise LeaseLost
        add_event(call, "info", "hand over", "This worker is being stopped, so another one goes on with it.")
        transaction.on_commit(lambda: publish_call(call.pk))


def read_cancellation(call_id: Any) -> str | None:
    """The name of who wants the call cancelled; None while nobody does."""
    return (
        TriggerCall.objects.filter(pk=call_id, cancel_requested_at__isnull=False).values_list("cancelled_by", flat=True).first()
    )


def cancel_call(call: TriggerCall, name: str) -> TriggerCall:
    """Give it up, as `name` (for people to read) wants. Returns the call that is cancelled, as it is now.

    A queued one ends at once: nothing was done. A running one is told to: its worker notices within a second, goes back where
    it can, and ends it. Scaling calls that run as one change are cancelled together, whichever is named.
    Raises AlreadyEnded.
    """
    now, by = timezone.now(), _clean(name)[:150]
    with transaction.atomic():
        _lock_application(call.application_id)
        call.refresh_from_db(fields=["state", "merged_into"])
        led = Q(pk=call.merged_into_id or call.pk) if call.state == CallState.RUNNING else Q(pk=call.pk)
        asked = {"cancel_requested_at": now, "cancelled_by": by}
        queued = TriggerCall.objects.filter(led, state=CallState.QUEUED)
        running = TriggerCall.objects.filter(led, state=CallState.RUNNING)
        message = f"Cancelled by {by} while it waited; nothing was done."
        ended = {"state": CallState.REJECTED, "reason": "cancelled", "message": message, "completed_at": now}
        if queued.update(**asked, **ended):
            add_event(call, "warning", "cancel", message)
            transaction.on_commit(lambda: report_endings([call.pk]), robust=True)
        elif running.filter(cancel_requested_at__isnull=True).update(**asked):
            add_event(running.get(), "warning", "cancel", f"{by} cancels it: it stops at the next safe step.")
        elif not running.exists():
            raise AlreadyEnded
    log.info("call cancelled", call_id=str(call.pk), by=by)
    return get_call(call.merged_into_id or call.pk)


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
        transaction.on_commit(lambda: publish_next_calls(call.application))
        transaction.on_commit(lambda: report_endings([call.pk, *members]), robust=True)


def _clean(text: str) -> str:
    """What an engine or a registry says, fit for a column: PostgreSQL takes no NUL."""
    return text.replace("\0", "")[:EVENT_TEXT_LIMIT]


def publish_next_calls(application: Application) -> None:
    """Nudge what may run in the place of a call that has ended: first the application of the cluster that has waited longest,
    the one whose call has ended after all others. So a busy application takes turns with others where the cluster is full."""
    cluster_id = application.cluster_id
    waiting = [found for found, _ in _find_idle(TriggerCall.objects.filter(application__cluster=cluster_id))]
    own = [application.pk] if application.pk in waiting else []
    others = [found for found in waiting if found != application.pk]
    for found in [*others, *own][: _count_free(cluster_id)]:
        _publish_application(found)


def _find_idle(calls: QuerySet[TriggerCall]) -> Iterable[tuple[int, int]]:
    """Applications with the ids of their clusters of which some of the calls wait while nobody works at them; who has waited
    longest first."""
    leading = Q(state=CallState.RUNNING, merged_into__isnull=True)
    busy = TriggerCall.objects.filter(leading, _is_held(), application_id=OuterRef("application_id"))
    waiting = Q(state=CallState.QUEUED) | (leading & ~_is_held())
    idle = only_active(calls.order_by()).filter(waiting).exclude(Exists(busy))
    found = idle.values_list("application_id", "application__cluster_id").annotate(oldest=Min("queued_at")).order_by("oldest")
    return [(application_id, cluster_id) for application_id, cluster_id, _ in found]


def _count_free(cluster_id: int) -> int:
    """How many nudges are of use. One at least: of a full cluster, a call whose worker was lost may be taken over."""
    return max(settings.CLUSTER_CALLS - count_running(cluster_id), 1)


def _publish_application(application_id: int) -> None:
    calls = only_active(TriggerCall.objects.filter(application_id=application_id).order_by("queued_at"))
    if call_id := calls.values_list("pk", flat=True).first():
        publish_call(call_id)


# Keeping house


def sweep_calls() -> int:
    """Publish what nobody works at: queued calls of idle applications, as many of a cluster as it may run now, and running
    calls whose lease ran out."""
    just_queued = Q(state=CallState.QUEUED, queued_at__gte=timezone.now() - UNTAKEN_AFTER)
    by_cluster: dict[int, list[int]] = {}
    for application_id, cluster_id in _find_idle(TriggerCall.objects.exclude(just_queued)):
        by_cluster.setdefault(cluster_id, []).append(application_id)
    chosen = [found for cluster_id, waiting in by_cluster.items() for found in waiting[: _count_free(cluster_id)]]
    for application_id in chosen:
        _publish_application(application_id)
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
