import pytest
import requests

from clusters.engine.connection.tests.recorded_api import RecordedApi, make_client
from clusters.engine.errors import EngineUnreachable, PullFailed
from clusters.registry.errors import RegistryError

SPEC = {"TaskTemplate": {"ContainerSpec": {"Image": "app:1"}}}


def test_credentials_that_cannot_be_read_are_a_failed_pull_and_send_no_request():
    def fail(reference, endpoint):
        raise RegistryError("The credential helper ecr-login is not installed.", "helper_failed")

    client = make_client(RecordedApi({}), fail)
    for ask in (client.pull_image, client.resolve_digest, client.check_credentials):
        with pytest.raises(PullFailed, match=r"for app:1 could not be read: The credential helper .* installed\.") as caught:
            ask("app:1")
        assert caught.value.code == "credentials_failed"
    with pytest.raises(PullFailed):
        client.update_service("id1", 7, SPEC)
    assert client.api.sent == {}


def test_a_silent_registry_is_not_mistaken_for_a_silent_engine(monkeypatch):
    monkeypatch.setattr("docker.auth.get_config_header", lambda api, registry: None)
    with pytest.raises(PullFailed, match="its registry did not answer"):
        make_client(RecordedApi(requests.exceptions.ReadTimeout())).resolve_digest("registry.example.com/web:1")
    with pytest.raises(EngineUnreachable):
        make_client(RecordedApi(requests.exceptions.ConnectionError())).resolve_digest("registry.example.com/web:1")
