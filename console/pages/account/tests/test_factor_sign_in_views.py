"""Sign-ins with a second factor, with a passkey alone, and attempts to get past them."""

import time

import pytest
from allauth.account.internal.flows.login import perform_login
from allauth.account.models import Login
from allauth.core import context
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.test import Client

from clusters.models import AuditEntry
from console.factors import codes
from console.pages.account.factor_stage import MOST_FAILURES
from console.pages.account.tests.conftest import (
    PASSWORD,
    App,
    answer_form,
    enter_password,
    is_signed_in,
    last_entry,
    read_passkey_form,
)
from console.pages.tests.reading import text_of, words_of
from console.sessions import SIGNED_IN_AT, SessionStore

pytestmark = pytest.mark.django_db
STEP = "/login/second-factor/"
PASSKEY = "/login/passkey/"


def enter_code(client, code):
    return client.post(STEP, {"code": code})


def test_without_a_factor_the_password_signs_in(administrator):
    assert is_signed_in(enter_password())
    assert last_entry().details == {"method": "password"}


def test_after_the_password_the_apps_code_is_asked_for(app):
    client = Client()
    response = client.post("/login/", {"username": "ada", "password": PASSWORD, "next": "/triggers/"})
    assert response["Location"] == STEP
    assert not AuditEntry.objects.filter(action="sign_in").exists()
    page = words_of(client.get(STEP))
    assert "Show that you are ada ." in page
    assert "The six digits of your authenticator app." in page
    assert enter_code(client, app.code())["Location"] == "/triggers/"
    assert is_signed_in(client)
    assert last_entry().details == {"method": "password, authenticator app"}
    assert client.session[SIGNED_IN_AT] > time.time() - 60


def test_a_recovery_code_signs_in_once_and_the_audit_log_shows_it(administrator, app):
    code = codes.make_recovery_codes(administrator)[0]
    client = enter_password()
    assert "or a recovery code" in words_of(client.get(STEP))
    assert enter_code(client, f" {code[:5]} {code[5:]}")["Location"] == "/"
    assert last_entry().details == {"method": "password, recovery code"}
    other = enter_password()
    assert "The code is wrong, or was used before." in text_of(enter_code(other, code))
    assert not is_signed_in(other)


def test_a_passkey_is_a_second_factor(device):
    client = enter_password()
    assert "Use a passkey" in text_of(client.get(STEP))
    assert answer_form(client, STEP, device)["Location"] == "/"
    assert is_signed_in(client)
    assert last_entry().details == {"method": "password, passkey"}


def use_alone(client, device, **fields):
    begun = client.get(PASSKEY).json()
    return client.post(PASSKEY, {"token": begun["token"], "answer": device.use(begun["options"]), **fields})


def test_a_passkey_signs_in_alone(device, app):
    client = Client()
    assert use_alone(client, device, next="/triggers/")["Location"] == "/triggers/"
    assert is_signed_in(client)
    assert last_entry().details == {"method": "passkey"}
    assert client.session[SIGNED_IN_AT] > time.time() - 60


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_a_sign_in_leads_nowhere_else(device, elsewhere):
    assert use_alone(Client(), device, next=elsewhere)["Location"] == "/"


def test_what_strangers_open_stores_nothing(device):
    client = Client()
    for path in (PASSKEY, STEP, "/login/"):
        client.get(path)
    use_alone(client, device)
    assert Session.objects.count() == 1  # of the sign-in
    assert client.get(PASSKEY)["Location"] == "/"


def test_an_unknown_passkey_is_refused_with_a_sentence_and_counted(device, administrator):
    client = Client()
    device.handle = "OTk5OQ"
    response = use_alone(client, device)
    assert response.status_code == 403
    assert "The passkey is not known here" in text_of(response)
    assert not is_signed_in(client)
    assert (last_entry().action, last_entry().details["method"]) == ("sign_in.fail", "passkey")
    assert client.post(PASSKEY, {}).status_code == 403


def test_a_copied_passkey_is_reported_under_its_owners_name(device):
    device.count = 5
    assert use_alone(Client(), device).status_code == 302
    device.count -= 1
    assert "may have been copied" in text_of(use_alone(Client(), device))
    entry = last_entry()
    assert (entry.action, entry.actor, entry.details["reason"][:11]) == ("sign_in.fail", "ada", "The passkey")


def test_the_passkey_of_a_deactivated_user_signs_nobody_in(device, administrator):
    User.objects.filter(pk=administrator.pk).update(is_active=False)
    client = Client()
    assert use_alone(client, device)["Location"] == "/login/inactive/"
    assert not is_signed_in(client)


def test_between_the_password_and_the_factor_nothing_opens(app, administrator):
    administrator.is_staff = administrator.is_superuser = True
    administrator.save()
    client = enter_password()
    for path in ("/", "/users/", "/admin/", "/admin/auth/user/", "/account/second-factor/", "/password/", "/triggers/"):
        response = client.get(path)
        assert response.status_code == 302
        assert "/login/" in response["Location"], path
    assert client.get("/api/v1/clusters/").status_code in (401, 403)
    assert client.post("/account/second-factor/codes/").status_code == 302
    assert client.get("/metrics").status_code in (401, 403, 404)
    assert client.get("/admin/login/")["Location"].startswith("/login/")
    assert not client.session.get("_auth_user_id")


