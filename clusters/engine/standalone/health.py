"""Decide whether a new container is healthy: by its health check, or by whether it keeps running."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusters.engine.durations import NANOSECONDS
from clusters.engine.errors import EngineError, TargetMissing
from clusters.engine.evidence import make_masker, mask_lines
from clusters.engine.wording import cut, describe_moment

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

POLL_SECONDS = 0.25
MARGIN_SECONDS = 10.0  # on top of what the health check's own settings allow
DEFAULT_INTERVAL, DEFAULT_TIMEOUT, DEFAULT_RETRIES = 30.0, 30.0, 3  # the engine's


class NotHealthy(EngineError):
    """A watched container failed. Codes: `unhealthy`, `not_healthy_in_time`, `exited`, `restarting`."""

    code = "unhealthy"


@dataclass
class Watched:
    """A container under watch. Each look updates `image_id` and `has_ended`. `may_end`, `must_end`: see plan.Watch."""

    container_id: str
    name: str
    seen_since: float = 0.0
    started_at: str = ""
    may_end: bool = False
    must_end: bool = False
    is_announced: bool = False
    image_id: str = field(default="", compare=False)
    has_ended: bool = field(default=False, compare=False)


def ignore_announcement(text: str) -> None:
    """An `announce` for callers that show nothing."""


def watch_containers(
    client: "EngineClient",
    containers: list[Watched],
    monitor: float,
    pause: Callable[[float], None],
    announce: Callable[[str], None] = ignore_announcement,
) -> None:
    """Return when all containers are healthy. Raises NotHealthy.

    `monitor` is in seconds. `pause(seconds)` waits and can raise. `announce(text)` receives a sentence that says for what a
    slow container is waited for, and until when.
    """
    waiting = list(containers)
    while waiting:
        waiting = [watched for watched in waiting if not check_container(client, watched, monitor, announce)]
        if waiting:
            pause(POLL_SECONDS)


def check_container(
    client: "EngineClient", watched: Watched, monitor: float, announce: Callable[[str], None] = ignore_announcement
) -> bool:
    """Return whether the container is healthy yet. Raises NotHealthy if it failed."""
    try:
        details = client.inspect_container(watched.container_id)
    except TargetMissing as error:
        raise NotHealthy(f"{watched.name} exited and was removed.", code="exited") from error
    state, now = details["State"], time.monotonic()
    watched.image_id = details.get("Image", "")
    watched.seen_since = watched.seen_since or now
    watched.started_at = watched.started_at or state.get("StartedAt", "")
    if watched.may_end and has_completed(details):
        watched.has_ended = True
        return True
    if watched.must_end:
        watched.has_ended = check_completion(watched, state)
        if not watched.has_ended:
            announce_once(watched, announce, f"Waiting for the end of {watched.name}: others need its success.")
        return watched.has_ended
    refuse_unsteady(watched, details)
    health = (state.get("Health") or {}).get("Status") or "none"
    if health == "unhealthy":
        raise NotHealthy(f"{watched.name} is unhealthy: {describe_last_probe(details)}", code="unhealthy")
    if health != "starting":
        return health == "healthy" or now - watched.seen_since >= monitor
    limit = compute_health_deadline((details.get("Config") or {}).get("Healthcheck") or {})
    if now - watched.seen_since > limit:
        message = f"{watched.name} did not become healthy within {limit:.0f} s: {describe_last_probe(details)}"
        raise NotHealthy(message, code="not_healthy_in_time")
    until = describe_moment(limit - (now - watched.seen_since))
    announce_once(watched, announce, f"Waiting until {until} at the latest for the health check of {watched.name}.")
    return False


def announce_once(watched: Watched, announce: Callable[[str], None], text: str) -> None:
    if not watched.is_announced:
        watched.is_announced = True
        announce(text)


def check_completion(watched: Watched, state: Mapping[str, Any]) -> bool:
    """Return whether a container that has to end with success has done so. Raises NotHealthy if it failed for good.

    The engine restarts one that failed as often as its restart policy says.
    """
    if state.get("Status") not in {"exited", "dead"}:
        return False
    if state.get("ExitCode") == 0 and not state.get("OOMKilled") and not state.get("Error"):
        return True
    raise NotHealthy(f"{watched.name} did not complete its work{describe_container_exit(state)}.", code="exited")


def has_completed(details: Mapping[str, Any]) -> bool:
    """Return whether the container exited with code 0 and its restart policy does not start it again."""
    state, policy = details["State"], (details.get("HostConfig") or {}).get("RestartPolicy") or {}
    is_left = (policy.get("Name") or "no") in {"no", "on-failure"} and not details.get("RestartCount")
    return is_left and state.get("Status") == "exited" and state.get("ExitCode") == 0 and not state.get("OOMKilled")


def refuse_unsteady(watched: Watched, details: Mapping[str, Any]) -> None:
    """Raise NotHealthy if the container does not run, or was restarted: a restart is a crash even if it runs again by now."""
    state = details["State"]
    if details.get("RestartCount") or state.get("Restarting") or state.get("StartedAt", "") != watched.started_at:
        raise NotHealthy(f"{watched.name} crashed and was restarted{describe_container_exit(state)}.", code="restarting")
    if state.get("Status") != "running":
        raise NotHealthy(f"{watched.name} did not keep running{describe_container_exit(state)}.", code="exited")


def describe_failed(client: "EngineClient", watched: Watched) -> str:
    """Say how a watched container has failed; empty if it has not, as far as the engine says."""
    try:
        details = client.inspect_container(watched.container_id)
        refuse_unsteady(watched, details)
    except NotHealthy as error:
        return "" if watched.has_ended or has_completed(details) else error.message
    except EngineError:
        return ""
    state = details["State"]
    if (state.get("Health") or {}).get("Status") == "unhealthy":
        return f"{watched.name} is unhealthy: {describe_last_probe(details)}"
    return ""


def describe_container_exit(state: Mapping[str, Any]) -> str:
    if state.get("OOMKilled"):
        return ": it ran out of memory"
    if message := state.get("Error"):
        return f": {cut(message)}"
    return f" (exit code {state['ExitCode']})" if isinstance(state.get("ExitCode"), int) else ""


def describe_last_probe(details: Mapping[str, Any]) -> str:
    """Return what the last health check printed, with the container's secrets masked."""
    log = (details["State"].get("Health") or {}).get("Log") or []
    if not log:
        return "its health check has not reported a result yet."
    environment = (details.get("Config") or {}).get("Env") or ()
    output = cut(" ".join(mask_lines(make_masker(environment), (log[-1].get("Output") or "").splitlines())))
    return f"{output or 'its health check printed nothing'} (exit code {log[-1].get('ExitCode')})."


def compute_health_deadline(check: Mapping[str, Any]) -> float:
    """Return the seconds after which a health check that still reports `starting` counts as failed."""

    def seconds(key: str, default: float) -> float:
        return (check.get(key) or 0) / NANOSECONDS or default

    rounds = (check.get("Retries") or DEFAULT_RETRIES) + 1
    one_round = seconds("Interval", DEFAULT_INTERVAL) + seconds("Timeout", DEFAULT_TIMEOUT)
    return seconds("StartPeriod", 0) + rounds * one_round + MARGIN_SECONDS


def describe_watched(watched: Sequence[Watched]) -> str:
    """`web-1, web-2 are healthy; migrate-1 completed`"""
    healthy = [item.name for item in watched if not item.has_ended]
    ended = [item.name for item in watched if item.has_ended]
    parts = [f"{', '.join(healthy)} {'is' if len(healthy) == 1 else 'are'} healthy"] if healthy else []
    return "; ".join([*parts, f"{', '.join(ended)} completed"] if ended else parts)
