"""The senders that a registry's page explains, and their order."""

from clusters.models import Registry
from console.pages.registries.sender_guides import GUIDES, MASK, list_setups


def test_the_registrys_own_kind_comes_first_and_then_what_suits_any():
    found = list_setups(Registry(kind="quay", host="quay.io"), "https://windlass.example.com")
    assert [one.guide.key for one in found[:4]] == ["quay", "curl", "diun", "wud"]
    assert [one.is_open for one in found] == [True] + [False] * (len(GUIDES) - 1)
    assert all(MASK in one.text and not one.revealed for one in found)


def test_every_kind_has_a_sender():
    assert {*Registry.Kind.values} - {"other"} <= {guide.key for guide in GUIDES}
