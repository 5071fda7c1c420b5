"""What the client sends and understands, without an engine."""

import base64
import json
from types import SimpleNamespace

import pytest
import requests

from clusters.engine.connection.client import EngineClient, classify_refusal
from clusters.engine.connection.credentials import no_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineRefused, EngineUnreachable, NotManager, PullFailed, SwarmUnavailable, TargetMissing
from clusters.registry.errors import RegistryError

NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online."


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        (404, "service shop_web not found", TargetMissing, "not_found"),
        (409, "the name is in use", EngineRefused, "conflict"),
        (500, "rpc error: code = Unknown desc = update out of sequence", EngineRefused, "out_of_sequence"),
        (503, 'This node is not a swarm manager. Use "docker swarm init" to make it one.', NotManager, "not_a_manager"),
        (503, "This node is not part of a swarm", NotManager, "not_a_manager"),
        (500, NO_LEADER, SwarmUnavailable, "swarm_unavailable"),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", SwarmUnavailable, "swarm_unavailable"),
        (500, 'Get "http://registry:5000/v2/": context deadline exceeded', EngineRefused, "engine_refused"),
        (500, "no space left on device", EngineRefused, "engine_refused"),
    ],
)
def test_an_engines_refusal_is_typed_by_its_status_and_words(status, message, kind, code):
    error = classify_refusal(status, message)
    assert (type(error), error.code) == (kind, code)


class RecordedApi:
    """The SDK's request helpers: answers with `answer`, or raises it."""

    api_version = "1.41"
    _auth_configs = SimpleNamespace(creds_store=None)

    def __init__(self, answer):
        self.answer, self.sent = answer, {}

    def _url(self, path, *names):
        return path.format(*names)

    def _post_json(self, url, data, **options):
        self.sent = {"url": url, "data": data, **options}
        return SimpleNamespace(json=lambda: self.answer)

    def _get(self, url, **options):
        raise self.answer

    def _raise_for_status(self, answer):
        pass


def client_of(api, credentials=no_credentials):
    client = EngineClient.__new__(EngineClient)
    client.endpoint, client.address, client.api = EngineEndpoint("unix:///run/docker.sock"), "unix:///run/docker.sock", api
    client.credentials = credentials
    return client


SPEC = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "registry.example.com/web:1@sha256:" + "a" * 64}}}


def test_a_service_is_updated_with_the_whole_spec_and_the_credentials_given():
    api = RecordedApi({"Warnings": ["the registry did not answer"]})
    assert client_of(api).update_service("id1", 7, SPEC, {"username": "me", "password": "x"}) == ["the registry did not answer"]
    assert (api.sent["url"], api.sent["data"]) == ("/services/id1/update", SPEC)
    assert api.sent["params"] == {"version": 7, "registryAuthFrom": "spec"}
    assert json.loads(base64.urlsafe_b64decode(api.sent["headers"]["X-Registry-Auth"])) == {"username": "me", "password": "x"}


def test_without_credentials_swarm_is_told_to_keep_its_own(monkeypatch):
    """An empty header would replace what Swarm has stored."""
    monkeypatch.setattr("clusters.engine.connection.client.docker_auth.get_config_header", lambda api, registry: None)
    api = RecordedApi({})
    client_of(api).update_service("id1", 7, SPEC)
    assert api.sent["headers"] == {}
    assert api.sent["params"]["registryAuthFrom"] == "spec"


def test_stored_credentials_are_asked_anew_come_after_given_ones_and_before_the_docker_config(monkeypatch):
    monkeypatch.setattr("clusters.engine.connection.client.docker_auth.get_config_header", lambda api, registry: b"config")
    asked, answers = [], [{"username": "me", "password": "1"}, {"username": "me", "password": "2"}, None]
    client = client_of(RecordedApi({}), lambda reference: asked.append(reference) or answers.pop(0))
    sent = []
    for auth in (None, {"username": "given"}, None, None):
        client.update_service("id1", 7, SPEC, auth)
        header = client.api.sent["headers"]["X-Registry-Auth"]
        sent.append(header if header == "config" else json.loads(base64.urlsafe_b64decode(header)))
    assert sent == [{"username": "me", "password": "1"}, {"username": "given"}, {"username": "me", "password": "2"}, "config"]
    assert asked == [SPEC["TaskTemplate"]["ContainerSpec"]["Image"]] * 3


def test_credentials_that_cannot_be_read_are_a_failed_pull_and_the_engine_is_not_asked():
    def fail(reference):
        raise RegistryError("The credential helper ecr-login is not installed.", "helper_failed")

    client = client_of(RecordedApi({}), fail)
    for ask in (client.pull_image, client.resolve_digest, client.check_credentials):
        with pytest.raises(PullFailed, match=r"for app:1 could not be read: The credential helper .* installed\.") as caught:
            ask("app:1")
        assert caught.value.code == "credentials_failed"
    with pytest.raises(PullFailed):
        client.update_service("id1", 7, SPEC)
    assert client.api.sent == {}


def test_the_way_back_is_swarms_own_with_the_previous_credentials():
    api = RecordedApi({"Warnings": None})
    assert client_of(api).roll_back_service("id1", 8, SPEC) == []
    assert api.sent["params"] == {"version": 8, "rollback": "previous", "registryAuthFrom": "previous-spec"}


def test_a_silent_registry_is_not_taken_for_a_silent_engine(monkeypatch):
    monkeypatch.setattr("clusters.engine.connection.client.docker_auth.get_config_header", lambda api, registry: None)
    with pytest.raises(PullFailed, match="its registry did not answer"):
        client_of(RecordedApi(requests.exceptions.ReadTimeout())).resolve_digest("registry.example.com/web:1")
    with pytest.raises(EngineUnreachable):
        client_of(RecordedApi(requests.exceptions.ConnectionError())).resolve_digest("registry.example.com/web:1")
