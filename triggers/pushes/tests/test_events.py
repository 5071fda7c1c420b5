"""Events of forges and registries at a trigger's link that say something else than what the link waits for."""

import json

import pytest
from django.test import Client

from triggers.models import Decision, Delivery
from triggers.payloads.tests.examples import EXAMPLES
from triggers.payloads.tests.test_forges import NEW_VERSIONS, OTHERS
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]
OWN = ("generic", "keel")  # bodies that people write themselves
# Of registries, without a ping, which is answered before anything else.
REGISTRIES = [one for one in EXAMPLES if one.sender not in OWN and one.headers.get("x-github-event") != "ping"]
FOREIGN = [
    "github: another kind of package",
    "gitea: another kind of package",
    "artifactory: another domain",
    "nexus: another format",
]


def call(trigger, headers, body, **parameters):
    return Client().post(
        PATH,
        json.dumps(body),
        content_type="application/json",
        query_params={**link_parameters(trigger), **parameters},
        headers=headers,
    )


def assert_ignored(trigger, response, decision=Decision.UNSUPPORTED):
    assert (response.status_code, response.json()["code"], response.json()["requestId"]) == (200, "200", None)
    assert response.json()["message"].startswith("Nothing was done: ")
    delivery = Delivery.objects.get()
    assert (delivery.trigger, delivery.source, delivery.decision) == (trigger, "trigger", decision)
    assert delivery.message == response.json()["message"]
    assert not trigger.calls.exists()


class TestRedeploy:
    @pytest.mark.parametrize(("header", "event", "body"), NEW_VERSIONS)
    def test_a_new_version_is_a_plain_call(self, header, event, body):
        trigger = TriggerFactory()
        assert call(trigger, {header: event}, body).json()["state"] == "queued"
        assert trigger.calls.get().source == "hook"
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize(("header", "event", "body"), OTHERS)
    def test_anything_else_of_a_forge_does_nothing_and_says_why(self, header, event, body):
        trigger = TriggerFactory()
        assert_ignored(trigger, call(trigger, {header: event}, body, wait="60"))

    @pytest.mark.parametrize("name", FOREIGN)
    def test_a_package_that_is_no_image_does_nothing(self, name):
        trigger, example = TriggerFactory(), next(one for one in EXAMPLES if one.name == name)
        response = call(trigger, example.headers, example.body)
        assert_ignored(trigger, response)
        assert "is not a container image" in response.json()["message"] or "domain" in response.json()["message"]

    def test_the_sentence_names_the_forge_and_the_event(self):
        message = call(TriggerFactory(), {"X-GitHub-Event": "star"}, {"action": "created"}).json()["message"]
        assert message == "Nothing was done: GitHub reports 'star', which says nothing about a new version."
        body = {"object_kind": "pipeline", "object_attributes": {"status": "failed"}}
        message = call(TriggerFactory(), {"X-Gitlab-Event": "Pipeline Hook"}, body).json()["message"]
        assert message == "Nothing was done: GitLab reports 'pipeline', which has status 'failed', not 'success'."

    def test_a_wrong_secret_leaves_no_trace(self):
        trigger = TriggerFactory()
        assert call(trigger, {"X-GitHub-Event": "star"}, {}, secret="0" * 64).status_code == 404
        assert not Delivery.objects.exists()


class TestScaling:
    @pytest.mark.parametrize(("header", "event", "body"), NEW_VERSIONS + OTHERS)
    def test_no_event_of_a_forge_scales(self, header, event, body):
        trigger = ScalingTriggerFactory()
        assert_ignored(trigger, call(trigger, {header: event}, body, type="scale_out", step="2"))

    @pytest.mark.parametrize("example", REGISTRIES, ids=lambda one: one.name)
    def test_no_message_of_a_registry_scales(self, example):
        trigger = ScalingTriggerFactory()
        response = call(trigger, example.headers, example.body, type="scale_out", step="2")
        decision = Delivery.objects.get().decision
        assert decision in {Decision.UNSUPPORTED, Decision.ALERT}  # a confirmation of SNS is read as monitoring's
        assert_ignored(trigger, response, decision)

    @pytest.mark.parametrize(
        "body", [{"image": "app", "tag": "1"}, {"name": "app", "tag": "1"}, {"hello": "world"}, {"step": 2}]
    )
    def test_a_body_of_ones_own_scales(self, body):
        trigger = ScalingTriggerFactory()
        assert call(trigger, {}, body, type="scale_out", step="2").json()["state"] == "queued"
