"""The log panel of a container, a service, or an application with all its services interleaved."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, OuterRef, QuerySet, Subquery, Value, When
from django.http import HttpRequest
from django.urls import reverse

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError
from clusters.engine.logs import portions
from clusters.engine.logs.cursor import LogCursor
from clusters.engine.logs.portions import LogLine, LogNotice, LogPortion, LogSource
from clusters.engine.logs.stream_format import SECOND
from clusters.models import Application, Container, Node, Service, Task
from clusters.waits import wait_for_engine
from console.pages.shared.live import load_keys
from console.pages.shared.logs.ansi import Segment, split_ansi, strip_ansi
from console.pages.shared.page import read_query, require

Row = Application | Service | Container

TIMEOUT = 5.0  # seconds for one response of the engine while a person waits
MOST_SOURCES = 50  # containers or tasks read at once
MOST_CHOICES = 200
TAIL = 1_000  # lines
TAIL_ON_PAGE = 200  # lines in a page without scripts
COLOURS = 8  # for names, in logs.css
PERIODS: dict[str, tuple[str, int | None]] = {  # label, and seconds to look back; None means from the beginning
    "": (f"Last {TAIL:,} lines", None),
    "5m": ("Last 5 minutes", 300),
    "1h": ("Last hour", 3600),
    "24h": ("Last 24 hours", 86_400),
    "all": (f"Last {portions.LONG_TAIL:,} lines", None),
}
STREAMS = {"": "Both streams", "stdout": "stdout", "stderr": "stderr"}
FILE_BYTES = 50_000_000
FILE_SECONDS = 120.0
BLOCK_CHARACTERS = 32_000


@dataclass(frozen=True)
class LogQuery:
    """The filters in the address. `only` is `service-7`, `container-7`, `task-7`, or empty for all."""

    since: str = ""
    only: str = ""
    stream: str = ""
    text: str = ""
    with_times: bool = False

    @classmethod
    def from_request(cls, request: HttpRequest) -> "LogQuery":
        since, stream = request.GET.get("since", ""), request.GET.get("stream", "")
        only = re.fullmatch(r"(service|container|task)-[0-9]{1,18}", request.GET.get("only", ""))
        return cls(
            since=since if since in PERIODS else "",
            only=only[0] if only else "",
            stream=stream if stream in STREAMS else "",
            text=read_query(request, "q"),
            with_times="times" in request.GET,
        )

    @property
    def begins_at(self) -> int:
        """The start of the period in nanoseconds since 1970; 0 is the beginning."""
        seconds = PERIODS[self.since][1]
        return int((time.time() - seconds) * SECOND) if seconds else 0

    def matches(self, line: LogLine) -> bool:
        return self.stream in ("", line.stream) and self.text.lower() in strip_ansi(line.text).lower()


@dataclass(frozen=True)
class LogTarget:
    """The log sources to read, all of one engine.

    `left_out` counts further sources. `silent` lists tasks whose node is down, which are not read.
    """

    endpoint: EngineEndpoint
    sources: tuple[LogSource, ...]
    left_out: int = 0
    silent: tuple[LogNotice, ...] = ()

    @property
    def colours(self) -> dict[str, int]:
        return {name: index % COLOURS for index, name in enumerate(sorted({source.name for source in self.sources}))}


# Finding sources


def find_target(row: Row, query: LogQuery) -> LogTarget:
    """Find the sources to read, running ones first, then the newest. The row's cluster is selected with it."""
    rows = narrow(list_parts(row), query.only)
    return make_target(row, rows, list(rows[:MOST_SOURCES]), MOST_SOURCES)


def make_target(row: Row, rows: QuerySet[Any], found: list[Any], limit: int) -> LogTarget:
    """Make a target of `found`, the first `limit` of the rows."""
    application = find_application(row)
    left_out = max((rows.count() if len(found) == limit else len(found)) - MOST_SOURCES, 0)
    found = found[:MOST_SOURCES]
    if rows.model is Container:
        sources = [LogSource("containers", one.container_id, trim_project(one.name, application)) for one in found]
        return LogTarget(application.endpoint, tuple(sources), left_out)
    return LogTarget(
        application.endpoint,
        tuple(LogSource("tasks", task.task_id, task.name) for task in found if task.lost_node is None),
        left_out,
        tuple(LogNotice(task.name, f"its node {task.lost_node} is down.") for task in found if task.lost_node is not None),
    )


