"""What happened on an engine lately, as far as it remembers: its last 256 events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clusters.engine.cleaning import IMAGE_LENGTH, NAME_LENGTH, clean_text, read_time

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

HISTORY_SECONDS = 30 * 60
HISTORY_LENGTH = 50
NOISE = "exec_"  # health checks run one each few seconds; health_status says what came of it


@dataclass(frozen=True)
class EngineEvent:
    """`kind`, `action`: the engine's words (`container`, `start`); `name`: of what it happened to."""

    time: datetime
    kind: str
    action: str
    name: str
    actor_id: str
    detail: str = ""


def read_history(client: "EngineClient") -> list[EngineEvent]:
    """The newest first: of the last HISTORY_SECONDS by the engine's own clock, at most HISTORY_LENGTH. Raises EngineError."""
    clock = read_time(client.info().get("SystemTime")) or datetime.now(UTC)
    now = clock.timestamp()
    return describe_history(client.list_events(now - HISTORY_SECONDS, now))


def describe_history(events: Iterable[Mapping[str, Any]]) -> list[EngineEvent]:
    found = [describe_event(event) for event in events]
    shown = [event for event in found if not event.action.startswith(NOISE)]
    return sorted(shown, key=lambda event: event.time, reverse=True)[:HISTORY_LENGTH]


def describe_event(event: Mapping[str, Any]) -> EngineEvent:
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    actor_id = clean_text(actor.get("ID"), NAME_LENGTH)
    return EngineEvent(
        time=read_moment(event),
        kind=clean_text(event.get("Type"), 32),
        action=clean_text(event.get("Action"), 64),
        name=clean_text(attributes.get("name"), IMAGE_LENGTH) or actor_id,
        actor_id=actor_id,
        detail=describe_detail(attributes),
    )


def describe_detail(attributes: Mapping[str, Any]) -> str:
    """What is worth a word beside the name: how a container ended, or its image."""
    if exit_code := attributes.get("exitCode"):
        return f"exit code {clean_text(exit_code, 16)}"
    return clean_text(attributes.get("image") or "", IMAGE_LENGTH)


def read_moment(event: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(int(event.get("timeNano") or 0) / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
