"""Users with roles, for tests."""

from typing import Any

from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from clusters.models import Cluster, ClusterGrant
from clusters.roles import Role


def make_user(name: str, role: Role | None = None, cluster: Cluster | None = None, **fields: Any) -> User:
    """A user with the role for all clusters, or on the one cluster alone."""
    user = User.objects.create_user(name, **fields)
    if role and cluster:
        ClusterGrant.objects.create(user=user, cluster=cluster, role=role)
    elif role:
        user.groups.add(Group.objects.get(name=role.label))
    return user


def sign_in_to_api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client
