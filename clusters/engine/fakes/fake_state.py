"""The common base of FakeEngine's parts: its objects, its clock, its events, and the log of its requests."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from clusters.engine.connection.credentials import CredentialSource, PullCredentials, choose_credentials, no_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError, EngineUnreachable, NotManager, SwarmUnavailable, TargetMissing
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json, find_command, list_ports, make_id
from clusters.engine.fakes.fake_files import FakeFile
from clusters.engine.fakes.fake_logs import FakeLine
from clusters.engine.fakes.fake_swarm import FakeSwarm

RUNS = ["/bin/serve"]
PREDEFINED_NETWORKS = ("bridge", "host", "none")


class FakeState:
    """The base of FakeEngine's parts."""

    def __init__(self, *, api_version: str = "1.41", server_version: str = "20.10.24") -> None:
        self.endpoint = EngineEndpoint("unix:///fake/docker.sock")
        self.timeout = 30.0
        self.containers: dict[str, Json] = {}  # by id, as inspect returns them
        self.images: dict[str, Json] = {}
        self.networks: dict[str, Json] = {name: {"Name": name, "Id": make_id(name)} for name in PREDEFINED_NETWORKS}
        self.volumes: set[str] = set()
        self.files: dict[str, dict[str, FakeFile]] = {}  # by container id and path: what differs from the image
        self.missing_paths: set[str] = set()  # of the engine's host
        self.loners: set[str] = set()  # as in EngineClient
        self.registry: dict[str, str | EngineError] = {}  # by reference: an image id, or the error that a pull raises
        self.published: dict[str, Json] = {}  # by id, the images that the registry has
        self.private: dict[str, str] = {}  # by registry host: the "user:password" that it requires
        self.credentials: CredentialSource = no_credentials  # as in EngineClient
        self.withheld: dict[str, str] = {}  # as in EngineClient
        self.swarm: FakeSwarm | None = None
        self.events: list[Json] = []
        self.build_cache: list[Json] | None = None
        self.logs: dict[str, list[FakeLine]] = {}  # by the id of the container or of the task
        self.unreachable = ""  # where set, every request raises EngineUnreachable with this reason
        self.operations: list[str] = []  # every requested change, in a line: "create shop-web-1", "pull app:1"
        self.requests: list[str] = []  # the method name of every request, also of reads
        self.before_request: Callable[[str], None] = lambda method: None  # can raise, such as a test's Killed
        self._api_version, self._server_version = api_version, server_version
        self._serial = 0
        self._samples = 100
        self._lock = threading.RLock()

    def _request(self, method: str, operation: str = "") -> threading.RLock:
        """Begin a request: call the hook, log it, take the lock. Use as `with self._request(…)`."""
        self.before_request(method)
        with self._lock:
            self.requests.append(method)
            if self.unreachable:
                raise EngineUnreachable(self.unreachable)
            if operation:
                self.operations.append(operation)
        return self._lock

    def _choose_credentials(self, reference: str, auth: Mapping[str, str] | None) -> PullCredentials:
        chosen = choose_credentials(reference, auth, self.credentials, self.endpoint)
        if chosen.withheld:
            self.withheld[reference] = chosen.withheld
        return chosen

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _now(self) -> str:
        """Return a time later than all before, with nanoseconds as the engine writes it."""
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._next())
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

    def _emit(self, kind: str, action: str, actor: str, name: str, **attributes: str) -> None:
        moment = time.time()
        event = {"Type": kind, "Action": action, "Actor": {"ID": actor, "Attributes": {"name": name, **attributes}}}
        self.events.append({**event, "scope": "local", "time": int(moment), "timeNano": int(moment * 1e9)})

    def _emit_container(self, action: str, container: Json, **attributes: str) -> None:
        self._emit(
            "container", action, container["Id"], container["Name"][1:], image=container["Config"]["Image"], **attributes
        )

    def _find(self, name: str) -> Json:
        for container in self.containers.values():
            if container["Id"] == name or container["Name"] == f"/{name.lstrip('/')}":
                return container
        if len(name) >= 12 and (found := [c for i, c in self.containers.items() if i.startswith(name)]):
            return found[0]
        raise TargetMissing(f"No such container: {name}")

    def _name(self, container: str) -> str:
        """Return the container's present name for the log, or what was given where there is no such container."""
        with self._lock:
            try:
                return str(self._find(container)["Name"][1:])
            except TargetMissing:
                return container

    def _find_network(self, name: str) -> Json:
        for network in self.networks.values():
            if name in (network["Name"], network["Id"]):
                return network
        raise TargetMissing(f"network {name} not found")

    def _find_image(self, name: str) -> Json:
        for image in self.images.values():
            hexadecimal = image["Id"].removeprefix("sha256:")
            is_short_id = len(name) >= 12 and hexadecimal.startswith(name.removeprefix("sha256:"))
            if (
                is_short_id
                or name in image["RepoTags"]
                or f"{name}:latest" in image["RepoTags"]
                or name in image["RepoDigests"]
            ):
                return image
        raise TargetMissing(f"No such image: {name}")

    def _is_used(self, volume: str) -> bool:
        return any(mount.get("Name") == volume for container in self.containers.values() for mount in container["Mounts"])

    def _manager(self) -> FakeSwarm:
        if self.swarm is None or not self.swarm.is_manager:
            kind = "Worker nodes can't be used to view" if self.swarm else 'Use "docker swarm init" to create one to view'
            raise NotManager(f"This node is not a swarm manager. {kind} or modify cluster state.")
        if self.swarm.leaderless:
            raise SwarmUnavailable(f"The Swarm cannot answer at the moment: {self.swarm.leaderless}")
        return self.swarm

    def _describe(self, container: Json) -> Json:
        """Return the container's entry in the list."""
        state = container["State"]
        reference = container["Config"]["Image"]
        try:
            shown = reference if self._find_image(reference)["Id"] == container["Image"] else container["Image"]
        except TargetMissing:
            shown = container["Image"]
        health = (state.get("Health") or {}).get("Status")
        mark = {"healthy": " (healthy)", "unhealthy": " (unhealthy)", "starting": " (health: starting)"}.get(health or "", "")
        texts = {"running": f"Up 1 second{mark}", "created": "Created", "restarting": "Restarting (1) 1 second ago"}
        return {
            "Id": container["Id"],
            "Names": [container["Name"]],
            "Image": shown,
            "ImageID": container["Image"],
            "Command": " ".join(find_command(container)),
            "Created": int(datetime.fromisoformat(container["Created"][:26]).replace(tzinfo=UTC).timestamp()),
            "Ports": list_ports(container),
            "Labels": dict(container["Config"]["Labels"]),
            "State": state["Status"],
            "Status": texts.get(state["Status"], f"Exited ({state['ExitCode']}) 1 second ago"),
            "HostConfig": {"NetworkMode": container["HostConfig"]["NetworkMode"]},
            "NetworkSettings": copy_of(container["NetworkSettings"]),
            "Mounts": copy_of(container["Mounts"]),
        }
