"""Deleting old calls, and the evidence of all but the newest failures."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from clusters.batches import SurplusPruner, delete_in_batches
from triggers.models import ACTIVE_STATES, TERMINAL_STATES, CallEvidence, TriggerCall
from triggers.selectors import only_active


def prune_calls() -> int:
    """Delete ended calls by age and count (settings), never an active one. Return the number of deleted calls."""
    horizon = timezone.now() - timedelta(days=settings.CALL_RETENTION_DAYS)
    times = TriggerCall.objects.order_by("-queued_at").values_list("queued_at", flat=True)
    active = only_active(TriggerCall.objects.all()).count()
    for newest_surplus in times[settings.CALL_RETENTION_COUNT + active :][:1]:
        horizon = max(horizon, newest_surplus)
    still_covered = TriggerCall.objects.filter(state__in=ACTIVE_STATES, coalesced_calls=OuterRef("pk"))
    old = TriggerCall.objects.filter(queued_at__lte=horizon, state__in=TERMINAL_STATES).exclude(Exists(still_covered))
    deleted = delete_in_batches(old.order_by("queued_at"))
    prune_evidence()
    return deleted


def prune_evidence() -> int:
    """Delete the oldest evidence above the number that is kept (a setting). Return the number of deleted rows."""
    newest = CallEvidence.objects.order_by("-pk").values_list("pk", flat=True)
    for newest_surplus in newest[settings.EVIDENCE_RETENTION_COUNT :][:1]:
        return delete_in_batches(CallEvidence.objects.filter(pk__lte=newest_surplus).order_by("pk"))
    return 0


# Whoever adds calls notes it here, so that their number stays bounded between the watcher's prunes.
surplus = SurplusPruner("CALL_RETENTION_COUNT", prune_calls)
evidence_surplus = SurplusPruner("EVIDENCE_RETENTION_COUNT", prune_evidence)
