"""The rules of a service's update that the driver needs to follow it: Swarm's own update settings, and our labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusters.engine import names
from clusters.engine.durations import MONITOR_LIMIT, NANOSECONDS, parse_duration
from clusters.engine.swarm.objects import SwarmService

DEPENDS_LABEL = "windlass.depends"
TIMEOUT_LABEL = "windlass.update.timeout"
SWARMS_MONITOR = 5.0  # seconds, where the service sets none
UNPLACED_SECONDS = 60.0  # no node takes a task
SILENT_SECONDS = 300.0  # nothing changes at all
PULL_SECONDS = 1800.0  # a node prepares a task, which mostly means that it pulls the image: Swarm reports nothing of it
# Before it starts the previous version again, Swarm waits up to a minute for a task that should end, even for one that never
# started.
LEAST_ROLLBACK_SILENCE = 120.0
TIMEOUT_LIMIT = 86400.0


@dataclass(frozen=True)
class FollowLimits:
    """Limits in seconds.

    `monitor` is how long converged tasks are watched, `rollback_monitor` the same during a rollback. `unplaced` is how long a
    task can wait for a node. `silent` is how long nothing at all can change, and `pull` the same while a node prepares a task.
    """

    monitor: float = SWARMS_MONITOR
    unplaced: float = UNPLACED_SECONDS
    silent: float = SILENT_SECONDS
    pull: float = PULL_SECONDS
    delay: float = 0.0  # Swarm's own pause between one task and the next
    rollback_monitor: float = SWARMS_MONITOR

    @property
    def of_rollback(self) -> "FollowLimits":
        return replace(
            self,
            monitor=self.rollback_monitor,
            unplaced=max(self.unplaced, UNPLACED_SECONDS),
            silent=max(self.silent, LEAST_ROLLBACK_SILENCE),
            pull=max(self.pull, LEAST_ROLLBACK_SILENCE),
        )


def read_limits(service: SwarmService) -> FollowLimits:
    limits = FollowLimits(
        monitor=read_service_monitor(service, "UpdateConfig"),
        rollback_monitor=read_service_monitor(service, "RollbackConfig"),
        delay=read_seconds(service.spec.get("UpdateConfig"), "Delay"),
    )
    timeout = parse_duration(service.labels.get(TIMEOUT_LABEL, ""))
    if timeout is not None:
        seconds = min(max(timeout, 1.0), TIMEOUT_LIMIT)
        return replace(limits, unplaced=seconds, silent=seconds, pull=seconds)
    return replace(limits, silent=SILENT_SECONDS + read_quiet_seconds(service))


def read_service_monitor(service: SwarmService, config: str) -> float:
    """`config` is UpdateConfig or RollbackConfig."""
    monitor = parse_duration(service.labels.get(names.MONITOR_LABEL, ""))
    if monitor is None:
        monitor = read_seconds(service.spec.get(config), "Monitor") or SWARMS_MONITOR
    return min(monitor, MONITOR_LIMIT)


def read_quiet_seconds(service: SwarmService) -> float:
    """Return how long the service's own settings allow that nothing changes: delay between tasks, stop, health check."""
    check = service.container_spec.get("Healthcheck")
    rounds = (int((check or {}).get("Retries") or 0) or 3) + 1 if check else 0
    return (
        read_seconds(service.spec.get("UpdateConfig"), "Delay")
        + read_seconds(service.container_spec, "StopGracePeriod")
        + read_seconds(check, "StartPeriod")
        + rounds * (read_seconds(check, "Interval") + read_seconds(check, "Timeout"))
    )


def read_seconds(settings: Mapping[str, Any] | None, key: str) -> float:
    return float((settings or {}).get(key) or 0) / NANOSECONDS


def rolls_back_by_itself(service: SwarmService) -> bool:
    """Return whether Swarm rolls a failed update of the service back."""
    return read_failure_action(service) == "rollback"


def continues_on_failure(service: SwarmService) -> bool:
    return read_failure_action(service) == "continue"


def read_failure_action(service: SwarmService) -> str:
    return str((service.spec.get("UpdateConfig") or {}).get("FailureAction") or "pause")


def read_depends(service: SwarmService) -> list[str]:
    """Return the names, short or full, of the services that must be updated before this one."""
    return [name.strip() for name in service.labels.get(DEPENDS_LABEL, "").split(",") if name.strip()]
