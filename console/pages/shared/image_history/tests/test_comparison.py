import pytest

from console.pages.shared.image_history.comparison import find_source_url, make_comparison_url


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://github.com/team/app", "https://github.com/team/app"),
        ("https://github.com/team/app.git", "https://github.com/team/app"),
        ("https://github.com/team/app/tree/main/server", "https://github.com/team/app"),
        ("http://git.example:3000/team/app/", "http://git.example:3000/team/app"),
        ("https://gitlab.example/group/sub/app", "https://gitlab.example/group/sub/app"),
        ("", ""),
        ("git@github.com:team/app.git", ""),
        ("ssh://git.example/team/app", ""),
        ("javascript:alert(1)//x/y", ""),
        ("https://user:password@git.example/team/app", ""),
        ("https://git.example/team/app?next=//evil.example", "https://git.example/team/app"),
        ("https://git.example/../team", ""),
        ("https://git.example/<b>/app", ""),
        ("https://git.example:x/team/app", ""),
        ("https://[::1/team/app", ""),
        ("https://git.example", ""),
    ],
)
def test_only_plain_web_addresses_become_links(source, expected):
    assert find_source_url({"source": source}) == expected


def facts(revision, source="https://github.com/team/app"):
    return {"revision": revision, "source": source}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://github.com/team/app", "https://github.com/team/app/compare/1a2b...3c4d"),
        ("https://gitlab.com/team/app", "https://gitlab.com/team/app/-/compare/1a2b...3c4d"),
        ("https://gitlab.example/team/app", "https://gitlab.example/team/app/-/compare/1a2b...3c4d"),
        ("https://bitbucket.org/team/app", "https://bitbucket.org/team/app/branches/compare/3c4d..1a2b"),
        ("https://codeberg.org/team/app.git", "https://codeberg.org/team/app/compare/1a2b...3c4d"),
    ],
)
def test_forges_have_different_addresses_for_a_comparison(source, expected):
    assert make_comparison_url(facts("1a2b", source), facts("3c4d", source)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (facts("1a2b"), facts("1a2b")),
        (facts(""), facts("3c4d")),
        (facts("1a2b"), {}),
        (facts("1a2b", "https://github.com/team/other"), facts("3c4d")),
        (facts("../x"), facts("3c4d")),
        (facts("a..b"), facts("3c4d")),
        (facts("1a2b"), facts("3c4d?x=<script>")),
    ],
)
def test_what_cannot_be_compared_has_no_link(old, new):
    assert make_comparison_url(old, new) == ""
