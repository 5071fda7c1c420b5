"""What an application is like at one moment, in the form that is kept with a call (`before` and `after`).

`{"version": 1, "services": {name: {"running": 2, "wanted": 2, "image": "app:1", "images": {"sha256:…": 2},
"digests": ["app@sha256:…"], "containers": [{"name", "id", "image_id", "state", "started_at"}]}}}`

A Swarm service has its `id`, `mode` and `update` besides, and its `containers` are tasks, with a `node` and no `started_at`.
Where all containers run one image, `facts` is what that image says about itself (clusters.engine.image_facts).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

# Raise it when a reader has to know which form a stored snapshot has. Those stored without a version are of this form too.
VERSION = 1


@dataclass(frozen=True)
class ContainerSnapshot:
    """A container of a plain engine, or a Swarm task. A task's `name` is such as "web.1" and its `node` a host name; `node` is
    None for a container. `volumes` are names of anonymous volumes (see InspectedContainer.loose_volumes)."""

    name: str = ""
    id: str = ""
    image_id: str = ""
    state: str = ""
    started_at: str | None = None
    node: str | None = None
    volumes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        written: dict[str, Any] = {"name": self.name, "id": self.id, "image_id": self.image_id, "state": self.state}
        if self.started_at is not None:
            written["started_at"] = self.started_at
        if self.node is not None:
            written["node"] = self.node
        if self.volumes:
            written["volumes"] = list(self.volumes)
        return written

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            name=_read_text(value, "name"),
            id=_read_text(value, "id"),
            image_id=_read_text(value, "image_id"),
            state=_read_text(value, "state"),
            started_at=_read_text(value, "started_at") if "started_at" in value else None,
            node=_read_text(value, "node") if "node" in value else None,
            volumes=tuple(_read_texts(value, "volumes")),
        )


@dataclass(frozen=True)
class UpdateSnapshot:
    """How far a Swarm service's updates had come: its ForceUpdate counter, its version and the start of its last update."""

    force_update: int
    version: int
    started_at: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"force_update": self.force_update, "version": self.version, "started_at": self.started_at}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self | None:
        force_update, version = _read_integer(value, "force_update"), _read_integer(value, "version")
        if force_update is None or version is None:
            return None
        return cls(force_update, version, _read_text(value, "started_at"))


@dataclass(frozen=True)
class ServiceSnapshot:
    """One service. None for a count that the stored snapshot does not have."""

    running: int | None = None
    wanted: int | None = None
    image: str = ""
    images: Mapping[str, int] = field(default_factory=dict)  # containers by image id or digest
    digests: tuple[str, ...] = ()
    containers: tuple[ContainerSnapshot, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    # Of a Swarm service.
    id: str = ""
    mode: str = ""
    update: UpdateSnapshot | None = None

    @property
    def begun(self) -> int | None:
        """Of a plain engine: how many containers run, are paused or restarting. A scaling counts from this."""
        if not self.containers:
            return self.running
        return sum(container.state in {"running", "paused", "restarting"} for container in self.containers)

    def to_json(self) -> dict[str, Any]:
        counts = {"running": self.running, "wanted": self.wanted}
        swarm = {"id": self.id, "mode": self.mode}
        written: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
        written |= {name: text for name, text in swarm.items() if text}
        written |= {
            "image": self.image,
            "images": dict(self.images),
            "digests": list(self.digests),
            "containers": [container.to_json() for container in self.containers],
        }
        written |= {"facts": dict(self.facts)} if self.facts else {}
        return written | ({"update": self.update.to_json()} if self.update else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        images, update, facts = value.get("images"), value.get("update"), value.get("facts")
        return cls(
            running=_read_integer(value, "running"),
            wanted=_read_integer(value, "wanted"),
            image=_read_text(value, "image"),
            images=_read_counts(images) if isinstance(images, dict) else {},
            digests=tuple(_read_texts(value, "digests")),
            containers=tuple(
                ContainerSnapshot.from_json(one) for one in _read_list(value, "containers") if isinstance(one, dict)
            ),
            facts={str(name): str(text) for name, text in facts.items()} if isinstance(facts, dict) else {},
            id=_read_text(value, "id"),
            mode=_read_text(value, "mode"),
            update=UpdateSnapshot.from_json(update) if isinstance(update, dict) else None,
        )


@dataclass(frozen=True)
class Snapshot:
    """The services of an application, or the one that a call is about, by name."""

    services: Mapping[str, ServiceSnapshot] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        services = {name: service.to_json() for name, service in self.services.items()}
        return {"version": VERSION, "services": services}

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """Read a stored snapshot, also one of an earlier version. Return None for a call that has none.

        A part of another shape is left out: rows are kept for months, and one that is odd must not break a page.
        """
        if not isinstance(value, dict):
            return None
        services = value.get("services")
        found = services.items() if isinstance(services, dict) else ()
        return cls({str(name): ServiceSnapshot.from_json(service) for name, service in found if isinstance(service, dict)})


def _read_integer(value: Mapping[str, Any], name: str) -> int | None:
    found = value.get(name)
    return found if isinstance(found, int) else None


def _read_text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return "" if found is None else str(found)


def _read_counts(value: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): count for name, count in value.items() if isinstance(count, int)}


def _read_list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _read_texts(value: Mapping[str, Any], name: str) -> list[str]:
    return [str(one) for one in _read_list(value, name)]
