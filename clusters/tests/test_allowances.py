"""Which credentials an engine may get; triggers/run/tests/test_runner_credentials.py taps engines."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.allowances import engine_credentials
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.models import Cluster, Registry
from clusters.registry.errors import RegistryError
from clusters.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db

REPOSITORY = "registry.example.com:5000/team/app"


@pytest.fixture
def cluster() -> Cluster:
    return ClusterFactory(name="north")


def make_registry(cluster: Cluster | None = None, **values: object) -> Registry:
    values = {"host": "registry.example.com:5000", "username": "ann", "password": "not-a-real-one", **values}
    registry = Registry.objects.create(**values)
    registry.clusters.set([cluster] if cluster else [])
    return registry


@pytest.mark.parametrize(
    ("values", "reference", "credentials"),
    [
        ({}, "registry.example.com:5000/app", ("ann", "not-a-real-one", "registry.example.com:5000")),
        ({"host": "docker.io"}, "app:1", ("ann", "not-a-real-one", "https://index.docker.io/v1/")),
        ({"aliases": "internal:5000"}, "internal:5000/app", ("ann", "not-a-real-one", "internal:5000")),
        ({"username": "", "password": ""}, "registry.example.com:5000/app", None),
        ({}, "elsewhere.example.com/app", None),
        ({}, "bad reference", None),
    ],
)
def test_engine_gets_the_credentials_of_the_image(cluster, values, reference, credentials):
    make_registry(cluster, **values)
    names = ("username", "password", "serveraddress")
    found = engine_credentials(reference, cluster.endpoint)
    assert found.auth == (credentials and dict(zip(names, credentials, strict=True)))
    assert found.may_use_config is (credentials is None)
    assert (found.withheld, found.config_withheld) == ("", "")


@pytest.mark.parametrize(
    ("answer", "credentials"),
    [(("AWS", "fresh"), {"username": "AWS", "password": "fresh"}), (("<token>", "fresh"), {"identitytoken": "fresh"})],
)
def test_engine_gets_what_the_credential_helper_answers(monkeypatch, cluster, answer, credentials):
    asked = []
    monkeypatch.setattr("clusters.registries.read_helper_credentials", lambda *about: asked.append(about) or answer)
    make_registry(cluster, credential_helper="ecr-login", username="", password="")
    server = {"serveraddress": "registry.example.com:5000"}
    assert engine_credentials(REPOSITORY, cluster.endpoint).auth == {**credentials, **server}
    assert asked == [("ecr-login", "registry.example.com:5000")]


def test_expired_token_is_not_used(cluster):
    make_registry(cluster, password_expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(RegistryError, match="expired on"):
        engine_credentials(REPOSITORY, cluster.endpoint)


def test_token_that_expires_later_is_used(cluster):
    make_registry(cluster, password_expires_at=timezone.now() + timedelta(hours=1))
    assert engine_credentials(REPOSITORY, cluster.endpoint).auth


def test_an_expired_token_that_may_not_go_there_anyway_is_withheld(cluster):
    make_registry(password_expires_at=timezone.now() - timedelta(seconds=1))
    assert "may not go to cluster north." in engine_credentials(REPOSITORY, cluster.endpoint).withheld


def test_an_engine_of_no_cluster_gets_nothing(cluster):
    make_registry(cluster)
    for endpoint in (EngineEndpoint("unix:///run/docker.sock"), EngineEndpoint("unix:///x.sock", cluster_uid="cdeleted")):
        found = engine_credentials(REPOSITORY, endpoint)
        assert (found.auth, found.may_use_config) == (None, False)
        assert found.withheld == (
            "The credentials stored for registry.example.com:5000 may not go to this engine: it belongs to no cluster."
        )


def test_the_password_is_in_no_text():
    assert "secret" not in str(PullCredentials({"password": "secret"}))


@pytest.mark.parametrize("url", ["tcp://10.0.0.1:2375", "tcp://127.0.0.1:2375", "TCP://localhost:2375"])
def test_plain_tcp_gets_nothing_however_it_is_written(cluster, url):
    make_registry(cluster)
    Cluster.objects.update(url=url)
    cluster.refresh_from_db()
    found = engine_credentials(REPOSITORY, cluster.endpoint)
    assert (found.auth, found.may_use_config) == (None, False)
    assert "because its address is tcp:// without TLS" in found.withheld


def test_deleting_a_cluster_or_a_registry_takes_its_allowances_along(cluster):
    registry = make_registry(cluster)
    Cluster.objects.get().delete()
    assert not Registry.clusters.through.objects.exists()
    registry.clusters.set([ClusterFactory()])
    registry.delete()
    assert not Registry.clusters.through.objects.exists()
