from datetime import UTC, datetime

import pytest

from clusters.engine.inspection.resource_usage import CpuCounters, read_resource_usage

# A container on two CPUs, as an engine 20.10 measured it (control groups v1), shortened.
STATS = {
    "read": "2026-11-23T05:40:12.031532221Z",
    "preread": "0001-01-01T00:00:00Z",
    "pids_stats": {"current": 3, "limit": 100},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 0, "op": "Write", "value": 8192},
            {"major": 8, "minor": 16, "op": "Read", "value": 1},
            {"major": 8, "minor": 0, "op": "Total", "value": 12289},
        ]
    },
    "cpu_stats": {
        "cpu_usage": {"total_usage": 5_000_000_000, "percpu_usage": [2_000_000_000, 3_000_000_000]},
        "system_cpu_usage": 900_000_000_000,
        "online_cpus": 2,
    },
    "precpu_stats": {"cpu_usage": {"total_usage": 0}},
    "memory_stats": {"usage": 30_000_000, "stats": {"total_inactive_file": 10_000_000}, "limit": 67_108_864},
    "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 10}, "eth1": {"rx_bytes": 1, "tx_bytes": 2}},
}
BEFORE = CpuCounters(container=4_500_000_000, system=898_000_000_000)


def test_usage_equals_that_of_docker_stats():
    use = read_resource_usage(STATS, BEFORE)
    assert use.read_at == datetime(2026, 11, 23, 5, 40, 12, 31532, tzinfo=UTC)
    assert use.cpu_percent == pytest.approx(50)  # half a second of CPU in two seconds of both
    assert (use.cpus, use.memory, use.memory_limit, use.pids) == (2, 20_000_000, 67_108_864, 3)
    assert (use.received, use.sent, use.read, use.written) == (1001, 12, 4097, 8192)


def test_the_engines_own_earlier_sample_is_preferred():
    earlier = {"cpu_usage": {"total_usage": 4_000_000_000}, "system_cpu_usage": 898_000_000_000}
    assert read_resource_usage(STATS | {"precpu_stats": earlier}, BEFORE).cpu_percent == pytest.approx(100)


def test_cgroup_v2_is_read_too():
    blocks = {"io_service_bytes_recursive": [{"op": "read", "value": 5}, {"op": "write", "value": 6}]}
    memory = {"usage": 30, "stats": {"inactive_file": 10}, "limit": 100}
    use = read_resource_usage(STATS | {"blkio_stats": blocks, "memory_stats": memory})
    assert (use.read, use.written, use.memory) == (5, 6, 20)


@pytest.mark.parametrize("before", [None, CpuCounters(6_000_000_000, 898_000_000_000), CpuCounters(0, 900_000_000_000)])
def test_without_an_earlier_sample_or_across_a_restart_the_cpu_is_unknown(before):
    assert read_resource_usage(STATS, before).cpu_percent is None


def test_old_engines_list_their_cpus_one_by_one():
    cpu = {key: value for key, value in STATS["cpu_stats"].items() if key != "online_cpus"}
    assert read_resource_usage(STATS | {"cpu_stats": cpu}, BEFORE).cpus == 2


@pytest.mark.parametrize(
    "stats",
    [
        {},
        {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}},
        {"read": None, "cpu_stats": None, "networks": None},
        {"read": "2026-11-23T05:40:12Z", "cpu_stats": {"cpu_usage": "x", "system_cpu_usage": "y"}},
    ],
)
def test_a_stopped_container_has_no_usage(stats):
    assert read_resource_usage(stats) is None


def test_nulls_and_wrong_types_count_as_zero():
    use = read_resource_usage(
        STATS | dict.fromkeys(("blkio_stats", "networks", "memory_stats", "pids_stats", "precpu_stats")), BEFORE
    )
    assert (use.memory, use.received, use.read, use.pids) == (0, 0, 0, 0)
