"""Terminal sequences become classes or nothing."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.pages.shared.logs.ansi import split_ansi, strip_ansi

SEQUENCES = st.sampled_from(
    [
        *(
            "\x1b",
            "\x1b[",
            "\x9b",
            "\x1b]",
            "\x9d",
            "\x1bP",
            "\x1b\\",
            "\x07",
            "\x9c",
            "\x1b(B",
            "\x1b#8",
            "[",
            "]",
            ";",
            ":",
            "m",
        ),
        "\x1b[31m",
        "\x1b[0m",
        "\x1b[38;5;196m",
        "\x1b[48;2;1;2;3m",
        "\x1b[2J",
        "\x1b[?25l",
        "\x1b]0;title\x07",
        "\x1b[7;1m",
        "\x1b]8;;javascript:alert(1)\x1b\\",
        "\x1b[38:2::9:9:9m",
        "\r",
        "\x00",
        "\x7f",
        "\x85",
        "\u2028",
    ]
)
HOSTILE = st.lists(SEQUENCES | st.text(max_size=8), max_size=20).map("".join)


@given(HOSTILE)
def test_no_escape_and_no_control_character_survives(text):
    shown = strip_ansi(text)
    assert not [char for char in shown if char != "\t" and unicodedata.category(char) in ("Cc", "Zl", "Zp")]


@given(HOSTILE)
def test_segments_joined_are_the_stripped_text_and_their_classes_are_ours(text):
    segments = split_ansi(text)
    assert "".join(part for _, part in segments) == strip_ansi(text)
    for classes, part in segments:
        assert part
        assert re.fullmatch(r"(ansi-[a-z]+(-\d+|-default)?( |$))*", classes), classes


@given(st.text(st.characters(blacklist_categories=["Cc", "Zl", "Zp"]), max_size=80))
def test_text_without_sequences_is_unchanged(text):
    assert split_ansi(text) == ([("", text)] if text else [])


@pytest.mark.parametrize(
    ("parameters", "classes"),
    [
        ("31", "ansi-ink-1"),
        ("1;4;92", "ansi-ink-10 ansi-bold ansi-underlined"),
        ("3;9;44;33", "ansi-ink-3 ansi-ground-4 ansi-italic ansi-struck"),
        ("38;5;9", "ansi-ink-9"),
        ("38;5;196", "ansi-ink-9"),
        ("48;5;17;31", "ansi-ink-1 ansi-ground-0"),
        ("38;5;244", "ansi-ink-8"),
        ("38;2;250;5;5", "ansi-ink-9"),
        ("38:2::250:5:5", "ansi-ink-9"),
        ("38:5:10", "ansi-ink-10"),
        ("38;2;999;0;0;1", "ansi-ink-9 ansi-bold"),
        ("38;5;999;32", "ansi-ink-2"),
        ("58;5;3;32", "ansi-ink-2"),
        ("4:3", "ansi-underlined"),
        ("7", "ansi-pale-default ansi-full-default"),
        ("7;31;40", "ansi-pale-0 ansi-full-1"),
        ("31;39", ""),
        ("1;22;7;27;4;24", ""),
        ("31;0", ""),
        ("31;", ""),
        ("8;5;77;99999", ""),
        (">4;1", ""),
        ("?1", ""),
    ],
)
def test_renditions(parameters, classes):
    assert split_ansi(f"\x1b[{parameters}mx") == [(classes, "x")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\text", "text"),
        ("\x1b]0;without an end", "0;without an end"),
        ("\x1b[2J\x1b[1;1Hhome\x1b7\x1b(B\x1b=", "home"),
        ("50 %\r100 %", "50 %␍100 %"),
        ("a\tb\x00\x7f", "a\tb␀␡"),
        ("\x9b31mred", "red"),
    ],
)
def test_other_sequences_are_removed_and_controls_are_shown(text, shown):
    assert strip_ansi(text) == shown


def test_colours_follow_one_another_and_equal_ones_are_joined():
    assert split_ansi("a\x1b[31mb\x1b[31mc\x1b[md") == [("", "a"), ("ansi-ink-1", "bc"), ("", "d")]


@pytest.mark.parametrize(
    "piece", ["\x1b", "\x1b[", "\x1b]", "\x9d", "\x1b[1;", "\x1b[0", "\x1b]0;", "\x9d\x90", "\x1b[31m", ":"]
)
def test_a_hostile_line_takes_no_more_time_than_a_long_one(piece):
    """Each line would take minutes if matching backtracked."""
    strip_ansi(piece * 100_000)
