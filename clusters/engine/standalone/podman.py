"""What Podman's containers need beside Docker's: defaults of Podman's own, and what its Docker API cannot recreate."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusters.engine.connection.podman import PODMAN_KEY, name_signal
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.inspected import InspectedContainer

UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"
PODMAN_COMPOSE_UNIT = "podman-compose@"  # podman-compose puts it on all its containers, whether systemd runs them or not
LOCAL_REGISTRY = "localhost/"  # where Podman puts what was built without a registry's name
# Options of `podman run` and `podman create` that the Docker API neither reports nor takes.
LOST_OPTIONS = (
    "--ip",
    "--ip6",
    "--mac-address",
    "--secret",
    "--rootfs",
    "--umask",
    "--tz",
    "--timeout",
    "--systemd",
    "--cgroups",
    "--annotation",
    "--no-hosts",
    "--passwd-entry",
    "--group-entry",
    "--hostuser",
    "--userns",
    "--sdnotify",
    "--requires",
    "--health-on-failure",
    "--uidmap",
    "--gidmap",
    "--subuidname",
    "--subgidname",
)
FIXED_IN_NETWORK = ("ip=", "ip6=", "mac=")  # `--network web:ip=10.89.0.7`


def subtract_podman_defaults(config: dict[str, Any], image: Mapping[str, Any]) -> None:
    """Remove what Podman reports although neither the image nor a person has set it."""
    if config.get("WorkingDir") == "/" and not image.get("WorkingDir"):
        del config["WorkingDir"]
    if config.get("StopSignal") and config["StopSignal"] == (name_signal(image.get("StopSignal")) or "SIGTERM"):
        del config["StopSignal"]


def is_local_build(containers: Iterable[InspectedContainer], reference: str) -> bool:
    """Return whether the image was built by Podman here under no registry's name."""
    return reference.startswith(LOCAL_REGISTRY) and any(container.is_podman for container in containers)


def refuse_lost_settings(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a container of Podman that would lose something if it were recreated or cloned."""
    for container in containers:
        if container.is_podman and (obstacle := find_obstacle(container)):
            raise PlanRefused(f"{container.name} cannot be recreated: {obstacle}", code="podman")


def find_obstacle(container: InspectedContainer) -> str:
    """Return why a container of Podman cannot be recreated through its Docker API, or "" where it can."""
    known = container.details[PODMAN_KEY]
    unit = container.labels.get(UNIT_LABEL, "")
    if known.get("Pod"):
        return "it belongs to a pod, and Podman's Docker API cannot create a container in a pod. Recreate the pod instead."
    if unit and not unit.startswith(PODMAN_COMPOSE_UNIT):
        return f"systemd runs it as {unit[:200]}. Use `podman auto-update`, or restart that unit."
    if known.get("Secrets"):
        return "it has Podman's secrets, which Podman's Docker API cannot pass on."
    if option := find_lost_option(known.get("CreateCommand") or [], container.config.get("Cmd") or []):
        return f"it was created with {option}, which Podman's Docker API cannot pass on."
    return ""


def find_lost_option(line: Sequence[str], own_command: Sequence[str]) -> str:
    """Return the first option of the command line that a new container would not have, or "".

    `own_command` is what the container runs, which can be at the end of the line.
    """
    ends = len(line) - len(own_command) if own_command and list(line[-len(own_command) :]) == list(own_command) else len(line)
    command = list(line[:ends])
    if not {"run", "create"}.intersection(command):
        return ""  # created through the API: the command line is that of the service
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name in LOST_OPTIONS:
            return name
        if name in {"--network", "--net"}:
            settings = (value or following).partition(":")[2].split(",")
            if any(setting.startswith(FIXED_IN_NETWORK) for setting in settings):
                return "a fixed address"
    return ""