def find_application(row: Row) -> Application:
    if isinstance(row, Container):
        row = row.service
    return row.application if isinstance(row, Service) else row


def list_parts(row: Row) -> QuerySet[Any]:
    """Select the row's containers on a plain engine, or its tasks on a Swarm. A container is its own part."""
    if isinstance(row, Container) or not find_application(row).is_swarm:
        return select_containers(row)
    return select_tasks(row)


def select_containers(row: Row) -> QuerySet[Container]:
    rows = Container.objects.select_related("service")
    if isinstance(row, Application):
        rows = rows.filter(service__application=row)
    else:
        rows = rows.filter(service=row) if isinstance(row, Service) else rows.filter(pk=row.pk)
    return rows.order_by(Case(When(state="running", then=Value(0)), default=Value(1)), "-created_at", "pk")


def select_tasks(row: Application | Service) -> QuerySet[Task]:
    """Select tasks that have a container, with `lost_node`: the name of their node if it is down."""
    down = Node.objects.filter(cluster=find_application(row).cluster_id, state=Node.State.DOWN, node_id=OuterRef("node_id"))
    rows = Task.objects.exclude(container_id="").select_related("service")
    rows = rows.annotate(lost_node=Subquery(down.values("hostname")[:1]))
    rows = rows.filter(service__application=row) if isinstance(row, Application) else rows.filter(service=row)
    return rows.order_by(Case(When(state="running", then=Value(0)), default=Value(1)), "-created_at", "pk")


def narrow(rows: QuerySet[Any], only: str) -> QuerySet[Any]:
    kind, _, key = only.partition("-")
    return rows.filter(**{"service" if kind == "service" else "pk": int(key)}) if only else rows


def trim_project(name: str, application: Application) -> str:
    """Return a container's name without its Compose project's name in front."""
    return re.sub(rf"^{re.escape(application.name)}[-_](?=.)", "", name) if application.source == "compose" else name


