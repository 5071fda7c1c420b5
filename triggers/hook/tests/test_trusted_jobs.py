"""Calls with an identity token: a job that fits is accepted without a secret, and everything else is one and the same 401."""

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from triggers.hook import trusted_jobs
from triggers.identity.issuers import IssuerFailed
from triggers.identity.key_sets import KeySets
from triggers.identity.tests.issuing import ISSUER, describe_key, make_claims, make_private_key, make_token
from triggers.identity.tokens import read_key_set
from triggers.models import Proof, Signature, TriggerCall
from triggers.pushes.refused_calls import refused_calls
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory, TrustedJobFactory
from triggers.tests.signing import require_signature, sign_github

pytestmark = pytest.mark.django_db

PUBLISHED = {"keys": [describe_key("rsa-1"), describe_key("ec-1", "ES256"), describe_key("ed-1", "EdDSA")]}


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Let the issuers publish these keys, without any network. Returns the issuers that were asked."""
    asked = []

    def fetch(issuer):
        asked.append(issuer)
        return read_key_set(PUBLISHED)

    monkeypatch.setattr(trusted_jobs, "key_sets", KeySets(fetch))
    return asked


def call(client, trigger, token=None, headers=None, *, secret="", method="POST", body=b"", **more):
    query = {"triggerUrl": link_parameters(trigger)["triggerUrl"]} | ({"secret": secret} if secret else {}) | more
    headers = ({} if token is None else {"Authorization": f"Bearer {token}"}) | (headers or {})
    return client.generic(method, PATH, body, content_type="application/json", headers=headers, query_params=query)


def assert_refused(response):
    body = response.json()
    assert (response.status_code, body["reason"]) == (401, "identity")
    assert body["message"].startswith("The identity token is not one of a job that this trigger trusts.")
    assert not TriggerCall.objects.exists()
    return body["message"]


@pytest.mark.parametrize(("key_id", "algorithm"), [("rsa-1", "RS256"), ("ec-1", "ES256"), ("ed-1", "EdDSA")])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_job_that_fits_calls_without_a_secret(client, key_id, algorithm, method):
    job = TrustedJobFactory()
    assert call(client, job.trigger, make_token(key_id, algorithm), method=method).status_code == 200
    made = TriggerCall.objects.get()
    assert (made.proof, made.delivery_id[:9]) == (Proof.IDENTITY, "identity ")
    assert made.identity == {
        "job": "deploy",
        "issuer": ISSUER,
        "repository": "team/app",
        "ref": "refs/heads/main",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "run": "4711",
        "actor": "ann",
        "run_url": "https://github.com/team/app/actions/runs/4711",
    }


LONG_AGO, SOON = int(time.time()) - 3600, int(time.time()) + 3600
UNFIT = {
    "another repository": {"repository": "team/app2"},
    "a repository that begins the same": {"repository": "team/app/x"},
    "a repository in other letters": {"repository": "Team/App"},
    "no repository": {"repository": None},
    "a list for a repository": {"repository": ["team/app"]},
    "another branch": {"ref": "refs/heads/mainly"},
    "a pull request": {"ref": "refs/pull/1/merge"},
    "two lines": {"ref": "refs/heads/main\nrefs/heads/x"},
    "another audience": {"aud": "https://sts.example.com"},
    "a part of the audience": {"aud": "http://test"},
    "no audience": {"aud": None},
    "an audience in an object": {"aud": {"http://testserver": True}},
    "another issuer": {"iss": "https://token.actions.githubusercontent.com.example.com"},
    "an issuer with a slash": {"iss": f"{ISSUER}/"},
    "no issuer": {"iss": None},
    "an issuer that is a list": {"iss": [ISSUER]},
    "expired": {"exp": LONG_AGO},
    "no end": {"exp": None},
    "an end that is a text": {"exp": "never"},
    "an endless end": {"exp": float("inf")},
    "an end that is true": {"exp": True},
    "a huge end": {"exp": 10**400},
    "not valid yet": {"nbf": SOON},
    "made in the future": {"iat": SOON},
    "made at no time": {"iat": "now"},
}


@pytest.mark.parametrize("changes", UNFIT.values(), ids=UNFIT)
def test_a_token_that_does_not_fit_is_refused(client, changes):
    job = TrustedJobFactory()
    assert_refused(call(client, job.trigger, encode(changes)))


def encode(changes, number=1):
    """Return a token with these changes, rightly signed, whatever it claims: the library would refuse some."""
    payload = json.dumps(make_claims(**changes)).encode()
    return jwt.api_jws.encode(payload, make_private_key("RS256", number), "RS256", headers={"kid": "rsa-1"})


def split(token):
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def join(header, claims, signature):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join((*parts, signature))


def public_pem():
    return make_private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forge_hs256():
    """Return a token that an HMAC with the public key signs: the classic confusion of algorithms."""
    import hashlib
    import hmac

    unsigned = join({"alg": "HS256", "kid": "rsa-1", "typ": "JWT"}, make_claims(), "")[:-1]
    digest = hmac.new(public_pem(), unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def forge(number=2, key_id="rsa-1", **header):
    return make_token(key_id, "RS256", number, headers=header)


def repeat_a_claim():
    payload = json.dumps(make_claims())[:-1] + ', "repository": "team/app"}'
    return jwt.api_jws.encode(payload.encode(), make_private_key(), "RS256", headers={"kid": "rsa-1"})


FORGED = {
    "no algorithm": lambda: join({"alg": "none", "kid": "rsa-1"}, make_claims(), ""),
    "no algorithm, in other letters": lambda: join({"alg": "nOnE", "kid": "rsa-1"}, make_claims(), "AAAA"),
    "no algorithm, with a signature": lambda: join({"alg": "none", "kid": "rsa-1"}, make_claims(), forge(1).split(".")[2]),
    "an HMAC with the public key": forge_hs256,
    "another key": forge,
    "another key with an unknown id": lambda: forge(key_id="rsa-2"),
    "its own key in the header": lambda: forge(jwk=describe_key("rsa-1", number=2)),
    "its own key's address in the header": lambda: forge(jku="https://example.com/keys", x5u="https://example.com/x"),
    "no key's id": lambda: jwt.encode(make_claims(), make_private_key(), "RS256"),
    "a key's id that is a path": lambda: forge(key_id="../../etc/passwd"),
    "the key of another algorithm": lambda: make_token("ec-1", "RS256"),
    "an EC signature for the RSA key": lambda: make_token("rsa-1", "ES256"),
    "another algorithm with the right key": lambda: jwt.encode(
        make_claims(), make_private_key(), "RS512", headers={"kid": "rsa-1"}
    ),
    "an extension": lambda: make_token(headers={"crit": ["b64"], "b64": False}),
    "a claim twice": repeat_a_claim,
    "other claims under a right signature": lambda: join(*split(make_token()), make_token().split(".")[2]),
    "no signature": lambda: make_token().rpartition(".")[0] + ".",
    "two parts": lambda: make_token().rpartition(".")[0],
    "four parts": lambda: make_token() + ".AAAA",
    "signed and encrypted": lambda: "a.b.c.d.e",
    "another spelling of the signature": lambda: make_token() + "==",
    "blanks inside": lambda: make_token().replace(".", ". ", 1),
    "huge": lambda: make_token(pad="x" * 20_000),
    "deep": lambda: join({"alg": "RS256", "kid": "rsa-1"}, {}, "AAAA").replace(
        ".", "." + base64.urlsafe_b64encode(b"[" * 9_000).decode().rstrip("="), 1
    ),
    "no object": lambda: f"{base64.urlsafe_b64encode(b'[]').decode().rstrip('=')}.bnVsbA.AAAA",
    "not text": lambda: "\u00ff\u00ff.\u00ff.\u00ff",
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(client, make):
    job = TrustedJobFactory()
    assert_refused(call(client, job.trigger, make()))


def test_times_have_a_minute_of_leeway(client):
    job, now = TrustedJobFactory(), int(time.time())
    assert call(client, job.trigger, make_token(exp=now - 40, nbf=now + 40, iat=now + 40)).status_code == 200


def test_one_audience_of_several_and_one_job_of_several_are_enough(client):
    job = TrustedJobFactory(conditions={"repository": {"exact": "other/app"}})
    TrustedJobFactory(trigger=job.trigger, audience="https://other.example.com")
    TrustedJobFactory(trigger=job.trigger, name="second")
    token = make_token(aud=["https://x.example.com", "http://testserver"])
    assert call(client, job.trigger, token).status_code == 200
    assert TriggerCall.objects.get().identity["job"] == "second"


class TestRepeated:
    def test_a_token_makes_one_call_whatever_else_is_sent(self, client):
        job, token = TrustedJobFactory(), make_token()
        first = call(client, job.trigger, token).json()["requestId"]
        for headers in ({}, {"Idempotency-Key": "another"}, {"X-GitHub-Delivery": "another"}):
            again = call(client, job.trigger, token, headers)
            assert (again.json()["requestId"], again["Idempotent-Replayed"]) == (first, "true")
        assert TriggerCall.objects.count() == 1

    def test_a_token_without_an_id_makes_one_call(self, client):
        job, token = TrustedJobFactory(), make_token(jti=None)
        assert len({call(client, job.trigger, token).json()["requestId"] for _ in range(2)}) == 1

    def test_a_token_for_another_step_is_refused(self, client):
        trigger = ScalingTriggerFactory()
        TrustedJobFactory(trigger=trigger)
        token = make_token()
        assert call(client, trigger, token, type="scale_out", step="1").status_code == 200
        assert call(client, trigger, token, type="scale_out", step="9").status_code == 422

    def test_a_strange_id_is_stored_as_a_digest(self, client):
        job = TrustedJobFactory()
        assert call(client, job.trigger, encode({"jti": "\ud800\x00" * 300})).status_code == 200
        assert call(client, job.trigger, encode({"jti": ["a"]})).status_code == 200
        assert all(made.delivery_id.isprintable() for made in TriggerCall.objects.all())


class TestWithASecret:
    def test_a_token_beside_the_secret_is_not_looked_at(self, client, asked):
        job = TrustedJobFactory()
        assert call(client, job.trigger, "x.y.z", secret=job.trigger.secret).status_code == 200
        assert TriggerCall.objects.get().proof == Proof.SECRET
        assert asked == []

    def test_a_right_token_beside_a_wrong_secret_does_not_call(self, client):
        job = TrustedJobFactory()
        assert call(client, job.trigger, make_token(), secret="0" * 64).status_code == 404
        assert call(client, job.trigger, make_token(), {"X-Trigger-Secret": "0" * 64}).status_code == 404
        body = json.dumps({"secret": "0" * 64}).encode()
        assert call(client, job.trigger, make_token(), body=body).status_code == 404

    def test_without_trusted_jobs_the_secret_is_missing_as_before(self, client, asked):
        TrustedJobFactory()
        assert call(client, TriggerFactory(), make_token()).status_code == 400
        assert asked == []


class TestWithASignature:
    def test_a_trusted_job_calls_a_link_whose_other_calls_are_signed(self, client):
        for mode in (Signature.REQUIRED, Signature.INSTEAD):
            job = TrustedJobFactory()
            require_signature(job.trigger, mode)
            assert call(client, job.trigger, make_token()).status_code == 200

    def test_a_signed_call_with_a_bearer_token_of_another_kind_is_a_signed_call(self, client):
        job = TrustedJobFactory()
        headers = sign_github(require_signature(job.trigger), b"{}")
        assert call(client, job.trigger, "token-of-a-proxy", headers, body=b"{}").status_code == 200
        assert TriggerCall.objects.get().proof == Proof.SIGNATURE

    def test_a_wrong_signature_is_not_made_good_by_a_token(self, client):
        job = TrustedJobFactory()
        require_signature(job.trigger)
        headers = {"X-Hub-Signature-256": "sha256=00"}
        assert call(client, job.trigger, make_token(), headers, body=b"{}").status_code == 401


def test_what_did_not_fit_is_told_to_the_triggers_people_alone(client):
    refused_calls.forget()
    job = TrustedJobFactory(name="our deploy")
    for changes in ({"repository": "a/b"}, {"ref": "refs/heads/x"}, {"exp": LONG_AGO}):
        message = assert_refused(call(client, job.trigger, make_token(**changes)))
        assert "repository" not in message
        assert "our deploy" not in message
    refused_calls.store()
    seen = sorted(job.trigger.deliveries.values_list("message", flat=True))
    assert [text.partition(".")[0] for text in seen] == [
        "It has expired",
        "Its ref does not fit the condition of the trusted job our deploy",
        "Its repository does not fit the condition of the trusted job our deploy",
    ]


def test_only_issuers_of_the_triggers_own_jobs_are_asked(client, asked):
    job = TrustedJobFactory()
    TrustedJobFactory(issuer="https://gitlab.com", preset="gitlab")  # of another trigger
    for issuer in ("https://gitlab.com", "http://169.254.169.254", "file:///etc/passwd"):
        assert_refused(call(client, job.trigger, make_token(iss=issuer)))
    assert asked == []


def test_an_issuer_that_gives_no_keys_is_503(client, monkeypatch):
    def fail(issuer):
        raise IssuerFailed("It cannot be reached.")

    monkeypatch.setattr(trusted_jobs, "key_sets", KeySets(fail))
    refused_calls.forget()
    job = TrustedJobFactory()
    for _ in range(2):
        response = call(client, job.trigger, make_token())
        assert (response.status_code, response["Retry-After"], response.json()["reason"]) == (503, "10", "identity")
    refused_calls.store()
    assert job.trigger.deliveries.get().message.startswith("It cannot be reached.")


def test_texts_of_a_token_are_cut_and_cleaned_before_they_are_stored(client):
    job = TrustedJobFactory(conditions={"event_name": {"exact": "push"}})
    token = encode({"actor": "\u202eann\x00\n", "run_id": "javascript:alert(1)", "sha": "x" * 9_000, "ref": "\ud800"})
    assert call(client, job.trigger, token).status_code == 200
    identity = TriggerCall.objects.get().identity
    assert (identity["actor"], len(identity["commit"])) == ("ann", 255)
    assert "run_url" not in identity
    assert "ref" not in identity
