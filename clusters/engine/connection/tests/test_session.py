import json

import docker
import pytest

from clusters.engine.connection.session import EngineSession
from clusters.engine.tests.recording import FOLDER

PODMAN = json.loads((FOLDER / "podman" / "version.json").read_text())
DOCKER = {"Version": "27.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Engine", "Version": "27.3.1"}]}


@pytest.fixture
def engines(monkeypatch):
    """Engines by address, as answers to GET /version; `asked` has the addresses that were asked for it."""
    answers, asked = {}, []

    def version(session, api_version=True):
        asked.append(session.address)
        return answers[session.address]

    def ping(session):
        components = answers[session.address]["Components"]
        return components[0]["Version"] if components[0]["Name"] == "Podman Engine" else ""

    monkeypatch.setattr(docker.APIClient, "version", version)
    monkeypatch.setattr(EngineSession, "_ping_podman", ping)
    monkeypatch.setattr(EngineSession, "podman_versions", {})
    return answers, asked


def connect(address):
    return EngineSession("", base_url=address, version="auto")


def test_podman_is_asked_for_its_version_once_and_then_whether_it_changed(engines):
    answers, asked = engines
    answers["unix:///a.sock"] = PODMAN
    for _ in range(3):
        assert connect("unix:///a.sock").version() == PODMAN
    assert asked == ["unix:///a.sock"]
    newer = {**PODMAN, "Components": [{"Name": "Podman Engine", "Version": "5.0.0", "Details": {"APIVersion": "5.0.0"}}]}
    answers["unix:///a.sock"] = newer
    assert connect("unix:///a.sock").server_version == newer
    answers["unix:///a.sock"] = DOCKER
    assert connect("unix:///a.sock").server_version == DOCKER


def test_each_address_has_a_version_of_its_own_and_docker_is_always_asked(engines):
    answers, asked = engines
    answers |= {"unix:///a.sock": PODMAN, "unix:///b.sock": DOCKER}
    for address in ("unix:///a.sock", "unix:///b.sock", "unix:///b.sock"):
        assert connect(address).server_version == answers[address]
    assert asked == ["unix:///a.sock", "unix:///b.sock", "unix:///b.sock"]
