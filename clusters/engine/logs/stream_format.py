"""The stream format of the Engine API's log endpoints (`timestamps=true`), read line by line.

There are two formats. Without a terminal, each piece is a frame: the stream's number, three zeros, a big-endian length, and
that many bytes. With a terminal, each piece is an HTTP chunk. A piece is a time (RFC 3339, nanoseconds), a space and text. A
line over 16 KiB comes in several pieces, all with the time of the first, and only the last has a newline. The last line of a
process can lack a newline too. The text is hostile: nothing here trusts it, and every buffer has a limit.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from clusters.engine.errors import EngineRefused

Stream = Literal["stdout", "stderr"]
STREAMS: dict[int, Stream] = {0: "stdout", 1: "stdout", 2: "stderr"}
ENGINE_STREAM = 3  # the engine's own message: why it cannot send the rest
HEADER_BYTES = 8
LARGEST_PIECE = 1 << 20  # bytes; engines send at most about 16 KiB, some drivers 256 KiB
UNFINISHED_FROM = 16_000  # bytes: a piece this long without a newline continues in the next one
LONGEST_LINE = 10_000  # characters
SECOND = 1_000_000_000  # nanoseconds
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
FAILED = b"Error grabbing logs: "


class RawLine(NamedTuple):
    """A line. `moment` is in nanoseconds since 1970; the engine counts it as `pieces` lines in `tail`."""

    moment: int
    stream: Stream
    text: str
    pieces: int


class Piece(NamedTuple):
    moment: int
    stream: Stream
    text: bytes
    is_last: bool


@dataclass
class Unfinished:
    """A line whose end has not arrived yet, kept up to the length that is shown."""

    moment: int
    text: bytearray = field(default_factory=bytearray)
    pieces: int = 0

    def add(self, piece: Piece, limit: int) -> None:
        self.pieces += 1
        self.text += piece.text[: max(limit - len(self.text), 0)]


def read_log_lines(chunks: Iterable[bytes], longest: int = LONGEST_LINE) -> Iterator[RawLine]:
    """Yield the lines in the stream's order. A line is cut off after `longest` characters and marked by "…".

    Raises EngineRefused with the engine's own message, after the lines before it, and for bytes that are not a log stream.
    """
    keep = longest * 4 + 4  # bytes for at least one character more than `longest`
    open_lines: dict[Stream, Unfinished] = {}
    for piece in read_pieces(chunks):
        line = open_lines.get(piece.stream)
        if line and line.moment != piece.moment:  # its end was lost
            yield finish_line(piece.stream, open_lines.pop(piece.stream), longest, is_whole=False)
            line = None
        line = line or Unfinished(piece.moment)
        line.add(piece, keep)
        if piece.is_last:
            open_lines.pop(piece.stream, None)
            yield finish_line(piece.stream, line, longest)
        else:
            open_lines[piece.stream] = line
    for stream, line in open_lines.items():
        yield finish_line(stream, line, longest, is_whole=False)


def finish_line(stream: Stream, line: Unfinished, longest: int, is_whole: bool = True) -> RawLine:
    text = line.text.decode("utf-8", "replace")
    if len(text) > longest or not is_whole:
        text = text[:longest] + "…"
    return RawLine(line.moment, stream, text, line.pieces)


def read_pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    arriving = iter(chunks)
    first = next((chunk for chunk in arriving if chunk), b"")
    if not first:
        return
    # A terminal's stream begins with the digit of a year, a frame with the number of its stream.
    read = read_frames if first[0] <= ENGINE_STREAM else read_terminal
    yield from read(first, arriving)


def read_frames(first: bytes, chunks: Iterator[bytes]) -> Iterator[Piece]:
    buffer, moment = bytearray(first), 0
    while True:
        start = 0
        while len(buffer) - start >= HEADER_BYTES:
            length = int.from_bytes(buffer[start + 4 : start + HEADER_BYTES], "big")
            if length > LARGEST_PIECE or buffer[start] > ENGINE_STREAM:
                raise EngineRefused("What the engine sent is not a log.", code="no_log")
            end = start + HEADER_BYTES + length
            if len(buffer) < end:
                break
            content = bytes(buffer[start + HEADER_BYTES : end])
            if buffer[start] == ENGINE_STREAM:
                raise make_log_failure(content)
            piece = make_piece(content, STREAMS[buffer[start]], moment)
            moment = piece.moment
            yield piece
            start = end
        del buffer[:start]
        chunk = next(chunks, None)
        if chunk is None:
            return
        buffer += chunk


def read_terminal(first: bytes, chunks: Iterator[bytes]) -> Iterator[Piece]:
    """A chunk that begins with a time ends the line before it, which was a process's last line without a newline."""
    buffer, moment = b"", 0
    for chunk in itertools.chain([first], chunks):
        starts_line = STAMP.match(chunk) and not is_continued(buffer, chunk)
        *whole, buffer = [buffer, *chunk.split(b"\n")] if buffer and starts_line else (buffer + chunk).split(b"\n")
        for content in whole:
            for piece in split_line(content, moment):
                moment = piece.moment
                yield piece
        if len(buffer) > LARGEST_PIECE:
            *_, piece = split_line(buffer, moment)
            moment, buffer = piece.moment, b""
            yield piece._replace(is_last=False)
    if buffer:
        yield from split_line(buffer, moment)


def is_continued(buffer: bytes, chunk: bytes) -> bool:
    """Return whether the chunk is a further piece of the same line."""
    found = STAMP.match(buffer)
    return found is not None and len(buffer) >= UNFINISHED_FROM and chunk.startswith(found[0])


def split_line(content: bytes, before: int) -> Iterator[Piece]:
    """Yield the pieces of a terminal's line."""
    found = STAMP.match(content)
    parts = content.split(found[0])[1:] if found and len(content) >= UNFINISHED_FROM else [content]
    for number, part in enumerate(parts, 1):
        piece = make_piece((found[0] if found and len(parts) > 1 else b"") + part, "stdout", before)
        before = piece.moment
        yield piece._replace(is_last=number == len(parts))


def make_piece(content: bytes, stream: Stream, before: int) -> Piece:
    """`before` is the time of the previous piece, for a piece that has none."""
    found = STAMP.match(content)
    moment = parse_moment(found) if found else None
    if moment is None and content.startswith(FAILED):
        raise make_log_failure(content)
    text = content[found.end() :] if found and moment is not None else content
    is_last = text.endswith(b"\n") or len(text) < UNFINISHED_FROM
    return Piece(before if moment is None else moment, stream, text.removesuffix(b"\n").removesuffix(b"\r"), is_last)


def make_log_failure(content: bytes) -> EngineRefused:
    return EngineRefused(content.decode("utf-8", "replace").strip().removeprefix(FAILED.decode())[:500], code="log_broken_off")


def parse_moment(found: "re.Match[bytes]") -> int | None:
    """Return nanoseconds since 1970, or None for a date or time that does not exist."""
    second = read_second(found[1], found[3])
    return None if second is None else second * SECOND + int((found[2] or b"0").ljust(9, b"0"))


@lru_cache(maxsize=1024)
def read_second(text: bytes, zone: bytes) -> int | None:
    try:
        return int(datetime.fromisoformat((text + zone.replace(b"Z", b"+00:00")).decode()).timestamp())
    except (ValueError, OverflowError):
        return None


def format_moment(moment: int) -> str:
    """Return RFC 3339 in UTC with nine digits after the point, so that the texts sort by time."""
    second, nanosecond = divmod(moment, SECOND)
    return f"{format_second(second)}.{nanosecond:09d}Z"


@lru_cache(maxsize=1024)
def format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
