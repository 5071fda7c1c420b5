"""An issuer is asked by one thread, seldom, and never for longer than callers may wait."""

import threading

import pytest

from clusters.waits import NoPlace
from triggers.identity import key_sets as module
from triggers.identity.issuers import IssuerFailed
from triggers.identity.key_sets import (
    ISSUERS_MAXIMUM,
    KEPT_SECONDS,
    RETRY_SECONDS,
    UNKNOWN_KEY_SECONDS,
    IssuerUnavailable,
    KeySets,
)
from triggers.identity.tokens import BadIdentity

ISSUER = "https://issuer.example.com"


class Issuer:
    """A clock, and an issuer that publishes `keys` or fails."""

    def __init__(self):
        self.now, self.keys, self.asked, self.fails = 1000.0, {"a": "key a"}, 0, False
        self.sets = KeySets(self.fetch, lambda: self.now)

    def fetch(self, issuer):
        self.asked += 1
        if self.fails:
            raise IssuerFailed("It cannot be reached.")
        return dict(self.keys)

    def find(self, key_id="a"):
        return self.sets.find_key(ISSUER, key_id)


@pytest.fixture
def issuer():
    return Issuer()


def test_keys_are_kept_for_ten_minutes(issuer):
    assert issuer.find() == "key a"
    issuer.now += KEPT_SECONDS - 1
    assert (issuer.find(), issuer.asked) == ("key a", 1)
    issuer.now += 2
    assert (issuer.find(), issuer.asked) == ("key a", 2)


def test_an_unknown_key_asks_again_once_a_minute(issuer):
    issuer.find()
    issuer.keys["b"] = "key b"
    for _ in range(3):
        with pytest.raises(BadIdentity):
            issuer.find("b")
    assert issuer.asked == 1
    issuer.now += UNKNOWN_KEY_SECONDS
    assert (issuer.find("b"), issuer.asked) == ("key b", 2)
    issuer.now += UNKNOWN_KEY_SECONDS
    with pytest.raises(BadIdentity):
        issuer.find("c")
    with pytest.raises(BadIdentity):
        issuer.find("d")
    assert issuer.asked == 3


def test_a_withdrawn_key_is_not_known_after_the_next_look(issuer):
    issuer.find()
    issuer.keys = {"b": "key b"}
    issuer.now += KEPT_SECONDS
    with pytest.raises(BadIdentity):
        issuer.find("a")


def test_known_keys_count_while_the_issuer_is_away_and_not_for_longer(issuer):
    issuer.find()
    issuer.fails = True
    issuer.now += UNKNOWN_KEY_SECONDS
    with pytest.raises(IssuerUnavailable):
        issuer.find("b")
    issuer.now += KEPT_SECONDS - UNKNOWN_KEY_SECONDS - 1
    assert issuer.find() == "key a"
    issuer.now += 1
    with pytest.raises(IssuerUnavailable):
        issuer.find()


def test_after_a_failure_the_issuer_is_left_alone_for_a_while(issuer):
    issuer.fails = True
    for _ in range(3):
        with pytest.raises(IssuerUnavailable) as refusal:
            issuer.find()
    assert (issuer.asked, refusal.value.retry_after, refusal.value.noted) == (1, 10, "It cannot be reached.")
    issuer.now += RETRY_SECONDS
    issuer.fails = False
    assert (issuer.find(), issuer.asked) == ("key a", 2)


def test_many_callers_ask_once(issuer):
    began, may_go, found = threading.Event(), threading.Event(), []

    def fetch(_):
        issuer.asked += 1
        began.set()
        assert may_go.wait(10)
        return issuer.keys

    sets = KeySets(fetch)
    threads = [threading.Thread(target=lambda: found.append(sets.find_key(ISSUER, "a"))) for _ in range(8)]
    threads[0].start()
    assert began.wait(10)
    for thread in threads[1:]:
        thread.start()
    may_go.set()
    for thread in threads:
        thread.join(10)
    assert (found, issuer.asked) == (["key a"] * 8, 1)


def test_callers_beyond_the_places_are_refused_at_once(issuer, monkeypatch):
    def refuse(name):
        assert name == f"issuer {ISSUER}"
        raise NoPlace(16, is_same=True)

    monkeypatch.setattr(module.places, "take", refuse)
    with pytest.raises(IssuerUnavailable):
        issuer.find()
    assert issuer.asked == 0
    monkeypatch.undo()
    issuer.now += RETRY_SECONDS
    assert issuer.find() == "key a"


def test_an_error_of_ours_leaves_no_one_waiting(issuer):
    def fail(_):
        raise RuntimeError("ours")

    sets = KeySets(fail, lambda: issuer.now)
    with pytest.raises(RuntimeError):
        sets.find_key(ISSUER, "a")
    with pytest.raises(IssuerUnavailable):
        sets.find_key(ISSUER, "a")


def test_few_issuers_are_remembered(issuer):
    for number in range(ISSUERS_MAXIMUM + 20):
        issuer.now += 1
        issuer.sets.find_key(f"{ISSUER}/{number}", "a")
    assert len(issuer.sets._issuers) == ISSUERS_MAXIMUM
    issuer.sets.forget()
    assert not issuer.sets._issuers
