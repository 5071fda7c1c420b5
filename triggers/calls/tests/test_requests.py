import pytest

from triggers.calls.requests import InvalidParameter, parse_commit, parse_step, parse_tag, parse_wait


@pytest.mark.parametrize(
    ("type_value", "step_value", "step"),
    [("scale_out", "5", 5), ("scale_in", "1", -1), ("scale_out", 100, 100), ("scale_in", "007", -7)],
)
def test_documented_values_make_a_signed_step(type_value, step_value, step):
    assert parse_step(type_value, step_value) == step


@pytest.mark.parametrize(
    ("type_value", "step_value", "parameter"),
    [
        (None, "5", "type"),
        ("", "5", "type"),
        ("scale_up", "5", "type"),
        ("SCALE_OUT", "5", "type"),
        (["scale_out"], "5", "type"),
        ({"a": 1}, "5", "type"),
        ("scale_out", None, "step"),
        ("scale_out", "", "step"),
        ("scale_out", "0", "step"),
        ("scale_out", "101", "step"),
        ("scale_out", "-5", "step"),
        ("scale_out", "+5", "step"),
        ("scale_out", "5.0", "step"),
        ("scale_out", 5.0, "step"),
        ("scale_out", True, "step"),
        ("scale_out", " 5", "step"),
        ("scale_out", "٥", "step"),
        ("scale_out", "five", "step"),
        ("scale_out", "9" * 5000, "step"),
        ("scale_out", [5], "step"),
    ],
)
def test_a_wrong_value_names_its_parameter_and_what_it_accepts(type_value, step_value, parameter):
    with pytest.raises(InvalidParameter) as refusal:
        parse_step(type_value, step_value)
    assert refusal.value.parameter == parameter
    assert parameter in refusal.value.message
    assert ("scale_in or scale_out" if parameter == "type" else "1 to 100") in refusal.value.message
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize(("value", "seconds"), [(None, 0), ("1", 1), ("600", 600)])
def test_wait_is_in_seconds(value, seconds):
    assert parse_wait(value) == seconds


@pytest.mark.parametrize("value", ["", "0", "601", "x", True])
def test_a_wrong_wait_is_refused(value):
    with pytest.raises(InvalidParameter, match="wait"):
        parse_wait(value)


@pytest.mark.parametrize(("value", "tag"), [(None, ""), ("2.0-rc.1", "2.0-rc.1"), ("1234", "1234"), (1234, "1234")])
def test_a_tag_is_taken_as_it_is(value, tag):
    assert parse_tag(value) == tag


@pytest.mark.parametrize("value", ["", " 2", "-2", ".2", "a:b", "a@sha256", "é", "2\n", "2\0", "t" * 129, 1.0, True, ["2"], {}])
def test_a_malformed_tag_is_refused_with_the_rule_for_tags(value):
    with pytest.raises(InvalidParameter, match="letters, digits, dots") as refusal:
        parse_tag(value)
    assert refusal.value.parameter == "tag"
    assert len(refusal.value.message) < 200


COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("commit", "repository", "expected"),
    [
        (None, None, None),
        (None, "team/app", None),
        (COMMIT, None, {"commit": COMMIT}),
        (COMMIT, "team/app", {"commit": COMMIT, "repository": "team/app"}),
    ],
    ids=["neither", "repository alone", "commit alone", "both"],
)
def test_a_commit_with_its_repository(commit, repository, expected):
    assert parse_commit(commit, repository) == expected


@pytest.mark.parametrize(
    ("commit", "repository", "parameter"),
    [
        ("", None, "commit"),
        ("main", None, "commit"),
        (COMMIT.upper(), None, "commit"),
        (COMMIT, "", "repository"),
        (COMMIT, "app", "repository"),
    ],
    ids=["empty", "branch", "upper case", "empty repository", "no owner"],
)
def test_another_commit_or_repository_is_refused_by_its_name(commit, repository, parameter):
    with pytest.raises(InvalidParameter) as caught:
        parse_commit(commit, repository)
    assert caught.value.parameter == parameter
