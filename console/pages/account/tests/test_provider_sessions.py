"""How long the session of somebody lasts who signed in at a provider."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db


def test_such_a_session_ends_after_twelve_hours(client, arrive, provider_row, settings):
    settings.SESSION_IDLE_SECONDS = 30 * 24 * 3600
    arrive(f"/login/provider/{provider_row.pk}/")
    left = Session.objects.get().expire_date - timezone.now()
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    client.logout()
    client.force_login(make_user("bob"))
    assert Session.objects.get().expire_date - timezone.now() > timedelta(days=6)


def test_a_shorter_limit_of_the_console_holds_too(client, arrive, provider_row, settings):
    settings.SESSION_COOKIE_AGE = 3600
    arrive(f"/login/provider/{provider_row.pk}/")
    assert Session.objects.get().expire_date - timezone.now() <= timedelta(hours=1)
