"""Which keys of an issuer can sign tokens, and what is read of a token."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from triggers.identity.tests.issuing import describe_key, make_token
from triggers.identity.tokens import (
    KEYS_MAXIMUM,
    BadIdentity,
    check_times,
    identify_token,
    names_audience,
    read_key_set,
    read_unverified,
    verify_token,
)

RSA = describe_key("rsa-1")
WEAK = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True) | {"kid": "weak"}


def test_keys_that_can_sign():
    listed = [RSA, describe_key("ec-1", "ES256"), describe_key("ed-1", "EdDSA"), {**RSA, "kid": "plain", "alg": "RS256"}]
    found = read_key_set({"keys": listed})
    assert [key.algorithm for key in found.values()] == ["RS256", "ES256", "EdDSA", "RS256"]


@pytest.mark.parametrize(
    "described",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {**RSA, "kty": "oct"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "RS512"},
        {**RSA, "alg": None},
        {**RSA, "use": "enc"},
        {**RSA, "kid": None},
        {**RSA, "kid": 7},
        {**RSA, "n": ""},
        {**RSA, "n": 5},
        {**RSA, "e": "AA"},
        {**RSA, "kty": ["RSA"]},
        {name: value for name, value in RSA.items() if name != "n"},
        {**describe_key("ec-1", "ES256"), "crv": "P-521"},
        {**describe_key("ec-1", "ES256"), "x": "AAAA"},
        {**describe_key("ec-1", "ES256"), "crv": ["P-256"]},
        WEAK,
        None,
        "key",
        [],
    ],
    ids=[f"key {number}" for number in range(20)],
)
def test_keys_that_cannot_sign(described):
    assert read_key_set({"keys": [described]}) == {}


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, {"keys": "x"}], ids=str)
def test_what_is_no_key_set(document):
    assert read_key_set(document) == {}


def test_a_private_part_of_a_published_key_is_not_taken():
    found = read_key_set({"keys": [{**RSA, "d": "AQAB", "p": "AQAB"}]})
    assert not hasattr(found["rsa-1"].key.key, "private_numbers")


def test_only_so_many_keys_are_read():
    assert len(read_key_set({"keys": [{**RSA, "kid": str(number)} for number in range(KEYS_MAXIMUM + 5)]})) == KEYS_MAXIMUM


def test_a_token_is_verified_by_its_key_alone():
    keys = read_key_set({"keys": [RSA, {**describe_key("rsa-2", number=2)}]})
    token = read_unverified(make_token())
    assert (token.issuer, token.key_id, token.algorithm)[1:] == ("rsa-1", "RS256")
    claims = verify_token(token, keys["rsa-1"])
    assert identify_token(token, claims) == f"identity {claims['jti']}"
    with pytest.raises(BadIdentity):
        verify_token(token, keys["rsa-2"])


def test_times():
    now = time.time()
    check_times({"exp": now - 59, "nbf": now + 59, "iat": now + 59}, now)
    check_times({"exp": now}, now)
    for claims in ({"exp": now - 60}, {"exp": now, "nbf": now + 61}, {"exp": now, "iat": now + 61}, {"exp": -1}):
        with pytest.raises(BadIdentity):
            check_times(claims, now)


@pytest.mark.parametrize(
    ("named", "expected"), [("a", True), (["b", "a"], True), ("ab", False), ([], False), (None, False), ({"a": 1}, False)]
)
def test_an_audience(named, expected):
    assert names_audience({"aud": named}, "a") is expected
    assert not names_audience({"aud": ["", "a"]}, "")
