"""FakeEngine: an engine in memory with EngineClient's methods, for tests that need the driver but no Docker.

It answers in the Engine API's own words, as far as the driver and the inventory read them;
`tests/integration/test_engine_contract.py` holds it to the real engine. There is no clock: a container is healthy,
unhealthy or crashed as soon as it is started, and a crash loop restarts once at each look.

What a container does is told by its image and config, as on a real engine with busybox:
- command CRASHES: ends at once with exit code 1 (and is restarted where its restart policy says so);
- command CANNOT_START: the start is refused;
- a health check that runs /bin/false: unhealthy; any other: healthy;
- anything else runs until it is stopped.
"""

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from types import TracebackType
from typing import Any, Literal, Self

from clusters.engine.connection.credentials import CredentialSource, choose_auth, no_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import (
    EngineError,
    EngineRefused,
    EngineUnreachable,
    NotManager,
    PullFailed,
    SwarmUnavailable,
    TargetMissing,
)
from clusters.engine.fakes.fake_containers import (
    CANNOT_START,
    COMPLETES,
    CRASHES,
    Json,
    find_command,
    fixed_ports,
    list_ports,
    make_id,
    make_mac,
    matches,
    merge_config,
    new_state,
    new_stats,
)
from clusters.engine.fakes.fake_logs import FIRST_MOMENT, FakeLine, cut_pieces, send_logs
from clusters.engine.fakes.fake_swarm import FakeSwarm
from clusters.engine.logs.stream import SECOND, Stream

__all__ = ["CANNOT_START", "COMPLETES", "CRASHES", "HEALTHY", "RUNS", "UNHEALTHY", "FakeEngine"]

RUNS = ["/bin/serve"]
HEALTHY: Json = {"Test": ["CMD", "/bin/true"], "Interval": 100_000_000, "Timeout": 5_000_000_000, "Retries": 1}  # nanoseconds
UNHEALTHY: Json = {**HEALTHY, "Test": ["CMD", "/bin/false"]}
PREDEFINED_NETWORKS = ("bridge", "host", "none")


