from datetime import UTC, datetime, time

from triggers.timing.rules import REDEPLOY, SCALING, FreezeRule, find_freeze, find_hold
from triggers.timing.spans import SingleTime, WeeklyTimes


def at(day, hour=0):
    return datetime(2026, 12, day, hour, tzinfo=UTC)


def rule(name, first, last, **more):
    return FreezeRule(name, SingleTime(at(first), at(last)), **more)


def test_nothing_is_frozen_outside_of_windows():
    assert find_freeze([], REDEPLOY, at(1)) is None
    assert find_freeze([rule("later", 3, 4)], REDEPLOY, at(2)) is None
    assert find_hold([rule("over", 1, 2)], REDEPLOY, at(2)) is None


def test_scalings_are_frozen_only_where_the_window_says_so():
    rules = [rule("plain", 1, 5), rule("all", 1, 3, includes_scaling=True)]
    assert find_freeze(rules, SCALING, at(2)).names == ("all",)
    assert find_freeze(rules, SCALING, at(4)) is None
    assert find_freeze(rules, REDEPLOY, at(4)).names == ("plain",)
    for act in ("stop", "start", "restart", "delete"):
        assert find_freeze(rules, act, at(2)) is None


def test_a_wait_is_until_no_window_holds_any_longer():
    freeze = find_freeze([rule("one", 1, 3, reason="Nobody is here."), rule("two", 2, 6)], REDEPLOY, at(1, 12))
    assert (freeze.names, freeze.ends_at, freeze.refuses) == (("one",), at(6), False)
    assert freeze.describe_wait() == "Waits until Sun 2026-12-06 00:00 (UTC). Frozen by one: Nobody is here."
    assert freeze.describe() == "Redeploys wait until Sun 2026-12-06 00:00 (UTC)."


def test_where_a_window_refuses_it_alone_counts_until_its_end():
    rules = [rule("waits", 1, 6), rule("refuses", 2, 4, refuses=True)]
    freeze = find_freeze(rules, REDEPLOY, at(3))
    assert (freeze.names, freeze.ends_at, freeze.refuses) == (("refuses",), at(4), True)
    assert freeze.describe_refusal("shop") == (
        "Redeploys of shop are refused until Fri 2026-12-04 00:00 (UTC). Frozen by refuses."
    )
    assert not find_freeze(rules, REDEPLOY, at(5)).refuses


def test_what_waits_already_is_held_back_by_both_kinds():
    freeze = find_hold([rule("waits", 1, 3), rule("refuses", 2, 7, refuses=True)], REDEPLOY, at(1))
    assert freeze.ends_at == at(7)


def test_a_freeze_without_an_end_says_what_ends_it():
    always = FreezeRule("always", WeeklyTimes(tuple(range(7)), time(0), time(0), "UTC"))
    freeze = find_freeze([always], REDEPLOY, at(1))
    assert freeze.ends_at is None
    assert freeze.describe_wait() == "Waits until the window is changed or deleted. Frozen by always."
