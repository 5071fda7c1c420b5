"""The test at a provider shows what came, and changes nothing."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from clusters.models import AuditEntry, GivenRole
from clusters.roles import Role
from clusters.tests.users import make_user
from console.identity.tests.fake_provider import ISSUER
from console.models import GroupMapping, IdentityProvider

pytestmark = pytest.mark.django_db


def test_a_test_shows_the_claims_and_changes_nothing(reader, arrive, fake_provider, provider_row):
    GroupMapping.objects.create(issuer=ISSUER, group="Ops", role=Role.DEPLOYER)
    GroupMapping.objects.create(issuer=ISSUER, group="dev", role=Role.VIEWER)
    IdentityProvider.objects.update(is_enabled=False)
    fake_provider.person |= {"groups": ["ops", "dev"], "email": "<b>@example.com"}
    users = User.objects.count()
    response = arrive(f"/sign-in/providers/{provider_row.pk}/test/", using=reader)
    text = response.content.decode()
    assert response.status_code == 200
    assert "Viewer on all clusters, by <bdi>dev</bdi>" in text
    assert "The group <bdi>ops</bdi> was received, and <bdi>Ops</bdi> is mapped" in text
    assert "<bdi>grace</bdi> would be added" in text
    assert "&lt;b&gt;@example.com" in text
    assert "nonce" not in text
    assert reader.get("/sign-in/").wsgi_request.user.username == "ada"
    assert User.objects.count() == users
    assert not SocialAccount.objects.exists()
    assert not GivenRole.objects.exists()
    assert Session.objects.count() == 1
    assert AuditEntry.objects.filter(action="provider.test", actor="ada").exists()


def test_a_test_says_when_groups_are_missing(reader, arrive, fake_provider, provider_row):
    del fake_provider.person["groups"]
    text = arrive(f"/sign-in/providers/{provider_row.pk}/test/", using=reader).content.decode()
    assert "No claim <bdi>groups</bdi> was received" in text
    fake_provider.person["_claim_names"] = {"groups": "src1"}
    text = arrive(f"/sign-in/providers/{provider_row.pk}/test/", using=reader).content.decode()
    assert "there are too many" in text


def test_a_test_of_somebody_who_is_not_let_in(reader, arrive, provider_row):
    IdentityProvider.objects.update(admits="known")
    text = arrive(f"/sign-in/providers/{provider_row.pk}/test/", using=reader).content.decode()
    assert "would not be let in" in text


def test_a_test_that_fails_says_why(reader, arrive, fake_provider, provider_row):
    fake_provider.secret = "another"
    response = arrive(f"/sign-in/providers/{provider_row.pk}/test/", using=reader)
    assert response.status_code == 400
    assert "The test failed" in response.content.decode()


def test_a_test_is_for_the_administrator_who_began_it(reader, fake_provider, provider_row):
    answer = fake_provider.visit(reader.post(f"/sign-in/providers/{provider_row.pk}/test/").context["way"])
    make_user("root", Role.ADMINISTRATOR)
    User.objects.get(username="ada").groups.clear()
    assert reader.get("/login/callback/", answer).status_code == 400
