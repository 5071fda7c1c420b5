"""Requests about containers and their logs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from clusters.engine.connection import podman
from clusters.engine.connection.podman import DEFAULT_GRACE
from clusters.engine.connection.requester import EngineRequester
from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.names import base_name

SAMPLE_SECONDS = 1.0  # between two samples, where the engine does not take both
LOG_CHUNK = 1 << 16  # bytes
NO_SOURCE = "bind source path does not exist: "  # in the engine's message, before the path


class ContainerRequests(EngineRequester):
    """The part of EngineClient for containers and their logs."""

    def list_containers(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return all containers, including stopped ones."""
        with self._translated():
            found: list[dict[str, Any]] = self.api.containers(all=True, filters=filters)
            if not self.libpod_version:
                return found
            return podman.translate_entries(found, self._get_libpod("/containers/json?all=true") or [])

    def inspect_container(self, container: str) -> dict[str, Any]:
        with self._translated():
            details: dict[str, Any] = self.api.inspect_container(container)
            if not self.libpod_version:
                return details
            more = self._get_libpod(f"/containers/{details['Id']}/json") or {}
            return podman.translate_details(details, more, base_name(str(details["Name"])))

    def container_stats(self, container: str, *, wait: bool = False) -> dict[str, Any]:
        """Return one sample of the container's resource usage; all values are 0 for a stopped container.

        With `wait`, the engine takes two samples over 1 to 2 s and returns the first in `precpu_stats`. An engine before
        API 1.41 always does so.
        """
        with self._translated():
            if self.libpod_version:
                return self._measure_on_podman(container, wait)
            one_shot = None if wait or self.api_version < (1, 41) else True
            return self.api.stats(container, stream=False, one_shot=one_shot)

    def _measure_on_podman(self, container: str, wait: bool) -> dict[str, Any]:
        """Podman takes one sample at a time."""
        before = self._read_sample(container) if wait else {}
        if before:
            time.sleep(SAMPLE_SECONDS)
        return {**self._read_sample(container), "precpu_stats": before.get("cpu_stats") or {}}

    def _read_sample(self, container: str) -> dict[str, Any]:
        """Podman answers with status 200 whatever happens: with nothing for a stopped container, and with its errors.

        Raises EngineRefused for a running container without figures.
        """
        answer = self._raw._get(self._raw._url("/containers/{0}/stats", container), params={"stream": False})
        self._raw._raise_for_status(answer)
        stats = podman.read_stats(answer.text)
        if not stats and self.api.inspect_container(container)["State"]["Running"]:
            raise EngineRefused("Podman gives no figures for this container at the moment.")
        return stats

    @contextmanager
    def open_logs(
        self, kind: Literal["containers", "tasks"], name: str, tail: int | None, since: int = 0
    ) -> Iterator[Iterator[bytes]]:
        """Stream the output of a container or of a Swarm task, with times, for `clusters.engine.logs.stream_format` to read.

        The stream has the last `tail` lines and, of these, the ones from `since` on (nanoseconds since 1970). Leaving the
        `with` early closes the connection.

        Raises EngineRefused where the logging driver cannot be read, TargetMissing, EngineUnreachable.
        """
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": "all" if tail is None else tail}
        if since:
            query["since"] = f"{since // 10**9}.{since % 10**9:09d}"
        with self._translated():
            answer = self._raw._get(self._raw._url(f"/{kind}/{{0}}/logs", name), params=query, stream=True)
            try:
                self._raw._raise_for_status(answer)
                yield answer.iter_content(LOG_CHUNK)
            finally:
                answer.close()

    def create_container(self, name: str, config: Mapping[str, Any], platform: str = "") -> str:
        """Create a container and return its id. `config` is the body of POST /containers/create.

        `platform`: the image must have this one. Raises EngineRefused (`conflict` when the name is taken).
        """
        with self._translated():
            body = podman.write_create_body(config) if self.libpod_version else dict(config)
            created: dict[str, Any] = self.api.create_container_from_config(body, name, platform or None)
            return str(created["Id"])

    def find_missing_paths(self, name: str, image: str, paths: Sequence[str]) -> tuple[str, ...]:
        """Return those of the host's paths that do not exist. `name` and `image` are an existing container's.

        No request asks for it. But the engine checks the sources of bind mounts before it refuses a name that is taken, so a
        creation under this name answers the question and creates nothing.
        """
        left, missing = list(paths), []
        while left:
            mounts = [{"Type": "bind", "Source": path, "Target": f"/{number}"} for number, path in enumerate(left)]
            try:
                created = self.create_container(name, {"Image": image, "Cmd": ["-"], "HostConfig": {"Mounts": mounts}})
            except (EngineRefused, TargetMissing) as error:
                found = [path for path in left if error.message.rstrip(".").endswith(f"{NO_SOURCE}{path}")]
                if not found:
                    break
                missing += found
                left = [path for path in left if path not in found]
            else:  # its name has just become free
                self.remove_container(created)
                break
        return tuple(missing)

    def start_container(self, container: str) -> None:
        with self._translated():
            self.api.start(container)

    def stop_container(self, container: str, grace: float | None = None) -> None:
        """Stop the container: stop signal, grace period, SIGKILL.

        `grace` is the container's own stop timeout in seconds. It only extends how long to wait for the answer; it is not sent,
        so the engine applies the container's own. Podman gets it.
        """
        self._end_container("stop", container, grace)

    def restart_container(self, container: str, grace: float | None = None) -> None:
        """Let the engine stop and start the container. It finishes both even if the caller disappears.

        `grace` as in stop_container.
        """
        self._end_container("restart", container, grace)

    def _end_container(self, action: Literal["stop", "restart"], container: str, grace: float | None) -> None:
        seconds = max(DEFAULT_GRACE if grace is None else grace, 0)
        # Podman would kill at once what was created through this API without a stop timeout.
        query = {"t": int(seconds)} if self.libpod_version else {}
        with self._translated():
            url = self._raw._url(f"/containers/{{0}}/{action}", container)
            answer = self._raw._post(url, params=query, timeout=self.timeout + seconds)
            self._raw._raise_for_status(answer)

    def kill_container(self, container: str, signal: str = "SIGKILL") -> None:
        with self._translated():
            self.api.kill(container, signal)

    def rename_container(self, container: str, name: str) -> None:
        """Raises EngineRefused (`conflict`) when the name is taken."""
        with self._translated():
            self.api.rename(container, name)

    def remove_container(self, container: str, force: bool = False, volumes: bool = False) -> None:
        """Remove the container. `volumes` removes its anonymous volumes too; named volumes always stay."""
        with self._translated():
            self.api.remove_container(container, force=force, v=volumes)

    def update_restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        """`policy` is HostConfig.RestartPolicy: {"Name": "on-failure", "MaximumRetryCount": 3}."""
        self._post("/containers/{0}/update", container, {"RestartPolicy": dict(policy)})
