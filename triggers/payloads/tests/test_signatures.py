"""Signatures of all senders: right, wrong, malformed and missing ones."""

import hmac
import itertools
from urllib.parse import urlencode

import pytest

from triggers.payloads import gitea
from triggers.payloads.senders import SENDERS
from triggers.payloads.tests.examples import gitea_headers

BY_NAME = {sender.NAME: sender for sender in SENDERS}
SECRET = "correct horse"
RAW = b'{"a":1}'


def sign(raw=RAW, algorithm="sha256", secret=SECRET):
    return hmac.new(secret.encode(), raw, algorithm).hexdigest()


RIGHT = [
    ("github", {"x-hub-signature-256": f"sha256={sign()}"}),
    ("github", {"x-hub-signature-256": f" SHA256={sign().upper()} "}),
    ("gitea", {"x-gitea-signature": sign()}),
    ("gitea", {"x-forgejo-signature": sign()}),
    ("gitea", {"x-gitea-signature": "", "x-hub-signature-256": f"sha256={sign()}"}),
    ("nexus", {"x-nexus-webhook-signature": sign(algorithm="sha1")}),
    ("artifactory", {"x-jfrog-event-auth": sign()}),
    ("artifactory", {"x-jfrog-event-auth": SECRET}),
    ("generic", {"x-hub-signature-256": f"sha256={sign()}"}),
    ("keel", {"x-hub-signature-256": f"sha256={sign()}"}),
    *((name, {"authorization": SECRET}) for name in ("harbor", "distribution", "acr", "ecr", "diun", "wud", "generic", "keel")),
    ("harbor", {"authorization": f"Bearer {SECRET}"}),
    ("distribution", {"authorization": f"bearer  {SECRET}"}),
]
UNSIGNED = ("dockerhub", "quay", "alibaba", "artifact_registry")
HEADERS = (
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-forgejo-signature",
    "x-nexus-webhook-signature",
    "x-jfrog-event-auth",
    "authorization",
)
WRONG = [
    "x",
    "sha256=",
    "sha256=x",
    f"md5={sign(algorithm='md5')}",
    f"sha256=sha256={sign()}",
    sign()[:-1],
    sign() + "0",
    sign(secret="another"),
    sign(RAW + b" "),
    "=",
    "Bearer",
    "Bearer ",
    f"Basic {SECRET}x",
    "é" * 64,
    "\udcff",
    "\0",
    "ﬀ" * 32,
    "a" * 100_000,
]


@pytest.mark.parametrize(("name", "headers"), RIGHT, ids=lambda value: str(value)[:30])
def test_a_right_signature_is_accepted(name, headers):
    sender = BY_NAME[name]
    assert sender.has_signature(headers)
    assert sender.check_signature(headers, RAW, SECRET)
    assert not sender.check_signature(headers, RAW, "another secret")
    assert not sender.check_signature(headers, RAW, "")


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.NAME)
def test_a_wrong_or_malformed_signature_is_refused(sender):
    for value, secret in itertools.product(WRONG, (SECRET, "é", "")):
        assert not sender.check_signature(dict.fromkeys(HEADERS, value), RAW, secret), value[:100]


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.NAME)
def test_a_missing_signature_is_refused(sender):
    for headers in ({}, dict.fromkeys(HEADERS, ""), dict.fromkeys(HEADERS, " ")):
        assert not sender.has_signature(headers)
        assert not sender.check_signature(headers, RAW, SECRET)
        assert not sender.check_signature(headers, RAW, "")


@pytest.mark.parametrize("name", UNSIGNED)
def test_senders_that_cannot_sign_are_never_authentic(name):
    headers = dict.fromkeys(HEADERS, SECRET)
    assert not BY_NAME[name].has_signature(headers)
    assert not BY_NAME[name].check_signature(headers, RAW, SECRET)


def test_every_sender_is_known_to_sign_or_not():
    assert {name for name, _ in RIGHT} | set(UNSIGNED) == set(BY_NAME)


def test_an_empty_signature_header_counts_as_missing():
    assert not gitea.has_signature(gitea_headers())


def test_gitea_signs_the_json_within_a_form():
    raw = urlencode({"payload": '{"ä": "& =+"}'}).encode()
    headers = {"x-gitea-signature": sign('{"ä": "& =+"}'.encode())}
    assert gitea.check_signature(headers, raw, SECRET)
    assert not gitea.check_signature(headers, raw + b"x", SECRET)
    assert not gitea.check_signature(headers, b"payload=%ff%zz&payload", SECRET)
