import pytest

from console.identity.claims import has_reference, keep_claims, propose_user_name, read_groups, show_claims


@pytest.mark.parametrize(
    ("claims", "name", "groups"),
    [
        ({"groups": ["a", "A", "b c"]}, "groups", ["a", "A", "b c"]),
        ({"groups": "one"}, "groups", ["one"]),
        ({"groups": ["a", 7, None, "", {"x": 1}]}, "groups", ["a"]),
        ({"groups": {"a": 1}}, "groups", []),
        ({}, "groups", []),
        ({"realm_access": {"roles": ["ops"]}}, "realm_access.roles", ["ops"]),
        ({"realm_access": ["roles"]}, "realm_access.roles", []),
        ({"https://example.com/groups": ["ops"]}, "https://example.com/groups", ["ops"]),
    ],
)
def test_groups_are_read_as_they_are_written(claims, name, groups):
    assert read_groups(claims, name) == groups


def test_groups_are_bounded():
    assert len(read_groups({"groups": ["x"] * 5000}, "groups")) == 1000


def test_a_reference_in_place_of_groups_is_noticed():
    assert has_reference({"_claim_names": {"groups": "src1"}}, "groups")
    assert not has_reference({"_claim_names": "groups"}, "groups")


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "grace"}, "grace"),
        ({"preferred_username": "grace@example.com"}, "grace@example.com"),
        ({"email": "grace.hopper@example.com"}, "grace.hopper"),
        ({"name": "Grace Hopper"}, "Grace-Hopper"),
        ({"preferred_username": "Gräce Höpper"}, "Grace-Hopper"),
        ({"preferred_username": "аdmin"}, "dmin"),  # a Cyrillic letter must not make a look-alike
        ({"preferred_username": "../../etc\0"}, "etc"),
        ({"preferred_username": "日本"}, "user"),
        ({"preferred_username": ["grace"]}, "grace"),
        ({}, "user"),
    ],
)
def test_a_user_name_is_plain(claims, name):
    assert propose_user_name(claims) == name


def test_few_claims_are_kept():
    claims = {"sub": "1", "name": "Grace", "email": "g@example.com", "groups": ["a"], "preferred_username": 7, "picture": "x"}
    assert keep_claims(claims) == {"name": "Grace", "email": "g@example.com"}


def test_what_binds_tokens_is_not_shown():
    shown = dict(
        show_claims({"nonce": "n", "at_hash": "h", "sid": "s", "jti": "j", "sub": "1", "groups": ["a"], "z": "x" * 999})
    )
    assert shown.keys() == {"sub", "groups", "z"}
    assert shown["groups"] == '["a"]'
    assert len(shown["z"]) == 300
