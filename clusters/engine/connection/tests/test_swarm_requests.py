import base64
import json

from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.connection.tests.recorded_api import RecordedApi, make_client

SPEC = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "registry.example.com/web:1@sha256:" + "a" * 64}}}


def test_a_service_is_updated_with_the_whole_spec_and_the_credentials_given():
    api = RecordedApi({"Warnings": ["the registry did not answer"]})
    assert make_client(api).update_service("id1", 7, SPEC, {"username": "me", "password": "x"}) == [
        "the registry did not answer"
    ]
    assert (api.sent["url"], api.sent["data"]) == ("/services/id1/update", SPEC)
    assert api.sent["params"] == {"version": 7, "registryAuthFrom": "spec"}
    assert json.loads(base64.urlsafe_b64decode(api.sent["headers"]["X-Registry-Auth"])) == {"username": "me", "password": "x"}


def test_without_credentials_swarm_keeps_its_own(monkeypatch):
    """An empty header would replace what Swarm has stored."""
    monkeypatch.setattr("docker.auth.get_config_header", lambda api, registry: None)
    api = RecordedApi({})
    make_client(api).update_service("id1", 7, SPEC)
    assert api.sent["headers"] == {}
    assert api.sent["params"]["registryAuthFrom"] == "spec"


def test_stored_credentials_are_read_each_time_after_given_ones_and_before_the_docker_config(monkeypatch):
    monkeypatch.setattr("docker.auth.get_config_header", lambda api, registry: b"config")
    asked, answers = [], [{"username": "me", "password": "1"}, {"username": "me", "password": "2"}, None]
    client = make_client(
        RecordedApi({}),
        lambda reference, endpoint: asked.append(reference) or PullCredentials(answers.pop(0), may_use_config=True),
    )
    sent = []
    for auth in (None, {"username": "given"}, None, None):
        client.update_service("id1", 7, SPEC, auth)
        header = client.api.sent["headers"]["X-Registry-Auth"]
        sent.append(header if header == "config" else json.loads(base64.urlsafe_b64decode(header)))
    assert sent == [{"username": "me", "password": "1"}, {"username": "given"}, {"username": "me", "password": "2"}, "config"]
    assert asked == [SPEC["TaskTemplate"]["ContainerSpec"]["Image"]] * 3


def test_a_rollback_is_swarms_own_with_the_previous_credentials():
    api = RecordedApi({"Warnings": None})
    assert make_client(api).roll_back_service("id1", 8, SPEC) == []
    assert api.sent["params"] == {"version": 8, "rollback": "previous", "registryAuthFrom": "previous-spec"}
