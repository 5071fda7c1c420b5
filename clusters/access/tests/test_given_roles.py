"""What groups give and take, beside what people give."""

import pytest
from django.contrib.auth.models import User

from clusters.access.administrators import find_role, set_role
from clusters.access.given_roles import Sync, Wanted, forget_given_role, give_roles, take_roles
from clusters.models import AuditEntry, ClusterGrant, GivenRole
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db

ONE, TWO = "https://one.test", "https://two.test"
VIEWER, OPERATOR, DEPLOYER, ADMINISTRATOR = Role


@pytest.fixture
def user():
    make_user("root", ADMINISTRATOR)
    return make_user("ann")


@pytest.fixture
def cluster():
    return ClusterFactory(name="harbour")


def sync(user, wanted=None, issuer=ONE):
    wanted = {key: Wanted(role, f"group of {role}") for key, role in (wanted or {}).items()}
    give_roles(Sync(user, issuer, user, "203.0.113.1", "sign-in at Example"), wanted)


def roles_of(user):
    return {group.name for group in User.objects.get(pk=user.pk).groups.all()}


def grant_of(user, cluster):
    return ClusterGrant.objects.filter(user=user, cluster=cluster).values_list("role", flat=True).first()


def test_a_role_for_all_clusters_is_given_and_taken(user):
    sync(user, {None: DEPLOYER})
    assert roles_of(user) == {"Deployer"}
    sync(user, {None: DEPLOYER})
    assert AuditEntry.objects.filter(action="user.change").count() == 1
    sync(user)
    assert roles_of(user) == set()
    assert not GivenRole.objects.exists()


def test_what_was_given_and_taken_is_in_the_audit_log(user, cluster):
    sync(user, {None: VIEWER, cluster.pk: DEPLOYER})
    sync(user)
    entries = list(AuditEntry.objects.order_by("pk").values_list("action", "actor", "address"))
    acts = ("grant.add", "user.change", "grant.delete", "user.change")
    assert entries == [(act, "ann", "203.0.113.1") for act in acts]
    assert all(entry.details["by"] == "sign-in at Example" and entry.details["group"] for entry in AuditEntry.objects.all())


def test_a_role_that_a_person_gave_stays_beside_a_given_one(user):
    set_role(user, VIEWER)
    sync(user, {None: DEPLOYER})
    assert roles_of(user) == {"Viewer", "Deployer"}
    assert find_role(User.objects.get(pk=user.pk)) == DEPLOYER
    sync(user)
    assert roles_of(user) == {"Viewer"}


def test_the_same_role_by_a_person_is_not_taken(user):
    set_role(user, DEPLOYER)
    sync(user, {None: DEPLOYER})
    sync(user)
    assert roles_of(user) == {"Deployer"}


def test_a_given_role_that_a_person_gives_too_is_not_taken_any_longer(user):
    sync(user, {None: DEPLOYER})
    set_role(user, DEPLOYER)
    sync(user, {None: DEPLOYER})
    sync(user)
    assert roles_of(user) == {"Deployer"}


def test_another_role_of_the_same_mapping_replaces_the_former(user):
    sync(user, {None: DEPLOYER})
    sync(user, {None: VIEWER})
    assert roles_of(user) == {"Viewer"}


def test_a_role_that_a_person_withdraws_is_given_at_the_next_sign_in(user):
    sync(user, {None: DEPLOYER})
    set_role(user, None)
    assert roles_of(user) == set()
    sync(user, {None: DEPLOYER})
    assert roles_of(user) == {"Deployer"}
    sync(user)
    assert roles_of(user) == set()


def test_two_providers_do_not_take_what_the_other_gave(user, cluster):
    for issuer in (ONE, TWO):
        sync(user, {None: DEPLOYER, cluster.pk: OPERATOR}, issuer)
    sync(user, {}, ONE)
    assert roles_of(user) == {"Deployer"}
    assert grant_of(user, cluster) == OPERATOR
    sync(user, {}, TWO)
    assert roles_of(user) == set()
    assert grant_of(user, cluster) is None


