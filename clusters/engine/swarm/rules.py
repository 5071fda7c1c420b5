"""How a service is updated, as far as following it depends on that: its own update settings, and our labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusters.engine import names
from clusters.engine.durations import MONITOR_LIMIT, NANOSECONDS, parse_duration
from clusters.engine.swarm.observed import SwarmService

DEPENDS_LABEL = "windlass.depends"
TIMEOUT_LABEL = "windlass.update.timeout"
SWARMS_MONITOR = 5.0  # seconds, where the service says nothing
UNPLACED_SECONDS = 60.0  # no node takes a task
SILENT_SECONDS = 300.0  # nothing changes at all
# Swarm waits up to a minute for a task that is to end, even one that never began, before it starts the one it goes back to.
LEAST_SILENCE_GOING_BACK = 120.0
TIMEOUT_LIMIT = 86400.0


@dataclass(frozen=True)
class Limits:
    """Seconds: how long converged tasks are watched, a task may wait for a node, nothing at all may change.
    `monitor_back`: how long they are watched on a way back."""

    monitor: float = SWARMS_MONITOR
    unplaced: float = UNPLACED_SECONDS
    silent: float = SILENT_SECONDS
    delay: float = 0.0  # Swarm's own pause between one task and the next
    monitor_back: float = SWARMS_MONITOR

    @property
    def going_back(self) -> "Limits":
        return replace(
            self,
            monitor=self.monitor_back,
            unplaced=max(self.unplaced, UNPLACED_SECONDS),
            silent=max(self.silent, LEAST_SILENCE_GOING_BACK),
        )


def read_limits(service: SwarmService) -> Limits:
    limits = Limits(
        monitor=read_monitor(service, "UpdateConfig"),
        monitor_back=read_monitor(service, "RollbackConfig"),
        delay=read_seconds(service.spec.get("UpdateConfig"), "Delay"),
    )
    timeout = parse_duration(service.labels.get(TIMEOUT_LABEL, ""))
    if timeout is not None:
        seconds = min(max(timeout, 1.0), TIMEOUT_LIMIT)
        return replace(limits, unplaced=seconds, silent=seconds)
    return replace(limits, silent=SILENT_SECONDS + read_quiet_seconds(service))


def read_monitor(service: SwarmService, config: str) -> float:
    """`config`: UpdateConfig or RollbackConfig."""
    monitor = parse_duration(service.labels.get(names.MONITOR_LABEL, ""))
    if monitor is None:
        monitor = read_seconds(service.spec.get(config), "Monitor") or SWARMS_MONITOR
    return min(monitor, MONITOR_LIMIT)


def read_quiet_seconds(service: SwarmService) -> float:
    """What the service's own settings allow without any change: the delay between tasks, a stop, a health check."""
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


def goes_back_by_itself(service: SwarmService) -> bool:
    """Swarm rolls a failed update of it back."""
    return read_failure_action(service) == "rollback"


def continues_on_failure(service: SwarmService) -> bool:
    return read_failure_action(service) == "continue"


def read_failure_action(service: SwarmService) -> str:
    return str((service.spec.get("UpdateConfig") or {}).get("FailureAction") or "pause")


def read_depends(service: SwarmService) -> list[str]:
    """Names of services that go before it, short or whole."""
    return [name.strip() for name in service.labels.get(DEPENDS_LABEL, "").split(",") if name.strip()]
