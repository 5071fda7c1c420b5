"""Logs of containers and of Swarm's tasks, several interleaved by time, in bounded portions. Pure reading: nothing is kept.

A portion ends with a cursor. The next one begins behind it: no line is lost and none comes twice, although the engine
filters by time alone, many lines may have one time, and two streams of a container may be some microseconds out of order.
Only of a log that has grown by more than LONG_TAIL lines since, the oldest of these are left out.
"""

import heapq
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from clusters.engine.errors import EngineError, EngineRefused, EngineUnreachable, TargetMissing
from clusters.engine.logs.cursor import Cursor, Position, make_key
from clusters.engine.logs.stream import SECOND, RawLine, Stream, format_moment, read_lines

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

DEADLINE = 5.0  # seconds for a portion
LANES = 4  # connections at once
SHORT_TAIL = 5_000  # lines: as much as is looked through at first for what is new
LONG_TAIL = 100_000
LONGEST_IN_FILE = 100_000  # characters of a line
DISORDER = SECOND // 10  # nanoseconds by which a line may be older than the one before it
SKEW = 60 * SECOND  # by which the clock of another node may be late


@dataclass(frozen=True)
class LogLimits:
    """Of one portion."""

    lines: int = 10_000
    bytes: int = 1_000_000
    short_tail: int = SHORT_TAIL
    long_tail: int = LONG_TAIL

    def share(self, sources: int) -> "LogLimits":
        """What each of several logs may give."""
        return replace(self, bytes=min(max(self.bytes // sources, 200_000), self.bytes))


LIMITS = LogLimits()


@dataclass(frozen=True)
class LogSource:
    """What to read: `kind` as the Engine API's path has it, the engine's id, and the name to show."""

    kind: Literal["containers", "tasks"]
    id: str
    name: str

    @property
    def key(self) -> str:
        return make_key(self.id)


@dataclass(frozen=True, slots=True)
class LogLine:
    """`time` in RFC 3339 with nanoseconds, `moment` the same as a number to sort by; `source` a LogSource's name."""

    time: str
    moment: int
    source: str
    stream: Stream
    text: str


@dataclass(frozen=True)
class LogNotice:
    """Why a source could not be read, or not to its end."""

    source: str
    text: str


@dataclass(frozen=True)
class LogPortion:
    """`more`: the next portion is there already."""

    lines: tuple[LogLine, ...]
    cursor: Cursor
    more: bool = False
    notices: tuple[LogNotice, ...] = ()


@dataclass
class Reading:
    """What was read of one source. `lines` in the log's own order, each with its ordinal among those of its moment."""

    lines: list[tuple[RawLine, int]] = field(default_factory=list)
    more: bool = False
    problem: str = ""
    is_placed: bool = True  # whether the place to read on from was found, or is certain to be gone


class OutOfTime(EngineUnreachable):
    def __init__(self) -> None:
        super().__init__(f"the engine did not answer for it within {DEADLINE:g} s.")


class Deadline:
    def __init__(self, seconds: float = DEADLINE) -> None:
        self.ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(self.ends - time.monotonic(), 0.01)

    def limit(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Raises OutOfTime."""
        for chunk in chunks:
            if time.monotonic() > self.ends:
                raise OutOfTime
            yield chunk


# A whole portion


def read_newest(client: "EngineClient", sources: Sequence[LogSource], tail: int, limits: LogLimits = LIMITS) -> LogPortion:
    """The last lines of all logs together, at most `tail`. A log that cannot be read is a notice."""
    share, deadline = limits.share(len(sources) or 1), Deadline()
    read = lambda lane, source: read_end(lane, source, min(tail, limits.lines), share, deadline)  # noqa: E731
    readings = read_side_by_side(client, sources, read, deadline)
    merged = list(interleave(sources, readings))
    lines = keep_newest((line for _, _, line in merged), min(tail, limits.lines), limits.bytes)
    cursor = Cursor(max(max((line.moment for line in lines), default=0) - SKEW, 0))
    return LogPortion(tuple(lines), advance(cursor, sources, merged), notices=list_notices(sources, readings))


def read_since(client: "EngineClient", sources: Sequence[LogSource], cursor: Cursor, limits: LogLimits = LIMITS) -> LogPortion:
    """What follows the cursor, the oldest first. A log that cannot be read is a notice, and read on later."""
    share, deadline = limits.share(len(sources) or 1), Deadline()

    def read(lane: "EngineClient", source: LogSource) -> Reading:
        return read_on(lane, source, cursor.positions.get(source.key), cursor.floor, share, deadline)

    readings = read_side_by_side(client, sources, read, deadline)
    merged = list(interleave(sources, readings))
    # What is still to come of a log that was cut off may be older than what is here of others.
    unfinished = [reading for reading in readings if reading.more and reading.lines]
    horizon = min((max(raw.moment for raw, _ in reading.lines) for reading in unfinished), default=None)
    ready = [entry for entry in merged if horizon is None or entry[0] <= horizon]
    kept = ready[: count_within(ready, limits)]
    more = len(kept) < len(merged) or bool(unfinished)
    lines = tuple(line for _, _, line in kept)
    return LogPortion(lines, advance(cursor, sources, kept), more, list_notices(sources, readings))


# (the newest moment so far of its log, (number of the source, its ordinal), the line)
Entry = tuple[int, tuple[int, int], LogLine]


def interleave(sources: Sequence[LogSource], readings: Sequence[Reading]) -> Iterator[Entry]:
    """By time, without changing the order within a log."""

    def entries(number: int) -> Iterator[Entry]:
        newest = 0
        for raw, ordinal in readings[number].lines:
            newest = max(newest, raw.moment)
            line = LogLine(format_moment(raw.moment), raw.moment, sources[number].name, raw.stream, raw.text)
            yield newest, (number, ordinal), line

    return heapq.merge(*(entries(number) for number in range(len(sources))), key=lambda entry: (entry[0], entry[1][0]))


def keep_newest(lines: Iterable[LogLine], most: int, size: int) -> list[LogLine]:
    kept: deque[LogLine] = deque(lines, most)
    total = sum(measure(line.text) for line in kept)
    while total > size and len(kept) > 1:
        total -= measure(kept.popleft().text)
    return list(kept)


def count_within(entries: Sequence[Entry], limits: LogLimits) -> int:
    """How many from the beginning are within the limits; at least one."""
    total = 0
    for number, (_, _, line) in enumerate(entries):
        total += measure(line.text)
        if number and (number >= limits.lines or total > limits.bytes):
            return number
    return len(entries)


def measure(text: str) -> int:
    """Bytes, about, with what stands around it."""
    return len(text) + 40


def advance(cursor: Cursor, sources: Sequence[LogSource], kept: Sequence[Entry]) -> Cursor:
    """The cursor behind the kept lines. Positions of sources that are not asked any more are dropped."""
    positions = {source.key: cursor.positions[source.key] for source in sources if source.key in cursor.positions}
    for _, (number, ordinal), line in kept:
        positions[sources[number].key] = Position(line.moment, ordinal)
    return Cursor(cursor.floor, positions)


def list_notices(sources: Sequence[LogSource], readings: Sequence[Reading]) -> tuple[LogNotice, ...]:
    return tuple(LogNotice(s.name, reading.problem) for s, reading in zip(sources, readings, strict=True) if reading.problem)


# One log


def read_end(client: "EngineClient", source: LogSource, tail: int, limits: LogLimits, deadline: Deadline) -> Reading:
    """Its last lines."""
    while True:
        reading, counted, size, pieces = Reading(), Counter[int](), 0, 0
        kept: deque[tuple[RawLine, int]] = deque()
        first = None
        with keep_what_is_read(reading), client.open_logs(source.kind, source.id, tail) as chunks:
            for line in read_lines(deadline.limit(chunks)):
                first = line.moment if first is None else first
                counted[line.moment] += 1
                pieces += line.pieces
                kept.append((line, counted[line.moment]))
                size += measure(line.text)
                while size > limits.bytes and len(kept) > 1:
                    size -= measure(kept.popleft()[0].text)
        reading.lines = list(kept)
        # Where all are of one moment, more of it may lie before them, and their ordinals would be wrong.
        if pieces < tail or reading.problem or kept[-1][0].moment != first or tail >= limits.long_tail:
            return reading
        tail *= 10


def read_on(
    client: "EngineClient", source: LogSource, position: Position | None, floor: int, limits: LogLimits, deadline: Deadline
) -> Reading:
    """What follows the position, or without one the moment `floor`."""
    since = max(position.moment - DISORDER, 0) if position else floor
    if position:
        reading = read_short(client, source, position, since, limits, deadline)
        if reading is not None:
            return reading
    reading = Reading()
    with keep_what_is_read(reading), client.open_logs(source.kind, source.id, limits.long_tail, since) as chunks:
        take_new(read_lines(deadline.limit(chunks)), position, limits, reading)
    return without_guesses(reading)


def read_short(
    client: "EngineClient", source: LogSource, position: Position, since: int, limits: LogLimits, deadline: Deadline
) -> Reading | None:
    """The same from the end of the log, which spares the engine the reading of the rest; None where that is not enough."""
    reading, lines, pieces, size = Reading(), list[RawLine](), 0, 0
    with keep_what_is_read(reading), client.open_logs(source.kind, source.id, limits.short_tail, since) as chunks:
        for line in read_lines(deadline.limit(chunks)):
            lines.append(line)
            pieces += line.pieces
            size += measure(line.text)
            if pieces >= limits.short_tail or size > 4 * limits.bytes:
                return None
    take_new(lines, position, limits, reading)
    return without_guesses(reading)


def without_guesses(reading: Reading) -> Reading:
    """A log that broke off before the place was found has nothing that is certain to be new."""
    if reading.problem and not reading.is_placed:
        reading.lines.clear()
    return reading


def take_new(lines: Iterable[RawLine], position: Position | None, limits: LogLimits, reading: Reading) -> None:
    """Of lines from before the position on those behind it. Where its line is gone: those that are younger."""
    counted: Counter[int] = Counter()
    reading.is_placed, size = position is None, 0
    for line in lines:
        counted[line.moment] += 1
        if position and not reading.is_placed:
            if (line.moment, counted[line.moment]) == (position.moment, position.ordinal):
                reading.lines.clear()
                reading.is_placed, reading.more, size = True, False, 0
                continue
            if line.moment <= position.moment:
                continue
        size += measure(line.text)
        if not reading.more and (not reading.lines or (len(reading.lines) < limits.lines and size <= limits.bytes)):
            reading.lines.append((line, counted[line.moment]))
            continue
        reading.more = True
        if reading.is_placed:
            return


class keep_what_is_read:  # noqa: N801 - reads as a statement
    """An engine's error in the middle of a log leaves what was read before it, and is told."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, EngineError):
            return False
        self.reading.problem = describe_problem(error)
        self.reading.more = isinstance(error, OutOfTime)
        return True


def describe_problem(error: EngineError) -> str:
    if isinstance(error, TargetMissing):
        return "it is no longer on the engine."
    return f"the engine says: {error.message}" if isinstance(error, EngineRefused) else error.message


# Several at once

Read = Callable[["EngineClient", LogSource], Reading]


def read_side_by_side(client: "EngineClient", sources: Sequence[LogSource], read: Read, deadline: Deadline) -> list[Reading]:
    """A reading of each source. What has not answered by the deadline is left to itself, and its reading says so."""
    lanes = Lanes(sources, read, deadline)
    # Over ssh each connection is a program that is started.
    count = 1 if client.endpoint.url.startswith("ssh:") else min(LANES, len(sources))
    if count <= 1:
        lanes.work_off(client)
    else:
        threads = [threading.Thread(target=lanes.work, args=(client,), name="log-lane", daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(deadline.left)
    problem = lanes.problem or OutOfTime().message
    return [lanes.results.get(number) or Reading(problem=problem) for number in range(len(sources))]


class Lanes:
    """Threads that share the work, each with a connection of its own."""

    def __init__(self, sources: Sequence[LogSource], read: Read, deadline: Deadline) -> None:
        self.results: dict[int, Reading] = {}
        self.problem = ""  # why a lane could not begin
        self.read, self.deadline = read, deadline
        self._waiting: queue.SimpleQueue[tuple[int, LogSource]] = queue.SimpleQueue()
        for job in enumerate(sources):
            self._waiting.put(job)

    def work(self, client: "EngineClient") -> None:
        try:
            with client.sibling() as lane:
                self.work_off(lane)
        except EngineError as error:
            self.problem = error.message

    def work_off(self, client: "EngineClient") -> None:
        with suppress(queue.Empty):
            while time.monotonic() < self.deadline.ends:
                number, source = self._waiting.get_nowait()
                with client.patience(self.deadline.left):
                    self.results[number] = self.read(client, source)


# Everything, for a file

WholeLog = Generator[LogLine | LogNotice, None, None]


def read_whole(client: "EngineClient", sources: Sequence[LogSource], since: int = 0) -> WholeLog:
    """All lines since a moment, interleaved, a few in memory at a time. Close it, and its connections are closed."""
    with ExitStack() as opened:
        logs = [opened.enter_context(closing(read_one_whole(client, source, since))) for source in sources]
        numbered = (number_lines(number, lines) for number, lines in enumerate(logs))
        for _, _, line in heapq.merge(*numbered, key=lambda entry: entry[:2]):
            yield line


def read_one_whole(client: "EngineClient", source: LogSource, since: int) -> WholeLog:
    try:
        with client.open_logs(source.kind, source.id, None, since) as chunks:
            for raw in read_lines(chunks, LONGEST_IN_FILE):
                yield LogLine(format_moment(raw.moment), raw.moment, source.name, raw.stream, raw.text)
    except EngineError as error:
        yield LogNotice(source.name, describe_problem(error))


def number_lines(number: int, lines: Iterator[LogLine | LogNotice]) -> Iterator[tuple[int, int, LogLine | LogNotice]]:
    newest = 0
    for line in lines:
        newest = max(newest, line.moment if isinstance(line, LogLine) else newest)
        yield newest, number, line
