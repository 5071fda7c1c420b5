"""The arithmetic of the benchmarks' table."""

import pytest

from bench.table import compare, format_figure, format_table, hold_against


def test_ratio_is_the_median_of_the_rounds_own_ratios():
    row = compare("scale", [1.0, 20.0, 3.0], [1.0, 10.0, 1.0], "s", "the API", at_most=1.15)
    assert (row.value, row.peer_value, row.ratio) == (3.0, 1.0, 2.0)


def test_rounds_without_a_partner_are_no_comparison():
    with pytest.raises(ValueError, match="shorter"):
        compare("scale", [1.0, 2.0], [1.0], "s", "the API")


@pytest.mark.parametrize(
    ("ours", "goal", "text", "is_met"),
    [
        (1.15, {"at_most": 1.15}, "<= 1.15", True),
        (1.16, {"at_most": 1.15}, "<= 1.15", False),
        (0.6, {"at_least": 0.6}, ">= 0.6", True),
        (0.59, {"at_least": 0.6}, ">= 0.6", False),
        (99.0, {}, "", True),
    ],
)
def test_goal_is_one_of_the_ratio(ours, goal, text, is_met):
    row = compare("", [ours], [1.0], "s", "a peer", **goal)
    assert (row.goal, row.is_met) == (text, is_met)


def test_goal_without_a_peer_is_one_of_the_figure():
    row = hold_against("lost", [0, 3, 1], "requests", at_most=0)
    assert (row.value, row.peer_value, row.ratio, row.goal, row.is_met) == (1, None, None, "<= 0 requests", False)


def test_only_a_missed_goal_has_a_mark():
    rows = [compare("quick", [1.0], [2.0], "s", "slow", at_most=1), compare("slow", [3.0], [2.0], "s", "quick", at_most=1)]
    _, quick, slow = format_table(rows).splitlines()
    assert quick.split() == ["quick", "1", "s", "slow", "2", "s", "0.50", "<=", "1"]
    assert slow.split() == ["slow", "3", "s", "quick", "2", "s", "1.50", "<=", "1", "<-", "missed"]


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.456, "0.46"), (3.0, "3"), (12.34, "12.3"), (1234.5, "1,234")])
def test_figures_are_short(value, text):
    assert format_figure(value) == text
