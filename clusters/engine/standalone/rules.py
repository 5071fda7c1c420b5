"""How a container is replaced: the order, the monitor period, how many at a time, and whether to pull. Labels override."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clusters.engine import names
from clusters.engine.durations import MONITOR_LIMIT, parse_duration
from clusters.engine.standalone.create_config import has_static_address
from clusters.engine.standalone.observed import ObservedContainer, read_joined

Order = Literal["start-first", "stop-first"]
DEFAULT_MONITOR = 5.0  # seconds
PARALLELISM_LIMIT = 100


@dataclass(frozen=True)
class Exclusive:
    """What only one container at a time can have. `code` as PlanRefused's; `hard`: no label can say otherwise."""

    code: str
    reason: str
    hard: bool = False


def find_exclusive(container: ObservedContainer) -> Exclusive | None:
    """Why old and new cannot run side by side; None when nothing stands against it."""
    if ports := fixed_ports(container):
        return Exclusive("fixed_port", f"publishes the fixed host port {ports[0]}", hard=True)
    if has_static_address(container):
        return Exclusive("static_address", "has a fixed address", hard=True)
    if container.network_mode == "host":
        return Exclusive("host_network", "uses the host's network")
    if read_joined(container.network_mode) is not None:
        return Exclusive("shared_network", "uses another container's network")
    if writable := next((mount for mount in container.mounts if is_writable_storage(mount)), None):
        return Exclusive("writable_mount", f"writes to {str(writable.get('Destination'))[:100]}")
    return None


def fixed_ports(container: ObservedContainer) -> list[str]:
    """Host ports that are neither left to the engine nor a range for it to choose from."""
    bindings = container.host_config.get("PortBindings") or {}
    ports = [str((binding or {}).get("HostPort") or "") for found in bindings.values() for binding in found or []]
    return sorted(port for port in ports if port not in {"", "0"} and "-" not in port)


def is_writable_storage(mount: Mapping[str, Any]) -> bool:
    return bool(mount.get("RW")) and mount.get("Type") in {"volume", "bind"}


def choose_order(container: ObservedContainer) -> tuple[Order, str]:
    """The order and why."""
    exclusive = find_exclusive(container)
    if exclusive and exclusive.hard:
        return "stop-first", f"it {exclusive.reason}"
    asked = container.labels.get(names.ORDER_LABEL, "").strip().lower()
    if asked in {"start-first", "stop-first"}:
        return ("start-first" if asked == "start-first" else "stop-first"), "its label says so"
    return ("stop-first", f"it {exclusive.reason}") if exclusive else ("start-first", "nothing of it is exclusive")


def read_monitor(container: ObservedContainer) -> float:
    """Seconds a container without a health check has to run to count as well."""
    seconds = parse_duration(container.labels.get(names.MONITOR_LABEL, ""))
    return DEFAULT_MONITOR if seconds is None else min(seconds, MONITOR_LIMIT)


def read_parallelism(container: ObservedContainer) -> int:
    text = container.labels.get(names.PARALLELISM_LABEL, "").strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return min(max(number, 1), PARALLELISM_LIMIT)


def read_pull_policy(container: ObservedContainer) -> str:
    """`always`, `missing` or `never`; empty: what the image suggests."""
    policy = container.labels.get(names.PULL_LABEL, "").strip().lower()
    return policy if policy in {"always", "missing", "never"} else ""
