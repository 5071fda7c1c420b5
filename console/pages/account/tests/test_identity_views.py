"""Linking, unlinking and invitations."""

import pytest
from allauth.socialaccount.models import SocialAccount

from clusters.access.counted_acts import counted_acts
from clusters.models import AuditEntry
from clusters.tests.users import make_user
from console.identity.arrivals import find_invitation, invite
from console.models import IdentityProvider
from console.pages.account.tests.conftest import grow_old

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counts():
    counted_acts.forget()
    yield
    counted_acts.forget()


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


def test_a_user_links_and_unlinks(bobs, bob, arrive, provider_row):
    response = arrive(f"/account/identities/link/{provider_row.pk}/")
    assert response["Location"] == "/account/identities/"
    text = bobs.get("/account/identities/").content.decode()
    assert "You can sign in by Example from now on." in text
    assert "<bdi>grace</bdi>" in text
    account = SocialAccount.objects.get(user=bob)
    bobs.logout()
    arrive(f"/login/provider/{provider_row.pk}/")
    assert bobs.get("/account/identities/").wsgi_request.user == bob
    bobs.post(f"/account/identities/{account.pk}/unlink/")
    assert not SocialAccount.objects.exists()
    assert list(AuditEntry.objects.filter(action__startswith="identity").values_list("action", flat=True)) == [
        "identity.unlink",
        "identity.link",
    ]


def test_a_session_that_somebody_finds_open_links_nothing(bobs, provider_row):
    grow_old(bobs)
    response = bobs.post(f"/account/identities/link/{provider_row.pk}/")
    assert response["Location"] == "/account/second-factor/confirm/?next=%2Faccount%2Fidentities%2F"


def test_an_identity_of_another_user_is_not_linked(bobs, arrive, provider_row):
    other = make_user("grace")
    SocialAccount.objects.create(user=other, provider=provider_row.issuer, uid="4711")
    response = arrive(f"/account/identities/link/{provider_row.pk}/")
    assert response.status_code == 400
    assert "another user" in response.content.decode()
    assert SocialAccount.objects.get().user == other


def test_a_link_is_for_whoever_began_it(bobs, fake_provider, provider_row):
    answer = fake_provider.visit(bobs.post(f"/account/identities/link/{provider_row.pk}/").context["way"])
    bobs.force_login(make_user("eve"))
    response = bobs.get("/login/callback/", answer)
    assert response.status_code == 400
    assert "Another user is signed in" in response.content.decode()
    assert not SocialAccount.objects.exists()


def test_the_only_way_to_sign_in_stays(client, arrive, provider_row):
    arrive(f"/login/provider/{provider_row.pk}/")
    account = SocialAccount.objects.get()
    response = client.post(f"/account/identities/{account.pk}/unlink/", follow=True)
    assert "your only way to sign in" in response.content.decode()
    assert SocialAccount.objects.exists()


def test_identities_of_others_cannot_be_unlinked(bobs, provider_row):
    account = SocialAccount.objects.create(user=make_user("eve"), provider=provider_row.issuer, uid="1")
    assert bobs.post(f"/account/identities/{account.pk}/unlink/").status_code == 404
    assert SocialAccount.objects.exists()


def test_an_invitation_makes_whoever_signs_in_that_user(client, bob, arrive, provider_row):
    IdentityProvider.objects.update(admits="known")
    key = invite(bob)
    text = client.get("/account/identities/invitation/", {"key": key}).content.decode()
    assert "<bdi>bob</bdi>" in text
    response = arrive("/account/identities/invitation/", key=key, provider=provider_row.pk)
    assert response["Location"] == "/"
    assert client.get("/account/identities/").wsgi_request.user == bob
    assert find_invitation(key) is None
    client.logout()
    response = client.get("/account/identities/invitation/", {"key": key})
    assert response.status_code == 404
    assert "was used or has expired" in response.content.decode()


def test_an_invitation_that_was_used_meanwhile(client, bob, fake_provider, provider_row):
    key = invite(bob)
    way = client.post("/account/identities/invitation/", {"key": key, "provider": provider_row.pk}).context["way"]
    answer = fake_provider.visit(way)
    invite(bob)
    response = client.get("/login/callback/", answer)
    assert response.status_code == 400
    assert "was used or has expired" in response.content.decode()
    assert not SocialAccount.objects.exists()
