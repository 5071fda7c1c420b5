from datetime import timedelta

import pytest
from django.utils import timezone

from triggers.models import News, Notification, NotificationDelivery
from triggers.notifications.outbox import record_news
from triggers.notifications.prune import prune_notifications
from triggers.tests.factories import NotificationRuleFactory

pytestmark = pytest.mark.django_db(transaction=True)


def record(days, status="delivered"):
    notification = record_news(News.FAILED)
    Notification.objects.filter(pk=notification.pk).update(recorded_at=timezone.now() - timedelta(days=days))
    notification.deliveries.update(status=status)
    return notification


def test_old_news_are_deleted_with_their_deliveries_but_none_that_waits(settings):
    NotificationRuleFactory()
    old, waiting, new = record(31), record(31, "waiting"), record(29)
    assert prune_notifications() == 1
    assert set(Notification.objects.all()) == {waiting, new}
    assert not NotificationDelivery.objects.filter(notification_id=old.pk).exists()


def test_only_a_number_is_kept(settings):
    NotificationRuleFactory()
    settings.NOTIFICATION_RETENTION_COUNT = 2
    found = [record(days) for days in (3, 2, 1)]
    NotificationDelivery.objects.filter(notification=found[1]).update(joined_into=found[0].deliveries.get().pk)
    assert prune_notifications() == 1
    assert set(Notification.objects.all()) == set(found[1:])
    assert found[1].deliveries.get().joined_into is None
