"""`manage.py sign_in_link`, and what its link does: it signs one user in, once, whatever the settings."""

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.core.signing import TimestampSigner
from django.test import Client

from clusters.models import AuditEntry
from console.pages.account.tests.conftest import PASSWORD
from console.pages.tests.reading import text_of
from console.sign_in_links import LINK_SECONDS, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def link(bob, capsys):
    call_command("sign_in_link", "bob")
    found = re.fullmatch(r"http://127\.0\.0\.1:8000(/login/link/\?token=\S+)\n", capsys.readouterr().out)
    assert found
    return found[1]


def use(link, client=None):
    client = client or Client()
    return client, client.post("/login/link/", {"token": link.partition("token=")[2]})


def is_signed_in(client):
    return client.get("/calls/running/").status_code == 200


@pytest.mark.parametrize("setting", ["everybody", "superusers", "nobody"])
def test_it_signs_in_whatever_the_setting(link, settings, setting):
    settings.LOCAL_LOGIN = setting
    client = Client()
    page = client.get(link)
    assert "Sign in as <bdi>bob</bdi>" in page.content.decode()
    assert not is_signed_in(client)  # opening it is not enough
    _, response = use(link, client)
    assert response["Location"] == "/"
    assert is_signed_in(client)


def test_it_signs_in_once(link):
    assert use(link)[1].status_code == 302
    client, response = use(link)
    assert response.status_code == 403
    assert "This link signs nobody in" in text_of(response)
    assert not is_signed_in(client)
    assert client.get(link).status_code == 403


def test_a_lock_does_not_hold_it(link, bob):
    for _ in range(5):
        Client().post("/login/", {"username": "bob", "password": "wrong"})
    client, _ = use(link)
    assert is_signed_in(client)


def test_a_sign_in_meanwhile_a_new_password_or_deactivation_ends_it(bob):
    for change in ("sign in", "password", "deactivate"):
        token = make_token(bob)
        if change == "sign in":
            Client().post("/login/", {"username": "bob", "password": PASSWORD})
        elif change == "password":
            bob.set_password("another horse battery")
            bob.save()
        else:
            bob.is_active = False
            bob.save()
        assert Client().post("/login/link/", {"token": token}).status_code == 403, change
        bob.refresh_from_db()


def test_it_ends_after_a_quarter_of_an_hour(link, monkeypatch):
    import time

    later = time.time() + LINK_SECONDS + 1
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert use(link)[1].status_code == 403
    assert timedelta(minutes=15).total_seconds() == LINK_SECONDS


@pytest.mark.parametrize("token", ["", "x", "1:abc", "1:abc:def:ghi", "\0", "é" * 50])
def test_what_is_no_link_of_ours_is_refused(bob, token):
    assert Client().get("/login/link/", {"token": token}).status_code == 403
    assert Client().post("/login/link/", {"token": token}).status_code == 403


def test_another_signature_of_the_console_is_no_link(bob):
    token = TimestampSigner(salt="elsewhere").sign(make_token(bob).rsplit(":", 2)[0])
    assert Client().post("/login/link/", {"token": token}).status_code == 403


def test_both_ends_are_recorded(link):
    made = AuditEntry.objects.get(action="sign_in.link")
    assert (made.actor, made.target) == ("manage.py sign_in_link", "bob")
    use(link)
    assert AuditEntry.objects.filter(action="sign_in", actor="bob").count() == 1
    assert not any(link[-20:] in str(entry.details) for entry in AuditEntry.objects.all())


def test_unknown_and_deactivated_users_get_none(bob):
    with pytest.raises(CommandError, match="There is no user 'eve'"):
        call_command("sign_in_link", "eve")
    bob.is_active = False
    bob.save()
    with pytest.raises(CommandError, match="bob is deactivated"):
        call_command("sign_in_link", "bob")
