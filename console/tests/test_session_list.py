"""Where somebody is signed in, and that a session that is ended stops at once."""

from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.roles import Role
from clusters.tests.users import make_user
from console import session_list
from console.models import UserSession
from console.session_list import count_sessions, end_session, end_sessions, find_sessions, noted_uses
from console.sessions import MAXIMUM_SECONDS, SessionStore, prune_sessions, prune_strangers_sessions

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
HOUR = timedelta(hours=1)


@pytest.fixture
def ann():
    return make_user("ann", Role.VIEWER, password=PASSWORD)


def sign_in(address="192.0.2.7", agent=FIREFOX):
    client = Client(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    assert client.post("/login/", {"username": "ann", "password": PASSWORD}).status_code == 302
    return client


def is_signed_in(client):
    return client.get("/calls/running/").status_code != 302


def test_a_sign_in_is_listed_with_where_it_is_from(ann):
    client = sign_in()
    (found,) = find_sessions(ann, client.session.session_key)
    assert (found.row.address, found.row.user_agent, found.is_own) == ("192.0.2.7", FIREFOX, True)
    assert abs(found.ends_at - timezone.now() - 12 * HOUR) < timedelta(minutes=1)


def test_what_the_browser_says_is_cut_and_holds_no_control_characters(ann):
    sign_in(agent="\x1b[31m" + "x" * 300)
    assert UserSession.objects.get().user_agent == ("[31m" + "x" * 300)[:255]


def test_a_session_that_is_ended_stops_at_once(ann):
    one, other = sign_in(), sign_in()
    end_session(UserSession.objects.get(session_key=one.session.session_key))
    assert (is_signed_in(one), is_signed_in(other)) == (False, True)


def test_all_but_one_end(ann):
    clients = [sign_in() for _ in range(3)]
    assert end_sessions(ann, keep=clients[1].session.session_key) == 2
    assert [is_signed_in(client) for client in clients] == [False, True, False]
    assert end_sessions(ann) == 1
    assert not is_signed_in(clients[1])


def test_anothers_sessions_stay(ann):
    bob = Client()
    bob.force_login(make_user("bob", Role.VIEWER))
    sign_in()
    assert end_sessions(ann) == 1
    assert is_signed_in(bob)


def test_sessions_that_the_list_does_not_know_end_too(ann):
    client = sign_in()
    UserSession.objects.all().delete()  # as the version before stored it
    assert end_sessions(ann) == 1
    assert not is_signed_in(client)


def test_a_request_under_way_cannot_store_an_ended_session_again(ann):
    client = sign_in()
    session = client.session
    session["note"] = 1
    end_sessions(ann)
    with pytest.raises(UpdateError):
        session.save()
    assert not Session.objects.exists()


def test_signing_out_leaves_no_entry(ann):
    client = sign_in()
    client.post("/logout/")
    assert not UserSession.objects.exists()


def test_a_new_password_ends_the_others_and_keeps_this_one_listed(ann):
    this, other = sign_in(), sign_in("192.0.2.8")
    began = UserSession.objects.get(address="192.0.2.7").created_at
    new = "another horse battery"
    this.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    (found,) = find_sessions(ann, this.session.session_key)
    assert (found.is_own, found.row.address) == (True, "192.0.2.7")
    assert abs(found.row.created_at - began) < timedelta(seconds=1)
    assert (is_signed_in(this), is_signed_in(other), Session.objects.count()) == (True, False, 1)


def test_a_password_that_is_set_elsewhere_ends_all(ann):
    client = sign_in()
    ann.set_password("another horse battery")
    ann.save()
    assert not Session.objects.exists()
    assert not is_signed_in(client)


def test_deactivation_ends_all_for_good(ann):
    client = sign_in()
    ann.is_active = False
    ann.save()
    ann.is_active = True
    ann.save()
    assert not is_signed_in(client)


class TestUses:
    def test_a_use_is_noted_every_few_minutes_at_most(self, ann, monkeypatch):
        client = sign_in()
        clock = [0.0]
        monkeypatch.setattr(session_list.time, "monotonic", lambda: clock[0])
        noted_uses.forget()
        for expected in (1, 0, 0):
            with CaptureQueriesContext(
                connection,
            ) as caught:
                client.get("/calls/running/", REMOTE_ADDR="192.0.2.9")
            assert sum("UPDATE" in query["sql"] for query in caught) == expected
        assert UserSession.objects.get().address == "192.0.2.9"
        clock[0] = 301.0
        with CaptureQueriesContext(connection) as caught:
            client.get("/calls/running/")
        assert sum("UPDATE" in query["sql"] for query in caught) == 1

    def test_a_session_of_the_version_before_is_listed_at_its_next_use(self, ann):
        client = sign_in()
        UserSession.objects.all().delete()
        noted_uses.forget()
        assert is_signed_in(client)
        assert count_sessions(ann) == 1

    def test_a_full_disk_closes_no_page(self, ann, monkeypatch):
        client = sign_in()
        noted_uses.forget()

        def refuse(**_):
            raise DatabaseError("disk full")

        monkeypatch.setattr(UserSession.objects, "filter", refuse)
        assert is_signed_in(client)

    def test_what_a_process_remembers_is_bounded(self, monkeypatch):
        monkeypatch.setattr(session_list, "KEYS", 3)
        assert all(noted_uses.is_due(f"key-{number}") for number in range(10))
        assert len(noted_uses._noted) <= 3


class TestEnds:
    @pytest.fixture
    def clock(self, monkeypatch):
        moments = [timezone.now()]
        monkeypatch.setattr("django.utils.timezone.now", lambda: moments[0])
        return moments

    @pytest.mark.parametrize("hours", [12, 3])
    def test_a_sign_in_can_set_a_maximum(self, ann, clock, hours):
        client = sign_in()
        session = client.session
        session[MAXIMUM_SECONDS] = hours * 3600
        session.save()
        began = clock[0]
        for _ in range(hours - 1):
            clock[0] += HOUR
            assert is_signed_in(client)
        assert find_sessions(ann)[0].ends_at == began + hours * HOUR
        clock[0] += HOUR
        assert not is_signed_in(client)

    def test_it_lengthens_nothing(self, ann, clock):
        client = sign_in()
        session = client.session
        session[MAXIMUM_SECONDS] = 10**9
        session.save()
        clock[0] += 12 * HOUR
        assert not is_signed_in(client)

    def test_what_has_ended_is_neither_shown_nor_kept(self, ann, clock):
        sign_in()
        clock[0] += 13 * HOUR
        assert (find_sessions(ann), count_sessions(ann)) == ([], 0)
        assert prune_sessions() == 1
        assert not UserSession.objects.exists()


class TestStrangers:
    def begin(self, number=1):
        for _ in range(number):
            SessionStore().create()

    def test_the_sign_in_page_begins_no_session(self):
        client = Client()
        client.get("/login/")
        client.post("/login/", {"username": "ann", "password": "wrong"})
        assert not Session.objects.exists()

    def test_a_session_without_a_user_is_short(self):
        self.begin()
        assert Session.objects.get().expire_date <= timezone.now() + timedelta(minutes=30)

    def test_there_are_not_many_and_nobody_is_signed_out_for_them(self, ann, settings):
        settings.STRANGERS_SESSIONS = 5
        client = sign_in()
        Session.objects.update(expire_date=timezone.now() + timedelta(minutes=1))
        self.begin(20)
        assert prune_strangers_sessions() == 15
        assert Session.objects.count() == 6
        assert is_signed_in(client)

    def test_each_is_noted_so_that_a_flood_is_pruned_meanwhile(self, ann, monkeypatch):
        noted = []
        monkeypatch.setattr("console.sessions.surplus_pruner.note_added", lambda: noted.append(1))
        self.begin(3)
        assert len(noted) == 3
        session = SessionStore()
        session[SESSION_KEY] = str(ann.pk)
        session.create()
        assert len(noted) == 3
