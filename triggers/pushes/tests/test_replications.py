"""Harbor's replications, and side products that senders name, at a registry's inbound link."""

import json

import pytest

from clusters.models import Registry
from triggers.models import Decision, Delivery
from triggers.payloads.tests.examples import (
    APP,
    HOST,
    github,
    github_headers,
    harbor,
    harbor_resource,
    replicated,
    replication,
)
from triggers.pushes.tests.messages import decisions, end_calls, make_trigger, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]
RUNNING = f"{APP}:1.2"


@pytest.fixture
def registry():
    return Registry.objects.create(host=HOST, kind="harbor")


@pytest.fixture
def trigger():
    return make_trigger(RUNNING, subscribed=APP)


def report(client, registry, body, **options):
    return decisions(send(client, registry, json.dumps(body), **options))


def test_a_replication_to_this_registry_counts_once_it_has_succeeded(client, registry, trigger):
    assert report(client, registry, replication(replicated(), status="Running")) == [Decision.UNSUPPORTED]
    assert report(client, registry, replication(replicated(), status="Failed")) == [Decision.UNSUPPORTED]
    assert report(client, registry, replication(replicated())) == [Decision.TRIGGERED]
    assert trigger.calls.count() == 1


def test_a_replication_to_another_registry_does_not(client, registry, trigger):
    body = replication(replicated(), endpoint="https://far.example.com")
    assert report(client, registry, body) == [Decision.IMAGE]
    assert "far.example.com/team/app" in Delivery.objects.get().message


def test_a_replication_and_the_push_that_it_made_are_one_redeploy(client, registry, trigger):
    assert report(client, registry, replication(replicated())) == [Decision.TRIGGERED]
    report(client, registry, harbor(harbor_resource()))
    assert sorted(trigger.calls.values_list("state", flat=True)) == ["coalesced", "queued"]


def test_the_push_may_come_first(client, registry, trigger):
    assert report(client, registry, harbor(harbor_resource())) == [Decision.TRIGGERED]
    end_calls()
    assert report(client, registry, replication(replicated())) == [Decision.DUPLICATE]
    assert trigger.calls.count() == 1


def test_a_later_replication_is_a_new_one(client, registry, trigger):
    for _ in range(2):
        assert report(client, registry, replication(replicated())) == [Decision.TRIGGERED]
        end_calls()
    assert trigger.calls.count() == 2


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("application/vnd.cncf.helm.config.v1+json", "a Helm chart"),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", "a signature"),
        ("application/vnd.buildkit.cacheconfig.v0", "a build cache"),
    ],
)
def test_a_package_that_is_a_chart_or_a_signature_is_no_new_version(client, kind, word):
    registry = Registry.objects.create(host="ghcr.io", kind="ghcr")
    trigger = make_trigger("ghcr.io/team/app:1", subscribed="ghcr.io/team/app", condition="every")
    body = github()
    body["registry_package"]["package_version"]["container_metadata"]["manifest"]["config"] = {"media_type": kind}
    assert report(client, registry, body, headers=github_headers()) == [Decision.UNSUPPORTED]
    assert word in Delivery.objects.get().message
    assert report(client, registry, github(), headers=github_headers()) == [Decision.TRIGGERED]
    assert trigger.calls.count() == 1
