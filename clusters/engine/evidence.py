"""What a failed container or task leaves behind: its last output, masked and bounded, read before it is removed."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.errors import EngineError
from clusters.engine.first_error import choose_first_error
from clusters.engine.logs.portions import Deadline, LogLanes, LogLimits, LogReading, LogSource, OutOfTime, read_end
from clusters.engine.logs.stream_format import Stream, format_moment
from clusters.engine.masking import MASK, Masker, is_secret_value

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

LINES = 200  # of a container
BYTES = 64_000  # of a container's lines together, in UTF-8
CONTAINERS = 10  # whose output is read in one execution
READ_SECONDS = 10.0  # for all reading of one execution
LIMITS = LogLimits(lines=LINES + 1, bytes=4 * BYTES, short_tail=LINES + 1, long_tail=LINES + 1)
TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]")
KEY_BEGINS, KEY_ENDS = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"), re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY")
KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{16,}")


@dataclass(frozen=True)
class EvidenceLine:
    """A line of output. `time`: RFC 3339 with nanoseconds; `text`: masked, without control characters."""

    time: str
    stream: Stream
    text: str


@dataclass(frozen=True)
class Evidence:
    """A failed container or task.

    `id` is the engine's, `image` the reference and `image_id` the id or digest that was tried. `cause` says how it failed.
    `is_cut`: it printed more before these lines. `problem`: why its output could not be read, or not to its end.
    `is_left_out`: only counted, because too many failed.
    """

    id: str
    name: str
    service: str = ""
    image: str = ""
    image_id: str = ""
    exit_code: int | None = None
    cause: str = ""
    lines: tuple[EvidenceLine, ...] = ()
    is_cut: bool = False
    problem: str = ""
    is_left_out: bool = False

    @property
    def first_error(self) -> str:
        return choose_first_error([(line.stream, line.text) for line in self.lines])


# keep(evidence): receives the evidence of each failed container or task, once. It is called in the thread that called execute.
Keep = Callable[[Evidence], None]


def drop_evidence(evidence: Evidence) -> None:
    """A Keep for callers that keep none."""


@dataclass
class EvidenceReader:
    """Reads evidence within the limits of one execution. An engine's error becomes the evidence's `problem`."""

    _seen: set[str] = field(default_factory=set)
    _spent: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read_container(self, client: "EngineClient", container_id: str, name: str, cause: str) -> Evidence | None:
        """Return None for a container that was read before."""
        if (number := self._count(container_id)) is None:
            return None
        details: Mapping[str, Any] = {}
        with suppress(EngineError):
            details = client.inspect_container(container_id)
        config, state = details.get("Config") or {}, details.get("State") or {}
        place = names.find_place_of_any(name, config.get("Labels") or {}) if details else None
        code = state.get("ExitCode")
        found = Evidence(
            container_id,
            name,
            service=place.service if place else "",
            image=str(config.get("Image") or ""),
            image_id=str(details.get("Image") or ""),
            exit_code=code if isinstance(code, int) and state.get("Status") != "running" else None,
            cause=cause,
        )
        source = LogSource("containers", container_id, name)
        return self._add_output(client, found, source, config.get("Env") or (), number)

    def read_task(self, client: "EngineClient", found: Evidence, environment: Iterable[str], silence: str) -> Evidence | None:
        """Add the output to a task's evidence. `environment`: `NAME=value`. `silence` says why it has none, if so.

        Return None for a task that was read before.
        """
        if (number := self._count(found.id)) is None:
            return None
        source = LogSource("tasks", found.id, found.name)
        return self._add_output(client, replace(found, problem=silence), source, environment, number)

    def _count(self, key: str) -> int | None:
        with self._lock:
            if key in self._seen:
                return None
            self._seen.add(key)
            return len(self._seen)

    def _add_output(
        self, client: "EngineClient", found: Evidence, source: LogSource, environment: Iterable[str], number: int
    ) -> Evidence:
        masker = make_masker(environment)
        found = replace(found, cause=mask_lines(masker, [found.cause])[0])
        if number > CONTAINERS:
            return replace(found, is_left_out=True)
        if found.problem:
            return found
        if self._spent > READ_SECONDS:
            return replace(found, problem=f"the output of others took {READ_SECONDS:.0f} s to read.")
        begun = time.monotonic()
        reading = read_output(client, source)
        self._spent += time.monotonic() - begun
        lines = [raw for raw, _ in reading.lines]
        texts = mask_lines(masker, [raw.text for raw in lines])
        made = [EvidenceLine(format_moment(raw.moment), raw.stream, text) for raw, text in zip(lines, texts, strict=True)]
        kept = keep_last(made)
        return replace(found, lines=kept, is_cut=len(kept) < len(made), problem=mask_lines(masker, [reading.problem])[0])


def read_output(client: "EngineClient", source: LogSource) -> LogReading:
    """Read the end of one log in a thread and over a connection of its own, so that an engine that hangs holds nothing up for
    long. Whatever goes wrong becomes the reading's problem, except for what ends the process."""
    deadline = Deadline()
    lanes = LogLanes([source], lambda lane, log: read_end(lane, log, LINES + 1, LIMITS, deadline), deadline)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            lanes.work(client)
        except BaseException as error:  # noqa: BLE001 - becomes the problem, or is raised again below
            errors.append(error)

    thread = threading.Thread(target=work, name="evidence", daemon=True)
    thread.start()
    thread.join(deadline.left)
    for error in errors:
        if not isinstance(error, Exception):
            raise error
        lanes.problem = f"it could not be understood ({type(error).__name__})."
    return lanes.results.get(0) or LogReading(problem=lanes.problem or OutOfTime().message)


def keep_last(lines: Sequence[EvidenceLine]) -> tuple[EvidenceLine, ...]:
    """Return the last lines within LINES and BYTES."""
    size, kept = 0, list[EvidenceLine]()
    for line in reversed(lines[-LINES:]):
        size += len(line.text.encode()) + len(line.time) + 1
        if size > BYTES:
            break
        kept.append(line)
    return tuple(reversed(kept))


def make_masker(environment: Iterable[str]) -> Masker:
    """`environment`: `NAME=value`. Of a secret with several lines, each line is a secret: it can be printed alone."""
    pairs = [(name, value) for name, _, value in (entry.partition("=") for entry in environment)]
    parts = [
        (name, part)
        for name, value in pairs
        if "\n" in value and is_secret_value(name, value)
        for part in map(str.strip, value.split("\n"))
    ]
    return Masker([*pairs, *parts])


def mask_lines(masker: Masker, texts: Iterable[str]) -> list[str]:
    """Return the lines without terminal sequences and with their secrets masked, also a private key over several lines, whose
    beginning may have been cut off."""
    shown, is_key = list[str](), False
    for text in texts:
        plain = TERMINAL.sub("", text)
        begins, ends = KEY_BEGINS.search(plain), KEY_ENDS.search(plain)
        if ends and not (is_key or begins):
            mask_key_body(shown)
        shown.append(MASK if is_key else " ".join(masker.read_text(plain).splitlines()))
        is_key = (is_key or begins is not None) and not ends
    return shown


def mask_key_body(lines: list[str]) -> None:
    """Mask the lines at the end that can be the body of a key."""
    for place in reversed(range(len(lines))):
        if not KEY_BODY.fullmatch(lines[place].strip()):
            return
        lines[place] = MASK
