"""The inventory of a real engine, and the results of connection tests, also of engines that cannot be used."""

import pytest

from clusters.connection_check import check_connection
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError
from clusters.engine.inspection.listing import observe_engine
from clusters.inventory import sync_cluster
from clusters.models import Application, Cluster, Container, Service
from clusters.tests.factories import ClusterFactory
from tests.harness.certificates import make_authority, make_endpoint
from tests.harness.eventually import eventually
from tests.harness.images import BASE, HEALTHY, make_image
from tests.harness.projects import DEFAULT_BRIDGE, Project, create_container, read_ids
from tests.harness.tls_engine import find_free_port, run_tls_engine


@pytest.fixture
def cluster(db, engine) -> Cluster:
    return ClusterFactory(url=engine.endpoint_url, status=Cluster.Status.UNKNOWN)


def outline() -> dict[str, tuple[str, int, int]]:
    """Return status, replicas and running containers by application/service."""
    return {
        f"{service.application.name}/{service.name}": (service.status, service.replicas, service.running)
        for service in Service.objects.select_related("application")
    }


def test_everything_on_the_engine_is_found(cluster, api, image):
    app = image()
    project = Project(api, "shop")
    project.add("web", app, 1, Healthcheck=HEALTHY)
    project.add("web", app, 2, start=False)
    project.add(
        "db",
        app,
        ExposedPorts={"80/tcp": {}},
        HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
    )
    create_container(api, "redis", app, HostConfig=DEFAULT_BRIDGE)
    create_container(api, "redis-2", app, labels={"windlass.application": "redis", "windlass.service": "redis"})
    eventually(lambda: api.inspect_container("shop-web-1")["State"]["Health"]["Status"] == "healthy")

    sync_cluster(cluster)
    assert outline() == {"redis/redis": ("running", 2, 2), "shop/db": ("running", 1, 1), "shop/web": ("degraded", 2, 1)}
    assert dict(Application.objects.values_list("name", "source")) == {"redis": "container", "shop": "compose"}

    web = Service.objects.get(name="web")
    assert (web.health, web.image, web.image_id) == ("healthy", app, api.inspect_image(app)["Id"])
    (port,) = Service.objects.get(name="db").ports
    assert (port["container"], port["protocol"]) == (80, "tcp")
    assert port["host"] > 0
    container = Container.objects.get(name="redis")
    inspected = api.inspect_container("redis")
    assert container.container_id == inspected["Id"]
    assert container.addresses == {"bridge": inspected["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]}


def test_the_cluster_shows_the_facts_of_its_engine(cluster, api):
    sync_cluster(cluster)
    cluster.refresh_from_db()
    assert (cluster.status, cluster.status_reason) == ("reachable", "")
    assert (cluster.engine_version, cluster.api_version) == (api.version()["Version"], api.version()["ApiVersion"])
    assert cluster.engine_id == api.info()["ID"]
    assert cluster.memory_bytes > 0


def test_one_off_containers_are_left_out_and_unfinished_recreates_count_once(cluster, api):
    project = Project(api, "shop")
    project.add("web", BASE, start=False, Cmd=["/bin/true"], labels={"com.docker.compose.oneoff": "True"}, name="shop_run_1")
    name = project.add("db", BASE, start=False, Cmd=["/bin/true"])
    old = read_ids(api)[name][:12]
    project.add("db", BASE, start=False, Cmd=["/bin/true"], name=f"{name}.windlass-new.{old}.r")
    sync_cluster(cluster)
    assert outline() == {"shop/db": ("stopped", 1, 0)}
    assert list(Container.objects.values_list("name", flat=True)) == [name]


def test_the_reference_of_an_image_whose_tag_moved_is_still_known(cluster, api, image):
    app = image()
    create_container(api, "redis", app)
    old_image = api.inspect_image(app)["Id"]
    make_image(api, app, Labels={"build": "next"})
    sync_cluster(cluster)
    service = Service.objects.get()
    assert (service.image, service.image_id) == (app, old_image)


def test_digests_of_a_pulled_image_are_known(cluster, api, image, registry):
    app = image()
    reference = f"{registry.host}/digested"
    registry.push(api, "digested", app, "1")
    api.pull(reference, "1")
    create_container(api, "redis", f"{reference}:1", start=False)
    sync_cluster(cluster)
    (digest,) = Service.objects.get().image_digests
    assert digest in api.inspect_image(f"{reference}:1")["RepoDigests"]


def test_containers_whose_tag_did_not_move_need_no_inspect(engine, api, monkeypatch):
    for number in range(3):
        create_container(api, f"some{number}", BASE, start=False, Cmd=["/bin/true"])
    with EngineClient(engine.endpoint) as client:
        monkeypatch.setattr(client, "inspect_container", None)
        assert len(observe_engine(client).applications) == 3


# Connections


def refusal(endpoint: EngineEndpoint) -> str:
    with pytest.raises(EngineError) as caught:
        check_connection(endpoint)
    return caught.value.message


def test_a_connection_over_a_unix_socket_shows_the_engine(engine, api):
    facts = check_connection(engine.endpoint)
    assert (facts.engine_version, facts.swarm_role) == (api.version()["Version"], "")


def test_a_missing_socket_is_named(tmp_path):
    assert "there is no such socket" in refusal(EngineEndpoint(f"unix://{tmp_path}/docker.sock"))


def test_a_closed_port_is_a_refused_connection():
    unused_port = find_free_port()
    assert refusal(EngineEndpoint(f"tcp://127.0.0.1:{unused_port}")) == (
        f"The engine at 127.0.0.1:{unused_port} does not answer: connection refused. "
        "Check that Docker is running and listening there."
    )


def test_an_unknown_ssh_host_is_reported_in_sshs_words():
    sentence = refusal(EngineEndpoint("ssh://nobody@host.invalid"))
    assert sentence.startswith(("The engine at host.invalid cannot be reached by ssh: ", "The ssh command is not installed"))


@pytest.fixture(scope="module")
def authority():
    return make_authority("the engine's CA")


@pytest.fixture(scope="module")
def tls_engine(authority):
    with run_tls_engine(authority) as port:
        yield port


def test_tls_client_certificates_are_accepted(tls_engine, authority):
    facts = check_connection(make_endpoint(tls_engine, authority, authority))
    assert facts.engine_version


def test_a_cluster_behind_tls_is_synced(db, tls_engine, authority):
    endpoint = make_endpoint(tls_engine, authority, authority)
    cluster = ClusterFactory(url=endpoint.url, tls_ca=endpoint.ca, tls_cert=endpoint.cert, tls_key=endpoint.key)
    sync_cluster(Cluster.objects.get(pk=cluster.pk))
    assert Cluster.objects.get(pk=cluster.pk).status == "reachable"


def test_an_engine_of_another_authority_is_not_trusted(tls_engine, authority):
    stranger = make_authority("another CA")
    assert refusal(make_endpoint(tls_engine, stranger, authority)) == (
        f"The engine at 127.0.0.1:{tls_engine} failed the TLS handshake: "
        "unable to get local issuer certificate. Check the CA and the client certificate."
    )


def test_a_client_of_another_authority_is_refused_by_the_engine(tls_engine, authority):
    stranger = make_authority("another CA")
    sentence = refusal(make_endpoint(tls_engine, authority, stranger))
    assert sentence.startswith(f"The engine at 127.0.0.1:{tls_engine} ")
    assert "TLS" in sentence


def test_a_tls_engine_without_a_certificate_says_what_to_enter(tls_engine):
    assert "speaks TLS" in refusal(EngineEndpoint(f"tcp://127.0.0.1:{tls_engine}"))
