import pytest
from django.test import override_settings

from console.server.turns import KnownLinks, Lane, Turns

ATTACKER, OTHER, LINK = Lane("192.0.2.66"), Lane("192.0.2.1"), Lane(1, is_known=True)


def take_all(waiting):
    taken = []
    while waiting:
        taken.append(waiting.take())
    return taken


def make_turns(*works):
    waiting = Turns()
    for lane, work in works:
        waiting.add(work, lane)
    return waiting


def test_each_lane_has_its_turn():
    waiting = make_turns(*((ATTACKER, f"flood {number}") for number in range(3)), (OTHER, "first"), (OTHER, "second"))
    assert take_all(waiting) == ["flood 0", "first", "flood 1", "second", "flood 2"]


def test_known_links_have_every_other_turn():
    crowd = [(Lane(f"192.0.2.{number}"), number) for number in range(4)]
    waiting = make_turns(*crowd, (LINK, "a"), (Lane(2, is_known=True), "b"))
    taken = take_all(waiting)
    assert (set(taken[:4]), taken[4:]) == ({0, "a", 1, "b"}, [2, 3])


def environ(path="/hook/trigger", query="triggerUrl=a&secret=s", address="192.0.2.1", **more):
    return {"PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": address, **more}


@pytest.mark.parametrize(
    ("call", "again", "stranger"),
    [
        (environ(), environ(query="secret=s&wait=9", address="192.0.2.2"), environ(query="triggerUrl=a&secret=x")),
        (environ(), environ(path="/hook/calls/1"), environ(path="/login/")),
        (environ("/hook/calls/1", "token=t"), environ("/hook/calls/1", "wait=9&token=t"), environ("/hook/calls/1", "token=x")),
        (environ("/hook/registry/t", ""), environ("/hook/registry/t/", ""), environ("/hook/registry/x", "secret=t")),
        (environ(query="", HTTP_X_TRIGGER_SECRET="s"), environ(query="", HTTP_X_TRIGGER_SECRET="s"), environ(query="a=s")),
    ],
)
def test_a_link_that_was_answered_well_has_a_lane_of_its_own(call, again, stranger):
    links = KnownLinks()
    assert not links.choose_lane(call).is_known
    links.learn(call)
    assert links.choose_lane(again) == links.choose_lane(call)
    assert links.choose_lane(again).is_known
    assert links.choose_lane(stranger) == Lane("192.0.2.1")


def test_what_is_no_link_is_not_remembered():
    links = KnownLinks()
    links.learn(environ(path="/login/"))
    links.learn(environ(query="a=b"))
    assert not links.choose_lane(environ(path="/login/")).is_known
    assert not links.choose_lane(environ(query="a=b")).is_known


def test_links_that_were_not_called_for_long_are_forgotten():
    links = KnownLinks(limit=2)
    first, second, third = (environ(query=f"secret={number}") for number in range(3))
    for call in (first, second, first, third):
        links.learn(call)
    assert [links.choose_lane(call).is_known for call in (first, second, third)] == [True, False, True]


@override_settings(TRUSTED_PROXIES=["192.0.2.1"])
def test_others_are_in_the_lane_of_the_address_that_a_proxy_names():
    assert KnownLinks().choose_lane(environ(path="/", HTTP_X_FORWARDED_FOR="198.51.100.7")) == Lane("198.51.100.7")