def test_a_grant_is_given_and_taken(user, cluster):
    sync(user, {cluster.pk: DEPLOYER})
    assert grant_of(user, cluster) == DEPLOYER
    sync(user, {cluster.pk: OPERATOR})
    assert grant_of(user, cluster) == OPERATOR
    sync(user)
    assert grant_of(user, cluster) is None


@pytest.mark.parametrize(("by_hand", "given", "meanwhile"), [(VIEWER, DEPLOYER, DEPLOYER), (DEPLOYER, VIEWER, DEPLOYER)])
def test_a_grant_by_a_person_comes_back(user, cluster, by_hand, given, meanwhile):
    ClusterGrant.objects.create(user=user, cluster=cluster, role=by_hand)
    sync(user, {cluster.pk: given})
    assert grant_of(user, cluster) == meanwhile
    sync(user)
    assert grant_of(user, cluster) == by_hand


def test_the_same_grant_by_a_person_is_not_taken(user, cluster):
    ClusterGrant.objects.create(user=user, cluster=cluster, role=DEPLOYER)
    sync(user, {cluster.pk: DEPLOYER})
    sync(user)
    assert grant_of(user, cluster) == DEPLOYER


def test_a_grant_that_a_person_changes_is_theirs(user, cluster):
    sync(user, {cluster.pk: DEPLOYER})
    forget_given_role(user, cluster.pk)
    ClusterGrant.objects.filter(user=user).update(role=VIEWER)
    sync(user)
    assert grant_of(user, cluster) == VIEWER


def test_a_grant_that_was_changed_without_a_word_is_a_persons_too(user, cluster):
    sync(user, {cluster.pk: DEPLOYER})
    ClusterGrant.objects.filter(user=user).update(role=VIEWER)
    sync(user)
    assert grant_of(user, cluster) == VIEWER


def test_a_grant_that_was_deleted_stays_so_once_no_group_gives_it(user, cluster):
    ClusterGrant.objects.create(user=user, cluster=cluster, role=VIEWER)
    sync(user, {cluster.pk: DEPLOYER})
    ClusterGrant.objects.filter(user=user).delete()
    sync(user)
    assert grant_of(user, cluster) is None


def test_administrators_get_the_admin_and_lose_it(user):
    sync(user, {None: ADMINISTRATOR})
    assert User.objects.get(pk=user.pk).is_staff
    assert not User.objects.get(pk=user.pk).is_superuser
    sync(user)
    assert not User.objects.get(pk=user.pk).is_staff


def test_staff_stay_staff(user):
    user.is_staff = True
    user.save()
    sync(user, {None: ADMINISTRATOR})
    sync(user)
    assert User.objects.get(pk=user.pk).is_staff


def test_the_last_administrator_keeps_the_role(user):
    sync(user, {None: ADMINISTRATOR})
    User.objects.filter(username="root").update(is_active=False)
    sync(user)
    assert roles_of(user) == {"Administrator"}
    assert "kept" in AuditEntry.objects.order_by("-pk").first().details
    User.objects.filter(username="root").update(is_active=True)
    sync(user)
    assert roles_of(user) == set()


def test_all_that_an_issuer_gave_is_taken_at_once(user, cluster):
    other = make_user("bob", VIEWER)
    sync(user, {None: DEPLOYER, cluster.pk: VIEWER})
    sync(other, {None: DEPLOYER})
    root = User.objects.get(username="root")
    take_roles(User.objects.all(), ONE, root, None, "deleting Example")
    assert (roles_of(user), roles_of(other)) == (set(), {"Viewer"})
    assert grant_of(user, cluster) is None
    assert AuditEntry.objects.filter(actor="root", details__by="deleting Example").count() == 3


def test_permissions_that_were_read_before_are_read_anew(user, cluster):
    assert not user.has_perm("clusters.view_cluster", cluster)
    sync(user, {cluster.pk: VIEWER})
    assert user.has_perm("clusters.view_cluster", cluster)
