"""The protocol against a provider that behaves, and against one that does not."""

import time

import jwt
import pytest

from clusters.registry.errors import RegistryError
from console.identity.errors import IdentityError
from console.identity.id_tokens import verify_id_token
from console.identity.protocol import build_way, fetch_claims
from console.identity.providers import find_provider
from console.identity.tests.fake_provider import ISSUER, OTHER_KEY, write_jwk

HERE = "https://windlass.example.com/login/callback/"
NONCE, VERIFIER = "a nonce", "v" * 64

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign_in(fake_provider, provider_row):
    """Sign in once and return the claims. `answer` changes the query of the provider's redirect."""

    def sign_in(nonce=NONCE, verifier=VERIFIER, **answer):
        provider = find_provider(str(provider_row.pk))
        given = fake_provider.visit(build_way(provider, HERE, "a state", NONCE, VERIFIER))
        return fetch_claims(provider, {**given, **answer}, HERE, nonce, verifier)

    return sign_in


def refuse(sign_in, **options):
    with pytest.raises(IdentityError) as caught:
        sign_in(**options)
    assert str(caught.value).endswith(".")
    return caught.value.reason


def test_claims_of_the_token_and_of_the_userinfo(sign_in, fake_provider):
    fake_provider.person["groups"] = ["ops"]
    claims = sign_in()
    assert (claims["sub"], claims["groups"], claims["iss"]) == ("4711", ["ops"], ISSUER)
    assert f"GET {ISSUER}/userinfo" in fake_provider.requests


def test_groups_in_the_token_spare_the_userinfo(sign_in, fake_provider):
    fake_provider.own["groups"] = ["signed"]
    assert sign_in()["groups"] == ["signed"]
    assert f"GET {ISSUER}/userinfo" not in fake_provider.requests


def test_the_document_and_the_keys_are_asked_for_once(sign_in, fake_provider):
    sign_in()
    sign_in()
    assert sum("well-known" in request for request in fake_provider.requests) == 1
    assert sum("/keys" in request for request in fake_provider.requests) == 1


def test_a_wrong_secret(sign_in, fake_provider):
    fake_provider.secret = "another"
    assert refuse(sign_in) == "client"


def test_a_provider_that_reads_the_header_in_its_own_way_gets_the_secret_in_the_form(sign_in, fake_provider):
    fake_provider.document["token_endpoint_auth_methods_supported"] = ["client_secret_basic", "client_secret_post"]
    fake_provider.decode = str
    assert sign_in()["sub"] == "4711"
    assert fake_provider.requests.count(f"POST {ISSUER}/token") == 2


def test_a_provider_that_takes_the_form_alone(sign_in, fake_provider):
    fake_provider.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert sign_in()["sub"] == "4711"
    assert fake_provider.requests.count(f"POST {ISSUER}/token") == 1


def test_a_client_without_a_secret(sign_in, fake_provider, provider_row):
    provider_row.client_secret = fake_provider.secret = ""
    provider_row.save()
    assert sign_in()["sub"] == "4711"


def test_a_code_that_was_used(sign_in, fake_provider):
    fake_provider.token_error = "invalid_grant"
    assert refuse(sign_in) == "grant"


def test_another_verifier(sign_in):
    assert refuse(sign_in, verifier="w" * 64) == "grant"


@pytest.mark.parametrize(("error", "reason"), [("access_denied", "denied"), ("server_error", "provider")])
def test_the_provider_refuses(sign_in, error, reason):
    assert refuse(sign_in, error=error) == reason


def test_an_error_cannot_write_into_the_sentence(sign_in):
    with pytest.raises(IdentityError, match="refused the sign-in: bscriptb"):
        sign_in(error="<b>script</b>")


def test_an_answer_of_another_issuer(sign_in):
    assert refuse(sign_in, iss="https://evil.example.com") == "issuer"


def test_an_issuer_that_names_itself_must_do_so(sign_in, fake_provider):
    fake_provider.document["authorization_response_iss_parameter_supported"] = True
    assert refuse(sign_in) == "issuer"
    assert sign_in(iss=ISSUER)["sub"] == "4711"


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": ISSUER + "/"},
        {"issuer": "https://evil.example.com"},
        {"issuer": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"token_endpoint": "https://user@id.example.com/token"},
        {"jwks_uri": ""},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "file:///etc/passwd"},
    ],
    ids=lambda change: "-".join(f"{name}={value}" for name, value in change.items()),
)
def test_a_document_that_is_refused(sign_in, fake_provider, change):
    fake_provider.document |= change
    assert refuse(sign_in) in ("issuer", "bad_answer")


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"iss": "https://evil.example.com"}, "token"),
        ({"aud": "another"}, "token"),
        ({"aud": ["windlass", "another"]}, "token"),
        ({"azp": "another"}, "token"),
        ({"exp": 1}, "token"),
        ({"exp": None}, "token"),
        ({"iat": None}, "token"),
        ({"iat": 9_999_999_999}, "token"),
        ({"sub": None}, "token"),
        ({"sub": ""}, "token"),
        ({"sub": "x" * 192}, "token"),
        ({"sub": "\ud800"}, "token"),
        ({"sub": "ä"}, "token"),
        ({"sub": ["4711"]}, "token"),
    ],
    ids=str,
)
def test_a_token_that_is_refused(sign_in, fake_provider, own, reason):
    fake_provider.own = own
    assert refuse(sign_in) == reason


