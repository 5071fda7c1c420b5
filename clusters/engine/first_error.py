"""Choose the line of a failed container's output that says best what went wrong."""

import re
from collections.abc import Sequence

LENGTH = 300  # characters
WORD = re.compile(
    r"(?<!\bno )(?<!\b0 )(?<!\bwithout )(?<!\bnew )"
    r"\b(?:error|fatal|panic|exception|emerg|crit|critical|severe|[\w.$]{0,200}(?:Error|Exception)(?=:))\b"
    r"(?!\s{0,3}[=:]\s{0,3}(?:nil|null|none|0)\b)",
    re.IGNORECASE,
)
MILD = re.compile(r"\b(?:INFO|DEBUG|TRACE|NOTICE|WARN|WARNING)\b|\[(?:info|debug|notice|warn)\]|level=\"?(?:info|debug|warn)")
TRACEBACK = "Traceback (most recent call last):"
CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
SEARCHED = 2_000  # characters of a line


def choose_first_error(lines: Sequence[tuple[str, str]]) -> str:
    """Return the first error line, on one line, without control characters and at most LENGTH characters long.

    `lines` are pairs of the stream (`stdout` or `stderr`) and the text, oldest first. The first line with a word such as
    `error`, `fatal`, `panic` or `exception` is chosen, and of a Python traceback its last line; else the last line of stderr,
    else the last line. The result is empty if nothing was printed.
    """
    texts = [text[:SEARCHED] for _, text in lines]
    for number, text in enumerate(texts):
        if TRACEBACK in text and (end := find_traceback_end(texts[number + 1 :])):
            return tidy(end)
        if WORD.search(text) and not MILD.search(text):
            return tidy(text)
    printed = [(stream, text[:SEARCHED]) for stream, text in lines if text.strip()]
    last = [text for stream, text in printed if stream == "stderr"] or [text for _, text in printed]
    return tidy(last[-1]) if last else ""


def find_traceback_end(texts: Sequence[str]) -> str:
    """Return the line with the exception at the end of a traceback, or of the last one of a chain; empty if there is none."""
    found, is_inside = "", True
    for text in texts:
        if is_inside and text.strip() and not text.startswith((" ", "\t")):
            found, is_inside = text, False
        elif TRACEBACK in text:
            is_inside = True
        elif not is_inside and text.strip() and not text.startswith(CHAINED):
            break
    return found


def tidy(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 1]}…"
