"""The messages of all senders: recognised by shape and headers, and read."""

import pytest

from triggers.payloads.builder import READ_MAXIMUM
from triggers.payloads.senders import SENDERS, find_sender
from triggers.payloads.tests.examples import EXAMPLES, FOREIGN, distribution_event, quay

BY_NAME = {sender.NAME: sender for sender in SENDERS}
USER_AGENTS = ["Go-http-client/1.1", "GitHub-Hookshot/1", "Amazon Simple Notification Service Agent", "docker/27", ""]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_messages_of_every_sender_are_read(example):
    payload = BY_NAME[example.sender].read(example.headers, example.body)
    assert [(push.name, push.tag, push.digest) for push in payload.pushes] == example.pushes
    assert (payload.sender, payload.event, payload.delivery_id) == (example.sender, example.event, example.delivery_id)
    assert len(payload.passed_over) == len(example.passed_over)
    for sentence, part in zip(payload.passed_over, example.passed_over, strict=True):
        assert part in sentence


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_message_is_recognised_as_its_senders_whatever_the_user_agent(example):
    for agent in USER_AGENTS:
        sender = find_sender({**example.headers, "user-agent": agent}, example.body)
        assert sender is BY_NAME[example.sender]


def test_every_sender_has_several_examples():
    for name in BY_NAME:
        assert len([example for example in EXAMPLES if example.sender == name]) >= 3, name


@pytest.mark.parametrize("body", FOREIGN, ids=str)
def test_an_unknown_message_has_no_sender(body):
    assert find_sender({"content-type": "application/json"}, body) is None


def test_a_message_that_is_not_about_images_says_so():
    other = {
        example.name for example in EXAMPLES if not BY_NAME[example.sender].read(example.headers, example.body).concerns_images
    }
    assert other == {
        "github: another kind of package",
        "github: a push of commits",
        "gitea: another kind of package",
        "gitea: a push of commits, as its test sends",
        "artifactory: another domain",
        "nexus: another format",
    }


def test_only_the_first_of_a_million_events_are_read():
    payload = BY_NAME["distribution"].read({}, {"events": [distribution_event()] * 1_000_000})
    assert len(payload.pushes) == 1
    assert payload.passed_over == (f"Of 1,000,000 entries only the first {READ_MAXIMUM:,} were read.",)
    payload = BY_NAME["quay"].read({}, quay(updated_tags=[f"t{number}" for number in range(1_000_000)]))
    assert len(payload.pushes) == READ_MAXIMUM


def test_only_relays_report_images_of_other_registries():
    assert {sender.NAME for sender in SENDERS if sender.RELAYS} == {"diun", "wud", "generic", "keel"}
