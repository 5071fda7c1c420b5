import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.registry.challenge import Challenge, choose_challenge, grants_push, parse_challenges, parse_token


def make_token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def grant(name="team/app", actions=("pull", "push"), kind="repository") -> dict:
    return {"type": kind, "name": name, "actions": list(actions)}


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        (
            'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"',
            "bearer",
            {"realm": "https://auth.example/token", "service": "registry", "scope": "repository:a/b:pull,push"},
        ),
        ('bearer  REALM = "https://a/t" , service=plain', "bearer", {"realm": "https://a/t", "service": "plain"}),
        ('Basic realm="x", Bearer realm="https://a/t"', "bearer", {"realm": "https://a/t"}),
        (
            r'Bearer realm="https://a/t",service="a \"quoted\" one"',
            "bearer",
            {"realm": "https://a/t", "service": 'a "quoted" one'},
        ),
        ('Basic realm="Registry, \\"ours\\""', "basic", {"realm": 'Registry, "ours"'}),
        ('Bearer service="no realm", Basic realm="x"', "basic", {"realm": "x"}),
        ("Basic", "basic", {}),
    ],
)
def test_challenge_that_can_be_answered_is_found(header, scheme, parameters):
    assert choose_challenge(header) == Challenge(scheme, parameters)


@pytest.mark.parametrize("header", ["", "Negotiate", ",,,=", 'realm="x"', 'Bearer realm=""', 'Digest realm="x", nonce="y"'])
def test_challenge_of_another_kind_is_left(header):
    assert choose_challenge(header) is None


@given(st.text(alphabet='abBearer Basic="\\,; realm\t', max_size=200))
def test_any_header_is_parsed(header):
    assert all(each.scheme == each.scheme.lower() for each in parse_challenges(header))


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b'{"token": "abc"}', "abc"),
        (b'{"access_token": "abc"}', "abc"),
        (b'{"token": "", "access_token": "abc"}', "abc"),
        (b'{"token": ["abc"]}', ""),
        (b'{"token": "a\\r\\nX-Evil: 1"}', ""),
        (b'["token"]', ""),
        (b"<html>", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_token_is_read(body, token):
    assert parse_token(body) == token


@pytest.mark.parametrize(
    ("token", "granted"),
    [
        (make_token({"access": [grant()]}), True),
        (make_token({"access": [grant(actions=["*"])]}), True),
        (make_token({"access": [grant("other/app"), grant()]}), True),
        (make_token({"access": [grant(actions=["pull"])]}), False),
        (make_token({"access": [grant("other/app")]}), False),
        (make_token({"access": [grant(kind="registry")]}), False),
        (make_token({"access": []}), False),
        (make_token({"access": ["push", None, {"type": "repository", "name": "team/app", "actions": "push"}]}), False),
        (make_token({"access": None}), None),
        (make_token({"scope": "push"}), None),
        (make_token([1]), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.%%%é.c", None),
    ],
)
def test_push_is_read_from_a_token(token, granted):
    assert grants_push(token, "team/app") is granted
