"""Lists of addresses and networks: one form for each, and no caller who is not on them, however the address is written.

WINDLASS_MUTATIONS sets how many damaged addresses are tried.
"""

import os
import random
from ipaddress import ip_address, ip_network

import pytest
from django.test import RequestFactory

from clusters.callers import client_address
from triggers.allowed_addresses import ADDRESSES_MAXIMUM, BadAddress, is_allowed, normalize_addresses

NUMBER = int(os.environ.get("WINDLASS_MUTATIONS", "400"))
PIECES = ["", ".", ":", "::", "0", "1", "9", "255", "256", "f", "ffff:", "%eth0", "/24", "[", "]", ",", " ", "\t", "-", "x"]
PIECES += ["é", '"', ":80", "0x7f", "::ffff:", "00", "\x00", "192.0.2.7"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("192.0.2.7, 192.0.2.8;192.0.2.7\n\n192.0.2.9", "192.0.2.7\n192.0.2.8\n192.0.2.9"),
    ],
)
def test_a_list_has_one_form(text, kept):
    assert normalize_addresses(text) == kept
    assert normalize_addresses(kept) == kept


@pytest.mark.parametrize(
    "text",
    ["nowhere", "192.0.2.256", "192.0.2", "010.0.0.1", "192.0.2.7/33", "192.0.2.7:80", "fe80::1%eth0", "::/129", "\0", "é"],
)
def test_what_is_no_address_is_named(text):
    with pytest.raises(BadAddress, match="is neither an address nor a network"):
        normalize_addresses(f"192.0.2.7 {text}")


def test_a_list_is_bounded():
    many = "\n".join(f"192.0.2.{number}" for number in range(ADDRESSES_MAXIMUM))
    assert normalize_addresses(many) == many
    with pytest.raises(BadAddress, match="these are 51"):
        normalize_addresses(f"{many}\n198.51.100.1")
    with pytest.raises(BadAddress, match="At most 4000 characters"):
        normalize_addresses("1" * 4001)


@pytest.mark.parametrize(
    ("kept", "address", "allowed"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::", False),
        ("0.0.0.0/0", "192.0.2.7", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "192.0.2.7", False),
        ("192.0.2.7", None, False),
    ],
)
def test_a_caller_is_on_the_list_or_not(kept, address, allowed):
    assert is_allowed(kept, address) is allowed


def test_damaged_addresses_allow_nobody_else():
    """Whatever a caller's address looks like, it is on the list only if a plain reading of it is."""
    kept, chance, requests = "192.0.2.0/28\n2001:db8::/64", random.Random(23), RequestFactory()
    networks, found = [ip_network(one) for one in kept.split()], set()
    for _ in range(NUMBER):
        text = chance.choice(["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "198.51.100.7"])
        for _ in range(chance.choice([0, 1, 1, 2, 4])):
            place = chance.randrange(len(text) + 1)
            text = text[:place] + chance.choice(PIECES) + text[place + chance.choice([0, 1, 2]) :]
        address = client_address(requests.get("/", REMOTE_ADDR=text))
        assert client_address(requests.get("/", REMOTE_ADDR=text, headers={"X-Forwarded-For": "192.0.2.7"})) == address
        allowed = is_allowed(kept, address)
        found.add(allowed)
        assert not allowed or any(ip_address(address or "") in network for network in networks), text
        try:
            listed = normalize_addresses(text)
        except BadAddress:
            continue
        assert normalize_addresses(listed) == listed, text
    assert found == {True, False}
