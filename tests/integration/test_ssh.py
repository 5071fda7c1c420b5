"""A cluster by ssh:// with a real sshd before the engine."""

import os
from collections.abc import Callable, Iterator

import docker
import pytest
from structlog.testing import capture_logs

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.ssh import SSHSocket
from clusters.engine.errors import EngineUnreachable
from tests.harness.driving import observe, redeploy_with
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.projects import Project, list_running, read_ids
from tests.harness.sshd import PrivateSSHD, run_sshd

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}


@pytest.fixture
def sshd(
    engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrivateSSHD]:
    folder = tmp_path_factory.mktemp("sshd")
    with run_sshd(folder, engine.endpoint_url) as server:
        monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        yield server


def explain(sshd: PrivateSSHD) -> str:
    with pytest.raises(EngineUnreachable) as refusal:
        EngineClient(EngineEndpoint(sshd.url))
    return refusal.value.message


def test_an_engine_behind_ssh_is_found_redeployed_and_outlasts_a_cut(
    sshd: PrivateSSHD, api: docker.APIClient, project: Project, image: Callable[..., str]
) -> None:
    reference = image("shop/web:1", **SLEEP)
    for number in (1, 2):
        project.add("web", reference, number)
    endpoint = EngineEndpoint(sshd.url)
    before = read_ids(api)
    with EngineClient(endpoint) as client:
        assert {container.name for container in observe(client).containers} == before.keys()
        assert redeploy_with(client).state == "succeeded"
    after = read_ids(api)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    eventually(lambda: not sshd.list_connections(), what="no connection is left")

    image("shop/web:1", **SLEEP)
    cuts = []

    def cut_once(client: EngineClient) -> None:
        """Cut after the first container was created."""
        create = client.create_container

        def create_and_cut(*arguments, **options):
            created = create(*arguments, **options)
            if not cuts:
                cuts.append(sshd.cut())
            return created

        client.create_container = create_and_cut

    with capture_logs() as lines, EngineClient(endpoint) as client:
        cut_once(client)
        drive = redeploy_with(client)
    assert cuts[0] > 0
    assert drive.state == "succeeded", drive.events
    assert list_running(api) == before.keys()
    assert not set(read_ids(api).values()) & set(after.values())
    assert [line["event"] for line in lines if "ssh" in line["event"]] == ["ssh ended"]


def test_an_unknown_and_a_changed_host_key_are_told_apart(sshd: PrivateSSHD, capfd: pytest.CaptureFixture[str]) -> None:
    place = f"The engine at 127.0.0.1:{sshd.port} cannot be reached by ssh: "
    for key, words in (
        ("", f"the host's key is not known. As the console's user, run ssh-keyscan -p {sshd.port} 127.0.0.1 "),
        ("other_key", "the host's key is another one than the one in known_hosts."),
    ):
        sshd.trust(key)
        assert explain(sshd).startswith(f"{place}{words}")
        with capture_logs() as lines, SSHSocket(sshd.url, 10) as connection, pytest.raises(ConnectionError):
            connection.recv_into(bytearray(1))
        assert [line["reason"].startswith(f"{place}{words}") for line in lines] == [True]
    assert "IDENTIFICATION" not in capfd.readouterr().err
    sshd.trust()
    EngineClient(EngineEndpoint(sshd.url)).close()
