"""The last gate before an engine: whoever asks, no credentials go over tcp:// without TLS."""

import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import PullCredentials, config_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.tests.tap import tap_port, tap_socket
from clusters.engine.errors import PullFailed

IMAGE = "registry.example.com/app:1"
AUTH = {"username": "me", "password": "secret"}


@pytest.mark.parametrize("source", [config_credentials, lambda reference, endpoint: PullCredentials(AUTH)])
@pytest.mark.parametrize("auth", [None, AUTH])
def test_plain_tcp_gets_no_credentials(monkeypatch, source, auth):
    monkeypatch.setattr("docker.auth.get_config_header", lambda api, registry: b"e30=")
    with tap_port() as tap, EngineClient(EngineEndpoint(tap.url), timeout=5, credentials=source) as client:
        with pytest.raises(PullFailed, match="were not sent: the address is tcp:// without TLS") as caught:
            client.pull_image(IMAGE, auth)
        client.update_service("id1", 7, {"TaskTemplate": {"ContainerSpec": {"Image": IMAGE}}}, auth)
    assert tap.credentials == []
    assert not caught.value.had_credentials
    assert client.withheld.keys() == {IMAGE}


def test_a_client_without_a_source_sends_none(monkeypatch, tmp_path):
    monkeypatch.setattr("docker.auth.get_config_header", lambda api, registry: b"e30=")
    with tap_socket(tmp_path / "engine.sock") as tap, EngineClient(EngineEndpoint(tap.url), timeout=5) as client:
        with pytest.raises(PullFailed):
            client.pull_image(IMAGE)
        client.update_service("id1", 7, {"TaskTemplate": {"ContainerSpec": {}}})
    assert tap.credentials == []
