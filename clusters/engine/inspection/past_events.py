"""The recent events of an engine. `connection.event_stream` waits for new ones.

Docker remembers its last 256 (`eventsLimit` in its daemon/events), and forgets all of them when it restarts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clusters.engine.cleaning import IMAGE_LENGTH, NAME_LENGTH, clean_text, read_time

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

PERIOD_SECONDS = 30 * 60
MOST_EVENTS = 50
REMEMBERED = 256  # events
NOISE = "exec_"  # health checks cause these every few seconds; health_status has their result


@dataclass(frozen=True)
class EngineEvent:
    """`kind` and `action` are the engine's words (`container`, `start`); `name` is that of the object that it happened to."""

    time: datetime
    kind: str
    action: str
    name: str
    actor_id: str
    detail: str = ""


@dataclass(frozen=True)
class PastEvents:
    """`shown` are the newest ones, newest first, without NOISE. `known_since` is set where the engine has forgotten events of
    the period: the time of the oldest one that it still has. `has_noise` says whether any were left out."""

    shown: list[EngineEvent]
    known_since: datetime | None = None
    has_noise: bool = False


def read_past_events(client: "EngineClient") -> PastEvents:
    """Return the events of the last PERIOD_SECONDS by the engine's own clock, at most MOST_EVENTS.

    Raises EngineError.
    """
    clock = read_time(client.info().get("SystemTime")) or datetime.now(UTC)
    now = clock.timestamp()
    return describe_past_events(client.list_events(now - PERIOD_SECONDS, now))


def describe_past_events(events: Iterable[Mapping[str, Any]]) -> PastEvents:
    found = sorted(map(describe_past_event, events), key=lambda event: event.time, reverse=True)
    shown = [event for event in found if not event.action.startswith(NOISE)]
    known_since = found[-1].time if len(found) >= REMEMBERED else None
    return PastEvents(shown[:MOST_EVENTS], known_since, len(shown) < len(found))


def describe_past_event(event: Mapping[str, Any]) -> EngineEvent:
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    actor_id = clean_text(actor.get("ID"), NAME_LENGTH)
    return EngineEvent(
        time=read_event_time(event),
        kind=clean_text(event.get("Type"), 32),
        action=clean_text(event.get("Action"), 64),
        name=clean_text(attributes.get("name"), IMAGE_LENGTH) or actor_id,
        actor_id=actor_id,
        detail=describe_detail(attributes),
    )


def describe_detail(attributes: Mapping[str, Any]) -> str:
    """Return what to show beside the name: a container's exit code, or its image."""
    if exit_code := attributes.get("exitCode"):
        return f"exit code {clean_text(exit_code, 16)}"
    return clean_text(attributes.get("image") or "", IMAGE_LENGTH)


def read_event_time(event: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(int(event.get("timeNano") or 0) / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
