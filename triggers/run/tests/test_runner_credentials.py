"""Which engines get which registry's credentials when a worker pulls, resolves and updates. Taps play the engines."""

import ssl
import time
from types import SimpleNamespace

import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.tests.tap import tap_port, tap_socket
from clusters.engine.errors import PullFailed
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.swarm import manager
from clusters.models import Application, Cluster
from clusters.tests.factories import ApplicationFactory, ClusterFactory, RegistryFactory, ServiceFactory
from tests.harness.certificates import make_authority, sign
from triggers.calls.accept import accept_call
from triggers.models import CallState
from triggers.run import runner
from triggers.run.tests.test_runner_swarm import Clock
from triggers.tests.calling import request_of, run
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db

HOST = "registry.example.com"
IMAGE = f"{HOST}/team/app:1"
SPEC = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}}}
STORED = {"username": "robot", "password": "password of the robot", "serveraddress": HOST}
ALLOW = "An administrator of all clusters can allow it under Registries."


@pytest.fixture(autouse=True)
def _no_docker_config(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-config"))


@pytest.fixture
def tap(tmp_path):
    with tap_socket(tmp_path / "engine.sock") as tap:
        yield tap


@pytest.fixture
def registry(db):
    return RegistryFactory(host=HOST)


def ask_everything(cluster: Cluster) -> list[str]:
    """Send each request that makes an engine pull. Returns the messages of those that failed."""
    messages = []
    with EngineClient(cluster.endpoint, timeout=5, credentials=runner.find_credentials) as client, client.sibling() as sibling:
        for ask in (client.pull_image, client.resolve_digest, sibling.pull_image):
            try:
                ask(IMAGE)
            except PullFailed as error:
                messages.append(error.message)
        client.update_service("id1", 7, SPEC)
    return messages


def log_in(folder, host: str = HOST) -> None:
    (folder / "no-config").mkdir()
    (folder / "no-config" / "config.json").write_text(f'{{"auths": {{"{host}": {{"auth": "bWU6Y29uZmln"}}}}}}')


def test_an_allowed_engine_gets_the_credentials_with_every_request(tap, registry):
    cluster = ClusterFactory(name="north", url=tap.url)
    registry.clusters.set([cluster])
    assert ask_everything(cluster) == []
    assert tap.credentials == [STORED] * 4


def test_an_allowed_engine_gets_them_by_tls(registry, tmp_path):
    authority = make_authority("authority")
    server = sign("engine", authority)
    for name, text in (("cert", server.certificate_pem), ("key", server.key_pem)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with tap_port(context) as tap:
        cluster = ClusterFactory(url=tap.url, tls_ca=authority.certificate_pem)
        registry.clusters.set([cluster])
        assert ask_everything(cluster) == []
    assert tap.credentials == [STORED] * 4


def test_an_engine_that_is_not_allowed_gets_none_and_the_failure_says_who_can_allow_it(tap, registry):
    registry.clusters.set([ClusterFactory(name="another")])
    cluster = ClusterFactory(name="north", url=tap.url)
    messages = ask_everything(cluster)
    assert tap.credentials == []
    assert len([path for path in tap.requests if not path.endswith("/version")]) == 4, "the requests are made all the same"
    assert len(messages) == 3
    reason = f"The credentials stored for {HOST} may not go to cluster north. {ALLOW}"
    assert all(message.endswith(f"no basic auth credentials. {reason}") for message in messages), messages


def test_tcp_without_tls_never_gets_any_not_on_the_loopback_either(registry):
    with tap_port() as tap:
        cluster = ClusterFactory(name="north", url=tap.url)
        registry.clusters.set([cluster])
        messages = ask_everything(cluster)
    assert tap.credentials == []
    reason = f"The credentials stored for {HOST} may not go to cluster north, because its address is tcp:// without TLS."
    assert len(messages) == 3
    assert all(reason in message for message in messages), messages


def test_switching_to_tcp_without_tls_stops_it_and_switching_back_resumes_it(tap, registry):
    cluster = ClusterFactory(url=tap.url)
    registry.clusters.set([cluster])
    with tap_port() as plain:
        Cluster.objects.update(url=plain.url)
        cluster.refresh_from_db()
        assert len(ask_everything(cluster)) == 3
    assert plain.credentials == []
    Cluster.objects.update(url=tap.url)
    cluster.refresh_from_db()
    assert ask_everything(cluster) == []


def test_of_several_managers_the_one_in_use_counts(tap, registry):
    """The first address does not answer; the other one is plain."""
    with tap_port() as plain:
        cluster = ClusterFactory(url=f"{tap.url}.lost", other_urls=plain.url)
        registry.clusters.set([cluster])
        ask_everything(cluster)
    assert plain.requests
    assert plain.credentials == []


def test_a_credential_helper_is_not_even_asked_for_an_engine_that_is_not_allowed(tap, registry, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "clusters.registries.read_helper_credentials", lambda *about: asked.append(about) or ("robot", "password of the robot")
    )
    registry.username, registry.password, registry.credential_helper = "", "", "ecr-login"
    registry.save()
    cluster = ClusterFactory(url=tap.url)
    assert ALLOW in ask_everything(cluster)[0]
    assert (asked, tap.credentials) == ([], [])
    registry.clusters.set([cluster])
    assert ask_everything(cluster) == []
    assert tap.credentials == [STORED] * 4


def test_withheld_credentials_are_a_log_line_without_a_secret(tap, registry, caplog):
    ask_everything(ClusterFactory(name="north", url=tap.url))
    lines = [record.msg for record in caplog.records if "credentials withheld" in str(record.msg)]
    assert len(lines) == 4
    assert all(line["reference"] == IMAGE and "may not go to cluster north" in line["reason"] for line in lines)
    assert "password of the robot" not in str(lines)


class TestDockerConfig:
    """`docker login` of the console's own user."""

    def test_it_is_used_where_the_cluster_allows_it(self, tap, tmp_path):
        log_in(tmp_path)
        cluster = ClusterFactory(url=tap.url)
        assert ask_everything(cluster) == []
        assert {each["username"] for each in tap.credentials} == {"me"}
        assert len(tap.credentials) == 4

    def test_it_is_not_where_the_cluster_does_not(self, tap, tmp_path):
        log_in(tmp_path)
        messages = ask_everything(ClusterFactory(name="north", url=tap.url, uses_docker_config=False))
        assert tap.credentials == []
        where = f"The credentials for {HOST} in the Docker config of the console's user may not go to cluster north."
        how = "An administrator of all clusters can allow it in the cluster's settings."
        assert all(f"{where} {how}" in text for text in messages), messages

    def test_nothing_is_said_of_it_where_it_has_none_for_the_registry(self, tap, tmp_path):
        log_in(tmp_path, "elsewhere.example.com")
        messages = ask_everything(ClusterFactory(url=tap.url, uses_docker_config=False))
        assert all("Check the credentials that are stored for its registry." in text for text in messages)
        assert "Docker config" not in str(messages)

    def test_it_never_goes_over_tcp_without_tls(self, tmp_path):
        log_in(tmp_path)
        with tap_port() as tap:
            messages = ask_everything(ClusterFactory(url=tap.url))
        assert tap.credentials == []
        assert all("because its address is tcp:// without TLS" in text for text in messages)

    def test_it_is_no_way_around_a_registry_that_does_not_allow_the_cluster(self, tap, registry, tmp_path):
        log_in(tmp_path)
        cluster = ClusterFactory(url=tap.url)
        ask_everything(cluster)
        registry.username, registry.password = "", ""
        registry.save()
        ask_everything(cluster)
        assert tap.credentials == []
        registry.clusters.set([cluster])
        assert ask_everything(cluster) == []


class TestCalls:
    """What a call says at its end."""

    @pytest.fixture
    def fake(self, monkeypatch, registry, published):
        fake = FakeEngine()
        monkeypatch.setattr(manager, "time", Clock())
        monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))

        def connect(endpoint, credentials):
            fake.endpoint, fake.credentials = endpoint, credentials
            return fake

        monkeypatch.setattr(runner, "EngineClient", connect)
        return fake

    def demand_login(self, fake) -> None:
        fake.private[HOST] = "robot:password of the robot"

    @pytest.mark.django_db(transaction=True)  # images are pulled in threads
    def test_a_redeploy_that_may_not_pull_says_so_and_touches_nothing(self, fake, registry):
        labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "windlass.update.monitor": "0s"}
        labels |= {"windlass.update.pull": "always"}
        fake.add_image(IMAGE)
        fake.publish(IMAGE)
        fake.run("shop-web-1", IMAGE, Labels=labels | {"com.docker.compose.container-number": "1"})
        self.demand_login(fake)
        trigger = TriggerFactory(application=ApplicationFactory(name="shop", cluster__name="north"))
        call = run(accept_call(request_of(trigger)))
        assert (call.state, call.reason) == (CallState.FAILED, "pull_unauthorized"), call.message
        assert f"may not go to cluster north. {ALLOW} Nothing was touched." in call.message
        registry.clusters.set([trigger.application.cluster])
        call = run(accept_call(request_of(trigger)))
        assert call.state == CallState.SUCCEEDED, call.message

    @pytest.mark.parametrize("act", ["redeploy", "scale"])
    def test_a_swarm_whose_nodes_cannot_pull_says_so(self, fake, registry, act):
        swarm = fake.init_swarm()
        service = ServiceFactory(
            application=ApplicationFactory(name="web", source=Application.Source.SERVICE, cluster__name="north"), name="web"
        )
        fake.publish(IMAGE)
        mode, config = {"Replicated": {"Replicas": 1}}, {"Monitor": 200_000_000}
        swarm.create_service(
            {"TaskTemplate": {"ContainerSpec": {"Image": IMAGE}}, "Name": "web", "Mode": mode, "UpdateConfig": config}
        )
        swarm.settle(10)
        self.demand_login(fake)
        if act == "redeploy":
            request = request_of(TriggerFactory(application=service.application))
        else:
            request = request_of(ScalingTriggerFactory(application=service.application, service=service), step=1)
        call = run(accept_call(request))
        assert call.state in {CallState.FAILED, CallState.ROLLED_BACK}, call.message
        assert call.message.count(f"may not go to cluster north. {ALLOW}") == 1, call.message
