"""Stored deliveries are pruned."""

from datetime import timedelta

import pytest
from django.utils import timezone

from triggers.models import Delivery, DeliveryLine
from triggers.pushes.deliveries import prune_deliveries
from triggers.pushes.tests.messages import push, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_senders")]


class TestPruning:
    def test_old_and_surplus_deliveries_are_deleted_with_their_lines(self, client, registry, settings):
        settings.DELIVERY_RETENTION_DAYS, settings.DELIVERY_RETENTION_COUNT = 30, 2
        for number in range(4):
            send(client, registry, push(n=number))
            Delivery.objects.filter(received_at__gt=timezone.now() - timedelta(hours=1)).update(
                received_at=timezone.now() - timedelta(days=40 - 10 * number)
            )
        assert prune_deliveries() == 2
        assert (Delivery.objects.count(), DeliveryLine.objects.count()) == (2, 2)
        settings.DELIVERY_RETENTION_DAYS = 15
        assert prune_deliveries() == 1
