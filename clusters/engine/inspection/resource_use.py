"""What a container uses: one sample of `GET /containers/{id}/stats`, in the terms of `docker stats`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.engine.inspection.answers import as_list, as_map, number_of, time_of


@dataclass(frozen=True)
class Counters:
    """Nanoseconds of CPU that the container, and that all CPUs together, have spent so far."""

    container: int
    system: int


@dataclass(frozen=True)
class Use:
    """`cpu_percent` is of one CPU, so that two busy ones are 200; None while there was no sample before. Bytes since the start.

    `memory` is without the page cache that can be dropped; `memory_limit` is the machine's where the container has none.
    """

    read_at: datetime
    counters: Counters
    cpu_percent: float | None
    cpus: int
    memory: int
    memory_limit: int
    received: int
    sent: int
    read: int
    written: int
    pids: int


def read_use(stats: Mapping[str, Any], before: Counters | None = None) -> Use | None:
    """None where the container does not run. `before`: the counters of a sample taken earlier, where the engine gives none."""
    read_at = time_of(stats.get("read"))
    cpu = as_map(stats.get("cpu_stats"))
    counters = read_counters(cpu)
    if read_at is None or not counters.system:
        return None
    earlier = read_counters(as_map(stats.get("precpu_stats")))
    cpus = number_of(cpu.get("online_cpus")) or len(as_list(as_map(cpu.get("cpu_usage")).get("percpu_usage"))) or 1
    memory = as_map(stats.get("memory_stats"))
    networks = [as_map(network) for network in as_map(stats.get("networks")).values()]
    return Use(
        read_at=read_at,
        counters=counters,
        cpu_percent=measure_cpu(earlier if earlier.system else before, counters, cpus),
        cpus=cpus,
        memory=read_memory(memory),
        memory_limit=number_of(memory.get("limit")),
        received=sum(number_of(network.get("rx_bytes")) for network in networks),
        sent=sum(number_of(network.get("tx_bytes")) for network in networks),
        read=sum_blocks(stats, "read"),
        written=sum_blocks(stats, "write"),
        pids=number_of(as_map(stats.get("pids_stats")).get("current")),
    )


def read_counters(cpu: Mapping[str, Any]) -> Counters:
    return Counters(number_of(as_map(cpu.get("cpu_usage")).get("total_usage")), number_of(cpu.get("system_cpu_usage")))


def measure_cpu(before: Counters | None, now: Counters, cpus: int) -> float | None:
    """None where nothing can be told: without a sample before, and across a restart, which sets the counter back."""
    if before is None or now.system <= before.system or now.container < before.container:
        return None
    return (now.container - before.container) / (now.system - before.system) * cpus * 100


def read_memory(memory: Mapping[str, Any]) -> int:
    """Control groups v1 call what can be dropped total_inactive_file, v2 inactive_file."""
    usage, details = number_of(memory.get("usage")), as_map(memory.get("stats"))
    cache = number_of(details.get("total_inactive_file")) or number_of(details.get("inactive_file"))
    return usage - cache if cache < usage else usage


def sum_blocks(stats: Mapping[str, Any], operation: str) -> int:
    """Control groups v1 write `Read`, v2 `read`."""
    entries = map(as_map, as_list(as_map(stats.get("blkio_stats")).get("io_service_bytes_recursive")))
    return sum(number_of(entry.get("value")) for entry in entries if str(entry.get("op")).lower() == operation)
