import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.test import Client

from clusters.models import AuditEntry
from console.factors.tests.device import store_passkey
from console.pages.tests.reading import DIALOG, text_of, words_of

pytestmark = pytest.mark.django_db


def test_an_administrator_resets_anothers_factor_and_their_sessions_end(reader, bob):
    store_passkey(bob)
    theirs = Client()
    theirs.force_login(bob)
    assert "Second factor 1 passkey" in words_of(reader.get(f"/users/{bob.pk}/?tab=sign-in"))
    path = f"/users/{bob.pk}/second-factor/"
    assert "Their sessions end" in text_of(reader.get(path, headers=DIALOG))
    assert Authenticator.objects.exists()
    assert reader.post(path)["Location"] == f"/users/{bob.pk}/?tab=sign-in"
    assert not Authenticator.objects.exists()
    assert theirs.get("/password/").status_code == 302
    entry = AuditEntry.objects.get(action="factor.reset")
    assert (entry.actor, entry.target, entry.details) == ("ada", "bob", {"removed": "1 passkey"})
    page = words_of(reader.get(f"/users/{bob.pk}/?tab=sign-in"))
    assert "Second factor none" in page
    assert "Reset second factor" not in page


def test_nobody_resets_their_own(reader, administrator):
    store_passkey(administrator)
    assert reader.post(f"/users/{administrator.pk}/second-factor/").status_code == 403
    assert "Reset second factor" not in text_of(reader.get(f"/users/{administrator.pk}/?tab=sign-in"))
    assert Authenticator.objects.exists()


def test_only_superusers_reset_a_superusers(reader):
    root = User.objects.create_superuser("root")
    store_passkey(root)
    assert reader.post(f"/users/{root.pk}/second-factor/").status_code == 403
    assert Authenticator.objects.exists()
    other = Client()
    other.force_login(User.objects.create_superuser("other"))
    assert other.post(f"/users/{root.pk}/second-factor/").status_code == 302
    assert not Authenticator.objects.exists()


def test_whoever_manages_no_users_resets_nothing(bob, administrator):
    store_passkey(administrator)
    client = Client()
    client.force_login(bob)
    assert client.post(f"/users/{administrator.pk}/second-factor/").status_code == 403
    assert Authenticator.objects.exists()


def test_the_list_shows_who_has_one_and_who_must(reader, administrator, settings):
    store_passkey(administrator)
    settings.SECOND_FACTOR = "administrators"
    page = words_of(reader.get("/users/"))
    assert "Whoever is an administrator must have a second factor: WINDLASS_SECOND_FACTOR is administrators" in page
    assert "1 passkey" in page