def test_a_token_for_several_whose_party_is_the_console(sign_in, fake_provider):
    fake_provider.own = {"aud": ["windlass", "another"], "azp": "windlass"}
    assert sign_in()["sub"] == "4711"


def test_a_token_that_another_key_signed(sign_in, fake_provider):
    fake_provider.signing_key = OTHER_KEY
    assert refuse(sign_in) == "token"


def test_a_token_without_a_signature(sign_in, fake_provider):
    fake_provider.signing_key, fake_provider.algorithm = None, "none"
    assert refuse(sign_in) == "token"


def test_a_token_that_is_signed_with_the_public_key_as_a_secret(sign_in, fake_provider):
    fake_provider.signing_key, fake_provider.algorithm = fake_provider.keys[0]["n"] * 2, "HS256"
    with pytest.raises(IdentityError, match="signing key"):
        sign_in()


def test_an_unknown_key_is_asked_for_anew_once_a_minute(sign_in, fake_provider, monkeypatch):
    sign_in()
    fake_provider.signing_key, fake_provider.header = OTHER_KEY, {"kid": "two"}
    fake_provider.keys.append(write_jwk(OTHER_KEY, "two"))
    assert refuse(sign_in) == "token"  # the keys were read a moment ago
    moved = time.monotonic() + 61
    monkeypatch.setattr("console.identity.id_tokens.time.monotonic", lambda: moved)
    assert sign_in()["sub"] == "4711"


def test_two_people_in_one_answer(sign_in, fake_provider):
    fake_provider.userinfo = {"sub": "0815", "groups": ["administrators"]}
    assert refuse(sign_in) == "token"


@pytest.mark.parametrize("code", ["unreachable", "timeout", "tls", "busy"])
def test_a_provider_that_is_away_says_so_and_is_not_asked_again_at_once(sign_in, fake_provider, code):
    fake_provider.failure = RegistryError("why", code)
    with pytest.raises(IdentityError) as caught:
        sign_in()
    assert caught.value.is_away
    assert "sign in with a password" in caught.value.sentence
    refuse(sign_in)
    assert len(fake_provider.requests) == 1


def test_answers_that_are_no_json_objects(sign_in, fake_provider):
    fake_provider.document = ["a", "list"]
    assert refuse(sign_in) == "bad_answer"


def test_halves_of_characters_are_replaced(sign_in, fake_provider):
    fake_provider.person |= {"preferred_username": "gr\ud800ace", "groups": ["\udfff"]}
    claims = sign_in()
    assert (claims["preferred_username"], claims["groups"]) == ("gr?ace", ["?"])


def test_mutated_tokens_are_refused_one_and_all(sign_in, fake_provider, provider_row):
    """Each bit of the signature's and the payload's first and last characters, and cuts at many places."""
    sign_in()
    provider, now = find_provider(str(provider_row.pk)), time.monotonic() + 100
    token = fake_provider.write_token(NONCE)
    verify_id_token(provider, f"{ISSUER}/keys", token, NONCE, now)
    changed = {
        token[:place] + chr(ord(token[place]) ^ 1 << bit) + token[place + 1 :]
        for place in range(0, len(token) - 1, 7)
        for bit in range(7)
    }
    changed |= {token[:place] for place in range(0, len(token), 5)} | {
        f"{token}.{token}",
        "..",
        "a.b.c",
        "é",
        "\0",
        token * 200,
    }
    for each in sorted(changed):
        with pytest.raises(IdentityError):
            verify_id_token(provider, f"{ISSUER}/keys", each, NONCE, now)


def test_keys_that_cannot_be_read_are_left_out(sign_in, fake_provider):
    fake_provider.keys[:0] = [{"kty": "RSA", "kid": "broken", "n": "!"}, {"kty": "oct", "k": "x"}, "text", {"kty": "EC"}]
    assert sign_in()["sub"] == "4711"


def test_a_token_without_a_key_id_where_there_is_one_key(sign_in, fake_provider):
    fake_provider.header = {}
    assert jwt.get_unverified_header(fake_provider.write_token("n")).get("kid") is None
    assert sign_in()["sub"] == "4711"
