"""The migration that lets registries name their clusters: nothing that worked stops, and the version before works beside it."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from clusters.models import Cluster, Registry
from clusters.tests.factories import ClusterFactory, RegistryFactory

migration = import_module("clusters.migrations.0006_registry_clusters")


@pytest.mark.django_db
def test_existing_registries_are_allowed_for_existing_clusters():
    clusters = {ClusterFactory(), ClusterFactory(url="tcp://10.0.0.9:2375")}
    registries = [RegistryFactory(), RegistryFactory()]
    migration.allow_existing(apps, None)
    assert [set(registry.clusters.all()) for registry in registries] == [clusters, clusters]
    assert all(cluster.uses_docker_config for cluster in Cluster.objects.all())


@pytest.mark.django_db
def test_an_empty_database_has_nothing_to_allow():
    migration.allow_existing(apps, None)
    assert not Registry.clusters.through.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [Cluster, Registry])
def test_the_version_before_deletes_rows_without_knowing_what_was_allowed(model):
    """It leaves the pair behind, which counts for nothing."""
    cluster, registry = ClusterFactory(), RegistryFactory()
    registry.clusters.set([cluster])
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table}")
    connection.check_constraints()
    assert list((registry.clusters if model is Cluster else cluster.registries).all()) == []
