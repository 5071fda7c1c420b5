import copy
import json
from urllib.parse import urlencode

import pytest

from triggers.payloads.redaction import BODY_LENGTH, REDACTED, redact
from triggers.payloads.tests.examples import DIGEST, EXAMPLES, PLANTED, pubsub, sns
from triggers.payloads.tests.test_mutations import find_places

SECRET_KEYS = [
    "secret",
    "clientSecret",
    "token",
    "access_token",
    "X-Gitea-Signature",
    "Authorization",
    "authorization_header",
    "password",
    "passwd",
    "pwd",
    "apiKey",
    "api-key",
    "AccessKeyId",
    "private_key",
    "credentials",
    "callback_url",
    "X-JFrog-Event-Auth",
    "cookie",
]
CARRIERS = [
    f"https://ada:{PLANTED}@{{}}/x",
    f"https://{PLANTED}@{{}}/x",
    f"https://{{}}/x?token={PLANTED}&y=1",
    f"https://{{}}/x#{PLANTED}",
    f"see {{}}/hook?a=1&key={PLANTED} please",
    f"/hook/registry/{PLANTED}",
    f"Authorization: Bearer {PLANTED}",
    f"Basic {PLANTED}=",
    f"--password {PLANTED}",
    f"--registry-token={PLANTED}",
    f"DB_PASSWORD={PLANTED}",
    f'password: "{PLANTED} {PLANTED}"',
    f'{{{{"secret": "{PLANTED}"',
    f"-----BEGIN RSA PRIVATE KEY-----\n{PLANTED}\n-----END RSA PRIVATE KEY-----",
    f"eyJhbGciOiJub25lIn0.{PLANTED}.x",
    f"ghp_{PLANTED}",
    f"wl_{PLANTED}",
]


def plant(body):
    """Put secrets into every object, and beside every text."""
    body = copy.deepcopy(body)
    for number, (holder, key) in enumerate(find_places(body)):
        if isinstance(holder[key], dict):
            holder[key] |= dict.fromkeys(SECRET_KEYS, PLANTED) | {"secrets": [PLANTED, {"a": PLANTED}]}
        elif isinstance(holder[key], str) and not holder[key].startswith("{"):
            holder[key] = f"{CARRIERS[number % len(CARRIERS)].format('host.example.com')} {holder[key]}"
    return body


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_no_secret_in_a_message_survives(example):
    planted = plant(example.body)
    for body in (example.body, planted):
        form = {key: value if isinstance(value, str) else json.dumps(value) for key, value in body.items()}
        for given in (
            body,
            json.dumps(body).encode(),
            urlencode(form).encode(),
            json.dumps([body]).encode(),
            json.dumps(body)[:-1].encode(),
        ):
            assert PLANTED not in redact(given)
    assert PLANTED not in redact(sns(planted))
    assert PLANTED not in redact(pubsub(planted))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_secret_in_a_text_survives(carrier):
    text = carrier.format("host.example.com")
    for given in (text.encode(), b"\xff" + text.encode(), json.dumps({"a": [text]}).encode(), json.dumps(text).encode()):
        assert PLANTED not in redact(given)


def test_other_text_is_kept():
    body = {
        "image": "registry.example.com/secret-app:1.2",
        "author": "Ada",
        "digest": f"app@{DIGEST}",
        "url": "https://registry.example.com:5000/v2/team/app/manifests/1?x=1",
        "tags": ["1", None, 2.5, True],
        "token": "",
    }
    kept = {**body, "url": f"https://registry.example.com:5000/v2/team/app/manifests/1?{REDACTED}"}
    assert redact(body) == json.dumps(kept, separators=(",", ":"))


def test_json_within_a_text_is_shown_with_its_own_secrets_redacted():
    assert json.loads(json.loads(redact(pubsub({"secret": PLANTED, "a": 1})))["message"]["data"]) == {
        "secret": REDACTED,
        "a": 1,
    }
    assert json.loads(json.loads(redact(sns({"secret": PLANTED, "a": 1})))["Message"]) == {"secret": REDACTED, "a": 1}


@pytest.mark.parametrize(
    ("raw", "described"),
    [
        (b"", "Not JSON, 0 bytes."),
        (b"<html>\0\x1b no\n", "Not JSON, 12 bytes: <html> no"),
        (b"\x1f\x8b\xff\xfe", "Not JSON, 4 bytes: \ufffd\ufffd\ufffd"),
        (b"[" * 100_000, "Not JSON, 100,000 bytes: […]"),
        (b"word " * 100_000, "Not JSON, 500,000 bytes: " + ("word " * 40)),
        (b"a=1&token=x", '{"a":"1","token":"[redacted]"}'),
        (b"null", "null"),
    ],
)
def test_a_body_that_is_not_json_is_described(raw, described):
    assert redact(raw) == described


@pytest.mark.parametrize(
    "body",
    [
        {"a": ["x"] * 1_000_000},
        {str(number): 1 for number in range(100_000)},
        {"a": "x " * 1_000_000},
        {"a": "x" * 1_000_000},
        {"a": "password=" * 100_000},
        {"a": "eyJ-" * 100_000},
        {"a": "a.+-" * 100_000},
        {"a": "?a" * 100_000},
        {"a": "-----BEGIN PRIVATE KEY-----" * 10_000},
        {"\0\ud800" * 1_000: "\0\ud800" * 100_000},
        {"a": '["' * 10_000},
    ],
    ids=lambda body: ascii(next(iter(body.items())))[:30],
)
def test_a_redacted_body_is_short_and_fit_for_a_database(body):
    text = redact(body)
    assert len(text) <= BODY_LENGTH
    assert "\0" not in text
    assert text.encode()


def test_the_depth_is_limited():
    body = {"a": 1}
    for _ in range(5_000):
        body = {"a": body}
    assert redact(body).count('"a"') < 100


def test_no_part_of_a_secret_remains_where_a_text_is_cut():
    for length in range(BODY_LENGTH - 60, BODY_LENGTH):
        text = f"{'x' * (length - 1)} https://ada:{PLANTED}@host.example.com/"
        assert PLANTED[:4] not in redact({"a": text})
