"""Changes that people make to freeze windows, and calls that they let run in spite of one, each recorded in the audit log.

Pages and the API call these functions after they have checked the user's permission (`permission_to_change`).
"""

from django.db import transaction
from django.http import HttpRequest

from clusters.access.audit import record_act
from clusters.access.changes import list_changes
from clusters.models import Application, Cluster
from triggers.calls import nudges
from triggers.calls.events import add_event
from triggers.freezes import describe_window
from triggers.hook_queries import lock_application
from triggers.models import TRIGGER_ACTIONS, CallState, FreezeWindow, TriggerCall
from triggers.run.turns import sweep_calls
from triggers.selectors import get_call

REASON_LENGTH = 200


class NotWaiting(Exception):
    """The call does not wait any longer."""


def permission_to_change(place: Application | Cluster) -> str:
    """Return the permission that it takes to add, change or delete windows of the place: for an application that of its
    triggers, for a whole cluster that of an Administrator."""
    return "clusters.change_cluster" if isinstance(place, Cluster) else "triggers.change_trigger"


def add_window(request: HttpRequest, window: FreezeWindow) -> None:
    """Store a valid window."""
    window.created_by = request.user  # type: ignore[assignment]
    with transaction.atomic():
        window.save()
        changes = list_changes({}, describe_window(window))
        record_act(request, "freeze.add", window, place=str(window.place), changes=changes)
        _look_at_calls()


def change_window(request: HttpRequest, window: FreezeWindow) -> None:
    """Store a valid window that has been changed. Nothing is recorded if nothing differs."""
    with transaction.atomic():
        before = describe_window(FreezeWindow.objects.get(pk=window.pk))
        window.save()
        if changes := list_changes(before, describe_window(window)):
            record_act(request, "freeze.change", window, place=str(window.place), changes=changes)
        _look_at_calls()


def delete_window(request: HttpRequest, window: FreezeWindow) -> None:
    with transaction.atomic():
        record_act(request, "freeze.delete", window, place=str(window.place), times=window.written_times)
        window.delete()
        _look_at_calls()


def _look_at_calls() -> None:
    """Let what no window holds back any longer run at once, instead of with the next sweep."""
    transaction.on_commit(sweep_calls, robust=True)


def release_call(request: HttpRequest, call: TriggerCall, reason: str) -> TriggerCall:
    """Let a queued call run in spite of freeze windows, for a reason (not empty). Return the call as it is now. Raises
    NotWaiting."""
    by, reason = request.user.get_username(), reason[:REASON_LENGTH]
    with transaction.atomic():
        lock_application(call.application_id)
        queued = TriggerCall.objects.filter(pk=call.pk, state=CallState.QUEUED, action__in=TRIGGER_ACTIONS)
        if not queued.update(during_freezes=True, override_reason=reason, held_until=None, message=""):
            raise NotWaiting
        add_event(call, "warning", "freeze", f"{by} lets it run in spite of freeze windows: {reason}")
        record_act(request, "call.override", call.application, call=str(call.pk), asked=call.action, reason=reason)
        transaction.on_commit(lambda: nudges.publish_nudge(call.application_id), robust=True)
    return get_call(call.pk)
