"""The resource usage of a container: one sample of `GET /containers/{id}/stats`, in the terms of `docker stats`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.engine.inspection.json_values import as_list, as_map, number_of, time_of


@dataclass(frozen=True)
class CpuCounters:
    """Nanoseconds of CPU time that the container, and the whole system, have used so far."""

    container: int
    system: int


@dataclass(frozen=True)
class ResourceUsage:
    """One sample of a container. Sizes are in bytes; `received`, `sent`, `read` and `written` count since its start.

    `cpu_percent` is relative to one CPU: two busy CPUs are 200. It is None where there was no sample before. `memory` leaves
    out the page cache that can be dropped; `memory_limit` is the machine's memory where the container has no limit.
    """

    read_at: datetime
    counters: CpuCounters
    cpu_percent: float | None
    cpus: int
    memory: int
    memory_limit: int
    received: int
    sent: int
    read: int
    written: int
    pids: int


def read_resource_usage(stats: Mapping[str, Any], before: CpuCounters | None = None) -> ResourceUsage | None:
    """Return the usage, or None where the container is not running.

    `before` has the counters of an earlier sample, for where the engine sends none.
    """
    read_at = time_of(stats.get("read"))
    cpu = as_map(stats.get("cpu_stats"))
    counters = read_counters(cpu)
    if read_at is None or not counters.system:
        return None
    earlier = read_counters(as_map(stats.get("precpu_stats")))
    cpus = number_of(cpu.get("online_cpus")) or len(as_list(as_map(cpu.get("cpu_usage")).get("percpu_usage"))) or 1
    memory = as_map(stats.get("memory_stats"))
    networks = [as_map(network) for network in as_map(stats.get("networks")).values()]
    return ResourceUsage(
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


def read_counters(cpu: Mapping[str, Any]) -> CpuCounters:
    return CpuCounters(number_of(as_map(cpu.get("cpu_usage")).get("total_usage")), number_of(cpu.get("system_cpu_usage")))


def measure_cpu(before: CpuCounters | None, now: CpuCounters, cpus: int) -> float | None:
    """Return None without an earlier sample, and across a restart, which resets the counter."""
    if before is None or now.system <= before.system or now.container < before.container:
        return None
    return (now.container - before.container) / (now.system - before.system) * cpus * 100


def read_memory(memory: Mapping[str, Any]) -> int:
    """Return the memory without droppable page cache: total_inactive_file in cgroup v1, inactive_file in v2."""
    usage, details = number_of(memory.get("usage")), as_map(memory.get("stats"))
    cache = number_of(details.get("total_inactive_file")) or number_of(details.get("inactive_file"))
    return usage - cache if cache < usage else usage


def sum_blocks(stats: Mapping[str, Any], operation: str) -> int:
    """Sum the bytes of one operation: `Read` in cgroup v1, `read` in v2."""
    entries = map(as_map, as_list(as_map(stats.get("blkio_stats")).get("io_service_bytes_recursive")))
    return sum(number_of(entry.get("value")) for entry in entries if str(entry.get("op")).lower() == operation)
