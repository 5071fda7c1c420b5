"""The migration that adds API tokens: the admin's own log named the old ones by their text, and the version before works beside
it."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from rest_framework.authtoken.models import Token, TokenProxy

from clusters.access.limits import limit_user
from clusters.access.tokens import create_token, find_token, read_limit
from clusters.models import Cluster
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory

migration = import_module("clusters.migrations.0011_api_tokens")


@pytest.mark.django_db
def test_it_forgets_them_and_nothing_else(admin_user):
    key = Token.objects.create(user=User.objects.create_user("eve")).key
    kinds = (ContentType.objects.get_for_model(TokenProxy, for_concrete_model=False), ContentType.objects.get_for_model(Token))
    for kind in kinds:
        LogEntry.objects.create(user=admin_user, content_type=kind, object_id="2", object_repr=key, action_flag=ADDITION)
    group = ContentType.objects.get_for_model(Group)
    LogEntry.objects.create(user=admin_user, content_type=group, object_id="1", object_repr="shift", action_flag=ADDITION)
    migration.forget_old_tokens_in_the_log(apps, SimpleNamespace(connection=connection))
    assert sorted(LogEntry.objects.values_list("object_repr", flat=True)) == ["API token", "API token", "shift"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [Cluster, User])
def test_the_version_before_deletes_rows_without_knowing_of_tokens(model):
    """What it leaves behind opens nothing."""
    cluster, user = ClusterFactory(), User.objects.create_user("eve", is_superuser=True)
    _, text = create_token_at_once(user, cluster)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table}")
    connection.check_constraints()
    token = find_token(text)
    if model is User:
        assert token is None
    else:
        assert token is not None
        limit_user(token.user, read_limit(token))
        assert not token.user.has_perm("clusters.view_cluster", ClusterFactory())
        assert token.user.get_all_permissions() == set()


def create_token_at_once(user, cluster):
    with transaction.atomic():
        return create_token(user, "pipeline", Role.ADMINISTRATOR, [cluster], 1)
