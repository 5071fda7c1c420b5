"""The page of second factors: apps and recovery codes."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from clusters.models import AuditEntry
from console.factors import codes
from console.factors.tests.device import compute_code, store_passkey
from console.pages.account.factor_forms import seal_secret
from console.pages.account.tests.conftest import App, grow_old, is_signed_in, last_entry
from console.pages.tests.reading import DIALOG, text_of, words_of

pytestmark = pytest.mark.django_db
PAGE, APP, CODES = "/account/second-factor/", "/account/second-factor/app/", "/account/second-factor/codes/"


def read_set_up(response):
    """Return the secret as a person types it, and the sealed one."""
    shown = re.search(r'<p class="secret-text">\s*<code>([A-Z2-7 ]+)</code>', text_of(response))[1].replace(" ", "")
    return shown, re.search(r'name="secret" value="([^"]+)"', text_of(response))[1]


def set_up(client):
    secret, sealed = read_set_up(client.get(APP))
    return client.post(APP, {"secret": sealed, "code": compute_code(secret)})


def shown_codes(response):
    return re.findall(r"<code>(\d{5} \d{5})</code>", text_of(response))


def test_an_app_is_set_up_with_its_first_code_and_recovery_codes_are_shown_once(reader, administrator):
    response = set_up(reader)
    assert "Your authenticator app is set up." in text_of(response)
    made = shown_codes(response)
    assert len(made) == 10
    assert "no-store" in response["Cache-Control"]
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == ["factor.add", "factor.codes"]
    page = words_of(reader.get(PAGE))
    assert "10 of 10 are left" in page
    assert not any(code in page for code in made)
    assert codes.check_code(administrator, made[0]) == codes.RECOVERY_CODES
    assert "9 of 10 are left" in words_of(reader.get(PAGE))


def test_nothing_is_stored_before_the_code_is_right(reader):
    secret, sealed = read_set_up(reader.get(APP))
    response = reader.post(APP, {"secret": sealed, "code": "000"})
    assert "The code is wrong." in text_of(response)
    assert read_set_up(response)[0] == secret
    assert not Authenticator.objects.exists()
    assert not AuditEntry.objects.exists()
    assert secret not in sealed


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "é"])
def test_a_secret_that_was_not_made_here_is_not_taken(reader, sealed):
    response = reader.post(APP, {"secret": sealed, "code": "123456"})
    assert "The code was not checked" in text_of(response)
    assert not Authenticator.objects.exists()


def test_a_secret_is_for_one_user_and_half_an_hour(reader, bob, administrator, monkeypatch):
    secret, sealed = seal_secret(bob)
    reader.post(APP, {"secret": sealed, "code": compute_code(secret)})
    monkeypatch.setattr("console.pages.account.factor_forms.SET_UP_SECONDS", -1)
    secret, sealed = seal_secret(administrator)
    reader.post(APP, {"secret": sealed, "code": compute_code(secret)})
    assert not Authenticator.objects.exists()


def test_a_second_app_is_not_added(reader, app):
    assert reader.get(APP)["Location"] == reader.post(APP, {})["Location"] == PAGE


def test_the_first_factor_ends_the_users_other_sessions(reader, administrator, bob):
    other, theirs = Client(), Client()
    other.force_login(administrator)
    theirs.force_login(bob)
    set_up(reader)
    assert is_signed_in(reader)
    assert is_signed_in(theirs)
    assert not is_signed_in(other)


def test_a_further_factor_keeps_the_recovery_codes_and_the_sessions(reader, administrator, device):
    made = codes.make_recovery_codes(administrator)
    other = Client()
    other.force_login(administrator)
    assert set_up(reader)["Location"] == PAGE
    assert is_signed_in(other)
    assert codes.check_code(administrator, made[0])


def test_new_recovery_codes_replace_the_old_ones(reader, administrator, app):
    old = codes.make_recovery_codes(administrator)
    assert "The ones you have stop working." in text_of(reader.get(CODES))
    made = shown_codes(reader.post(CODES))
    assert last_entry().action == "factor.codes"
    assert not codes.check_code(administrator, old[0])
    assert codes.check_code(administrator, made[0])


def test_there_are_no_recovery_codes_without_a_factor(reader):
    assert reader.post(CODES)["Location"] == PAGE
    assert not Authenticator.objects.exists()


def test_the_last_factor_takes_the_recovery_codes_with_it(reader, administrator, app, device):
    codes.make_recovery_codes(administrator)
    passkey = Authenticator.objects.get(type="webauthn")
    reader.post(f"{PAGE}{app.row.pk}/remove/")
    assert last_entry().details == {"factor": "authenticator app"}
    assert Authenticator.objects.filter(type=codes.RECOVERY_CODES).exists()
    other = Client()
    other.force_login(administrator)
    dialog = reader.get(f"{PAGE}{passkey.pk}/remove/", headers=DIALOG)
    assert "It is your only second factor." in text_of(dialog)
    reader.post(f"{PAGE}{passkey.pk}/remove/")
    assert last_entry().details == {"factor": "passkey", "name": "laptop"}
    assert [is_signed_in(client) for client in (reader, other)] == [True, False]
    assert not Authenticator.objects.exists()


def test_the_factor_of_somebody_else_is_not_there(reader, bob):
    rows = [App(bob).row, store_passkey(bob)]
    for row in rows:
        for act in ("remove", "rename"):
            assert reader.post(f"{PAGE}{row.pk}/{act}/", {"name": "mine"}).status_code == 404
    assert Authenticator.objects.count() == 2


def test_recovery_codes_are_not_removed_by_themselves(reader, administrator, app):
    codes.make_recovery_codes(administrator)
    row = Authenticator.objects.get(type=codes.RECOVERY_CODES)
    assert reader.post(f"{PAGE}{row.pk}/remove/").status_code == 404


def test_a_required_factor_can_be_replaced_and_not_removed(reader, administrator, app, settings):
    settings.SECOND_FACTOR = "administrators"
    response = reader.post(f"{PAGE}{app.row.pk}/remove/")
    assert "this console requires one of you" in text_of(response)
    assert Authenticator.objects.count() == 1
    store_passkey(administrator)
    reader.post(f"{PAGE}{app.row.pk}/remove/")
    assert [row.type for row in Authenticator.objects.all()] == ["webauthn"]


def test_the_page_says_who_must_have_one(reader, app, settings):
    assert "WINDLASS_SECOND_FACTOR" not in text_of(reader.get(PAGE))
    settings.SECOND_FACTOR = "administrators"
    assert "WINDLASS_SECOND_FACTOR is administrators" in words_of(reader.get(PAGE))


def test_no_change_is_made_by_an_old_sign_in_alone(reader, administrator, app):
    passkey = store_passkey(administrator)
    grow_old(reader)
    AuditEntry.objects.all().delete()
    paths = [CODES, f"{PAGE}passkeys/new/", *(f"{PAGE}{passkey.pk}/{act}/" for act in ("rename", "remove"))]
    for path in paths:
        for response in (reader.get(path), reader.post(path, {"name": "changed"})):
            assert response["Location"] == f"{PAGE}confirm/?next={path.replace('/', '%2F')}"
    dialog = reader.get(paths[-1], headers=DIALOG | {"HX-Current-URL": f"http://testserver{PAGE}"})
    assert dialog["HX-Redirect"] == f"{PAGE}confirm/?next=%2Faccount%2Fsecond-factor%2F"
    assert not AuditEntry.objects.exists()
    assert reader.get(PAGE).status_code == 200
