"""Logs of containers and of Swarm tasks, several interleaved by time, in portions of limited size. Nothing is stored.

A portion ends with a cursor, and the next one begins behind it. No line is lost and none comes twice, although the engine
filters by time alone, many lines can have the same time, and the two streams of a container can be some microseconds out of
order. Only where a log grew by more than LONG_TAIL lines since the cursor are the oldest of these left out.
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
from clusters.engine.logs.cursor import LogCursor, LogPosition, make_source_key
from clusters.engine.logs.stream_format import SECOND, RawLine, Stream, format_moment, read_log_lines

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

DEADLINE = 5.0  # seconds for a portion
LANES = 4  # connections at once
SHORT_TAIL = 5_000  # lines to search for new ones at first
LONG_TAIL = 100_000
LONGEST_IN_FILE = 100_000  # characters of a line
DISORDER = SECOND // 10  # nanoseconds by which a line can be older than the one before it
SKEW = 60 * SECOND  # by which the clock of another node can be late


@dataclass(frozen=True)
class LogLimits:
    """The limits of one portion."""

    lines: int = 10_000
    bytes: int = 1_000_000
    short_tail: int = SHORT_TAIL
    long_tail: int = LONG_TAIL

    def share(self, sources: int) -> "LogLimits":
        """Return the limits for each of several logs."""
        return replace(self, bytes=min(max(self.bytes // sources, 200_000), self.bytes))


LIMITS = LogLimits()


@dataclass(frozen=True)
class LogSource:
    """A log to read: `kind` is from the Engine API's path, `id` is the engine's, `name` is shown."""

    kind: Literal["containers", "tasks"]
    id: str
    name: str

    @property
    def key(self) -> str:
        return make_source_key(self.id)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line. `time` is in RFC 3339 with nanoseconds, `moment` the same as a number; `source` is a LogSource's name."""

    time: str
    moment: int
    source: str
    stream: Stream
    text: str


@dataclass(frozen=True)
class LogNotice:
    """The reason why a source could not be read, or not to its end."""

    source: str
    text: str


@dataclass(frozen=True)
class LogPortion:
    """Lines, and the cursor behind them. With `more`, the next portion can be read at once."""

    lines: tuple[LogLine, ...]
    cursor: LogCursor
    more: bool = False
    notices: tuple[LogNotice, ...] = ()


@dataclass
class LogReading:
    """The lines from one source, in the log's own order, each with its ordinal among the lines of its moment."""

    lines: list[tuple[RawLine, int]] = field(default_factory=list)
    more: bool = False
    problem: str = ""
    is_placed: bool = True  # whether the cursor's line was found, or certainly no longer exists


class OutOfTime(EngineUnreachable):
    def __init__(self) -> None:
        super().__init__(f"the engine did not send it within {DEADLINE:g} s.")


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


# Portions


def read_newest(client: "EngineClient", sources: Sequence[LogSource], tail: int, limits: LogLimits = LIMITS) -> LogPortion:
    """Read the last lines of all logs together, at most `tail`. A log that cannot be read becomes a notice."""
    share, deadline = limits.share(len(sources) or 1), Deadline()
    read = lambda lane, source: read_end(lane, source, min(tail, limits.lines), share, deadline)  # noqa: E731
    readings = read_side_by_side(client, sources, read, deadline)
    merged = list(interleave(sources, readings))
    lines = keep_newest((line for _, _, line in merged), min(tail, limits.lines), limits.bytes)
    cursor = LogCursor(max(max((line.moment for line in lines), default=0) - SKEW, 0))
    return LogPortion(tuple(lines), advance(cursor, sources, merged), notices=list_notices(sources, readings))


def read_since(
    client: "EngineClient", sources: Sequence[LogSource], cursor: LogCursor, limits: LogLimits = LIMITS
) -> LogPortion:
    """Read the lines behind the cursor, oldest first. A log that cannot be read becomes a notice and is continued later."""
    share, deadline = limits.share(len(sources) or 1), Deadline()

    def read(lane: "EngineClient", source: LogSource) -> LogReading:
        return read_on(lane, source, cursor.positions.get(source.key), cursor.floor, share, deadline)

    readings = read_side_by_side(client, sources, read, deadline)
    merged = list(interleave(sources, readings))
    # The rest of a log that was cut off can be older than lines of the others.
    unfinished = [reading for reading in readings if reading.more and reading.lines]
    horizon = min((max(raw.moment for raw, _ in reading.lines) for reading in unfinished), default=None)
    ready = [entry for entry in merged if horizon is None or entry[0] <= horizon]
    kept = ready[: count_within(ready, limits)]
    more = len(kept) < len(merged) or bool(unfinished)
    lines = tuple(line for _, _, line in kept)
    return LogPortion(lines, advance(cursor, sources, kept), more, list_notices(sources, readings))


# (the newest moment so far of its log, (number of the source, its ordinal), the line)
Entry = tuple[int, tuple[int, int], LogLine]


def interleave(sources: Sequence[LogSource], readings: Sequence[LogReading]) -> Iterator[Entry]:
    """Merge the logs by time, without changing the order within a log."""

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
    """Return how many entries from the beginning are within the limits, at least one."""
    total = 0
    for number, (_, _, line) in enumerate(entries):
        total += measure(line.text)
        if number and (number >= limits.lines or total > limits.bytes):
            return number
    return len(entries)


def measure(text: str) -> int:
    """Return about how many bytes the line takes, including its markup."""
    return len(text) + 40


def advance(cursor: LogCursor, sources: Sequence[LogSource], kept: Sequence[Entry]) -> LogCursor:
    """Return the cursor behind the kept lines, without positions of sources that are no longer read."""
    positions = {source.key: cursor.positions[source.key] for source in sources if source.key in cursor.positions}
    for _, (number, ordinal), line in kept:
        positions[sources[number].key] = LogPosition(line.moment, ordinal)
    return LogCursor(cursor.floor, positions)


