import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404

from clusters.access import (
    get_visible_row,
    has_anywhere,
    has_no_role,
    permissions_by_cluster,
    require_permission,
    sync_role_groups,
    visible_clusters,
)
from clusters.models import Application, ClusterGrant
from clusters.roles import FOR_ALL_CLUSTERS, FOR_ONE_CLUSTER, Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return User.objects.create_user("eve")


def fresh(user):
    """As the next request has it: what was asked before is forgotten."""
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize("role", Role)
def test_a_roles_group_has_exactly_its_permissions(user, role):
    user.groups.add(Group.objects.get(name=role.label))
    assert fresh(user).get_all_permissions() == FOR_ALL_CLUSTERS[role]


def test_a_roles_group_is_put_right_where_it_was_changed():
    group = Group.objects.get(name="Viewer")
    group.permissions.clear()
    sync_role_groups()
    assert {f"{found.content_type.app_label}.{found.codename}" for found in group.permissions.all()} == FOR_ALL_CLUSTERS[
        "viewer"
    ]


def test_every_role_includes_the_lower_ones():
    for roles in (FOR_ALL_CLUSTERS, FOR_ONE_CLUSTER):
        ordered = [roles[role] for role in Role]
        assert all(lesser < greater for lesser, greater in zip(ordered, ordered[1:], strict=False))


def test_no_role_on_one_cluster_reaches_beyond_it():
    beyond = {"clusters.add_cluster", "clusters.view_auditentry", "clusters.add_clustergrant", "auth.change_user"}
    assert not beyond & FOR_ONE_CLUSTER[Role.ADMINISTRATOR]


def test_a_grant_counts_on_its_cluster_alone(user):
    mine, other = ClusterFactory(), ClusterFactory()
    ClusterGrant.objects.create(cluster=mine, user=user, role=Role.OPERATOR)
    assert user.has_perm("triggers.add_triggercall", ApplicationFactory(cluster=mine))
    assert not user.has_perm("triggers.add_trigger", mine)
    assert not user.has_perm("triggers.add_triggercall", ApplicationFactory(cluster=other))
    assert not user.has_perm("triggers.add_triggercall")
    assert list(visible_clusters(user)) == [mine]


def test_a_grant_to_a_group_is_its_users(user):
    cluster, group = ClusterFactory(), Group.objects.create(name="night shift")
    ClusterGrant.objects.create(cluster=cluster, group=group, role=Role.VIEWER)
    assert not fresh(user).has_perm("clusters.view_cluster", cluster)
    user.groups.add(group)
    assert fresh(user).has_perm("clusters.view_cluster", cluster)


def test_several_grants_add_up(user):
    cluster, group = ClusterFactory(), Group.objects.create(name="night shift")
    user.groups.add(group)
    ClusterGrant.objects.create(cluster=cluster, group=group, role=Role.VIEWER)
    ClusterGrant.objects.create(cluster=cluster, user=user, role=Role.DEPLOYER)
    assert permissions_by_cluster(user) == {cluster.pk: set(FOR_ONE_CLUSTER["deployer"])}


def test_a_role_for_all_clusters_counts_on_objects_too(user):
    user.groups.add(Group.objects.get(name="Operator"))
    assert fresh(user).has_perm("triggers.add_triggercall", ApplicationFactory())


def test_a_deactivated_user_has_no_permissions(user):
    cluster = ClusterFactory()
    ClusterGrant.objects.create(cluster=cluster, user=user, role=Role.ADMINISTRATOR)
    user.is_active = False
    assert not user.has_perm("clusters.view_cluster", cluster)
    assert not has_anywhere(user, "clusters.view_cluster")
    assert not visible_clusters(user)


def test_anywhere_is_enough_to_offer_what_needs_a_place(user):
    assert not has_anywhere(user, "triggers.add_triggercall")
    ClusterGrant.objects.create(cluster=ClusterFactory(), user=user, role=Role.OPERATOR)
    assert has_anywhere(fresh(user), "triggers.add_triggercall")


def test_a_grant_is_to_a_user_or_to_a_group(user):
    cluster, group = ClusterFactory(), Group.objects.create(name="night shift")
    for given in ({}, {"user": user, "group": group}):
        with pytest.raises(ValidationError, match="either a user or a group"):
            ClusterGrant(cluster=cluster, role=Role.VIEWER, **given).clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            ClusterGrant.objects.create(cluster=cluster, role=Role.VIEWER, **given)


def test_invisible_rows_do_not_exist_and_forbidden_acts_are_refused(user):
    mine, other = ApplicationFactory(), ApplicationFactory()
    ClusterGrant.objects.create(cluster=mine.cluster, user=user, role=Role.VIEWER)
    assert get_visible_row(Application.objects.all(), user, pk=mine.pk) == mine
    with pytest.raises(Http404):
        get_visible_row(Application.objects.all(), user, pk=other.pk)
    require_permission(user, "clusters.view_application", mine)
    for row in (mine, None):
        with pytest.raises(PermissionDenied):
            require_permission(user, "triggers.add_triggercall", row)


def test_a_role_on_one_cluster_or_a_single_permission_counts_as_a_role(user):
    assert has_no_role(fresh(user))
    permission = Permission.objects.get(codename="view_user")
    user.user_permissions.add(permission)
    assert not has_no_role(fresh(user))
    user.user_permissions.clear()
    ClusterGrant.objects.create(cluster=ClusterFactory(), user=user, role=Role.VIEWER)
    assert not has_no_role(fresh(user))
