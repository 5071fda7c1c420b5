"""What counts as a commit and as a repository."""

import pytest

from triggers.commits import is_commit, is_repository


@pytest.mark.parametrize("text", ["a" * 40, "0123456789abcdef" * 4], ids=["sha1", "sha256"])
def test_a_whole_id_is_a_commit(text):
    assert is_commit(text)


@pytest.mark.parametrize(
    "text", ["", "a" * 39, "a" * 41, "A" * 40, "g" * 40, "a" * 40 + "\n", "main", "../" * 13 + "a", "٣" * 40], ids=ascii
)
def test_anything_else_is_none(text):
    assert not is_commit(text)


@pytest.mark.parametrize("text", ["team/app", "group/sub/app", "A_b.c-1/x"])
def test_owner_and_name_are_a_repository(text):
    assert is_repository(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app",
        "/app",
        "team/",
        "team//app",
        "team/../app",
        ".git/app",
        "team/a b",
        "team/app?x",
        "https://a/b",
        "a/" * 200 + "a",
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_anything_else_is_no_repository(text):
    assert not is_repository(text)
