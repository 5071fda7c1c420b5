"""Deleting old calls."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from clusters.batches import SurplusPruner, delete_in_batches
from triggers.models import ACTIVE_STATES, TERMINAL_STATES, TriggerCall
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
    return delete_in_batches(old.order_by("queued_at"))


# Whoever adds calls notes it here, so that their number stays bounded between the watcher's prunes.
surplus = SurplusPruner("CALL_RETENTION_COUNT", prune_calls)
