"""How FakeEngine creates, starts, ends and removes a container."""

from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import (
    CANNOT_START,
    COMPLETES,
    CRASHES,
    SERVES,
    Json,
    find_command,
    find_host_ports,
    make_id,
    merge_config,
    new_state,
    policy_leaves,
)
from clusters.engine.fakes.fake_endpoints import FakeEndpoints
from clusters.engine.fakes.fake_logs import FIRST_MOMENT, cut_pieces
from clusters.engine.hooks import SCRIPT
from clusters.engine.logs.stream_format import SECOND


class FakeContainerLifecycle(FakeEndpoints):
    """The changes to a container, by request or by itself."""

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

    def _claim_name(self, name: str) -> None:
        if any(container["Name"] == f"/{name}" for container in self.containers.values()):
            raise EngineRefused(f'Conflict. The container name "/{name}" is already in use.', code="conflict")

    def _make_mounts(self, config: Json, host_config: Json) -> list[Json]:
        mounts: dict[str, Json] = {}
        for source in host_config.get("VolumesFrom") or []:
            for mount in self._find(source.partition(":")[0])["Mounts"]:
                mounts[mount["Destination"]] = copy_of(mount)
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

    def _start_by_hand(self, container: Json) -> None:
        """Start on request, which resets the count of restarts by the restart policy."""
        if not container["State"]["Running"]:
            container["RestartCount"] = 0
        self._start(container)

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
            is_healthy = health_check[-1] != "/bin/false"
            state["Health"] = {
                "Status": "healthy" if is_healthy else "unhealthy",
                "FailingStreak": 0 if is_healthy else 1,
                "Log": [],
            }
        if find_command(container)[:1] == CRASHES:
            self._crash(container)
        if find_command(container)[:1] == COMPLETES and policy_leaves(container):
            self._end(container, 0)
        if find_command(container)[:3] == ["sh", "-c", SCRIPT]:
            self._ask(container, *find_command(container)[4:7])

    def _ask(self, container: Json, host: str, port: str = "", request: str = "") -> None:
        """Do what the script of a check does. If it does not pass, it goes on."""
        parent = container["HostConfig"]["NetworkMode"].partition(":")[2]
        serves = bool(parent) and find_command(self._find(parent)) == SERVES and port == "8080"
        passed = b"HTTP/1.0 200 OK" if request else b"open"
        answer = passed if serves else b"nc: can't connect to remote host: Connection refused"
        if host:
            moment = FIRST_MOMENT + self._next() * SECOND
            self.logs.setdefault(container["Id"], []).extend(cut_pieces(moment, "stdout", answer + b"\n"))
        if serves or not host:
            self._end(container, 0)

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
        if taken := find_host_ports(container) & self._ports_in_use():
            raise EngineRefused(f"Bind for 0.0.0.0:{min(taken)} failed: port is already allocated")
        if find_command(container)[:1] == CANNOT_START:
            raise EngineRefused('OCI runtime create failed: exec: "/bin/not-there": no such file or directory: unknown')

    def _ports_in_use(self) -> set[str]:
        return {port for c in self.containers.values() if c["State"]["Running"] for port in find_host_ports(c)}

    def _crash(self, container: Json) -> None:
        if container["HostConfig"]["RestartPolicy"].get("Name") in ("always", "unless-stopped", "on-failure"):
            container["State"].update(new_state("restarting"), Running=True, Restarting=True, ExitCode=1)
            container["RestartCount"] += 1
            return
        self._end(container, 1)

    def _end(self, container: Json, exit_code: int) -> None:
        """Record that the container's process has exited."""
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
        self.files.pop(container["Id"], None)
        named = {bind.partition(":")[0] for bind in container["HostConfig"].get("Binds") or []}
        named |= {mount.get("Source", "") for mount in container["HostConfig"].get("Mounts") or []}
        for mount in container["Mounts"]:
            is_anonymous = mount["Type"] == "volume" and mount["Name"] not in named
            if volumes and is_anonymous and not self._is_used(mount["Name"]):
                self.volumes.discard(mount["Name"])
