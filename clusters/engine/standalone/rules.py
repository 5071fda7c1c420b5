"""The rules for replacing a container: order, monitor period, parallelism and pull policy. Labels override them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clusters.engine import names
from clusters.engine.durations import MONITOR_LIMIT, parse_duration
from clusters.engine.standalone.create_config import has_static_address
from clusters.engine.standalone.inspected import InspectedContainer, read_joined

Order = Literal["start-first", "stop-first"]
DEFAULT_MONITOR = 5.0  # seconds
PARALLELISM_LIMIT = 100


@dataclass(frozen=True)
class Exclusive:
    """A resource that only one container at a time can have. `code`: see PlanRefused. `hard`: no label can override it."""

    code: str
    reason: str
    hard: bool = False


def find_exclusive(container: InspectedContainer) -> Exclusive | None:
    """Return the resource that keeps the old and the new container from running side by side; None if there is none."""
    if ports := find_fixed_ports(container):
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


def find_fixed_ports(container: InspectedContainer) -> list[str]:
    """Return the host ports that the engine does not choose itself, freely or from a range."""
    bindings = container.host_config.get("PortBindings") or {}
    ports = [str((binding or {}).get("HostPort") or "") for found in bindings.values() for binding in found or []]
    return sorted(port for port in ports if port not in {"", "0"} and "-" not in port)


def is_writable_storage(mount: Mapping[str, Any]) -> bool:
    return bool(mount.get("RW")) and mount.get("Type") in {"volume", "bind"}


def choose_order(container: InspectedContainer) -> tuple[Order, str]:
    """Return the order and its reason."""
    exclusive = find_exclusive(container)
    if exclusive and exclusive.hard:
        return "stop-first", f"it {exclusive.reason}"
    label = container.labels.get(names.ORDER_LABEL, "").strip().lower()
    if label in {"start-first", "stop-first"}:
        return ("start-first" if label == "start-first" else "stop-first"), "its label says so"
    return ("stop-first", f"it {exclusive.reason}") if exclusive else ("start-first", "it has no exclusive resource")


def read_monitor(container: InspectedContainer) -> float:
    """Return the seconds that a container without a health check has to run to count as healthy."""
    seconds = parse_duration(container.labels.get(names.MONITOR_LABEL, ""))
    return DEFAULT_MONITOR if seconds is None else min(seconds, MONITOR_LIMIT)


def read_parallelism(container: InspectedContainer) -> int:
    text = container.labels.get(names.PARALLELISM_LABEL, "").strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return min(max(number, 1), PARALLELISM_LIMIT)


def read_pull_policy(container: InspectedContainer) -> str:
    """Return `always`, `missing` or `never`; empty if the image decides."""
    policy = container.labels.get(names.PULL_LABEL, "").strip().lower()
    return policy if policy in {"always", "missing", "never"} else ""
