"""The texts that set senders up: each holds the inbound link unchanged, however its language treats special characters."""

import shlex

import pytest
import yaml

from clusters.tests.factories import RegistryFactory
from console.pages.registries.sender_guides import GUIDES

pytestmark = pytest.mark.django_db

LINK = "https://windlass.example.com/hook/registry/$a'b\"c`d\\e#{f}"


@pytest.fixture
def registry():
    return RegistryFactory(host="harbor.example.com", kind="harbor", signing_secret="kept secret")


def text_of(key, registry):
    return next(guide for guide in GUIDES if guide.key == key).write(registry, LINK)


def test_yaml_holds_the_link_as_it_is(registry):
    [endpoint] = yaml.safe_load(text_of("distribution", registry))["notifications"]["endpoints"]
    assert (endpoint["url"], endpoint["headers"]) == (LINK, {"Authorization": ["SIGNING-SECRET"]})
    assert yaml.safe_load(text_of("diun", registry))["notif"]["webhook"]["endpoint"] == LINK
    environment = yaml.safe_load(text_of("wud", registry))["services"]["wud"]["environment"]
    assert environment["WUD_TRIGGER_HTTP_WINDLASS_URL"] == LINK.replace("$", "$$")


@pytest.mark.parametrize("signing_secret", ["", "kept secret"])
@pytest.mark.parametrize("key", ["acr", "ecr", "artifact_registry", "curl"])
def test_a_shell_holds_the_link_as_it_is(registry, key, signing_secret):
    registry.signing_secret = signing_secret
    text = text_of(key, registry)
    assert any(word.endswith(LINK) for word in shlex.split(text.replace("\\\n", " "))), text
    assert "kept secret" not in text


def test_a_call_of_a_registry_with_a_signing_secret_is_signed(registry):
    assert "X-Hub-Signature-256" in text_of("curl", registry)
    registry.signing_secret = ""
    assert "X-Hub-Signature-256" not in text_of("curl", registry)


def test_amazons_rule_is_made_in_the_registrys_region(registry):
    registry.host = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    assert "AWS_REGION=us-west-2" in text_of("ecr", registry)
