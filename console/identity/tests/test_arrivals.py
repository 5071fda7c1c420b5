"""Who comes in, as whom, and with which roles."""

from datetime import timedelta

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import AuditEntry, GivenRole
from clusters.roles import Role
from clusters.tests.users import make_user
from console.identity import arrivals
from console.identity.arrivals import (
    accept_invitation,
    admit,
    choose_user_name,
    find_account,
    find_invitation,
    invite,
    is_last_way,
    link,
    unlink,
)
from console.identity.errors import IdentityError
from console.identity.providers import find_provider
from console.identity.tests.fake_provider import ISSUER
from console.models import GroupMapping, IdentityProvider, Invitation

pytestmark = pytest.mark.django_db

CLAIMS = {"sub": "4711", "preferred_username": "grace", "email": "grace@example.com", "groups": ["ops"]}
ADDRESS = "203.0.113.1"


@pytest.fixture
def provider(provider_row):
    make_user("root", Role.ADMINISTRATOR)
    return find_provider(str(provider_row.pk))


def with_admits(row, admits):
    IdentityProvider.objects.filter(pk=row.pk).update(admits=admits)
    return find_provider(str(row.pk))


def map_ops(role=Role.DEPLOYER):
    GroupMapping.objects.create(issuer=ISSUER, group="ops", role=role)


def refuse(act, *arguments):
    with pytest.raises(IdentityError) as caught:
        act(*arguments)
    return caught.value.reason


def test_a_new_identity_makes_a_user_without_password_and_role(provider):
    user = admit(provider, CLAIMS, ADDRESS)
    assert (user.username, user.email, user.is_staff, user.is_superuser) == ("grace", "", False, False)
    assert not user.has_usable_password()
    assert not user.groups.exists()
    account = SocialAccount.objects.get()
    assert (account.provider, account.uid) == (ISSUER, "4711")
    assert account.extra_data == {"preferred_username": "grace", "email": "grace@example.com"}
    assert AuditEntry.objects.filter(action="user.add", actor="grace", details__by="sign-in at Example").exists()
    assert admit(provider, CLAIMS, ADDRESS) == user


@pytest.mark.parametrize("name", ["grace", "GRACE"])
def test_an_existing_user_of_the_name_or_the_address_is_never_taken_over(provider, name):
    known = make_user(name, Role.ADMINISTRATOR, email="grace@example.com")
    user = admit(provider, {**CLAIMS, "email_verified": True}, ADDRESS)
    assert user != known
    assert user.username == "grace-2"


def test_the_same_subject_of_another_issuer_is_somebody_else(provider):
    first = admit(provider, CLAIMS, ADDRESS)
    row = IdentityProvider.objects.create(
        issuer="https://two.test", name="Two", client_id="x", admits=IdentityProvider.Admits.EVERYBODY
    )
    assert admit(find_provider(str(row.pk)), CLAIMS, ADDRESS) != first


def test_user_names_are_never_too_long():
    make_user("x" * 150)
    assert choose_user_name("x" * 150) == "x" * 148 + "-2"


def test_groups_give_roles_and_take_them(provider):
    map_ops()
    user = admit(provider, CLAIMS, ADDRESS)
    assert {group.name for group in user.groups.all()} == {"Deployer"}
    user = admit(provider, {**CLAIMS, "groups": []}, ADDRESS)
    assert not user.groups.exists()


def test_no_group_makes_a_superuser(provider):
    map_ops(Role.ADMINISTRATOR)
    user = admit(provider, {**CLAIMS, "is_superuser": True, "is_staff": True}, ADDRESS)
    assert (user.is_superuser, user.is_staff) == (False, True)


def test_only_known_users(provider_row):
    provider = with_admits(provider_row, "known")
    map_ops()
    assert refuse(admit, provider, CLAIMS, ADDRESS) == "unknown"
    assert not User.objects.exists()
    bob = make_user("bob")
    link(provider, CLAIMS, bob, bob, ADDRESS)
    assert admit(provider, CLAIMS, ADDRESS) == bob


