"""A container as the engine inspects it, with everything that a plan needs to know of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.engine import names
from clusters.engine.connection.podman import PODMAN_KEY
from clusters.engine.references import is_image_id

RUNNING_STATES = {"running", "paused", "restarting"}
GONE_STATES = {"removing"}
NETWORK_NAMES = {"default": "bridge"}  # NetworkMode's name for the default bridge network
WHOLE_ID = re.compile(r"[0-9a-f]{64}")
CONTAINER_MODES = ("NetworkMode", "IpcMode", "PidMode")


@dataclass(frozen=True, eq=False)
class InspectedContainer:
    """An inspected container. `name` and `running` describe it after the recovery of an unfinished recreate."""

    details: dict[str, Any] = field(repr=False)
    place: names.Place
    name: str
    running: bool
    restart_policy: Mapping[str, Any]
    purpose: str = ""  # what the console needs it for (clusters.engine.lifelines)
    previous_ids: frozenset[str] = frozenset()  # short ids of containers that had its place in an unfinished recreate

    @property
    def id(self) -> str:
        return str(self.details["Id"])

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def engine_name(self) -> str:
        """The container's name on the engine now."""
        return str(self.details["Name"]).lstrip("/")

    @property
    def own_name(self) -> str:
        """The same without what Compose puts before it, see names.own_name."""
        return names.own_name(self.engine_name, self.labels)

    @property
    def state(self) -> str:
        return str(self.details["State"]["Status"])

    @property
    def started_at(self) -> str:
        """The time in the engine's format; its year is 1 if the container was never started."""
        return str(self.details["State"].get("StartedAt") or "")

    @property
    def runs_now(self) -> bool:
        return self.state in RUNNING_STATES

    @property
    def is_healthy(self) -> bool:
        """Return whether the container runs, and is not unhealthy by its health check."""
        return self.state == "running" and self.health != "unhealthy"

    @property
    def health(self) -> str:
        return ((self.details["State"].get("Health") or {}).get("Status") or "").replace("none", "")

    @property
    def is_podman(self) -> bool:
        """Return whether the engine is Podman."""
        return PODMAN_KEY in self.details

    @property
    def config(self) -> dict[str, Any]:
        return self.details["Config"]

    @property
    def host_config(self) -> dict[str, Any]:
        return self.details["HostConfig"]

    @property
    def labels(self) -> dict[str, str]:
        return self.config.get("Labels") or {}

    @property
    def image_id(self) -> str:
        return str(self.details["Image"])

    @property
    def image(self) -> str:
        """The reference at creation; from our own label if the container had to be created from an id."""
        written = str(self.config.get("Image") or "")
        return self.labels.get(names.REFERENCE_LABEL) or written if is_image_id(written, self.image_id) else written

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        found = (self.details.get("NetworkSettings") or {}).get("Networks") or {}
        return {name: endpoint or {} for name, endpoint in found.items()}

    @property
    def network_mode(self) -> str:
        """HostConfig.NetworkMode, with the network's name instead of its id."""
        mode = str(self.host_config.get("NetworkMode") or "default")
        by_id = {endpoint.get("NetworkID"): name for name, endpoint in self.networks.items() if endpoint.get("NetworkID")}
        return by_id.get(mode) or NETWORK_NAMES.get(mode, mode)

    @property
    def mounts(self) -> list[dict[str, Any]]:
        return self.details.get("Mounts") or []

    @property
    def host_paths(self) -> tuple[str, ...]:
        """The host's paths that it needs at a start: those of HostConfig.Binds, and its devices."""
        sources = {str(bind).split(":", 1)[0] for bind in self.host_config.get("Binds") or []}
        sources |= {str(device.get("PathOnHost") or "") for device in self.host_config.get("Devices") or []}
        return tuple(sorted(source for source in sources if source.startswith("/")))

    @property
    def auto_remove(self) -> bool:
        return bool(self.host_config.get("AutoRemove"))

    @property
    def owns_anonymous_volumes(self) -> bool:
        """Return whether all its anonymous volumes are its own. Those of VolumesFrom cannot be distinguished from them."""
        return not self.host_config.get("VolumesFrom")

    @property
    def grace(self) -> float:
        """The stop timeout in seconds."""
        seconds = self.config.get("StopTimeout")
        return 10 if seconds is None else float(seconds)

    @property
    def _volumes(self) -> list[str]:
        return sorted({str(mount["Name"]) for mount in self.mounts if mount.get("Type") == "volume" and mount.get("Name")})

    @property
    def named_volumes(self) -> list[str]:
        return [volume for volume in self._volumes if not is_anonymous_volume(volume)]

    @property
    def anonymous_volumes(self) -> list[str]:
        return [volume for volume in self._volumes if is_anonymous_volume(volume)]

    @property
    def loose_volumes(self) -> list[str]:
        """The anonymous volumes that the engine keeps when it removes the container with its own anonymous volumes.

        A recreate attached them by name, or they can be another container's (VolumesFrom).
        """
        attached = {str(bind).split(":", 1)[0] for bind in self.host_config.get("Binds") or []}
        attached |= {str(mount.get("Source")) for mount in self.host_config.get("Mounts") or []}
        return [volume for volume in self.anonymous_volumes if volume in attached or not self.owns_anonymous_volumes]

    @property
    def is_protected(self) -> bool:
        has_label = names.is_true(self.labels.get(names.PROTECTED_LABEL))
        return has_label or self.id == names.find_own_container_id() or bool(self.purpose)

    @property
    def is_clone(self) -> bool:
        return names.is_true(self.labels.get(names.CLONE_LABEL))

    @property
    def number(self) -> int:
        return self.place.number

    @property
    def temporary(self) -> names.TemporaryName | None:
        return names.parse_temporary_name(self.own_name)

    def joined_containers(self) -> Iterator[str]:
        """Yield the names and short ids of containers that it is linked to or shares a network, IPC or PID namespace with."""
        for mode in CONTAINER_MODES:
            if (joined := read_joined(self.host_config.get(mode))) is not None:
                yield shorten_id(joined)
        for link in self.host_config.get("Links") or []:
            yield str(link).split(":", 1)[0].lstrip("/")

    def volume_lenders(self) -> Iterator[str]:
        """Yield the names and short ids of containers whose volumes it mounts (VolumesFrom)."""
        for entry in self.host_config.get("VolumesFrom") or []:
            yield shorten_id(str(entry).partition(":")[0])

    @property
    def keys(self) -> frozenset[str]:
        """The names and ids by which others can refer to it, see joined_containers."""
        return self.previous_ids | {self.short_id, self.engine_name, self.name}


def is_anonymous_volume(name: str) -> bool:
    """Return whether the engine chose the name: 64 hex digits, like an id."""
    return WHOLE_ID.fullmatch(name) is not None


def read_joined(mode: Any) -> str | None:
    """Return `abc` of `container:abc`; None for any other mode."""
    kind, colon, container = str(mode or "").partition(":")
    return container if kind == "container" and colon else None


def shorten_id(container: str) -> str:
    """Return the short form of a whole id, or a name unchanged."""
    return container[:12] if WHOLE_ID.fullmatch(container) else container


def make_container(details: dict[str, Any]) -> InspectedContainer | None:
    """Return None for a container outside of applications: a Swarm task, a one-off, a pod's own, one that is being removed."""
    name = str(details["Name"]).lstrip("/")
    place = names.find_place(name, details["Config"].get("Labels") or {})
    is_infra = (details.get(PODMAN_KEY) or {}).get("IsInfra")
    if place is None or is_infra or details["State"]["Status"] in GONE_STATES:
        return None
    policy = details["HostConfig"].get("RestartPolicy") or {"Name": "no"}
    own = names.own_name(name, details["Config"].get("Labels") or {})
    return InspectedContainer(details, place, own, details["State"]["Status"] in RUNNING_STATES, policy)
