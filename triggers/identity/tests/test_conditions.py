"""Conditions on claims: what fits, what is refused because everybody would fit, and what is warned of."""

import pytest

from triggers.identity.conditions import find_misfit, find_problems, fits, warn_of
from triggers.identity.presets import Preset

GOOD = {"repository": {"exact": "team/app"}, "ref": {"exact": "refs/heads/main"}}


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ({"exact": "team/app"}, "team/app", True),
        ({"exact": "team/app"}, "team/app2", False),
        ({"exact": "team/app"}, "Team/app", False),
        ({"exact": "7"}, 7, True),
        ({"exact": "true"}, True, True),
        ({"exact": "1"}, True, False),
        ({"exact": "None"}, None, False),
        ({"exact": "a"}, ["a"], False),
        ({"exact": "a"}, {"a": 1}, False),
        ({"exact": "1.0"}, 1.0, False),
        ({"pattern": "v[0-9]+"}, "v12", True),
        ({"pattern": "v[0-9]+"}, "xv12", False),
        ({"pattern": "v[0-9]+"}, "v12x", False),
        ({"pattern": "v[0-9]+"}, "v12\n", False),
        ({"pattern": "a|b"}, "ab", False),
        ({"pattern": "("}, "(", False),
        ({}, "a", False),
    ],
)
def test_what_fits(condition, value, expected):
    assert fits(condition, value) is expected


def test_the_first_misfit_is_named():
    assert find_misfit(GOOD, {"repository": "team/app", "ref": "refs/heads/main", "more": 1}) == ""
    assert find_misfit(GOOD, {"repository": "team/app"}) == "ref"


@pytest.mark.parametrize(
    ("preset", "conditions"),
    [
        (Preset.GITHUB, GOOD),
        (Preset.FORGEJO, GOOD | {"event_name": {"exact": "push"}}),
        (Preset.GITHUB, GOOD | {"repository": {"pattern": "team/.*"}}),
        (Preset.GITHUB, GOOD | {"ref": {"pattern": "refs/tags/v.+"}}),
        (Preset.GITLAB, {"project_path": {"exact": "a/b/c"}, "ref": {"exact": "main"}}),
        (
            Preset.BUILDKITE,
            {"organization_slug": {"exact": "o"}, "pipeline_slug": {"exact": "p"}, "build_branch": {"exact": "main"}},
        ),
        (Preset.CUSTOM, {"sub": {"exact": "system:serviceaccount:ci:deploy"}}),
    ],
    ids=["github", "forgejo", "all of an owner", "tags", "gitlab", "buildkite", "custom"],
)
def test_conditions_that_can_be_stored(preset, conditions):
    assert find_problems(conditions, preset) == []


@pytest.mark.parametrize(
    "pattern", [".*", ".+", "^.*$", "(.*)", "(?s).*", ".*?", "[^x]*", r"\S+", ".*/.*", "[a-z0-9-]+/.*", "|.*", "a|.+"]
)
def test_a_lone_wildcard_is_refused(pattern):
    problems = find_problems(GOOD | {"repository": {"pattern": pattern}}, Preset.GITHUB)
    assert len(problems) == 1
    assert "repository" in problems[0]


@pytest.mark.parametrize(
    "conditions",
    [
        None,
        [],
        "x",
        {},
        {"repository": "team/app"},
        {"repository": {"exact": 1}},
        {"repository": {"glob": "x"}},
        {"repository": {}},
        {"repository": {"exact": "a", "pattern": "a"}},
        {1: {"exact": "a"}},
        {"repository": {"exact": "team/app"}},
        {"ref": {"exact": "refs/heads/main"}},
        GOOD | {"repository": {"exact": ""}},
        GOOD | {"repository": {"exact": "x" * 256}},
        GOOD | {"repository": {"exact": "a\nb"}},
        GOOD | {"ref": {"pattern": ".*"}},
        GOOD | {"ref": {"pattern": "("}},
        GOOD | {"ref": {"pattern": ""}},
        GOOD | {"": {"exact": "a"}},
        GOOD | {"aud": {"exact": "a"}},
        GOOD | {"iss": {"exact": "a"}},
        GOOD | {f"claim{number}": {"exact": "a"} for number in range(20)},
    ],
    ids=str,
)
def test_conditions_that_cannot_be_stored(conditions):
    problems = find_problems(conditions, Preset.GITHUB)
    assert problems
    assert all(problem.endswith((".", "}.")) for problem in problems)


@pytest.mark.parametrize(
    ("ref", "word"),
    [
        ({"exact": "refs/heads/main"}, ""),
        ({"pattern": "refs/tags/v.+"}, ""),
        ({"exact": "refs/pull/1/merge"}, "pull requests"),
        ({"pattern": "refs/(heads|pull)/.*"}, "pull requests"),
        ({"pattern": "refs/heads/.*"}, "any branch"),
    ],
)
def test_loose_refs_are_warned_of(ref, word):
    warning = warn_of(GOOD | {"ref": ref}, Preset.GITHUB)
    assert word in warning
    assert bool(word) == bool(warning)
