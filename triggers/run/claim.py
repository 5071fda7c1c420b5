"""Claiming a call: the next one of an application, or one whose worker was lost."""

import uuid
from itertools import takewhile

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from clusters.models import Application
from triggers.calls.events import add_event
from triggers.hook_queries import lock_application
from triggers.models import TRIGGER_ACTIONS, Action, CallState, TriggerCall
from triggers.notifications.commit_status import record_commit_status
from triggers.run.held import QueuedRow, list_free_calls
from triggers.run.lease import WAITS_FOR_ENGINE, is_held, lease_end
from triggers.selectors import get_call, only_active

MAXIMUM_ATTEMPTS = 5  # workers that may be lost at one call before it is given up
CLUSTER_LOCK = 0x57494E44  # the first half of a PostgreSQL advisory lock; the second is a cluster's id


def claim_call(application_id: int, owner: str) -> TriggerCall | None:
    """Claim the application's next call for `owner`: one whose lease ran out, otherwise the oldest queued one.

    Return None if there is nothing to do, if another worker is at it, or if its cluster already has as many running calls as
    it can have; the end of any of those nudges again. Calls that a freeze window holds back stay queued. The queued scaling
    calls of the same service are merged into the call.
    """
    running = TriggerCall.objects.filter(application_id=application_id, state=CallState.RUNNING, merged_into__isnull=True)
    # Without a lock, so that a thousand nudges for a busy application are cheap.
    if running.filter(is_held()).exists():
        return None
    with transaction.atomic():
        try:
            lock_application(application_id)
        except Application.DoesNotExist:  # deleted since the nudge was sent
            return None
        if begun := running.first():
            return _take_over(begun, owner)
        free = list_free_calls(application_id)
        if not free or not _has_free_place(application_id):
            return None
        now = timezone.now()
        call_id, action, service_id = free[0]
        taken = {"state": CallState.RUNNING, "started_at": now, "held_until": None}
        claimed = TriggerCall.objects.filter(pk=call_id, state=CallState.QUEUED).update(
            **taken, message="", attempts=1, lease_owner=owner, lease_expires_at=lease_end()
        )
        if not claimed:
            return None
        if action == Action.SCALING:
            members = [pk for pk in _list_waiting_scalings(free, service_id) if pk != call_id]
            TriggerCall.objects.filter(pk__in=members, state=CallState.QUEUED).update(**taken, message="", merged_into=call_id)
        call = get_call(call_id)
        record_commit_status(call, CallState.RUNNING)
    return call


def _has_free_place(application_id: int) -> bool:
    """Return whether the application's cluster can have one more running call.

    Transactions that ask this for one cluster wait for each other's commit, so that the limit is exact. SQLite lets only one
    transaction write at a time anyway.
    """
    cluster_id = Application.objects.values_list("cluster_id", flat=True).get(pk=application_id)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # not the cluster's row: the watcher locks that first, and applications after it
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [CLUSTER_LOCK, cluster_id % 2**31])
    return count_running_calls(cluster_id) < settings.CLUSTER_CALLS


def count_running_calls(cluster_id: int) -> int:
    """Count the cluster's running calls, without those that are merged into others."""
    running = only_active(TriggerCall.objects.filter(application__cluster=cluster_id))
    return running.filter(state=CallState.RUNNING, merged_into__isnull=True).count()


def _list_waiting_scalings(free: list[QueuedRow], service_id: int | None) -> list[uuid.UUID]:
    """Return the ids of the scalings that can run now. Those behind a stop, a delete or another act wait for it."""
    before = takewhile(lambda call: call[1] in TRIGGER_ACTIONS, free)
    return [pk for pk, action, service in before if action == Action.SCALING and service == service_id]


def _take_over(call: TriggerCall, owner: str) -> TriggerCall | None:
    was_handed_over = not call.lease_owner
    lapsed = TriggerCall.objects.filter(~is_held(), pk=call.pk, state=CallState.RUNNING, lease_owner=call.lease_owner)
    attempts = call.attempts if was_handed_over else call.attempts + 1
    if not lapsed.update(lease_owner=owner, lease_expires_at=lease_end(), attempts=attempts):
        return None
    if was_handed_over and WAITS_FOR_ENGINE in call.message:  # an event said so once
        pass
    elif was_handed_over:
        add_event(call, "info", "resume", "Another worker resumes the call.")
    else:
        add_event(call, "warning", "resume", f"Taken over from a lost worker, attempt {attempts}.")
    return get_call(call.pk)


def list_merged_calls(call: TriggerCall) -> list[TriggerCall]:
    """Return the leading call and the scaling calls merged into it, in the order in which they were queued."""
    return list(
        TriggerCall.objects.filter(Q(pk=call.pk) | Q(merged_into=call)).select_related("trigger").order_by("queued_at", "pk")
    )
