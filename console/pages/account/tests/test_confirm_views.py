import pytest
from django.test import Client

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.factors import codes
from console.pages.account.fresh import is_fresh
from console.pages.account.tests.conftest import PASSWORD, answer_form, grow_old
from console.pages.account.throttle import line
from console.pages.tests.reading import text_of

pytestmark = pytest.mark.django_db
CONFIRM = "/account/second-factor/confirm/"


@pytest.fixture
def old(reader):
    """A client whose sign-in is six minutes ago."""
    grow_old(reader)
    return reader


def is_confirmed(client):
    return client.get("/account/second-factor/passkeys/new/").status_code == 200


def test_the_password_confirms_and_leads_back(old):
    assert not is_confirmed(old)
    response = old.post(CONFIRM, {"password": PASSWORD, "next": "/account/second-factor/app/"})
    assert response["Location"] == "/account/second-factor/app/"
    assert is_confirmed(old)


def test_a_code_of_the_app_confirms_and_a_recovery_code_does_not(old, administrator, app):
    made = codes.make_recovery_codes(administrator)
    assert "The code is wrong" in text_of(old.post(CONFIRM, {"code": made[0]}))
    assert not is_confirmed(old)
    assert old.post(CONFIRM, {"code": app.code()})["Location"] == "/account/second-factor/"
    assert is_confirmed(old)


def test_a_passkey_confirms(old, device):
    assert answer_form(old, CONFIRM, device).status_code == 302
    assert is_confirmed(old)


@pytest.mark.parametrize("form", [{}, {"password": "wrong"}, {"code": "000"}, {"answer": "{}", "token": "x"}])
def test_anything_else_does_not(old, app, device, form):
    response = old.post(CONFIRM, form)
    assert response.status_code == 200
    assert not is_confirmed(old)
    failed = AuditEntry.objects.filter(action="sign_in.fail")
    assert failed.count() == bool(form)


def test_a_passwords_turn_is_waited_for_as_at_the_sign_in(old):
    with line.turn("127.0.0.1"):
        response = old.post(CONFIRM, {"password": PASSWORD})
    assert (response.status_code, response["Retry-After"]) == (429, "5")
    assert not is_confirmed(old)


def test_it_leads_nowhere_else(old):
    response = old.post(CONFIRM, {"password": PASSWORD, "next": "https://elsewhere.example/"})
    assert response["Location"] == "/account/second-factor/"


def test_whoever_has_nothing_to_confirm_with_signs_in_again(db):
    client = Client()
    client.force_login(make_user("sso", Role.VIEWER))
    page = client.get(CONFIRM)
    assert "sign in again, and come back within five minutes" in text_of(page)


def test_a_confirmation_from_the_future_counts_for_nothing(reader, rf):
    request = rf.get("/")
    request.session = reader.session
    assert is_fresh(request)
    request.session["confirmed_at"] += 1000
    assert not is_fresh(request)
