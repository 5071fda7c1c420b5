"""Randomly changed messages must be passed over at worst.

A few hundred in the suite; `PAYLOAD_MUTATIONS=100000 .venv/bin/python -m pytest -q triggers/payloads/tests/test_mutations.py`
tries more.
"""

import copy
import json
import os
import random as randomness

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.models import Registry
from clusters.registry.reference import is_digest, is_tag, make_reference
from clusters.tests.factories import ServiceFactory
from triggers.models import Delivery, ImageSubscription, TriggerCall
from triggers.payloads.builder import READ_MAXIMUM, SENTENCES_MAXIMUM
from triggers.payloads.redaction import BODY_LENGTH, redact
from triggers.payloads.senders import SENDERS, find_sender
from triggers.payloads.tests.examples import DIGEST, EXAMPLES
from triggers.pushes.deliveries import prune_deliveries
from triggers.tests.factories import TriggerFactory

MUTATIONS = int(os.environ.get("PAYLOAD_MUTATIONS", "300"))
mutations = settings(max_examples=MUTATIONS)

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**400,
    -(10**4000),
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "💥" * 50,
    "\u202eevil",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "../../etc/passwd",
    "a" * 5_000,
    "/" * 600,
    ":" * 600,
    "@" * 600,
    "sha256:",
    "sha256:" + "z" * 64,
    DIGEST,
    DIGEST + ":1",
    "host:5000",
    "http://",
    "https://u:p@h:99999/x?y#z",
    "[::1]:5000/a:1",
    [],
    {},
    [[]],
    {"": {}},
    [None],
    ["latest"],
    {"tag": "latest"},
    "{" * 500,
    '{"a":' * 200,
    "ey" + "A" * 62,
    "push",
    "published",
    "ПУШ",
    "ｄｏｃｋｅｒ．ｉｏ/a",
    "İ",
    "ß",
    "docker.io/library/app:latest",
    "1" * 4_000,
    "e30=",
    "e30",
]
HEADERS = [
    "content-type",
    "authorization",
    "user-agent",
    "idempotency-key",
    "x-github-event",
    "x-github-delivery",
    "x-hub-signature-256",
    "x-gitea-event",
    "x-gitea-delivery",
    "x-gitea-signature",
    "x-forgejo-event",
    "x-forgejo-signature",
    "x-nexus-webhook-id",
    "x-nexus-webhook-signature",
    "x-nexus-webhook-delivery",
    "x-jfrog-event-auth",
    "x-amz-sns-message-type",
]
TEXTS = [value for value in VALUES if isinstance(value, str)] + ["sha256=" + "0" * 64, "Bearer é", "package", "ping", "é"]


def find_places(value, places=None):
    """Yield every container within the value, with each of its keys or positions."""
    places = [] if places is None else places
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        places.append((value, key))
        find_places(item, places)
    return places


def nest(value, depth, random):
    for _ in range(depth):
        value = [value] if random.random() < 0.5 else {random.choice(["", "a", "target", "package"]): value}
    return value


def change(body, random):
    """Make one change in one place."""
    places = find_places(body)
    if not places:
        body[random.choice(["image", "events", "tag"])] = copy.deepcopy(random.choice(VALUES))
        return
    holder, key = random.choice(places)
    kind = random.randrange(7)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = copy.deepcopy(random.choice(VALUES))
    elif kind == 2:
        holder[key] = nest(holder[key], random.choice([1, 2, 50]), random)
    elif kind == 3:
        other, another = random.choice(places)
        holder[key], other[another] = copy.deepcopy(other[another]), copy.deepcopy(holder[key])
    elif kind == 4 and isinstance(holder[key], str):
        text, at = holder[key], random.randrange(len(holder[key]) + 1)
        holder[key] = text[:at] + random.choice(TEXTS) + text[at + random.randrange(3) :]
    elif kind == 5:
        holder[key] = [copy.deepcopy(holder[key]) for _ in range(random.choice([0, 2, 30]))]
    elif isinstance(holder, dict):
        holder[random.choice([*holder, *random.choice(EXAMPLES).body])] = copy.deepcopy(random.choice(VALUES))


