"""Triggers that are about to expire, or that are over, need attention: the most urgent one of each cluster."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory
from clusters.tests.users import make_user
from triggers.models import Trigger
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def list_ending(client):
    return client.get("/").context["ending_triggers"]


@pytest.mark.parametrize(("days", "is_news"), [(-8, False), (-6, True), (6, True), (9, False)])
def test_a_date_is_news_for_a_week_before_and_after_it(reader, days, is_news):
    trigger = TriggerFactory(expires_at=timezone.now() + days * DAY, name="Jenkins")
    found = list_ending(reader)
    assert [(one.name, one.application, one.more) for one in found] == [("Jenkins", trigger.application.name, 0)] * is_news
    assert all("only people can call it" in one.notice.lower() for one in found)
    Trigger.objects.update(enabled=False)
    assert list_ending(reader) == []


def test_a_used_up_link_is_news_for_a_week_after_its_last_call(reader):
    call = TriggerCallFactory(trigger=TriggerFactory(calls_left=0))
    assert len(list_ending(reader)) == 1
    type(call).objects.update(queued_at=timezone.now() - 8 * DAY)
    assert list_ending(reader) == []


def test_a_cluster_shows_the_most_urgent_one_and_how_many_more(reader):
    application = ApplicationFactory()
    for days in (3, 1, 2):
        TriggerFactory(application=application, expires_at=timezone.now() + days * DAY, name=f"in {days}")
    other = TriggerFactory(expires_at=timezone.now() + DAY, name="elsewhere")
    assert {(one.name, one.more) for one in list_ending(reader)} == {("in 1", 2), ("elsewhere", 0)}
    page = reader.get("/").content.decode()
    assert "and 2 more" in page
    assert f'href="/triggers/{other.pk}/"' in page


def test_readers_see_those_of_their_clusters_alone(client):
    mine, other = (TriggerFactory(expires_at=timezone.now() + DAY, name=name) for name in ("mine", "other"))
    client.force_login(make_user("nina", Role.VIEWER, mine.application.cluster))
    assert [one.name for one in list_ending(client)] == [mine.name]
    user = User.objects.create_user("only-clusters")
    user.user_permissions.add(Permission.objects.get(codename="view_cluster"))
    client.force_login(user)
    assert list_ending(client) == []
    assert other.name not in client.get("/").content.decode()
