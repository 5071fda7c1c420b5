"""The choice of parts: `python -m bench --only WORD --only WORD`."""

import pytest

from bench.__main__ import PARTS, choose_parts, read_options


def test_without_a_word_all_parts_run():
    assert choose_parts([]) == list(PARTS)


def test_only_can_be_given_several_times(monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench", "--only", "storm", "--only", "hook"])
    assert choose_parts(read_options().only) == ["hook", "storm"]


def test_a_word_chooses_every_part_whose_name_contains_it_once():
    assert choose_parts(["s", "storm"]) == ["scale", "swarm", "storm"]


def test_a_word_that_no_part_has_is_refused_with_the_names_of_all():
    with pytest.raises(SystemExit, match=r"'hok'.*hook, scale"):
        choose_parts(["storm", "hok"])
