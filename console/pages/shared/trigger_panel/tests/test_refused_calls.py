"""The newest refused call of a trigger, in its panel and among the deliveries."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of
from triggers.models import Decision, Delivery
from triggers.pushes.refused_calls import refused_calls
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


def make_refused(trigger, age=timedelta(), **more):
    return Delivery.objects.create(
        received_at=timezone.now() - age, source="trigger", trigger=trigger, decision=Decision.REFUSED, event="GET 404", **more
    )


def read_panel(client, trigger):
    return text_of(client.get(f"/applications/{trigger.application_id}/"))


def test_the_panel_says_what_was_wrong_and_who_called(admin_client, client):
    trigger = TriggerFactory()
    for _ in range(3):
        client.get(PATH, query_params={**link_parameters(trigger), "secret": "0" * 64}, headers={"User-Agent": "Jenkins/2.5"})
    refused_calls.store()
    panel = read_panel(admin_client, trigger)
    for shown in ("Refused call", "GET 404", "The secret is wrong.", "From 127.0.0.1", "Jenkins/2.5"):
        assert shown in panel
    assert "0" * 64 not in panel
    listed = text_of(admin_client.get(f"/deliveries/?trigger={trigger.pk}&decision=refused"))
    assert f"Only for the trigger <bdi>{trigger}</bdi>" in listed
    assert "call, <bdi>GET 404</bdi>" in listed
    page = text_of(admin_client.get(f"/deliveries/{Delivery.objects.get().pk}/"))
    assert "The body of a refused call is not kept." in page
    assert "Replay" not in page


def test_the_newest_one_of_the_last_days_is_shown(admin_client):
    trigger, other, quiet = TriggerFactory(), TriggerFactory(), TriggerFactory()
    make_refused(trigger, timedelta(days=2), message="an older one")
    make_refused(trigger, timedelta(days=1), message="the newest one")
    make_refused(other, message="of another trigger")
    make_refused(quiet, timedelta(days=8), message="long over")
    assert "the newest one" in read_panel(admin_client, trigger)
    listed = text_of(admin_client.get("/triggers/"))
    assert [text in listed for text in ("the newest one", "of another trigger", "an older one", "long over")] == [
        True,
        True,
        False,
        False,
    ]


def test_whoever_sees_a_trigger_alone_sees_it_without_the_way_to_the_deliveries(client):
    trigger = TriggerFactory()
    make_refused(trigger, message="The secret is wrong.")
    client.force_login(make_user("viewer", Role.VIEWER, trigger.application.cluster))
    response = client.get(f"/applications/{trigger.application_id}/")
    assert "The secret is wrong." in text_of(response)
    assert "/deliveries/" not in response.content.decode()


def test_the_api_finds_them_by_trigger(admin_client):
    trigger = TriggerFactory()
    row = make_refused(trigger, message="The secret is wrong.")
    make_refused(TriggerFactory())
    listed = admin_client.get(f"/api/v1/deliveries/?trigger={trigger.pk}&decision=refused").json()["results"]
    assert [each["id"] for each in listed] == [str(row.pk)]
