"""A container's page and its service's settings, with the answers of a real engine."""

from collections.abc import Callable

import docker
import pytest
from django.test import Client

from clusters.inventory import sync_cluster
from clusters.models import AuditEntry, Cluster, Container
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.projects import Project

FAILING = {"Test": ["CMD-SHELL", "echo no answer from s3cret-db; exit 7"], "Interval": 100_000_000, "Retries": 1}  # nanoseconds


@pytest.fixture
def container(db: None, engine: PrivateEngine, api: docker.APIClient, project: Project, image: Callable[..., str]) -> Container:
    """The row of a container whose health check fails."""
    environment = ["DATABASE_URL=pg://shop:s3cret-url@db/shop", "DB_PASSWORD=s3cret-db", "MODE=bright"]
    name = project.add("web", image(), Env=environment, Healthcheck=FAILING, HostConfig={"Memory": 64 << 20})
    eventually(lambda: api.inspect_container(name)["State"]["Health"]["Status"] == "unhealthy")
    cluster = Cluster.objects.create(name="local", url=engine.endpoint_url)
    sync_cluster(cluster)
    return Container.objects.get(service__application__cluster=cluster)


def read(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_page_of_a_container_shows_probes_use_and_settings(
    admin_client: Client, container: Container, api: docker.APIClient
) -> None:
    page = f"/containers/{container.pk}/"
    text = read(admin_client, page)
    assert "Unhealthy" in text
    assert "exit code 7" in text
    assert "no answer from ••••" in text, "a secret of the environment in a probe's output"
    assert "of 64.0\u00a0MB" in read(admin_client, f"{page}use/")
    settings = read(admin_client, f"{page}?tab=configuration")
    assert "pg://shop:••••@db/shop" in settings
    assert "s3cret" not in text + settings

    for row, address in ((container, page), (container.service, f"/services/{container.service.pk}/")):
        shown = admin_client.post(f"{address}reveal/", follow=True).content.decode()
        assert "pg://shop:s3cret-url@db/shop" in shown
        assert AuditEntry.objects.filter(action="container.reveal", target=row.name).count() == 1

    api.remove_container(container.container_id, force=True)
    assert "no longer exists on the engine" in read(admin_client, page)
