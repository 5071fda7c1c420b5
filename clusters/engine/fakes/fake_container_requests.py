"""FakeEngine's answers about containers and their logs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_container_lifecycle import FakeContainerLifecycle
from clusters.engine.fakes.fake_containers import Json, container_matches, new_stats
from clusters.engine.fakes.fake_logs import send_logs


class FakeContainerRequests(FakeContainerLifecycle):
    """The fake of `connection.container_requests.ContainerRequests`."""

    def list_containers(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_containers"):
            found = [container for container in self.containers.values() if container_matches(container, filters or {})]
            return [self._describe(container) for container in reversed(found)]

    def inspect_container(self, container: str) -> Json:
        with self._request("inspect_container"):
            found = self._find(container)
            if found["State"]["Restarting"]:
                found["RestartCount"] += 1
            return copy_of(found)

    def container_stats(self, container: str, *, wait: bool = False) -> Json:
        """Return a sample. A second passes between samples, in which the container uses a tenth of one CPU."""
        with self._request("container_stats"):
            found = self._find(container)
            if not found["State"]["Running"]:
                return new_stats(found, 0)
            self._samples += 1
            before = new_stats(found, self._samples - 1)["cpu_stats"] if wait else {}
            return new_stats(found, self._samples) | {"read": self._now(), "precpu_stats": before}

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

    def create_container(self, name: str, config: Mapping[str, Any], platform: str = "") -> str:
        with self._request("create_container", f"create {name}"):
            return str(self._create(name, copy_of(dict(config)))["Id"])

    def find_missing_paths(self, name: str, image: str, paths: Sequence[str]) -> tuple[str, ...]:
        with self._request("find_missing_paths"):
            return tuple(path for path in paths if path in self.missing_paths)

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

    def update_restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        with self._request("update_restart_policy", f"update {self._name(container)}"):
            found = self._find(container)
            if found["HostConfig"]["AutoRemove"] and policy.get("Name") not in ("", "no"):
                raise EngineRefused("Restart policy cannot be updated because AutoRemove is enabled for the container")
            found["HostConfig"]["RestartPolicy"] = {"MaximumRetryCount": 0, **policy}
            if found["State"]["Restarting"] and policy.get("Name") in ("", "no"):
                found["State"].update(Status="exited", Running=False, Restarting=False)
