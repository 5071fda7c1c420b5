import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.models import Trigger, TriggerCall
from triggers.run.scaling import apply_step, apply_steps, describe_step


def call(step=None, replicas=None, minimum=None, maximum=None, trigger=True):
    return TriggerCall(
        step=step, replicas=replicas, trigger=Trigger(min_replicas=minimum, max_replicas=maximum) if trigger else None
    )


@pytest.mark.parametrize(
    ("base", "member", "count"),
    [
        (3, call(5), 8),
        (3, call(-1), 2),
        (3, call(-5), 1),  # the last container stays
        (3, call(5, maximum=6), 6),
        (6, call(5, maximum=6), 6),
        (9, call(5, maximum=6), 9),  # scaling out never takes away
        (9, call(-1, maximum=6), 8),
        (3, call(-2, minimum=2), 2),
        (1, call(-1, minimum=2), 1),  # scaling in never adds
        (1, call(1, minimum=4), 2),
        (0, call(-1), 0),
        (3, call(replicas=7, trigger=False), 7),
        (3, call(replicas=0, trigger=False), 1),
        (3, call(replicas=3), 3),
    ],
)
def test_steps_stay_within_bounds_and_never_change_direction(base, member, count):
    assert apply_step(member, base, minimum=1).count == count


def test_merged_calls_apply_in_order_each_within_its_own_bounds():
    steps = apply_steps([call(2, maximum=4), call(5), call(-3)], base=3, minimum=1)
    assert [(step.base, step.count) for step in steps] == [(3, 4), (4, 9), (9, 6)]


@given(st.lists(st.integers(1, 100).flatmap(lambda n: st.sampled_from([n, -n])), min_size=1), st.integers(1, 50))
def test_without_bounds_nothing_is_lost_above_the_minimum(numbers, base):
    steps = apply_steps([call(number) for number in numbers], base, minimum=1)
    expected = base
    for number in numbers:
        expected = max(expected + number, 1)
    assert steps[-1].count == expected


@pytest.mark.parametrize(
    ("base", "member", "sentence"),
    [
        (3, call(5), "Scaling out from 3 to 8."),
        (3, call(5, maximum=6), "Scaling out by 5 from 3 to 8 is limited to 6."),
        (2, call(-5), "Scaling in by 5 from 2 to 0 is limited to 1."),
        (2, call(replicas=4), "Scaling from 2 to 4."),
    ],
)
def test_a_step_says_where_it_leads(base, member, sentence):
    assert describe_step(apply_step(member, base, minimum=1)) == sentence