class FakeEngine:
    """One engine and, at the same time, any number of connections to it: `sibling` and `with` give the same object."""

    def __init__(self, *, api_version: str = "1.41", server_version: str = "20.10.24") -> None:
        self.endpoint = EngineEndpoint("unix:///fake/docker.sock")
        self.timeout = 30.0
        self.containers: dict[str, Json] = {}  # id -> what inspect answers
        self.images: dict[str, Json] = {}
        self.networks: dict[str, Json] = {name: {"Name": name, "Id": make_id(name)} for name in PREDEFINED_NETWORKS}
        self.volumes: set[str] = set()
        self.loners: set[str] = set()  # as EngineClient's
        self.registry: dict[str, str | EngineError] = {}  # reference -> image id, or what pulling it raises
        self.private: dict[str, str] = {}  # registry host -> the "user:password" that it wants
        self.credentials: CredentialSource = no_credentials  # as EngineClient's
        self.swarm: FakeSwarm | None = None
        self.events: list[Json] = []
        self.build_cache: list[Json] | None = None
        self.logs: dict[str, list[FakeLine]] = {}  # by the id of the container or the task
        self.unreachable = ""  # a reason: then every request raises EngineUnreachable with it
        self.operations: list[str] = []  # every change asked for, as one line: "create shop-web-1", "pull app:1"
        self.requests: list[str] = []  # every request's method name, reads too
        self.before_request: Callable[[str], None] = lambda method: None  # may raise, such as a test's Killed
        self._api_version, self._server_version = api_version, server_version
        self._serial = 0
        self._samples = 100
        self._lock = threading.RLock()

    # The connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def close(self) -> None:
        pass

    def sibling(self) -> Self:
        return self

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        yield

    @property
    def api_version(self) -> tuple[int, int]:
        major, minor = self._api_version.split(".")
        return int(major), int(minor)

    def _request(self, method: str, operation: str = "") -> threading.RLock:
        """Enters a request: hook, log, lock. Use as `with self._request(…)`."""
        self.before_request(method)
        with self._lock:
            self.requests.append(method)
            if self.unreachable:
                raise EngineUnreachable(self.unreachable)
            if operation:
                self.operations.append(operation)
        return self._lock

    # Arranging, for tests

    def add_image(self, reference: str, *, digest: str = "", size: int = 0, parent: str = "", **config: Any) -> str:
        """A new image under the tag (which moves to it); `config` as the Engine API has it. Its id.

        `size` in bytes, that of its parent (an image's id) included."""
        image_id = self._make_image(config)
        self.images[image_id] |= {"Size": size, "ParentId": parent}
        self._tag(image_id, reference)
        if digest:
            self.images[image_id]["RepoDigests"].append(f"{reference.rpartition(':')[0]}@{digest}")
        return image_id

    def publish(self, reference: str, **config: Any) -> str:
        """A new image in the registry under this reference: a pull gets it. Its id."""
        image_id = self._make_image(config)
        self.registry[reference] = image_id
        return image_id

    def fail_pull(self, reference: str, code: str = "pull_failed") -> None:
        self.registry[reference] = PullFailed(f"{reference} could not be pulled: scripted.", code=code)

    def add_network(self, name: str, subnet: str = "", labels: Json | None = None) -> str:
        """`subnet` allows addresses to be asked for."""
        pools = [{"Subnet": subnet}] if subnet else []
        self.networks[name] = {"Name": name, "Id": make_id(name), "IPAM": {"Config": pools}, "Labels": labels or {}}
        return name

    def run(self, name: str, image: str, *, start: bool = True, **config: Any) -> str:
        """Creates and starts a container without a trace in the log; its id. `config` is the create body's rest."""
        with self._lock:
            container = self._create(name, {"Image": image, **config})
            if start:
                self._start(container)
            return str(container["Id"])

    def write_log(self, name: str, *texts: str, stream: Stream = "stdout", moment: int = 0) -> None:
        """What a container or a Swarm's task (by its id) writes: each text a line, at a moment of nanoseconds since 1970, or
        later than everything before."""
        is_task = self.swarm is not None and any(task.id == name for task in self.swarm.tasks)
        log_id = name if is_task else str(self._find(name)["Id"])
        with self._lock:
            for text in texts:
                written = cut_pieces(moment or FIRST_MOMENT + self._next() * SECOND, stream, text.encode() + b"\n")
                self.logs.setdefault(log_id, []).extend(written)

    def init_swarm(self, *workers: str) -> FakeSwarm:
        """The engine becomes the manager `manager1`, with a node for each of `workers`."""
        self.swarm = FakeSwarm(self._image_for_node)
        self.swarm.add_node("manager1", role="manager")
        for hostname in workers:
            self.swarm.add_node(hostname)
        return self.swarm

    def digest_of(self, image_id: str) -> str:
        """What the registry calls the image."""
        return f"sha256:{make_id('digest', image_id)}"

    def names(self) -> set[str]:
        """Of all containers."""
        return {container["Name"][1:] for container in self.containers.values()}

    def running(self) -> set[str]:
        return {c["Name"][1:] for c in self.containers.values() if c["State"]["Running"]}

    # Reading

    def version(self) -> Json:
        with self._request("version"):
            return {"Version": self._server_version, "ApiVersion": self._api_version, "Os": "linux", "Arch": "amd64"}

    def info(self) -> Json:
        with self._request("info"):
            return {
                "ID": "FAKE:ENGINE",
                "Name": "fake-engine",
                "Containers": len(self.containers),
                "ServerVersion": self._server_version,
                "OperatingSystem": "Fake Linux",
                "Architecture": "x86_64",
                "NCPU": 2,
                "MemTotal": 4 << 30,
                "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "Swarm": self.swarm.describe() if self.swarm else {"LocalNodeState": "inactive", "ControlAvailable": False},
            }

    def list_containers(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_containers"):
            found = [container for container in self.containers.values() if matches(container, filters or {})]
            return [self._describe(container) for container in reversed(found)]

    def list_networks(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_networks"):
            return [copy.deepcopy(network) for network in self.networks.values() if has_labels(network, filters or {})]

    def list_images(self, sizes: bool = False) -> list[Json]:
        with self._request("list_images"):
            return [
                describe_image(image)
                for image in self.images.values()
                if image["RepoTags"] or image["RepoDigests"] or not self._children(image)
            ]

    def disk_usage(self) -> Json:
        with self._request("disk_usage"):
            images = [{**describe_image(image), **self._measure_image(image)} for image in self.images.values()]
            return {
                "LayersSize": sum(image["Size"] - image["SharedSize"] for image in images),
                "Images": images,
                "Containers": [{**self._describe(one), "SizeRw": 0} for one in self.containers.values()],
                "Volumes": [
                    {"Name": name, "UsageData": {"RefCount": int(self._is_used(name)), "Size": 0}} for name in self.volumes
                ],
                "BuildCache": self.build_cache,
            }

    def list_events(self, since: float, until: float) -> list[Json]:
        with self._request("list_events"):
            return [copy.deepcopy(event) for event in self.events[-256:] if since <= event["timeNano"] / 1e9 <= until]

    def inspect_container(self, container: str) -> Json:
        with self._request("inspect_container"):
            found = self._find(container)
            if found["State"]["Restarting"]:
                found["RestartCount"] += 1
            return copy.deepcopy(found)

    def inspect_image(self, image: str) -> Json:
        with self._request("inspect_image"):
            return copy.deepcopy(self._find_image(image))

    def container_logs(self, container: str, tail: int = 20) -> str:
        with self._request("container_logs"):
            lines = self.logs.get(str(self._find(container)["Id"]), [])
            return b"".join(line.text for line in lines[-tail:]).decode(errors="replace")

    @contextmanager
    def open_logs(
        self, kind: Literal["containers", "tasks"], name: str, tail: int | None, since: int = 0
    ) -> Iterator[Iterator[bytes]]:
        with self._request("open_logs"):
            if kind == "containers":
                log_id, has_terminal = self._find_log(name)
            else:
                task = self._manager().find_task(name)
                log_id, has_terminal = task.id, bool(task.spec["ContainerSpec"].get("TTY"))
            lines = list(self.logs.get(log_id, []))
        yield send_logs(lines, tail, since, has_terminal)

    def _find_log(self, container: str) -> tuple[str, bool]:
        found = self._find(container)
        if (found["HostConfig"].get("LogConfig") or {}).get("Type") == "none":
            raise EngineRefused("configured logging driver does not support reading")
        return str(found["Id"]), bool(found["Config"].get("Tty"))

    def container_stats(self, container: str, *, wait: bool = False) -> Json:
        """A second of the machine's time passes from sample to sample; a tenth of one CPU is the container's."""
        with self._request("container_stats"):
            found = self._find(container)
            if not found["State"]["Running"]:
                return new_stats(found, 0)
            self._samples += 1
            before = new_stats(found, self._samples - 1)["cpu_stats"] if wait else {}
            return new_stats(found, self._samples) | {"read": self._now(), "precpu_stats": before}

    # Swarm

    def _manager(self) -> FakeSwarm:
        if self.swarm is None or not self.swarm.is_manager:
            kind = "Worker nodes can't be used to view" if self.swarm else 'Use "docker swarm init" to create one to view'
            raise NotManager(f"This node is not a swarm manager. {kind} or modify cluster state.")
        if self.swarm.leaderless:
            raise SwarmUnavailable(f"The Swarm cannot answer at the moment: {self.swarm.leaderless}")
        return self.swarm

    def list_services(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_services"):
            return self._manager().list_services(filters)

    def inspect_service(self, service: str) -> Json:
        with self._request("inspect_service"):
            return self._manager().inspect_service(service)

    def list_tasks(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_tasks"):
            return self._manager().list_tasks(filters)

    def list_nodes(self) -> list[Json]:
        with self._request("list_nodes"):
            return self._manager().list_nodes()

    def list_configs(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_configs"):
            return self._manager().list_objects("config", filters)

    def list_secrets(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_secrets"):
            return self._manager().list_objects("secret", filters)

    def remove_service(self, service: str) -> None:
        with self._request("remove_service", f"remove service {self._service_name(service)}"):
            self._manager().delete_service(service)

    def remove_config(self, config: str) -> None:
        with self._request("remove_config", f"remove config {config}"):
            self._manager().remove_object("config", config)

    def remove_secret(self, secret: str) -> None:
        with self._request("remove_secret", f"remove secret {secret}"):
            self._manager().remove_object("secret", secret)

    def resolve_digest(self, reference: str, auth: Mapping[str, str] | None = None) -> str:
        auth = choose_auth(reference, auth, self.credentials)
        with self._request("resolve_digest"):
            self._check_login(reference, auth)
            answer = self.registry.get(add_tag(reference))
            if isinstance(answer, EngineError):
                raise answer
            if answer is None:
                raise PullFailed(f"{reference} could not be pulled: manifest unknown.", code="pull_not_found")
            return self.digest_of(answer)

    def update_service(
        self, service: str, version: int, spec: Mapping[str, Any], auth: Mapping[str, str] | None = None
    ) -> list[str]:
        auth = choose_auth(spec["TaskTemplate"].get("ContainerSpec", {}).get("Image", ""), auth, self.credentials)
        with self._request("update_service", f"update service {self._service_name(service)}"):
            self._manager().update_service(service, version, spec, join_credentials(auth))
            return []

    def roll_back_service(self, service: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        with self._request("roll_back_service", f"roll back service {self._service_name(service)}"):
            self._manager().roll_back_service(service, version)
            return []

    def _service_name(self, service: str) -> str:
        found = (self.swarm.services if self.swarm else {}).get(service)
        return found.name if found else service

    def check_credentials(self, reference: str) -> None:
        choose_auth(reference, None, self.credentials)

    def _check_login(self, reference: str, auth: Mapping[str, str] | None) -> None:
        if not self._may_pull(reference, join_credentials(auth)):
            problem = f"{reference} could not be pulled: no basic auth credentials."
            raise PullFailed(problem, code="pull_unauthorized", had_credentials=auth is not None)

    def _may_pull(self, reference: str, credentials: str) -> bool:
        return self.private.get(reference.partition("/")[0], credentials) == credentials

    def _image_for_node(self, reference: str, credentials: str) -> Json | None:
        """The config of the image that a node gets for a task: by its digest, else what the tag names now."""
        if not self._may_pull(reference, credentials):
            return None
        name, _, digest = reference.partition("@")
        if digest:
            found = [image for image_id, image in self.images.items() if self.digest_of(image_id) == digest]
            return found[0]["Config"] if found else None
        published = self.registry.get(add_tag(name))
        try:
            return dict((self.images[published] if isinstance(published, str) else self._find_image(name))["Config"])
        except TargetMissing:
            return None

    # Changing

    def create_container(self, name: str, config: Mapping[str, Any]) -> str:
        with self._request("create_container", f"create {name}"):
            return str(self._create(name, copy.deepcopy(dict(config)))["Id"])

    def connect_network(self, network: str, container: str, endpoint_config: Mapping[str, Any]) -> None:
        with self._request("connect_network", f"connect {self._name(container)} {network}"):
            found = self._find(container)
            name = self._find_network(network)["Name"]
            if name in found["NetworkSettings"]["Networks"]:
                raise EngineRefused(f"endpoint with name {found['Name'][1:]} already exists in network {name}")
            if found["HostConfig"]["NetworkMode"].startswith("container:"):
                raise EngineRefused("container sharing network namespace with another container or host cannot be connected")
            self._connect(found, name, dict(endpoint_config))
            if found["State"]["Running"]:
                self._attach(found, name)

    def disconnect_network(self, network: str, container: str) -> None:
        with self._request("disconnect_network", f"disconnect {self._name(container)} {network}"):
            found = self._find(container)
            name = self._find_network(network)["Name"]
            if found["NetworkSettings"]["Networks"].pop(name, None) is None:
                raise EngineRefused(f"container {found['Id']} is not connected to network {name}")

    def start_container(self, container: str) -> None:
        with self._request("start_container", f"start {self._name(container)}"):
            self._start_by_hand(self._find(container))

    def stop_container(self, container: str, grace: float | None = None) -> None:
        with self._request("stop_container", f"stop {self._name(container)}"):
            self._end(self._find(container), 0)

    def restart_container(self, container: str, grace: float | None = None) -> None:
        with self._request("restart_container", f"restart {self._name(container)}"):
            found = self._find(container)
            removes_itself = found["HostConfig"]["AutoRemove"]
            found["HostConfig"]["AutoRemove"] = False
            self._end(found, 0)
            found["HostConfig"]["AutoRemove"] = removes_itself
            self._start_by_hand(found)

    def kill_container(self, container: str, signal: str = "SIGKILL") -> None:
        with self._request("kill_container", f"kill {self._name(container)}"):
            found = self._find(container)
            if not found["State"]["Running"]:
                raise EngineRefused(f"Container {found['Id']} is not running", code="conflict")
            self._end(found, 137)

    def rename_container(self, container: str, name: str) -> None:
        with self._request("rename_container", f"rename {self._name(container)} {name}"):
            found = self._find(container)
            if found["Name"] == f"/{name}":
                raise EngineRefused("Renaming a container with the same name as its current name")
            self._claim_name(name)
            found["Name"] = f"/{name}"

    def remove_container(self, container: str, force: bool = False, volumes: bool = False) -> None:
        with self._request("remove_container", f"remove {self._name(container)}"):
            found = self._find(container)
            if found["State"]["Running"] and not force:
                raise EngineRefused(f"You cannot remove a running container {found['Id']}.", code="conflict")
            self._remove(found, volumes)

    def remove_network(self, network: str) -> None:
        with self._request("remove_network", f"remove-network {network}"):
            found = self._find_network(network)
            if self.swarm:
                self.swarm.step()
            if self.swarm and self.swarm.uses("network", found["Id"]):
                raise EngineRefused(f"rpc error: network {found['Id']} is in use by service")
            running = (c for c in self.containers.values() if c["State"]["Running"])
            if any(found["Name"] in container["NetworkSettings"]["Networks"] for container in running):
                raise EngineRefused(f"error while removing network: network {found['Name']} has active endpoints")
            del self.networks[found["Name"]]

    def remove_volume(self, volume: str) -> None:
        with self._request("remove_volume", f"remove-volume {volume}"):
            if volume not in self.volumes:
                raise TargetMissing(f"get {volume}: no such volume")
            if self._is_used(volume):
                raise EngineRefused(f"remove {volume}: volume is in use", code="conflict")
            self.volumes.discard(volume)

    def update_restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        with self._request("update_restart_policy", f"update {self._name(container)}"):
            found = self._find(container)
            if found["HostConfig"]["AutoRemove"] and policy.get("Name") not in ("", "no"):
                raise EngineRefused("Restart policy cannot be updated because AutoRemove is enabled for the container")
            found["HostConfig"]["RestartPolicy"] = {"MaximumRetryCount": 0, **policy}
            if found["State"]["Restarting"] and policy.get("Name") in ("", "no"):
                found["State"].update(Status="exited", Running=False, Restarting=False)

    def pull_image(
        self, reference: str, auth: Mapping[str, str] | None = None, on_progress: Callable[[], None] = lambda: None
    ) -> None:
        auth = choose_auth(reference, auth, self.credentials)
        with self._request("pull_image", f"pull {reference}"):
            self._check_login(reference, auth)
            answer = self.registry.get(reference)
            if isinstance(answer, EngineError):
                raise answer
            if answer is None:
                raise PullFailed(f"{reference} could not be pulled: manifest unknown.", code="pull_not_found")
            self._tag(answer, reference)
            digest = f"{reference.rpartition(':')[0]}@{self.digest_of(answer)}"
            if digest not in self.images[answer]["RepoDigests"]:
                self.images[answer]["RepoDigests"].append(digest)
            self._emit("image", "pull", reference, reference)
        on_progress()

    def remove_image(self, image: str) -> list[Json]:
        with self._request("remove_image", f"remove-image {image}"):
            found = self._find_image(image)
            references = [*found["RepoTags"], *found["RepoDigests"]]
            named = [one for one in references if image in (one, one.removesuffix(":latest"))]
            if named and len(references) > 1:
                return [self._untag(found, named[0])]
            if not named and not is_single_reference(found):
                raise conflict(
                    f"unable to delete {image[7:19]} (must be forced) - image is referenced in multiple repositories"
                )
            self._check_unused(found)
            if self._children(found):
                if not named:
                    raise conflict(f"unable to delete {image[7:19]} (cannot be forced) - image has dependent child images")
                return [self._untag(found, named[0])]
            untagged = [self._untag(found, one) for one in references]
            del self.images[found["Id"]]
            self._emit("image", "delete", found["Id"], found["Id"])
            return [*untagged, {"Deleted": found["Id"]}]

    def tag_image(self, image: str, reference: str) -> None:
        with self._request("tag_image", f"tag {reference}"):
            self._tag(self._find_image(image)["Id"], reference)

    # How it works inside

    def _emit(self, kind: str, action: str, actor: str, name: str, **attributes: str) -> None:
        moment = time.time()
        event = {"Type": kind, "Action": action, "Actor": {"ID": actor, "Attributes": {"name": name, **attributes}}}
        self.events.append({**event, "scope": "local", "time": int(moment), "timeNano": int(moment * 1e9)})

    def _emit_container(self, action: str, container: Json, **attributes: str) -> None:
        self._emit(
            "container", action, container["Id"], container["Name"][1:], image=container["Config"]["Image"], **attributes
        )

    def _children(self, image: Json) -> list[Json]:
        return [other for other in self.images.values() if other["ParentId"] == image["Id"]]

    def _measure_image(self, image: Json) -> Json:
        """How many containers use it, and how much of it is another image's too: its parent's, or all where it is one."""
        parent = self.images.get(image["ParentId"])
        shared = image["Size"] if self._children(image) else parent["Size"] if parent else 0
        return {"Containers": sum(one["Image"] == image["Id"] for one in self.containers.values()), "SharedSize": shared}

    def _untag(self, image: Json, reference: str) -> Json:
        image["RepoDigests" if "@" in reference else "RepoTags"].remove(reference)
        self._emit("image", "untag", image["Id"], image["Id"])
        return {"Untagged": reference}

    def _check_unused(self, image: Json) -> None:
        """Raises EngineRefused while a container was created from it."""
        users = [one for one in self.containers.values() if one["Image"] == image["Id"]]
        for user in sorted(users, key=lambda one: not one["State"]["Running"]):
            state, force = ("running", "cannot be forced") if user["State"]["Running"] else ("stopped", "must be forced")
            raise conflict(
                f"unable to delete {image['Id'][7:19]} ({force}) - image is being used by {state} container {user['Id'][:12]}"
            )

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _now(self) -> str:
        """Later than everything before, to the engine's nanoseconds."""
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._next())
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

    def _make_image(self, config: Json) -> str:
        image_id = f"sha256:{make_id('image', self._next())}"
        full = {"Env": [], "Cmd": RUNS, "Entrypoint": None, "Labels": {}, "WorkingDir": "", "User": "", **copy.deepcopy(config)}
        names: Json = {"Id": image_id, "RepoTags": [], "RepoDigests": []}
        self.images[image_id] = {**names, "Config": full, "Created": self._now(), "Size": 0, "ParentId": ""}
        return image_id

    def _tag(self, image_id: str, reference: str) -> None:
        for image in self.images.values():
            if reference in image["RepoTags"]:
                image["RepoTags"].remove(reference)
        self.images[image_id]["RepoTags"].append(reference)
        self._emit("image", "tag", image_id, reference)

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

    def _find(self, name: str) -> Json:
        for container in self.containers.values():
            if container["Id"] == name or container["Name"] == f"/{name.lstrip('/')}":
                return container
        if len(name) >= 12 and (found := [c for i, c in self.containers.items() if i.startswith(name)]):
            return found[0]
        raise TargetMissing(f"No such container: {name}")

    def _find_network(self, name: str) -> Json:
        for network in self.networks.values():
            if name in (network["Name"], network["Id"]):
                return network
        raise TargetMissing(f"network {name} not found")

    def _name(self, container: str) -> str:
        """For the log: the container's name at this moment, as far as it is known."""
        with self._lock:
            try:
                return str(self._find(container)["Name"][1:])
            except TargetMissing:
                return container

    def _claim_name(self, name: str) -> None:
        if any(container["Name"] == f"/{name}" for container in self.containers.values()):
            raise EngineRefused(f'Conflict. The container name "/{name}" is already in use.', code="conflict")

    def _create(self, name: str, body: Json) -> Json:
        image = self._find_image(body["Image"])
        self._claim_name(name)
        container_id = make_id("container", self._next())
        host_config: Json = {"NetworkMode": "default", "AutoRemove": False, **(body.pop("HostConfig", None) or {})}
        host_config["RestartPolicy"] = host_config.get("RestartPolicy") or {"Name": "no", "MaximumRetryCount": 0}
        endpoints = (body.pop("NetworkingConfig", None) or {}).get("EndpointsConfig") or {}
        mode: str = host_config["NetworkMode"]
        config = merge_config(body, image["Config"])
        if not mode.startswith("container:"):
            config["Hostname"] = config.get("Hostname") or ("fake-engine" if mode == "host" else container_id[:12])
        container: Json = {
            "Id": container_id,
            "Name": f"/{name}",
            "Created": self._now(),
            "Image": image["Id"],
            "RestartCount": 0,
            "Config": config,
            "HostConfig": host_config,
            "State": new_state("created"),
            "Mounts": self._make_mounts(config, host_config),
            "NetworkSettings": {"Networks": {}},
        }
        if not mode.startswith("container:"):
            first = "bridge" if mode in ("default", "") else mode
            for network in {first: None, **endpoints}:
                self._connect(container, network, endpoints.get(network) or endpoints.get(mode) or {})
        self.containers[container_id] = container
        self._emit_container("create", container)
        return container

    def _make_mounts(self, config: Json, host_config: Json) -> list[Json]:
        mounts: dict[str, Json] = {}
        for source in host_config.get("VolumesFrom") or []:
            for mount in self._find(source.partition(":")[0])["Mounts"]:
                mounts[mount["Destination"]] = copy.deepcopy(mount)
        for bind in host_config.get("Binds") or []:
            source, destination, *mode = bind.split(":")
            mounts[destination] = self._make_mount(source, destination, mode[0] if mode else "")
        for mount in host_config.get("Mounts") or []:
            kind = mount.get("Type", "volume")
            made = self._make_mount(mount.get("Source", ""), mount["Target"], "ro" if mount.get("ReadOnly") else "")
            mounts[mount["Target"]] = made if kind != "tmpfs" else {"Type": "tmpfs", "Destination": mount["Target"], "RW": True}
        for destination in config.get("Volumes") or {}:
            if destination not in mounts and destination not in (host_config.get("Tmpfs") or {}):
                mounts[destination] = self._make_mount("", destination, "")
        return list(mounts.values())

    def _make_mount(self, source: str, destination: str, mode: str) -> Json:
        common = {"Destination": destination, "Mode": mode, "RW": "ro" not in mode.split(","), "Propagation": ""}
        if source.startswith("/"):
            return {"Type": "bind", "Source": source, **common, "Propagation": "rprivate"}
        name = source or make_id("volume", self._next())
        self.volumes.add(name)
        return {"Type": "volume", "Name": name, "Source": f"/fake/volumes/{name}/_data", "Driver": "local", **common}

    def _is_used(self, volume: str) -> bool:
        return any(mount.get("Name") == volume for container in self.containers.values() for mount in container["Mounts"])

    def _connect(self, container: Json, network: str, endpoint: Json) -> None:
        """Remembers the endpoint; addresses come when the container starts."""
        known = self.networks.get(network) or next((n for n in self.networks.values() if n["Id"] == network), None)
        if endpoint.get("Aliases") and network in PREDEFINED_NETWORKS:
            raise EngineRefused("network-scoped alias is supported only for containers in user defined networks")
        settings = {
            "IPAMConfig": endpoint.get("IPAMConfig") or None,
            "Links": endpoint.get("Links"),
            "Aliases": list(endpoint.get("Aliases") or []) or None,
            "DriverOpts": endpoint.get("DriverOpts"),
            "NetworkID": known["Id"] if known and container["State"]["Running"] else "",
            "IPAddress": "",
            "Gateway": "",
            "GlobalIPv6Address": "",
            "MacAddress": "",
        }
        container["NetworkSettings"]["Networks"][known["Name"] if known else network] = settings

    def _attach(self, container: Json, network: str) -> None:
        """Gives the endpoint its address, as the start does."""
        found = self._find_network(network)
        settings = container["NetworkSettings"]["Networks"][found["Name"]]
        wanted: str = (settings["IPAMConfig"] or {}).get("IPv4Address", "")
        pools = (found.get("IPAM") or {}).get("Config") or []
        if wanted and not pools:
            raise EngineRefused(
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
        if wanted and wanted in self._addresses(found["Name"]):
            raise EngineRefused("Address already in use")
        settings["NetworkID"] = found["Id"]
        if network not in PREDEFINED_NETWORKS:
            settings["Aliases"] = list(dict.fromkeys([*(settings["Aliases"] or []), container["Id"][:12]]))
        if network not in ("host", "none"):
            subnet = ip_network(pools[0]["Subnet"] if pools else "172.31.0.0/16")
            settings["IPAddress"] = wanted or str(subnet[2 + self._next() % (subnet.num_addresses - 3)])
            settings["MacAddress"] = container["Config"].get("MacAddress") or make_mac(settings["IPAddress"])

    def _addresses(self, network: str) -> set[str]:
        running = (c for c in self.containers.values() if c["State"]["Running"])
        return {c["NetworkSettings"]["Networks"].get(network, {}).get("IPAddress", "") for c in running}

    def _start(self, container: Json) -> None:
        state = container["State"]
        if state["Running"]:
            return
        try:
            self._check_start(container)
        except EngineRefused as error:
            state.update(Error=error.message, ExitCode=127)
            raise
        for network in container["NetworkSettings"]["Networks"]:
            self._attach(container, network)
        state.update(new_state("running"), StartedAt=self._now())
        self._emit_container("start", container)
        health_check = (container["Config"].get("Healthcheck") or {}).get("Test") or []
        if health_check and health_check[0] != "NONE":
            is_well = health_check[-1] != "/bin/false"
            state["Health"] = {"Status": "healthy" if is_well else "unhealthy", "FailingStreak": 0 if is_well else 1, "Log": []}
        if find_command(container)[:1] == CRASHES:
            self._crash(container)

    def _start_by_hand(self, container: Json) -> None:
        """The count of the restarts that its policy made begins anew."""
        if not container["State"]["Running"]:
            container["RestartCount"] = 0
        self._start(container)

    def _check_start(self, container: Json) -> None:
        mode: str = container["HostConfig"]["NetworkMode"]
        if mode.startswith("container:"):
            try:
                parent = self._find(mode.partition(":")[2])
            except TargetMissing as error:
                raise TargetMissing(f"No such container: {mode.partition(':')[2]}") from error
            if not parent["State"]["Running"]:
                raise EngineRefused(f"cannot join network of a non running container: {parent['Id']}", code="conflict")
        for network in container["NetworkSettings"]["Networks"]:
            self._find_network(network)
        if taken := fixed_ports(container) & self._ports_in_use():
            raise EngineRefused(f"Bind for 0.0.0.0:{min(taken)} failed: port is already allocated")
        if find_command(container)[:1] == CANNOT_START:
            raise EngineRefused('OCI runtime create failed: exec: "/bin/not-there": no such file or directory: unknown')

    def _ports_in_use(self) -> set[str]:
        return {port for c in self.containers.values() if c["State"]["Running"] for port in fixed_ports(c)}

    def _crash(self, container: Json) -> None:
        if container["HostConfig"]["RestartPolicy"].get("Name") in ("always", "unless-stopped", "on-failure"):
            container["State"].update(new_state("restarting"), Running=True, Restarting=True, ExitCode=1)
            container["RestartCount"] += 1
            return
        self._end(container, 1)

    def _end(self, container: Json, exit_code: int) -> None:
        """The container's process has ended."""
        if not container["State"]["Running"]:
            return
        started = container["State"]["StartedAt"]
        container["State"].update(new_state("exited"), ExitCode=exit_code, StartedAt=started, FinishedAt=self._now())
        self._emit_container("die", container, exitCode=str(exit_code))
        if health := container["State"].get("Health"):
            health["Status"] = "unhealthy"
        for network in container["NetworkSettings"]["Networks"].values():
            network.update(IPAddress="", Gateway="", MacAddress="", GlobalIPv6Address="")
        if container["HostConfig"]["AutoRemove"]:
            self._remove(container, volumes=True)

    def _remove(self, container: Json, volumes: bool) -> None:
        del self.containers[container["Id"]]
        self._emit_container("destroy", container)
        self.logs.pop(container["Id"], None)
        named = {bind.partition(":")[0] for bind in container["HostConfig"].get("Binds") or []}
        named |= {mount.get("Source", "") for mount in container["HostConfig"].get("Mounts") or []}
        for mount in container["Mounts"]:
            is_anonymous = mount["Type"] == "volume" and mount["Name"] not in named
            if volumes and is_anonymous and not self._is_used(mount["Name"]):
                self.volumes.discard(mount["Name"])

    def _describe(self, container: Json) -> Json:
        """The container's entry in the list."""
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
            "NetworkSettings": copy.deepcopy(container["NetworkSettings"]),
            "Mounts": copy.deepcopy(container["Mounts"]),
        }


def has_labels(found: Json, filters: Json) -> bool:
    """Whether it passes a list's filter `label`."""
    labels = found.get("Labels") or {}
    parted = [word.partition("=") for word in filters.get("label") or []]
    return all(labels.get(key) == text if sign else key in labels for key, sign, text in parted)


def add_tag(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def describe_image(image: Json) -> Json:
    """The image's entry in the list. Without a tag or a digest it has a placeholder for each."""
    nameless = not image["RepoTags"] and not image["RepoDigests"]
    return {
        "Id": image["Id"],
        "ParentId": image["ParentId"],
        "RepoTags": ["<none>:<none>"] if nameless else list(image["RepoTags"]) or None,
        "RepoDigests": ["<none>@<none>"] if nameless else list(image["RepoDigests"]) or None,
        "Created": int(datetime.fromisoformat(image["Created"][:26]).replace(tzinfo=UTC).timestamp()),
        "Size": image["Size"],
        "SharedSize": -1,
        "Containers": -1,
        "Labels": image["Config"].get("Labels"),
    }


def is_single_reference(image: Json) -> bool:
    """Whether the engine removes the image by its id: no more than one tag, and digests in that one's repository alone."""
    names = [*(tag.rpartition(":")[0] for tag in image["RepoTags"]), *(d.partition("@")[0] for d in image["RepoDigests"])]
    return len(image["RepoTags"]) < 2 and len(set(names)) < 2


def conflict(message: str) -> EngineRefused:
    return EngineRefused(f"conflict: {message}", code="conflict")


def join_credentials(auth: Mapping[str, str] | None) -> str:
    return f"{auth['username']}:{auth['password']}" if auth else ""
