"""API tokens: how they are stored, how many there are, when their use is noted, and when they end."""

from datetime import timedelta

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.authtoken.models import Token

from clusters.access import tokens
from clusters.access.tokens import (
    MOST,
    TokenRefused,
    create_token,
    describe_token,
    end_all_tokens,
    find_old_token,
    find_token,
    has_expired,
    has_tokens,
    note_use,
)
from clusters.models import ApiToken, AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def eve():
    return make_user("eve", Role.VIEWER, password=PASSWORD)


def make(user, name="pipeline", **changed):
    wanted = {"role": Role.VIEWER, "clusters": None, "days": 90} | changed
    return create_token(user, name, **wanted)


def test_the_text_is_found_again_and_is_not_stored(eve):
    token, text = make(eve)
    assert text.startswith("wl_")
    assert len(text) == 3 + 64
    assert find_token(text) == token
    assert text not in str(ApiToken.objects.values().get())
    assert ApiToken.objects.get().digest != text
    assert text[20:] not in str(ApiToken.objects.values().get())


@pytest.mark.parametrize("text", ["", "wl_", "wl_" + "0" * 64, "wl_\0", "wl_é", "wl_" + "0" * 100_000, "0" * 40])
def test_another_text_finds_none(eve, text):
    make(eve)
    Token.objects.create(user=eve)
    assert find_token(text) is None
    assert find_old_token(text) is None


def test_it_expires_after_its_days_or_never(eve):
    token, _ = make(eve)
    assert not has_expired(token)
    assert not has_expired(token, timezone.now() + timedelta(days=89))
    assert has_expired(token, timezone.now() + timedelta(days=90))
    endless, _ = make(make_user("ada", Role.ADMINISTRATOR), days=None)
    assert not has_expired(endless, timezone.now() + timedelta(days=36_500))


def test_only_administrators_of_all_clusters_have_endless_ones(eve):
    with pytest.raises(TokenRefused, match="Only administrators of all clusters"):
        make(eve, days=None)
    with pytest.raises(TokenRefused):
        make(make_user("tom", Role.ADMINISTRATOR, ClusterFactory()), days=None)
    assert make(User.objects.create_superuser("root"), days=None)[0].expiry is None


def test_names_differ_and_a_user_has_fifty_at_most(eve):
    make(eve)
    with pytest.raises(TokenRefused, match="There is a token of this name"):
        make(eve)
    make(make_user("tom"))
    for number in range(MOST - 1):
        make(eve, str(number))
    with pytest.raises(TokenRefused, match="A user can have 50 tokens"):
        make(eve, "one more")
    first = ApiToken.objects.get(user=eve, name="0")
    assert make(eve, "0", instead_of=first)[0].pk != first.pk
    assert ApiToken.objects.filter(user=eve).count() == MOST


def test_two_replacements_of_one_token_at_the_same_time_make_one(eve):
    for former in (make(eve)[0], Token.objects.create(user=eve)):
        make(eve, "another", instead_of=former)
        with pytest.raises(TokenRefused, match="has ended meanwhile"):
            make(eve, "one more", instead_of=former)
        ApiToken.objects.all().delete()


@pytest.mark.parametrize("change", ["password", "is_active"])
def test_a_request_that_began_before_the_others_ended_makes_none(eve, change):
    before = User.objects.get(pk=eve.pk)
    eve.set_password("another one")
    eve.is_active = change != "is_active"
    eve.save()
    with pytest.raises(TokenRefused, match="Sign in again"):
        make(before)


def test_one_that_was_made_while_the_password_was_stored_ends_too(eve):
    def make_meanwhile(sender, instance, **kwargs):
        make(User.objects.get(pk=instance.pk))

    pre_save.connect(make_meanwhile, sender=User)
    try:
        eve.set_password("another one")
        eve.save()
    finally:
        pre_save.disconnect(make_meanwhile, sender=User)
    assert not has_tokens(eve)


def test_the_log_names_its_limits(eve):
    limited, _ = make(eve, clusters=[ClusterFactory(name="quay"), ClusterFactory(name="north")])
    assert describe_token(limited) == {
        "role": "Viewer",
        "clusters": ["north", "quay"],
        "expires": limited.expiry.isoformat(timespec="minutes"),
    }
    assert describe_token(make(User.objects.create_superuser("root"), days=None)[0]) == {
        "role": "Viewer",
        "clusters": "all",
        "expires": "never",
    }


