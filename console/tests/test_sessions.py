"""When sessions end, what keeps them alive, and what a use costs."""

import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.roles import Role
from clusters.tests.users import make_user
from console.sessions import SIGNED_IN_AT, prune_sessions

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLL = {"HX-Request": "true", "Windlass-State": ""}


class Clock:
    """A clock that only this test moves."""

    def __init__(self):
        self.now = timezone.now()

    def move(self, step):
        self.now += step


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    return clock


@pytest.fixture
def client(clock):
    client = Client()
    client.force_login(make_user("ann", Role.VIEWER))
    return client


def is_signed_in(client, **headers):
    return client.get("/calls/running/", headers=headers).status_code != 302


def test_a_session_ends_when_nobody_used_it_for_the_idle_limit(client, clock):
    clock.move(11 * HOUR)
    assert is_signed_in(client)
    clock.move(11 * HOUR)
    assert is_signed_in(client)
    clock.move(12 * HOUR)
    assert not is_signed_in(client)


def test_it_ends_days_after_the_sign_in_however_much_it_is_used(client, clock):
    for _ in range(7 * 4 - 1):
        clock.move(6 * HOUR)
        assert is_signed_in(client)
        session = client.session
        session["note"] = str(clock.now)  # what a page stores moves no end
        session.save()
    clock.move(6 * HOUR)
    assert not is_signed_in(client)


def test_an_open_page_that_only_refreshes_itself_is_no_use(client, clock):
    for _ in range(11):
        clock.move(HOUR)
        assert is_signed_in(client, **POLL)
    clock.move(HOUR)
    assert not is_signed_in(client, **POLL)


def test_a_use_writes_every_few_minutes_at_most_and_only_the_end(client, clock):
    def count_writes():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert is_signed_in(client)
        return [query["sql"] for query in queries if not query["sql"].lstrip("(").startswith("SELECT")]

    assert count_writes() == []
    clock.move(timedelta(minutes=4))
    assert count_writes() == []
    clock.move(timedelta(minutes=2))
    (update,) = count_writes()
    assert "expire_date" in update
    assert "session_data" not in update
    assert count_writes() == []


def test_pages_are_shown_while_the_database_takes_no_writes(client, clock, monkeypatch):
    def refuse(*arguments, **named):
        raise DatabaseError("database or disk is full")

    clock.move(HOUR)
    with monkeypatch.context() as full:
        full.setattr("django.db.models.query.QuerySet.update", refuse)
        assert is_signed_in(client)
    assert is_signed_in(client)
    clock.move(11.5 * HOUR)
    assert is_signed_in(client)


def test_a_session_of_the_previous_version_gets_both_limits_at_its_next_use(clock):
    user = make_user("ann", Role.VIEWER)
    client = Client()
    client.force_login(user)
    old = DjangoStore(client.session.session_key)
    del old[SIGNED_IN_AT]
    old.save()
    stored = Session.objects.get()
    assert stored.expire_date - clock.now > 6 * DAY
    assert is_signed_in(client)
    stored.refresh_from_db()
    assert stored.expire_date - clock.now == 12 * HOUR
    assert client.session[SIGNED_IN_AT] == clock.now.timestamp()


def test_what_has_ended_is_pruned(client, clock):
    other = Client()
    clock.move(HOUR)
    other.force_login(make_user("bob", Role.VIEWER))
    clock.move(11.5 * HOUR)
    assert prune_sessions() == 1
    assert (is_signed_in(client), is_signed_in(other)) == (False, True)


@pytest.mark.parametrize(
    ("public_url", "names", "secure"),
    [
        ("https://windlass.example.com", ("__Host-sessionid", "__Host-csrftoken"), True),
        ("http://windlass.example.com", ("sessionid", "csrftoken"), False),
        ("", ("sessionid", "csrftoken"), False),
    ],
)
def test_behind_https_no_other_host_can_set_the_cookies(public_url, names, secure, monkeypatch, tmp_path):
    monkeypatch.setenv("WINDLASS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WINDLASS_PUBLIC_URL", public_url)
    loaded = runpy.run_path(str(Path(django_settings.BASE_DIR) / "console" / "settings.py"))
    assert (loaded["SESSION_COOKIE_NAME"], loaded["CSRF_COOKIE_NAME"]) == names
    assert (loaded["SESSION_COOKIE_SECURE"], loaded["CSRF_COOKIE_SECURE"]) == (secure, secure)


def test_the_cookies_meet_what_browsers_require_of_the_prefix(settings):
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client(enforce_csrf_checks=True)
    client.get("/login/")
    token = client.cookies["__Host-csrftoken"].value
    user = make_user("bea", Role.VIEWER)
    user.set_password("quill and ink")
    user.save()
    client.post("/login/", {"username": "bea", "password": "quill and ink", "csrfmiddlewaretoken": token})
    for name in ("__Host-sessionid", "__Host-csrftoken"):
        cookie = client.cookies[name]
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert is_signed_in(client)