def list_notices(sources: Sequence[LogSource], readings: Sequence[LogReading]) -> tuple[LogNotice, ...]:
    return tuple(LogNotice(s.name, reading.problem) for s, reading in zip(sources, readings, strict=True) if reading.problem)


# One log


def read_end(client: "EngineClient", source: LogSource, tail: int, limits: LogLimits, deadline: Deadline) -> LogReading:
    """Read the last lines of one log."""
    while True:
        reading, counted, size, pieces = LogReading(), Counter[int](), 0, 0
        kept: deque[tuple[RawLine, int]] = deque()
        first = None
        with keep_what_is_read(reading), client.open_logs(source.kind, source.id, tail) as chunks:
            for line in read_log_lines(deadline.limit(chunks)):
                first = line.moment if first is None else first
                counted[line.moment] += 1
                pieces += line.pieces
                kept.append((line, counted[line.moment]))
                size += measure(line.text)
                while size > limits.bytes and len(kept) > 1:
                    size -= measure(kept.popleft()[0].text)
        reading.lines = list(kept)
        # Lines of the last one's moment can also stand before the first line that was read, and its ordinal would be wrong.
        is_certain = first is not None and kept[-1][0].moment - first > DISORDER
        if pieces < tail or reading.problem or is_certain or tail >= limits.long_tail:
            return reading
        tail *= 10


def read_on(
    client: "EngineClient", source: LogSource, position: LogPosition | None, floor: int, limits: LogLimits, deadline: Deadline
) -> LogReading:
    """Read what follows the position, or the moment `floor` where there is none."""
    since = max(position.moment - DISORDER, 0) if position else floor
    if position:
        reading = read_short(client, source, position, since, limits, deadline)
        if reading is not None:
            return reading
    reading = LogReading()
    with keep_what_is_read(reading), client.open_logs(source.kind, source.id, limits.long_tail, since) as chunks:
        take_new(read_log_lines(deadline.limit(chunks)), position, limits, reading)
    return drop_guesses(reading)


def read_short(
    client: "EngineClient", source: LogSource, position: LogPosition, since: int, limits: LogLimits, deadline: Deadline
) -> LogReading | None:
    """Do the same from the end of the log, so that the engine need not read all of it. None where that is not enough."""
    reading, lines, pieces, size = LogReading(), list[RawLine](), 0, 0
    with keep_what_is_read(reading), client.open_logs(source.kind, source.id, limits.short_tail, since) as chunks:
        for line in read_log_lines(deadline.limit(chunks)):
            lines.append(line)
            pieces += line.pieces
            size += measure(line.text)
            if pieces >= limits.short_tail or size > 4 * limits.bytes:
                return None
    take_new(lines, position, limits, reading)
    return drop_guesses(reading)


def drop_guesses(reading: LogReading) -> LogReading:
    """Drop the lines of a log that broke off before the cursor's line was found: they might not be new."""
    if reading.problem and not reading.is_placed:
        reading.lines.clear()
    return reading


def take_new(lines: Iterable[RawLine], position: LogPosition | None, limits: LogLimits, reading: LogReading) -> None:
    """Add the lines behind the position to the reading, or the later lines where the position's line no longer exists."""
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
    """Turns an engine's error in the middle of a log into the reading's problem. Lines read before it are kept."""

    def __init__(self, reading: LogReading) -> None:
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
        return "it no longer exists on the engine."
    return f"the engine reports: {error.message}" if isinstance(error, EngineRefused) else error.message


# Several at once

Read = Callable[["EngineClient", LogSource], LogReading]


def read_side_by_side(client: "EngineClient", sources: Sequence[LogSource], read: Read, deadline: Deadline) -> list[LogReading]:
    """Read each source. A source that has not answered by the deadline is abandoned, and its reading says so."""
    lanes = LogLanes(sources, read, deadline)
    # Over ssh, each connection starts a program.
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
    return [lanes.results.get(number) or LogReading(problem=problem) for number in range(len(sources))]


class LogLanes:
    """Threads that share the work, each with a connection of its own."""

    def __init__(self, sources: Sequence[LogSource], read: Read, deadline: Deadline) -> None:
        self.results: dict[int, LogReading] = {}
        self.problem = ""  # why a lane could not connect
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


# Whole logs, for a file

WholeLog = Generator[LogLine | LogNotice, None, None]


def read_whole(client: "EngineClient", sources: Sequence[LogSource], since: int = 0) -> WholeLog:
    """Yield all lines since a moment, interleaved, with few in memory at a time. Closing it closes its connections."""
    with ExitStack() as opened:
        logs = [opened.enter_context(closing(read_one_whole(client, source, since))) for source in sources]
        numbered = (number_lines(number, lines) for number, lines in enumerate(logs))
        for _, _, line in heapq.merge(*numbered, key=lambda entry: entry[:2]):
            yield line


def read_one_whole(client: "EngineClient", source: LogSource, since: int) -> WholeLog:
    try:
        with client.open_logs(source.kind, source.id, None, since) as chunks:
            for raw in read_log_lines(chunks, LONGEST_IN_FILE):
                yield LogLine(format_moment(raw.moment), raw.moment, source.name, raw.stream, raw.text)
    except EngineError as error:
        yield LogNotice(source.name, describe_problem(error))


def number_lines(number: int, lines: Iterator[LogLine | LogNotice]) -> Iterator[tuple[int, int, LogLine | LogNotice]]:
    newest = 0
    for line in lines:
        newest = max(newest, line.moment if isinstance(line, LogLine) else newest)
        yield newest, number, line
