"""Terminal sequences in log lines: colours become CSS classes, everything else is removed. Pure functions.

The remaining text is harmless: it has no escape or control character, and nothing that moves a cursor, sets a title or makes
a link. Colours are the sixteen of logs.css; others become the nearest of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.utils.functional import cached_property

Segment = tuple[str, str]  # classes, text

SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"  # titles, links, pictures
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x80-\x9f]"
)
MOST_PARAMETERS = 64
# Control characters become visible symbols: U+2400 and following.
PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) != "\t"},
    0x7F: 0x2421,
    0x2028: 0x2424,
    0x2029: 0x2424,
}
# xterm's colours, to find the nearest one.
PALETTE = (
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
)
CUBE = (0, 95, 135, 175, 215, 255)


@dataclass(frozen=True)
class Style:
    """The look of text. Colours are indices into PALETTE; None is the default colour."""

    ink: int | None = None
    ground: int | None = None
    bold: bool = False
    italic: bool = False
    underlined: bool = False
    struck: bool = False
    reversed: bool = False

    @cached_property
    def classes(self) -> str:
        if self.reversed:  # ground colour on ink colour
            ink, ground = name_colour("ansi-pale", self.ground), name_colour("ansi-full", self.ink)
        else:
            ink = "" if self.ink is None else f"ansi-ink-{self.ink}"
            ground = "" if self.ground is None else f"ansi-ground-{self.ground}"
        marks = [f"ansi-{name}" for name in ("bold", "italic", "underlined", "struck") if getattr(self, name)]
        return " ".join(filter(None, [ink, ground, *marks]))


PLAIN = Style()
ATTRIBUTES = ("bold", "italic", "underlined", "reversed", "struck")
SWITCHES: dict[int, tuple[str, Any]] = {
    **dict(zip((1, 3, 4, 7, 9), ((name, True) for name in ATTRIBUTES), strict=True)),
    **dict(zip((22, 23, 24, 27, 29), ((name, False) for name in ATTRIBUTES), strict=True)),
    39: ("ink", None),
    49: ("ground", None),
    **{30 + number: ("ink", number) for number in range(8)},
    **{40 + number: ("ground", number) for number in range(8)},
    **{90 + number: ("ink", 8 + number) for number in range(8)},
    **{100 + number: ("ground", 8 + number) for number in range(8)},
}


def name_colour(kind: str, colour: int | None) -> str:
    return f"{kind}-{'default' if colour is None else colour}"


def split_ansi(text: str) -> list[Segment]:
    """Split the text into segments of one style each, none of them empty. Joined they equal `strip_ansi(text)`."""
    segments: list[Segment] = []
    for style, part in iterate_styles(text):
        if segments and segments[-1][0] == style.classes:
            segments[-1] = (style.classes, segments[-1][1] + part)
        else:
            segments.append((style.classes, part))
    return segments


def strip_ansi(text: str) -> str:
    return "".join(part for _, part in iterate_styles(text))


def iterate_styles(text: str) -> Iterator[tuple[Style, str]]:
    style, start = PLAIN, 0
    for found in SEQUENCE.finditer(text):
        if found.start() > start:
            yield style, text[start : found.start()].translate(PICTURES)
        start = found.end()
        if found["final"] == "m":
            style = apply_parameters(style, found["parameters"])
    if start < len(text):
        yield style, text[start:].translate(PICTURES)


@lru_cache(maxsize=4096)
def apply_parameters(style: Style, text: str) -> Style:
    """Apply an ECMA-48 Select Graphic Rendition. Unknown parameters change nothing; private sequences (`>4;2m`) are ignored."""
    if text[:1] in ("<", "=", ">", "?"):
        return style
    # A part with colons is one parameter with subparameters: 4:3 is a curly underline, 38:2::1:2:3 a colour.
    parts = iter(text.split(";")[:MOST_PARAMETERS])
    for part in parts:
        number, *own = [parse_parameter(word) for word in part.split(":")]
        if number == 0:
            style = PLAIN
        elif number in (38, 48, 58):
            colour = read_colour(iter([2, *own[-3:]] if own[0] == 2 else own) if own else map(parse_parameter, parts))
            if number != 58 and colour is not None:
                style = replace(style, ink=colour) if number == 38 else replace(style, ground=colour)
        elif number == 4 and own:
            style = replace(style, underlined=own[0] != 0)
        elif number in SWITCHES:
            name, value = SWITCHES[number]
            style = replace(style, **{name: value})
    return style


def parse_parameter(word: str) -> int:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 5 else 0


def read_colour(numbers: Iterator[int]) -> int | None:
    """Return the nearest index of PALETTE for `5;n` (one of 256) or `2;r;g;b`, or None for anything else."""
    kind = next(numbers, 0)
    if kind == 5:
        return find_indexed(next(numbers, 0))
    if kind == 2:
        red, green, blue = (next(numbers, 0) for _ in range(3))
        return find_nearest(red, green, blue)
    return None


def find_indexed(number: int) -> int | None:
    if number < 16:
        return number
    if number < 232:
        number -= 16
        return find_nearest(CUBE[number // 36], CUBE[number // 6 % 6], CUBE[number % 6])
    return find_nearest(*(8 + (number - 232) * 10,) * 3) if number < 256 else None


@lru_cache(maxsize=1024)
def find_nearest(red: int, green: int, blue: int) -> int:
    wanted = [min(part, 255) for part in (red, green, blue)]

    def measure(index: int) -> int:
        return sum(weight * (a - b) ** 2 for weight, a, b in zip((3, 4, 2), PALETTE[index], wanted, strict=True))

    return min(range(16), key=measure)
