"""Conditions as people write them, and back."""

import pytest
from django.core.exceptions import ValidationError

from triggers.identity.presets import Preset
from triggers.proof_forms import name_conditions, read_conditions, split_conditions, write_conditions


def test_lines_are_conditions():
    text = " environment = production \n\nsub ~ repo:a/.*:x=y\nx=~"
    found = read_conditions(text)
    assert found == {"environment": {"exact": "production"}, "sub": {"pattern": "repo:a/.*:x=y"}, "x": {"exact": "~"}}
    assert read_conditions(write_conditions(found)) == found


@pytest.mark.parametrize("text", ["a", "= b", "a =", "a = b\na = b", "a b = c"])
def test_other_lines_are_refused(text):
    with pytest.raises(ValidationError):
        read_conditions(text)


@pytest.mark.parametrize("preset", Preset.values)
@pytest.mark.parametrize("how", ["exact", "pattern"])
def test_what_was_written_is_shown_again(preset, how):
    ref = "refs/heads/main" if preset in ("github", "forgejo") else "main"
    conditions = name_conditions(preset, (how, "team/app"), (how, ref))
    shown = split_conditions(conditions | {"environment": {"exact": "live"}}, preset)
    expected = {"repository_how": how, "repository": "team/app", "ref_how": how, "ref": ref, "more": "environment = live"}
    assert shown == expected


def test_conditions_of_another_host_stay_further_ones():
    assert split_conditions({"sub": {"exact": "a"}, "ref_type": {"exact": "x"}}, "gitlab") == {"more": "sub = a\nref_type = x"}
