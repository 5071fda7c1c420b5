import hmac
import itertools
from urllib.parse import urlencode

import pytest

from triggers.payloads import gitea
from triggers.payloads.reading import READ_MAXIMUM, SENTENCES_MAXIMUM, Reading
from triggers.payloads.senders import SENDERS, find_sender
from triggers.payloads.tests.examples import DIGEST, EXAMPLES, FOREIGN, distribution_event, gitea_headers, quay

BY_NAME = {sender.NAME: sender for sender in SENDERS}
SECRET = "correct horse"
RAW = b'{"a":1}'
USER_AGENTS = ["Go-http-client/1.1", "GitHub-Hookshot/1", "Amazon Simple Notification Service Agent", "docker/27", ""]


def sign(raw=RAW, algorithm="sha256", secret=SECRET):
    return hmac.new(secret.encode(), raw, algorithm).hexdigest()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_senders_messages_are_read(example):
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
def test_a_message_that_nobody_knows_is_of_no_sender(body):
    assert find_sender({"content-type": "application/json"}, body) is None


def test_a_message_about_something_else_than_images_says_so():
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


def test_of_a_million_events_the_first_are_read():
    payload = BY_NAME["distribution"].read({}, {"events": [distribution_event()] * 1_000_000})
    assert len(payload.pushes) == 1
    assert payload.passed_over == (f"Of 1,000,000 entries only the first {READ_MAXIMUM:,} were read.",)
    payload = BY_NAME["quay"].read({}, quay(updated_tags=[f"t{number}" for number in range(1_000_000)]))
    assert len(payload.pushes) == READ_MAXIMUM


def test_sentences_are_few_short_and_printable():
    reading = Reading("x")
    for number in range(100):
        reading.push(f"{number}\0\ud800\u202e<b>{'x' * 10_000}")
    sentences = reading.finish().passed_over
    assert len(sentences) == SENTENCES_MAXIMUM + 1
    assert sentences[-1] == "And 80 more of such kind."
    assert all(sentence.isprintable() and len(sentence) < 200 for sentence in sentences)


def test_a_delivery_id_of_absurd_length_is_none_and_an_event_is_cut():
    payload = Reading("x", "e" * 100_000, "d" * 256).finish()
    assert (payload.event, payload.delivery_id) == ("e" * 64, "")


@pytest.mark.parametrize(
    ("path", "tag", "digest", "host"),
    [
        ("a" * 256, "1", None, ""),
        ("team//app", "1", None, ""),
        ("team/app:1", "1", None, ""),
        ("../app", "1", None, ""),
        ("äpp", "1", None, ""),
        ("app\n", "1", None, ""),
        ("app\0", "1", None, ""),
        ("app", "t" * 129, None, ""),
        ("app", "1\n", None, ""),
        ("app", True, None, ""),
        ("app", "1", "sha256:xyz", ""),
        ("app", "1", f"{'a' * 200}:{'0' * 64}", ""),
        ("app", "sha256:xyz", None, ""),
        ("app", "1", None, "ho st"),
        ("app", "1", None, ["host"]),
        (None, "1", None, ""),
        ({"a": 1}, "1", None, ""),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_reference_is_passed_over(path, tag, digest, host):
    reading = Reading("x")
    reading.push(path, tag, digest, host)
    payload = reading.finish()
    assert payload.pushes == ()
    assert len(payload.passed_over) == 1


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
    *("x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature", "x-nexus-webhook-signature"),
    *("x-jfrog-event-auth", "authorization"),
)
WRONG = [
    *("x", "sha256=", "sha256=x", f"md5={sign(algorithm='md5')}", f"sha256=sha256={sign()}", sign()[:-1], sign() + "0"),
    *(
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
    ),
    "a" * 100_000,
]


@pytest.mark.parametrize(("name", "headers"), RIGHT, ids=lambda value: str(value)[:30])
def test_the_right_signature_is_right(name, headers):
    sender = BY_NAME[name]
    assert sender.has_signature(headers)
    assert sender.check_signature(headers, RAW, SECRET)
    assert not sender.check_signature(headers, RAW, "another secret")
    assert not sender.check_signature(headers, RAW, "")


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.NAME)
def test_a_wrong_or_malformed_signature_is_wrong(sender):
    for value, secret in itertools.product(WRONG, (SECRET, "é", "")):
        assert not sender.check_signature(dict.fromkeys(HEADERS, value), RAW, secret), value[:100]


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.NAME)
def test_a_missing_signature_is_none_and_wrong(sender):
    for headers in ({}, dict.fromkeys(HEADERS, ""), dict.fromkeys(HEADERS, " ")):
        assert not sender.has_signature(headers)
        assert not sender.check_signature(headers, RAW, SECRET)
        assert not sender.check_signature(headers, RAW, "")


@pytest.mark.parametrize("name", UNSIGNED)
def test_senders_that_cannot_sign_are_never_authentic(name):
    headers = dict.fromkeys(HEADERS, SECRET)
    assert not BY_NAME[name].has_signature(headers)
    assert not BY_NAME[name].check_signature(headers, RAW, SECRET)


def test_every_sender_is_either_able_to_sign_or_not():
    assert {name for name, _ in RIGHT} | set(UNSIGNED) == set(BY_NAME)


def test_an_empty_signature_header_as_gitea_sends_is_none():
    assert not gitea.has_signature(gitea_headers())


def test_gitea_signs_the_json_within_a_form():
    raw = urlencode({"payload": '{"ä": "& =+"}'}).encode()
    headers = {"x-gitea-signature": sign('{"ä": "& =+"}'.encode())}
    assert gitea.check_signature(headers, raw, SECRET)
    assert not gitea.check_signature(headers, raw + b"x", SECRET)
    assert not gitea.check_signature(headers, b"payload=%ff%zz&payload", SECRET)


def test_only_relays_speak_of_other_registries():
    assert {sender.NAME for sender in SENDERS if sender.RELAYS} == {"diun", "wud", "generic", "keel"}


def test_a_digest_is_read_where_a_tag_is_expected():
    reading = Reading("x")
    reading.push("app", DIGEST)
    reading.push("app", DIGEST, DIGEST)
    reading.push("app", "sha512:" + "0" * 128, "sha512:" + "0" * 128)
    assert [(push.tag, push.digest) for push in reading.finish().pushes] == [("", DIGEST), ("", "sha512:" + "0" * 128)]