def list_choices(row: Row, parts: list[Container | Task]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return values and labels by service, or nothing if there is only one part."""
    application = find_application(row)
    parts = sorted(parts, key=lambda part: (part.service.name, part.name))
    groups: dict[Service, list[tuple[str, str]]] = {}
    for part in parts:
        group = groups.setdefault(part.service, [])
        if isinstance(part, Task):
            group.append((f"task-{part.pk}", f"{part.name} ({part.state}, {part.task_id[:5]})"))
        else:
            group.append((f"container-{part.pk}", trim_project(part.name, application)))
    if isinstance(row, Application):
        for service, group in groups.items():
            group.insert(0, (f"service-{service.pk}", f"All of {service.name}"))
    return [(service.name, group) for service, group in groups.items()] if len(parts) > 1 else []


# Reading


def open_log_engine(endpoint: EngineEndpoint) -> EngineClient:
    """Connect to the engine. Raises EngineError."""
    return EngineClient(endpoint, timeout=TIMEOUT)


def read_portion(target: LogTarget, query: LogQuery, cursor: LogCursor | None, tail: int = TAIL) -> LogPortion:
    """Read what follows the cursor, or without a cursor the first portion of the query. Raises EngineError; at once where too
    many requests wait for the engine."""
    with wait_for_engine(target.endpoint.cluster_uid), open_log_engine(target.endpoint) as client:
        if cursor is None and not query.since:
            return portions.read_newest(client, target.sources, tail)
        return portions.read_since(client, target.sources, cursor or LogCursor(query.begins_at))


def answer_portion(target: LogTarget, query: LogQuery, cursor: LogCursor | None) -> dict[str, Any]:
    """Return a portion for logs.js. A line is `[time, index of its source, 1 for stderr, text or segments]`."""
    try:
        portion = read_portion(target, query, cursor)
    except EngineError as error:
        return {"problem": error.message[:500]}
    names = list(dict.fromkeys(line.source for line in portion.lines))
    colours, numbers = target.colours, {name: number for number, name in enumerate(names)}
    return {
        "sources": [{"name": name, "colour": colours[name]} for name in names],
        "lines": [[line.time, numbers[line.source], int(line.stream == "stderr"), pack(line.text)] for line in portion.lines],
        "cursor": portion.cursor.encode(),
        "more": portion.more,
        "notices": [[notice.source, notice.text[:500]] for notice in (*target.silent, *portion.notices)],
        "problem": find_problem(target, portion),
    }


def find_problem(target: LogTarget, portion: LogPortion) -> str:
    """Return the reason why no source could be read, if it is the same for all; otherwise an empty string."""
    reasons = {notice.text for notice in portion.notices}
    return reasons.pop()[:500] if len(portion.notices) == len(target.sources) > 1 and len(reasons) == 1 else ""


def pack(text: str) -> str | list[Segment]:
    segments = split_ansi(text)
    return "".join(part for _, part in segments) if all(not classes for classes, _ in segments) else segments


def describe_logs(request: HttpRequest, source: Row) -> dict[str, Any]:
    """Return the context of `console/shared/logs/_logs.html`. Raises PermissionDenied if the reader may not read logs.

    Scripts fetch the lines from an address of their own; for a browser without scripts the page holds the first portion.
    """
    require(request, "clusters.view_logs", source)
    application = find_application(source)
    load_keys(application.cluster)
    query = LogQuery.from_request(request)
    rows = list_parts(source)
    parts = list(rows[:MOST_CHOICES])
    target = find_target(source, query) if query.only else make_target(source, rows, parts, MOST_CHOICES)
    kind = source._meta.model_name
    panel: dict[str, Any] = {
        "name": str(source),
        "address": reverse(f"{kind}_logs", args=[source.pk]),
        "download": reverse(f"{kind}_logs_download", args=[source.pk]),
        "download_query": urlencode({"since": query.since, "only": query.only, "stream": query.stream, "times": "1"}),
        "query": query,
        "periods": [(value, label) for value, (label, _) in PERIODS.items()],
        "streams": list(STREAMS.items()),
        "choices": list_choices(source, parts),
        "part": "task" if application.is_swarm else "container",
        "count": len(target.sources),
        "left_out": target.left_out,
        "most_lines": portions.LONG_TAIL,
    }
    if not request.htmx:  # type: ignore[attr-defined]
        panel |= describe_first_lines(target, query)
    return {"logs": panel}


def describe_first_lines(target: LogTarget, query: LogQuery) -> dict[str, Any]:
    try:
        portion = read_portion(target, query, None, TAIL if query.text or query.stream else TAIL_ON_PAGE)
    except EngineError as error:
        return {"problem": error.message[:500]}
    lines = [line for line in portion.lines if query.matches(line)][-TAIL_ON_PAGE:]
    colours = target.colours
    return {
        "lines": [(line, colours[line.source], split_ansi(line.text)) for line in lines],
        "notices": (*target.silent, *portion.notices),
        "shows_names": len(colours) > 1,
    }


# Log files


def name_file(row: Row) -> str:
    """Return a file name of letters, digits, dots and dashes alone, whatever the row is called."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", str(row)).strip("-.")[:80]
    return f"{name or row._meta.model_name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"


def write_file(client: EngineClient, target: LogTarget, query: LogQuery) -> Iterator[str]:
    """Yield the file in blocks, up to FILE_BYTES or FILE_SECONDS; a file that is cut off ends with a line that says so.

    Closing the iterator closes the connections.
    """
    ends, written, block = time.monotonic() + FILE_SECONDS, 0, ""
    with client:
        entries = portions.read_whole(client, target.sources, query.begins_at)
        try:
            if target.left_out:
                block += f"[{target.left_out} more are left out: at most {MOST_SOURCES} are read at once.]\n"
            block += "".join(map(write_notice, target.silent))
            for entry in entries:
                if isinstance(entry, LogNotice):
                    block += write_notice(entry)
                elif query.stream in ("", entry.stream):
                    block += write_line(entry, query, len(target.sources) > 1)
                if len(block) >= BLOCK_CHARACTERS:
                    written += len(block.encode())
                    yield block
                    block = ""
                if written >= FILE_BYTES or time.monotonic() > ends:
                    block += f"[Cut off here: a file ends after {FILE_BYTES // 10**6} MB or {FILE_SECONDS:.0f} s.]\n"
                    break
            yield block
        finally:
            entries.close()


def write_notice(notice: LogNotice) -> str:
    return f"[{strip_ansi(notice.source)} cannot be read: {strip_ansi(notice.text)}]\n"


def write_line(line: LogLine, query: LogQuery, is_named: bool) -> str:
    name = f"{strip_ansi(line.source)} | " if is_named else ""
    return f"{name}{line.time + ' ' if query.with_times else ''}{strip_ansi(line.text)}\n"
