"""Invitations, unlinking, and what the page of a user shows of groups."""

import pytest
from allauth.socialaccount.models import SocialAccount

from clusters.access.given_roles import Sync, Wanted, give_roles
from clusters.models import AuditEntry, ClusterGrant, GivenRole
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.identity.arrivals import find_invitation
from console.identity.tests.conftest import provider_row as provider_row

pytestmark = pytest.mark.django_db


@pytest.fixture
def given(bob, provider_row):
    """Bob, to whom groups gave a role for all clusters and one on a cluster."""
    cluster = ClusterFactory(name="harbour")
    wanted = {None: Wanted(Role.DEPLOYER, "ops"), cluster.pk: Wanted(Role.OPERATOR, "dev")}
    give_roles(Sync(bob, provider_row.issuer, bob, None, "sign-in at Example"), wanted)
    return cluster


def test_an_administrator_invites_and_unlinks(reader, bob, provider_row):
    assert reader.get(f"/users/{bob.pk}/?tab=sign-in").content.decode().count("/invite/") == 2
    text = reader.post(f"/users/{bob.pk}/invite/").content.decode()
    key = text.split("?key=")[1].split("<")[0]
    assert find_invitation(key).user == bob
    assert AuditEntry.objects.filter(action="identity.invite", actor="ada", target="bob").exists()
    assert key not in str(AuditEntry.objects.values_list("details", flat=True))
    account = SocialAccount.objects.create(user=bob, provider=provider_row.issuer, uid="1")
    assert reader.post(f"/users/{bob.pk}/unlink/{account.pk}/").status_code == 302
    assert not SocialAccount.objects.exists()


def test_an_administrator_cannot_become_a_superuser_by_an_invitation(reader, admin_user):
    assert reader.post(f"/users/{admin_user.pk}/invite/").status_code == 403
    assert reader.get(f"/users/{admin_user.pk}/invite/").status_code == 403


def test_other_roles_cannot_invite(client, bob):
    client.force_login(make_user("eve", Role.DEPLOYER))
    assert client.post(f"/users/{bob.pk}/invite/").status_code == 403


def test_the_page_says_which_group_gave_what(reader, bob, given):
    text = reader.get(f"/users/{bob.pk}/").content.decode()
    assert "<bdi>ops</bdi>" in text
    assert "<bdi>dev</bdi>" in text
    assert "by a group of a provider, see below" in text
    assert "no sign-in takes it" in text


def test_a_role_that_is_saved_by_hand_is_not_taken_any_longer(reader, bob, given):
    reader.post(f"/users/{bob.pk}/role/", {"role": "deployer"})
    reader.post(f"/users/{bob.pk}/grants/", {"cluster": given.pk, "role": "operator"})
    assert not GivenRole.objects.exists()
    give_roles(Sync(bob, "https://id.example.com/realms/main", bob, None, "sign-in at Example"), {})
    assert bob.groups.get().name == "Deployer"
    assert ClusterGrant.objects.get(user=bob).role == Role.OPERATOR


def test_a_given_grant_can_be_withdrawn(reader, bob, given):
    reader.post(f"/grants/{ClusterGrant.objects.get(user=bob).pk}/delete/")
    assert not ClusterGrant.objects.filter(user=bob).exists()
    assert GivenRole.objects.get().cluster is None
