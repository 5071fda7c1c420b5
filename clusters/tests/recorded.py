"""An engine that answers from lists as Docker 20.10 wrote them, and counts the requests."""

from typing import Any

from clusters.engine.errors import TargetMissing

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"}
INFO = {
    "ID": "MMFL:RTWL:GNDN",
    "Name": "build-7",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Architecture": "x86_64",
    "NCPU": 2,
    "MemTotal": 8_000_000_000,
    "SystemTime": "2026-11-22T23:27:23.186256431Z",
    "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": False},
}
IMAGE = "sha256:" + "1" * 64


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """A line of `GET /containers/json?all=1`, as of a running lone container."""
    line = {
        "Id": f"{abs(hash(name)):x}".ljust(64, "0")[:64],
        "Names": [f"/{name}"],
        "Image": "app:1",
        "ImageID": IMAGE,
        "Created": 1_795_390_040,
        "Ports": [],
        "Labels": {},
        "State": "running",
        "Status": "Up 2 seconds",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}},
        "Mounts": [],
    }
    return line | changes


def compose_entry(project: str, service: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.oneoff": "False",
    }
    return entry(f"{project}_{service}_{number}", **{"Labels": labels | changes.pop("Labels", {}), **changes})


class RecordedEngine:
    """Stands in for EngineClient where only reading is asked for."""

    def __init__(self, *containers: dict[str, Any], images: list[dict[str, Any]] | None = None) -> None:
        self.containers = list(containers)
        self.images = images if images is not None else [{"Id": IMAGE, "RepoTags": ["app:1"], "RepoDigests": ["app@sha256:ab"]}]
        self.info_changes: dict[str, Any] = {}
        self.version_changes: dict[str, Any] = {}
        self.references: dict[str, str] = {}
        self.requests: list[str] = []

    def version(self) -> dict[str, Any]:
        self.requests.append("version")
        return VERSION | self.version_changes

    def info(self) -> dict[str, Any]:
        self.requests.append("info")
        return INFO | self.info_changes

    def list_containers(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        self.requests.append("containers")
        return self.containers

    def list_images(self) -> list[dict[str, Any]]:
        self.requests.append("images")
        return self.images

    def inspect_container(self, container: str) -> dict[str, Any]:
        self.requests.append(f"inspect {container[:12]}")
        if container not in self.references:
            raise TargetMissing(f"No such container: {container}")
        return {"Id": container, "Config": {"Image": self.references[container]}}
