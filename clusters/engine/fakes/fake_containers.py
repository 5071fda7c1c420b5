"""FakeEngine's containers: what the engine makes of a create body, and how the Engine API shows it. Pure functions."""

import hashlib
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

CRASHES = ["/bin/false"]
COMPLETES = ["/bin/true"]
CANNOT_START = ["/bin/not-there"]
SERVES = ["/bin/sh", "-c", "echo ok > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
NEVER = "0001-01-01T00:00:00Z"


def make_id(*seed: object) -> str:
    """Return 64 hex digits, the same for the same seed."""
    return hashlib.sha256(repr(seed).encode()).hexdigest()


def make_mac(*seed: object) -> str:
    return "02:42:" + bytes.fromhex(make_id(*seed)[:8]).hex(":")


def new_state(status: str) -> Json:
    return {
        "Status": status,
        "Running": status == "running",
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": NEVER,
        "FinishedAt": NEVER,
    }


def new_stats(container: Json, second: int) -> Json:
    """Return what the container has used after `second` seconds on a machine with two CPUs. After 0 seconds it is stopped."""
    system, used = 2 * second * 10**9, second * 10**8
    stats: Json = {"id": container["Id"], "name": container["Name"], "read": NEVER, "precpu_stats": {}, "memory_stats": {}}
    stats["cpu_stats"] = {"cpu_usage": {"total_usage": used}}
    if not second:
        return stats
    stats["cpu_stats"] |= {"system_cpu_usage": system, "online_cpus": 2}
    limit = container["HostConfig"].get("Memory") or 4 << 30
    stats["memory_stats"] = {
        "usage": (12 << 20) + (second % 8 << 20),
        "limit": limit,
        "stats": {"total_inactive_file": 1 << 20},
    }
    stats["pids_stats"] = {"current": 2}
    stats["networks"] = {"eth0": {"rx_bytes": second * 2000, "tx_bytes": second * 500}}
    operations = {"Read": 1 << 20, "Write": second << 10, "Total": (1 << 20) + (second << 10)}
    stats["blkio_stats"] = {"io_service_bytes_recursive": [{"op": op, "value": value} for op, value in operations.items()]}
    return stats


def merge_config(body: Json, image: Json) -> Json:
    """Return the container's config: the create body over the image's defaults."""
    config: Json = {"Hostname": "", "Domainname": "", **{k: v for k, v in body.items() if v is not None}}
    own = {entry.partition("=")[0] for entry in body.get("Env") or []}
    config["Env"] = [
        *(body.get("Env") or []),
        *(entry for entry in image.get("Env") or [] if entry.partition("=")[0] not in own),
    ]
    config["Labels"] = {**(image.get("Labels") or {}), **(body.get("Labels") or {})}
    config["Cmd"], config["Entrypoint"] = merge_command(body, image)
    for name in ("ExposedPorts", "Volumes"):
        if merged := {**(image.get(name) or {}), **(body.get(name) or {})}:
            config[name] = merged
    for name in ("WorkingDir", "User"):
        config[name] = body.get(name) or image.get(name) or ""
    if signal := body.get("StopSignal") or image.get("StopSignal"):
        config["StopSignal"] = signal
    if health_check := merge_health_check(body.get("Healthcheck") or {}, image.get("Healthcheck") or {}):
        config["Healthcheck"] = health_check
    return config


def merge_health_check(own: Json, image: Json) -> Json:
    """Fill each field that the body leaves out with the image's."""
    return {**image, **{name: value for name, value in own.items() if value}}


def merge_command(body: Json, image: Json) -> tuple[list[str] | None, list[str] | None]:
    """Return command and entrypoint. The image's command is a default only together with the image's entrypoint."""
    command, entrypoint = body.get("Cmd"), body.get("Entrypoint")
    if entrypoint:
        return command, entrypoint
    return command or image.get("Cmd"), image.get("Entrypoint") if entrypoint is None else None


def find_command(container: Json) -> list[str]:
    """Return what the container runs: its entrypoint and its command."""
    config = container["Config"]
    return [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]


def policy_leaves(container: Json) -> bool:
    """Return whether the restart policy leaves the container stopped when it ends with code 0."""
    return container["HostConfig"]["RestartPolicy"].get("Name") in (None, "", "no", "on-failure")


def find_host_ports(container: Json) -> set[str]:
    """Return the host ports that the container requests by number."""
    bindings = container["HostConfig"].get("PortBindings") or {}
    return {
        bound["HostPort"]
        for ports in bindings.values()
        for bound in ports or []
        if bound.get("HostPort") not in ("", "0", None)
    }


def list_ports(container: Json) -> list[Json]:
    ports: list[Json] = []
    bindings = container["HostConfig"].get("PortBindings") or {}
    for port in {**(container["Config"].get("ExposedPorts") or {}), **bindings}:
        number, _, protocol = port.partition("/")
        bound = [b for b in bindings.get(port) or [] if container["State"]["Running"] and b.get("HostPort")]
        entry = {"PrivatePort": int(number), "Type": protocol or "tcp"}
        ports += [{**entry, "IP": b.get("HostIp") or "0.0.0.0", "PublicPort": int(b["HostPort"])} for b in bound] or [entry]
    return ports


def has_labels(labels: Json, words: Iterable[str]) -> bool:
    """Return whether the labels have each word, `key` or `key=value`, of a list's filter `label`."""
    parted = (word.partition("=") for word in words)
    return all(labels.get(key) == text if sign else key in labels for key, sign, text in parted)


def container_matches(container: Json, filters: Json) -> bool:
    """Return whether the container passes a list's filters: `label`, `name`, `id`, `status`, each a word or a list of words."""
    labels = container["Config"]["Labels"]
    for kind, value in filters.items():
        words = [value] if isinstance(value, str) else list(value)
        if kind == "label":
            passed = has_labels(labels, words)
        elif kind == "name":
            passed = any(word.lstrip("^/").rstrip("$") in container["Name"] for word in words)
        elif kind == "id":
            passed = any(container["Id"].startswith(word) for word in words)
        elif kind == "status":
            passed = container["State"]["Status"] in words
        else:
            raise NotImplementedError(f"FakeEngine does not know the filter {kind!r}.")
        if not passed:
            return False
    return True