def test_only_people_with_a_role(provider_row):
    make_user("root", Role.ADMINISTRATOR)
    provider = with_admits(provider_row, "mapped")
    assert refuse(admit, provider, CLAIMS, ADDRESS) == "no_role"
    assert not SocialAccount.objects.exists()
    map_ops()
    user = admit(provider, CLAIMS, ADDRESS)
    assert refuse(admit, provider, {**CLAIMS, "groups": []}, ADDRESS) == "no_role"
    assert not user.groups.exists()  # what the group gave was taken, although nobody came in
    user.groups.add(*make_user("hand", Role.VIEWER).groups.all())
    assert admit(provider, {**CLAIMS, "groups": []}, ADDRESS) == user


def test_a_race_of_two_first_sign_ins_makes_one_user(provider, monkeypatch):
    first = admit(provider, CLAIMS, ADDRESS)
    unseen = [None]  # the other one is stored between the look-up and the new user
    monkeypatch.setattr(arrivals, "find_account", lambda *given: unseen.pop() if unseen else find_account(*given))
    assert admit(provider, CLAIMS, ADDRESS) == first
    assert User.objects.count() == 2


def test_an_identity_is_linked_once_and_to_one(provider):
    ann, bob = make_user("ann"), make_user("bob")
    link(provider, CLAIMS, ann, ann, ADDRESS)
    link(provider, CLAIMS, ann, ann, ADDRESS)
    assert refuse(link, provider, CLAIMS, bob, bob, ADDRESS) == "taken"
    assert SocialAccount.objects.get().user == ann
    assert AuditEntry.objects.filter(action="identity.link").count() == 1


def test_unlinking_takes_what_the_groups_gave(provider):
    map_ops()
    user = admit(provider, CLAIMS, ADDRESS)
    unlink(SocialAccount.objects.get(), user, ADDRESS)
    assert not user.groups.exists()
    assert not GivenRole.objects.exists()
    assert AuditEntry.objects.filter(action="identity.unlink", details__subject="4711").exists()


def test_the_last_way_to_sign_in(provider, settings):
    user = admit(provider, CLAIMS, ADDRESS)
    account = SocialAccount.objects.get()
    assert is_last_way(account)
    SocialAccount.objects.create(user=user, provider="https://no-longer.test", uid="1")
    assert is_last_way(account)
    SocialAccount.objects.create(user=user, provider=ISSUER, uid="0815")
    assert not is_last_way(account)
    SocialAccount.objects.exclude(pk=account.pk).delete()
    user.set_password("a good password")
    user.save()
    assert not is_last_way(SocialAccount.objects.get())
    settings.LOCAL_LOGIN = "superusers"
    assert is_last_way(SocialAccount.objects.get())
    user.is_superuser = True
    user.save()
    assert not is_last_way(SocialAccount.objects.get())
    settings.LOCAL_LOGIN = "nobody"
    assert is_last_way(SocialAccount.objects.get())


def test_an_invitation_links_once(provider):
    ann = make_user("ann")
    key = invite(ann)
    assert find_invitation(key).user == ann
    assert key not in str(Invitation.objects.values())
    assert accept_invitation(provider, CLAIMS, key, ADDRESS) == ann
    assert SocialAccount.objects.get().user == ann
    assert AuditEntry.objects.filter(action="identity.link", details__by="invitation").exists()
    assert refuse(accept_invitation, provider, {**CLAIMS, "sub": "2"}, key, ADDRESS) == "invitation"


def test_an_invitation_ends(provider):
    ann = make_user("ann")
    former, key = invite(ann), invite(ann)
    assert find_invitation(former) is None
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert find_invitation(key) is None
    key = invite(ann)
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert refuse(accept_invitation, provider, CLAIMS, key, ADDRESS) == "invitation"
    assert find_invitation("") is None


def test_an_identity_of_another_user_does_not_use_up_an_invitation(provider):
    ann, bob = make_user("ann"), make_user("bob")
    link(provider, CLAIMS, bob, bob, ADDRESS)
    key = invite(ann)
    assert refuse(accept_invitation, provider, CLAIMS, key, ADDRESS) == "taken"
    assert find_invitation(key)
