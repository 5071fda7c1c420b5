"""What a worker that holds a call's lease records: progress, the outcome, or that another worker takes over."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from clusters.engine.snapshot import Snapshot
from triggers.calls import nudges
from triggers.calls.ending import report_endings
from triggers.calls.events import add_event, clean_event_text
from triggers.images.left import record_left_images
from triggers.models import CallState, News, TriggerCall
from triggers.notifications.commit_status import record_commit_status
from triggers.notifications.endings import record_ending
from triggers.notifications.outbox import record_news
from triggers.run.lease import LeaseLost
from triggers.run.scaling import ScalingStep, describe_step
from triggers.run.stop_records import record_stop
from triggers.run.turns import nudge_next_applications


def save_progress(call: TriggerCall, owner: str, **fields: Any) -> None:
    """Store what the runner learned, such as `plan` and `before`. Raises LeaseLost."""
    if not TriggerCall.objects.filter(pk=call.pk, state=CallState.RUNNING, lease_owner=owner).update(**fields):
        raise LeaseLost
    for name, value in fields.items():
        setattr(call, name, value)


def save_targets(call: TriggerCall, owner: str, steps: Sequence[ScalingStep], before: Snapshot) -> None:
    """Store once what the relative steps mean, so that a call that is taken over works towards the same counts.

    Raises LeaseLost.
    """
    with transaction.atomic():
        save_progress(call, owner, before=before.to_json())
        for step in steps:
            TriggerCall.objects.filter(pk=step.call.pk).update(target_replicas=step.count)
        if limited := [step for step in steps if step.is_clamped and step.wanted > step.base]:
            record_news(News.OVER_MOST, call=call, facts={"sentence": describe_step(limited[-1])})


def hand_over_call(call: TriggerCall, owner: str, rest: float = 0.0) -> None:
    """Give the lease back, so that another worker takes the call at once. This counts no attempt. Raises LeaseLost.

    With `rest`, a worker takes it after that many seconds, when it is swept.
    """
    with transaction.atomic():
        kept = TriggerCall.objects.filter(pk=call.pk, state=CallState.RUNNING, lease_owner=owner)
        # Without a rest nothing is added: SQLite compares texts, and a sum has more digits than Now() of the same moment.
        if not kept.update(lease_owner="", lease_expires_at=Now() + timedelta(seconds=rest) if rest else Now()):
            raise LeaseLost
        if rest:
            return
        add_event(call, "info", "hand over", "This worker is being stopped; another one resumes the call.")
        transaction.on_commit(lambda: nudges.publish_nudge(call.application_id))


def finish_call(
    call: TriggerCall,
    owner: str,
    state: CallState,
    reason: str,
    message: str,
    after: Snapshot | None = None,
    member_messages: Mapping[UUID, str] | None = None,
) -> None:
    """End the call and those merged into it, and nudge what runs next. `member_messages` are by call id. Raises LeaseLost."""
    ending = {
        "state": state,
        "reason": reason[:64],
        "after": after and after.to_json(),
        "completed_at": timezone.now(),
        "lease_expires_at": None,
    }
    with transaction.atomic():
        record_stop(call, state, after)
        record_left_images(call, state, after)
        ended = TriggerCall.objects.filter(pk=call.pk, state=CallState.RUNNING, lease_owner=owner).update(
            **ending, message=clean_event_text(message)
        )
        if not ended:
            raise LeaseLost
        members = list(TriggerCall.objects.filter(merged_into=call, state=CallState.RUNNING).values_list("pk", flat=True))
        for member_id in members:
            text = (member_messages or {}).get(member_id, message)
            TriggerCall.objects.filter(pk=member_id).update(
                **ending, before=call.before, failure=call.failure, message=clean_event_text(text)
            )
        record_ending(call, state)
        record_commit_status(call, state, reason)
        transaction.on_commit(lambda: nudge_next_applications(call.application))
        transaction.on_commit(lambda: report_endings([call.pk, *members]), robust=True)
