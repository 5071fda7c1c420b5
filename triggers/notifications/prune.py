"""Deleting old notifications, with their deliveries."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from clusters.batches import SurplusPruner, delete_in_batches
from triggers.models import DeliveryStatus, Notification, NotificationDelivery


def prune_notifications() -> int:
    """Delete notifications by age and count (settings), but none that still waits. Return their number."""
    horizon = timezone.now() - timedelta(days=settings.NOTIFICATION_RETENTION_DAYS)
    times = Notification.objects.order_by("-recorded_at").values_list("recorded_at", flat=True)
    for newest_surplus in times[settings.NOTIFICATION_RETENTION_COUNT :][:1]:
        horizon = max(horizon, newest_surplus)
    waiting = NotificationDelivery.objects.filter(notification=OuterRef("pk"), status=DeliveryStatus.WAITING)
    old = Notification.objects.filter(recorded_at__lte=horizon).exclude(Exists(waiting))
    return delete_in_batches(old.order_by("recorded_at"))


# Whoever adds notifications notes it here, so that their number stays bounded between the watcher's prunes.
surplus = SurplusPruner("NOTIFICATION_RETENTION_COUNT", prune_notifications)