class TestUse:
    def test_it_is_noted_to_the_minute_and_once_a_minute(self, eve):
        token, _ = make(eve)
        note_use(token, "203.0.113.9")
        token.refresh_from_db()
        assert (token.last_used_at.second, token.last_used_at.microsecond) == (0, 0)
        assert timezone.now() - token.last_used_at < timedelta(minutes=2)
        assert token.last_used_from == "203.0.113.9"
        token.last_used_at += timedelta(hours=1)  # however late this minute is
        with CaptureQueriesContext(connection) as queries:
            note_use(token, "203.0.113.10")
        assert len(queries) == 0

    def test_of_two_requests_at_the_same_time_one_notes_it(self, eve):
        token, _ = make(eve)
        later = timezone.now() + timedelta(minutes=5)
        ApiToken.objects.update(last_used_at=later, last_used_from="203.0.113.9")
        note_use(token, "203.0.113.10")  # as read before
        token.refresh_from_db()
        assert (token.last_used_at, token.last_used_from) == (later, "203.0.113.9")

    def test_a_database_that_cannot_be_written_to_refuses_nobody(self, eve, monkeypatch):
        token, _ = make(eve)

        class Full:
            def filter(self, *args, **kwargs):
                raise DatabaseError("database or disk is full")

        monkeypatch.setattr(tokens.ApiToken, "objects", Full())
        note_use(token, None)


@pytest.fixture
def tokened(eve):
    """Eve with a token of each kind."""
    make(eve)
    Token.objects.create(user=eve)
    make(make_user("tom"))
    return eve


def lines():
    return [(entry.actor, entry.target, entry.details) for entry in AuditEntry.objects.filter(action="token.end")]


class TestEnds:
    def test_all_end_with_a_new_password_wherever_it_is_set(self, tokened):
        tokened.set_password("another one")
        tokened.save()
        assert not has_tokens(tokened)
        assert ApiToken.objects.count() == 1
        assert lines() == [
            ("the console", "eve", {"tokens": ["pipeline", "old kind"], "because": "the password was changed"}),
        ]

    def test_they_end_when_the_password_is_removed(self, tokened):
        tokened.set_unusable_password()
        tokened.save(update_fields=["password"])
        assert not has_tokens(tokened)

    def test_they_end_with_a_deactivation_and_do_not_come_back(self, tokened):
        tokened.is_active = False
        tokened.save()
        assert not has_tokens(tokened)
        assert lines()[0][2]["because"] == "the user was deactivated"
        tokened.is_active = True
        tokened.save()
        assert not has_tokens(tokened)

    def test_they_stay_with_any_other_change(self, tokened):
        tokened.first_name = "Eve"
        tokened.save()
        User.objects.get(pk=tokened.pk).save(update_fields=["last_login"])
        assert has_tokens(tokened)

    def test_they_stay_when_somebody_without_a_password_is_saved(self, eve):
        eve.set_unusable_password()
        eve.save()
        make(eve)
        User.objects.get(pk=eve.pk).save()
        assert has_tokens(eve)

    def test_they_stay_when_the_same_password_is_stored_by_a_newer_hash(self, tokened):
        weak = make_password(PASSWORD, salt="s")  # Django replaces a salt so short
        User.objects.filter(pk=tokened.pk).update(password=weak)
        assert User.objects.get(pk=tokened.pk).check_password(PASSWORD)
        assert User.objects.get(pk=tokened.pk).password != weak
        assert has_tokens(tokened)

    def test_they_stay_if_the_user_keeps_them(self, tokened):
        tokened.set_password("another one")
        tokened.keeps_tokens = True
        tokened.save()
        assert has_tokens(tokened)

    def test_where_there_are_none_nothing_is_recorded(self, eve):
        assert end_all_tokens(eve, "no reason") == []
        assert lines() == []

    def test_they_end_with_the_user(self, tokened):
        tokened.delete()
        assert [token.user.username for token in ApiToken.objects.all()] == ["tom"]
        assert not Token.objects.exists()