def test_the_admins_login_asks_too(app):
    client = Client()
    assert client.get("/admin/login/?next=/admin/")["Location"] == "/login/?next=/admin/"
    assert enter_password(client=client, next="/admin/").get("/admin/").status_code == 302
    assert enter_code(client, app.code())["Location"] == "/admin/"


def test_the_step_without_a_password_leads_to_the_sign_in(app):
    client = Client()
    assert client.get(STEP)["Location"] == client.post(STEP, {"code": app.code()})["Location"] == "/login/"


def test_whoever_is_signed_in_has_no_step(app):
    client = enter_password()
    enter_code(client, app.code())
    assert client.get(STEP)["Location"] == "/"


def test_the_key_of_the_session_changes_with_each_step(app):
    client = Client()
    planted = client.session
    planted["planted"] = True
    planted.save()
    client.cookies["sessionid"] = planted.session_key
    keys = [planted.session_key]
    enter_password(client=client)
    keys.append(client.session.session_key)
    enter_code(client, app.code())
    keys.append(client.session.session_key)
    assert len(set(keys)) == 3
    for key in keys[:2]:
        thief = Client()
        thief.cookies["sessionid"] = key
        assert not is_signed_in(thief)
        assert thief.get(STEP)["Location"] == "/login/"


def test_a_pending_sign_in_ends_after_ten_minutes(app, monkeypatch):
    client, later = enter_password(), time.time() + 601
    code = app.code()
    with monkeypatch.context() as patch:
        patch.setattr("allauth.account.internal.stagekit.time.time", lambda: later)
        assert enter_code(client, code)["Location"] == "/login/"
    assert client.get(STEP)["Location"] == "/login/"


def change_password(user):
    user.set_password("another password")
    user.save()


def deactivate(user):
    user.is_active = False
    user.save()


def remove_factors(user):
    Authenticator.objects.filter(user=user).delete()


@pytest.mark.parametrize("change", [change_password, deactivate, remove_factors, User.delete])
def test_a_pending_sign_in_ends_when_its_user_is_changed(administrator, app, change):
    client, code = enter_password(), app.code()
    change(User.objects.get(pk=administrator.pk))
    assert enter_code(client, code)["Location"] == "/login/"
    assert not is_signed_in(client)
    assert client.get(STEP)["Location"] == "/login/"


def test_another_user_in_the_same_browser_needs_their_own_factor(app, bob, administrator):
    theirs = App(bob)
    client = enter_password("ada")
    enter_password("bob", client=client)
    assert "Show that you are bob ." in words_of(client.get(STEP))
    assert "The code is wrong" in text_of(enter_code(client, app.code()))
    assert enter_code(client, theirs.code())["Location"] == "/"
    assert client.get("/").wsgi_request.user == bob
    assert last_entry().details == {"method": "password, authenticator app"}


def test_somebody_elses_passkey_is_no_second_factor(bob, device):
    App(bob)
    client = enter_password("bob")
    options, token = read_passkey_form(enter_password("ada").get(STEP))
    response = client.post(STEP, {"token": token, "answer": device.use(options)})
    assert "The passkey answered another question" in text_of(response)
    assert not is_signed_in(client)


def test_wrong_codes_are_counted_and_the_fifth_ends_the_sign_in(app):
    client = enter_password()
    for _ in range(MOST_FAILURES - 1):
        assert enter_code(client, "000").status_code == 200
    response = enter_code(client, "000")
    assert (response.status_code, "That was the last try." in text_of(response)) == (403, True)
    assert enter_code(client, app.code())["Location"] == "/login/"
    entry = AuditEntry.objects.get(action="sign_in.fail")
    assert (entry.actor, entry.details, entry.address) == ("ada", {"method": "code"}, "127.0.0.1")


def test_new_sign_ins_do_not_give_new_guesses_without_end(app):
    for number in range(codes.MOST_FAILURES):  # from many addresses: one is locked sooner
        enter_code(enter_password(client=Client(REMOTE_ADDR=f"192.0.2.{number}")), "000")
    client = enter_password()
    response = enter_code(client, app.code())
    assert (response.status_code, "Too many wrong codes" in text_of(response)) == (429, True)
    assert client.get(STEP).status_code == 200  # a passkey can still be used
    assert not is_signed_in(client)


def test_a_form_without_its_token_is_refused(app, device):
    client = enter_password(client=Client())
    client.handler.enforce_csrf_checks = True
    assert client.post(STEP, {"code": app.code()}).status_code == 403
    assert client.post(PASSKEY, {}).status_code == 403
    assert not is_signed_in(client)


def test_a_sign_in_by_an_identity_provider_is_asked_too(app, administrator, rf):
    administrator.set_unusable_password()
    administrator.save()
    request = rf.get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    with context.request_context(request):
        response = perform_login(request, Login(administrator))
    assert response.url == STEP
    client = Client()
    request.session.save()
    client.cookies["sessionid"] = request.session.session_key
    assert not is_signed_in(client)
    assert enter_code(client, app.code())["Location"] == "/"
    assert is_signed_in(client)


def test_links_tokens_and_probes_are_asked_for_nothing(app, administrator, settings):
    from rest_framework.authtoken.models import Token

    settings.SECOND_FACTOR = "everybody"
    token = Token.objects.create(user=administrator)
    client = Client(headers={"Authorization": f"Token {token.key}"})
    assert client.get("/api/v1/clusters/").status_code == 200
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/hook/trigger").status_code == 400
