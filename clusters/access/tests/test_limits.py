"""What a token leaves of its user's rights. console/pages/tests/test_roles.py asks the whole API so."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.http import Http404
from django.test.utils import CaptureQueriesContext

from clusters.access import (
    get_visible_row,
    has_anywhere,
    has_no_role,
    list_visible_clusters,
    may_allow_credentials,
    may_choose_engines,
    scope_visible,
    visible_clusters,
)
from clusters.access.administrators import may_manage
from clusters.access.limits import find_limit, limit_user
from clusters.access.tokens import create_token, read_limit
from clusters.models import ApiToken, Application, AuditEntry, ClusterGrant, Registry
from clusters.roles import FOR_ALL_CLUSTERS, FOR_ONE_CLUSTER, Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, RegistryFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db
CALL, CHANGE = "triggers.add_triggercall", "triggers.change_trigger"


def limited(user, role, clusters=None):
    """The user as a request with such a token has it."""
    ApiToken.objects.filter(name="limited").delete()
    create_token(user, "limited", role, clusters, 90)
    token = ApiToken.objects.select_related("user").get(name="limited")
    limit_user(token.user, read_limit(token))
    return token.user


@pytest.fixture
def superuser():
    return User.objects.create_superuser("root")


@pytest.mark.parametrize("role", Role)
def test_a_superusers_token_has_at_most_the_permissions_of_its_role(superuser, role):
    user, row = limited(superuser, role), ApplicationFactory()
    assert user.get_all_permissions() == FOR_ALL_CLUSTERS[role]
    assert {name for name in FOR_ALL_CLUSTERS[Role.ADMINISTRATOR] if user.has_perm(name, row)} == FOR_ALL_CLUSTERS[role]
    assert not user.is_superuser
    assert not user.is_staff
    assert not user.has_perm("auth.view_permission")
    assert not user.has_perm("admin.view_logentry")
    superuser.refresh_from_db()
    assert superuser.is_superuser


@pytest.mark.parametrize("role", Role)
def test_one_for_chosen_clusters_has_them_there_alone(superuser, role):
    mine, other = ApplicationFactory(), ApplicationFactory()
    user = limited(superuser, role, [mine.cluster])
    assert user.get_all_permissions() == set()
    everything = FOR_ALL_CLUSTERS[Role.ADMINISTRATOR]
    assert {name for name in everything if user.has_perm(name, mine)} == FOR_ONE_CLUSTER[role]
    assert not any(user.has_perm(name, other) for name in everything)
    assert {name for name in everything if has_anywhere(user, name)} == FOR_ONE_CLUSTER[role]
    assert list(scope_visible(Application.objects.all(), user)) == [mine]
    assert list(visible_clusters(user)) == list_visible_clusters(user) == [mine.cluster]
    with pytest.raises(Http404):
        get_visible_row(Application.objects.all(), user, pk=other.pk)


def test_what_is_for_all_clusters_is_out_of_reach_of_one_for_chosen_clusters(superuser):
    cluster = ClusterFactory()
    RegistryFactory()
    user = limited(superuser, Role.ADMINISTRATOR, [cluster])
    assert not scope_visible(Registry.objects.all(), user).exists()
    assert not may_choose_engines(user)
    assert not may_allow_credentials(user)
    assert not may_manage(user, make_user("eve"))
    assert not user.has_module_perms("auth")
    assert not scope_visible(AuditEntry.objects.all(), user).exists()


def test_rights_are_the_lesser_of_the_tokens_and_the_users_at_that_time():
    cluster, other = ClusterFactory(), ClusterFactory()
    eve = make_user("eve", Role.VIEWER)
    grant = ClusterGrant.objects.create(user=eve, cluster=cluster, role=Role.DEPLOYER)
    user = limited(eve, Role.OPERATOR)
    assert user.has_perm(CALL, cluster)
    assert not user.has_perm(CHANGE, cluster)
    assert not user.has_perm(CALL, other)
    assert set(list_visible_clusters(user)) == {cluster, other}
    grant.delete()
    assert not limited(eve, Role.OPERATOR).has_perm(CALL, cluster)
    eve.groups.clear()
    assert has_no_role(limited(eve, Role.ADMINISTRATOR))


def test_a_chosen_cluster_adds_no_right_that_the_user_lacks_there():
    mine, other = ClusterFactory(), ClusterFactory()
    eve = make_user("eve", Role.OPERATOR, mine)
    user = limited(eve, Role.ADMINISTRATOR, [mine, other])
    assert user.has_perm(CALL, mine)
    assert not user.has_perm("clusters.view_cluster", other)
    assert list_visible_clusters(user) == list(visible_clusters(user)) == [mine]


def test_a_role_for_all_clusters_counts_on_the_chosen_one_and_so_does_a_groups():
    cluster = ClusterFactory()
    assert limited(make_user("ada", Role.ADMINISTRATOR), Role.DEPLOYER, [cluster]).has_perm(CHANGE, cluster)
    group = Group.objects.create(name="shift")
    ClusterGrant.objects.create(group=group, cluster=cluster, role=Role.OPERATOR)
    eve = make_user("eve")
    eve.groups.add(group)
    assert limited(eve, Role.DEPLOYER, [cluster]).has_perm(CALL, cluster)
    assert not limited(eve, Role.DEPLOYER, [cluster]).has_perm(CHANGE, cluster)


def test_when_the_chosen_clusters_are_deleted_nothing_is_left_instead_of_everything(superuser):
    cluster, other = ClusterFactory(), ClusterFactory()
    create_token(superuser, "limited", Role.ADMINISTRATOR, [cluster], 90)
    cluster.delete()
    token = ApiToken.objects.get()
    limit_user(token.user, read_limit(token))
    assert list_visible_clusters(token.user) == []
    assert has_no_role(token.user)
    assert not token.user.has_perm("clusters.view_cluster", other)


def test_single_permissions_beyond_the_roles_are_in_no_token():
    eve = make_user("eve")
    eve.user_permissions.add(Permission.objects.get(codename="view_logentry"), Permission.objects.get(codename="add_registry"))
    user = limited(eve, Role.DEPLOYER)
    assert user.get_all_permissions() == user.get_user_permissions() == user.get_group_permissions() == set()
    assert limited(eve, Role.ADMINISTRATOR).get_user_permissions() == {"clusters.add_registry"}


def test_what_has_no_token_is_not_limited_and_permissions_are_read_once(superuser):
    assert find_limit(superuser) is None
    cluster = ClusterFactory()
    user = limited(superuser, Role.OPERATOR, [cluster])
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            user.has_perm(CALL, cluster)
            has_anywhere(user, CHANGE)
            list_visible_clusters(user)
    assert len(queries) == 1
