"""The delivery that caused a call, on the call's page."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from clusters.roles import Role
from clusters.tests.users import make_user
from triggers.models import Decision, TriggerCall
from triggers.tests.factories import DeliveryFactory, DeliveryLineFactory


@pytest.mark.parametrize("source", [TriggerCall.Source.REGISTRY, TriggerCall.Source.POLL])
def test_a_call_names_the_delivery_that_caused_it(reader, fleet, source):
    TriggerCall.objects.filter(pk=fleet.call.pk).update(source=source)
    assert f"/deliveries/{fleet.delivery.pk}/" in reader.get(f"/calls/{fleet.call.pk}/").content.decode()


def test_readers_who_may_not_see_the_delivery_get_no_link_to_it(fleet):
    TriggerCall.objects.filter(pk=fleet.call.pk).update(source=TriggerCall.Source.REGISTRY)
    client = Client()
    client.force_login(make_user("asker", Role.ADMINISTRATOR, fleet.cluster))
    response = client.get(f"/calls/{fleet.call.pk}/")
    assert response.status_code == 200
    assert "/deliveries/" not in response.content.decode()


def test_a_duplicate_that_names_the_call_did_not_cause_it(reader, fleet):
    TriggerCall.objects.filter(pk=fleet.call.pk).update(source=TriggerCall.Source.REGISTRY)
    received_at = timezone.now() - timedelta(minutes=30)
    duplicate = DeliveryFactory(registry=fleet.registry, received_at=received_at, decision=Decision.DUPLICATE)
    DeliveryLineFactory(delivery=duplicate, decision=Decision.DUPLICATE, trigger=fleet.trigger, call=fleet.call)
    text = reader.get(f"/calls/{fleet.call.pk}/").content.decode()
    assert f"/deliveries/{fleet.delivery.pk}/" in text
    assert f"/deliveries/{duplicate.pk}/" not in text