def mutate(example, random):
    headers, body = dict(example.headers), copy.deepcopy(example.body)
    if random.random() < 0.1:
        body |= copy.deepcopy(random.choice(EXAMPLES).body)
    for _ in range(random.choice([1, 1, 2, 3, 8])):
        change(body, random)
    for _ in range(random.choice([0, 0, 1, 3])):
        headers[random.choice(HEADERS)] = random.choice(TEXTS)
    if headers and random.random() < 0.2:
        del headers[random.choice(list(headers))]
    return headers, body


def check_payload(payload):
    assert len(payload.pushes) <= 2 * READ_MAXIMUM
    for push in payload.pushes:
        assert make_reference(push.name).path.removeprefix("library/") in push.name
        assert not push.tag or is_tag(push.tag)
        assert not push.digest or is_digest(push.digest)
        assert len(push.name) <= 512
        assert len(push.digest) <= 160
    assert len(payload.passed_over) <= SENTENCES_MAXIMUM + 1
    for text in (*payload.passed_over, payload.event, payload.delivery_id):
        assert text.isprintable()
    assert len(payload.event) <= 64
    assert len(payload.delivery_id) <= 255


def check_redacted(text):
    assert len(text) <= BODY_LENGTH
    assert "\0" not in text
    assert text.encode().decode() == text


@mutations
@given(st.sampled_from(EXAMPLES), st.randoms(use_true_random=True))
def test_a_changed_message_raises_nothing_and_gives_only_references(example, random):
    headers, body = mutate(example, random)
    sender = find_sender(headers, body)
    if sender is not None:
        check_payload(sender.read(headers, body))
    raw = json.dumps(body).encode()
    for each in SENDERS:
        each.recognizes(headers, body)
        each.has_signature(headers)
        assert not each.check_signature(headers, raw, "a secret that nobody knows")
        assert not each.check_signature(headers, raw, "")
    check_redacted(redact(body))
    at = random.randrange(len(raw) + 1)
    check_redacted(redact(random.choice([raw, raw[:at], raw[:at] + random.randbytes(3) + raw[at:], b"payload=" + raw])))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["image", "tag", "name", "action"]), inner),
    max_leaves=5,
)
FIELDS = sorted({key for example in EXAMPLES for key in example.body})


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values), st.dictionaries(st.sampled_from(HEADERS), st.text()))
def test_a_message_with_any_fields_raises_nothing(body, headers):
    sender = find_sender(headers, body)
    if sender is not None:
        check_payload(sender.read(headers, body))
    for each in SENDERS:
        each.has_signature(headers)
        assert not each.check_signature(headers, b"", "a secret that nobody knows")
    check_redacted(redact(body))


@settings(max_examples=50)
@given(st.binary())
def test_any_bytes_are_redacted(raw):
    check_redacted(redact(raw))


@pytest.mark.django_db
def test_a_changed_message_to_a_link_is_answered_and_redeploys_nothing(published, settings):
    """All images in the senders' examples are subscribed to, and no message is signed: an intact message must be refused for
    its signature alone."""
    settings.WINDLASS_DELIVERY_RETENTION_COUNT = 500
    registry = Registry.objects.create(host="registry.example.com", kind="other", signing_secret="nobody signs with it")
    for name in sorted({name for example in EXAMPLES for name, *_ in example.pushes}):
        trigger = TriggerFactory()
        ServiceFactory(application=trigger.application, image=f"{name}:latest")
        ImageSubscription.objects.create(trigger=trigger, repository=name, condition="every")
    client, seed = Client(enforce_csrf_checks=True), randomness.randrange(10**9)
    random = randomness.Random(seed)
    for number in range(MUTATIONS):
        headers, body = mutate(random.choice(EXAMPLES), random)
        raw = json.dumps(body).encode()
        if random.random() < 0.1:
            at = random.randrange(len(raw) + 1)
            raw = raw[:at] + random.randbytes(3) + raw[at:]
        sent = {name: value for name, value in headers.items() if name != "content-type"}
        answer = client.post(
            f"/hook/registry/{registry.hook_token}",
            raw,
            content_type=headers.get("content-type", "application/json"),
            headers=sent,
        )
        assert answer.status_code < 500, (seed, number, headers, body)
        if number % 1000 == 999:
            prune_deliveries()
    assert Delivery.objects.exists()
    assert not TriggerCall.objects.exists(), seed
