"""FakeEngine's logs: the lines as the engine stores them, and the bytes that it sends. Pure functions."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clusters.engine.logs.stream_format import SECOND, Stream, format_moment

PIECE_BYTES = 16 * 1024
FIRST_MOMENT = 1_767_225_600 * SECOND  # the first moment of 2026, nanoseconds


class FakeLine(NamedTuple):
    """A line, or a piece of one, with its newline."""

    moment: int
    stream: Stream
    text: bytes


def cut_pieces(moment: int, stream: Stream, text: bytes) -> list[FakeLine]:
    """Cut a line that a process wrote into the pieces that the engine stores."""
    return [FakeLine(moment, stream, text[start : start + PIECE_BYTES]) for start in range(0, max(len(text), 1), PIECE_BYTES)]


def send_logs(lines: Sequence[FakeLine], tail: int | None, since: int, has_terminal: bool) -> Iterator[bytes]:
    """Yield what the engine sends. Like the engine, apply `tail` first and `since` to the rest."""
    last = lines if tail is None else lines[max(len(lines) - tail, 0) :]
    for line in last:
        if line.moment < since:
            continue
        content = f"{format_moment(line.moment)} ".encode() + line.text
        if has_terminal:
            yield content[:-1] + b"\r\n" if content.endswith(b"\n") else content
        else:
            yield bytes([1 if line.stream == "stdout" else 2, 0, 0, 0]) + len(content).to_bytes(4, "big") + content
