import pytest
from django.contrib.auth.models import Group, Permission

from clusters.access.administrators import is_administrator
from clusters.models import ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db


def test_an_administrator_has_a_right_that_no_lower_role_has():
    assert is_administrator(make_user("root", is_superuser=True))
    assert is_administrator(make_user("everywhere", Role.ADMINISTRATOR))
    assert is_administrator(make_user("here", Role.ADMINISTRATOR, ClusterFactory()))
    for role in (Role.VIEWER, Role.OPERATOR, Role.DEPLOYER):
        assert not is_administrator(make_user(f"{role} everywhere", role))
        assert not is_administrator(make_user(f"{role} here", role, ClusterFactory()))
    assert not is_administrator(make_user("nothing"))


def test_by_a_group_or_a_single_permission_too():
    group, user = Group.objects.create(name="shift"), make_user("member")
    user.groups.add(group)
    ClusterGrant.objects.create(group=group, cluster=ClusterFactory(), role=Role.ADMINISTRATOR)
    assert is_administrator(user)
    other = make_user("other")
    other.user_permissions.add(Permission.objects.get(codename="change_user"))
    assert is_administrator(other)


def test_a_deactivated_superuser_is_none():
    assert not is_administrator(make_user("root", is_superuser=True, is_active=False))
