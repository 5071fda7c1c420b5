"""Is a new container well? Its health check says so, or it keeps running."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusters.engine.durations import NANOSECONDS
from clusters.engine.errors import EngineError, TargetMissing
from clusters.engine.wording import cut

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

POLL_SECONDS = 0.25
MARGIN_SECONDS = 10.0  # on top of what the health check's own settings allow
DEFAULT_INTERVAL, DEFAULT_TIMEOUT, DEFAULT_RETRIES = 30.0, 30.0, 3  # the engine's


class NotWell(EngineError):
    """Codes: `unhealthy`, `not_healthy_in_time`, `exited`, `restarting`."""

    code = "not_well"


@dataclass
class Watched:
    """`image_id` and `has_ended` are filled in by looking. `may_end`: see plan.Watch."""

    container_id: str
    name: str
    seen_since: float = 0.0
    started_at: str = ""
    may_end: bool = False
    image_id: str = field(default="", compare=False)
    has_ended: bool = field(default=False, compare=False)


def watch_containers(client: "EngineClient", containers: list[Watched], monitor: float, pause: Callable[[float], None]) -> None:
    """Returns when all are well. `monitor` in seconds; `pause(seconds)` waits and may raise. Raises NotWell."""
    waiting = list(containers)
    while waiting:
        waiting = [watched for watched in waiting if not look_at(client, watched, monitor)]
        if waiting:
            pause(POLL_SECONDS)


def look_at(client: "EngineClient", watched: Watched, monitor: float) -> bool:
    """Whether it is well by now. Raises NotWell when it will not be."""
    try:
        details = client.inspect_container(watched.container_id)
    except TargetMissing as error:
        raise NotWell(f"{watched.name} exited and is gone.", code="exited") from error
    state, now = details["State"], time.monotonic()
    watched.image_id = details.get("Image", "")
    watched.seen_since = watched.seen_since or now
    watched.started_at = watched.started_at or state.get("StartedAt", "")
    if watched.may_end and has_completed(details):
        watched.has_ended = True
        return True
    refuse_unsteady(watched, details)
    health = ((state.get("Health") or {}).get("Status") or "none") if not has_no_check(details) else "none"
    if health == "unhealthy":
        raise NotWell(f"{watched.name} is unhealthy: {last_probe(state)}", code="unhealthy")
    if health != "starting":
        return health == "healthy" or now - watched.seen_since >= monitor
    limit = health_deadline((details.get("Config") or {}).get("Healthcheck") or {})
    if now - watched.seen_since > limit:
        raise NotWell(
            f"{watched.name} did not get healthy within {limit:.0f} s: {last_probe(state)}", code="not_healthy_in_time"
        )
    return False


def has_completed(details: Mapping[str, Any]) -> bool:
    """It ended as it should, and the engine leaves it at that."""
    state, policy = details["State"], (details.get("HostConfig") or {}).get("RestartPolicy") or {}
    is_left = (policy.get("Name") or "no") in {"no", "on-failure"} and not details.get("RestartCount")
    return is_left and state.get("Status") == "exited" and state.get("ExitCode") == 0 and not state.get("OOMKilled")


def has_no_check(details: Mapping[str, Any]) -> bool:
    return not details["State"].get("Health")


def refuse_unsteady(watched: Watched, details: Mapping[str, Any]) -> None:
    """A restart is a crash, even if it runs again by now."""
    state = details["State"]
    if details.get("RestartCount") or state.get("Restarting") or state.get("StartedAt", "") != watched.started_at:
        raise NotWell(f"{watched.name} crashed and was restarted{describe_exit(state)}.", code="restarting")
    if state.get("Status") != "running":
        raise NotWell(f"{watched.name} did not keep running{describe_exit(state)}.", code="exited")


def describe_exit(state: Mapping[str, Any]) -> str:
    if state.get("OOMKilled"):
        return ": it ran out of memory"
    if message := state.get("Error"):
        return f": {cut(message)}"
    return f" (exit code {state['ExitCode']})" if isinstance(state.get("ExitCode"), int) else ""


def last_probe(state: Mapping[str, Any]) -> str:
    log = (state.get("Health") or {}).get("Log") or []
    if not log:
        return "its health check has not answered yet."
    output = cut(log[-1].get("Output") or "")
    return f"{output or 'its health check says nothing'} (exit code {log[-1].get('ExitCode')})."


def health_deadline(check: Mapping[str, Any]) -> float:
    """Seconds after which a health check without a verdict is taken for a failure."""

    def seconds(key: str, default: float) -> float:
        return (check.get(key) or 0) / NANOSECONDS or default

    rounds = (check.get("Retries") or DEFAULT_RETRIES) + 1
    one_round = seconds("Interval", DEFAULT_INTERVAL) + seconds("Timeout", DEFAULT_TIMEOUT)
    return seconds("StartPeriod", 0) + rounds * one_round + MARGIN_SECONDS
