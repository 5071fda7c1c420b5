"""FakeEngine: an engine in memory with EngineClient's methods, for tests that need the driver but no Docker.

It answers as the Engine API does, in the fields that the driver and the inventory read;
`tests/integration/test_engine_contract.py` runs the same tests on it and on a real engine. It has no clock: a container is
healthy, unhealthy or crashed as soon as it starts, and a crash loop restarts once at each inspect.

A container's image and config decide what it does, as with busybox on a real engine:
- with the command CRASHES, it exits at once with code 1 (and restarts where its restart policy says so);
- with the command COMPLETES, it exits at once with code 0 where its restart policy leaves it so;
- with the command CANNOT_START, its start is refused;
- with the command SERVES, it answers at port 8080: the script of a check (clusters.engine.hooks) passes in its network, and
  continues to ask in any other;
- with a health check that runs /bin/false, it is unhealthy; with any other health check, it is healthy;
- otherwise it runs until it is stopped.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from clusters.engine.errors import PullFailed
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_container_requests import FakeContainerRequests
from clusters.engine.fakes.fake_containers import CANNOT_START, COMPLETES, CRASHES, SERVES, Json, make_id
from clusters.engine.fakes.fake_file_requests import FakeFileRequests
from clusters.engine.fakes.fake_image_requests import FakeImageRequests
from clusters.engine.fakes.fake_logs import FIRST_MOMENT, cut_pieces
from clusters.engine.fakes.fake_network_requests import FakeNetworkRequests
from clusters.engine.fakes.fake_state import RUNS
from clusters.engine.fakes.fake_swarm import FakeSwarm
from clusters.engine.fakes.fake_swarm_requests import FakeSwarmRequests
from clusters.engine.fakes.fake_system_requests import FakeSystemRequests
from clusters.engine.logs.stream_format import SECOND, Stream

__all__ = ["CANNOT_START", "COMPLETES", "CRASHES", "HEALTHY", "RUNS", "SERVES", "UNHEALTHY", "FakeEngine"]

HEALTHY: Json = {"Test": ["CMD", "/bin/true"], "Interval": 100_000_000, "Timeout": 5_000_000_000, "Retries": 1}  # nanoseconds
UNHEALTHY: Json = {**HEALTHY, "Test": ["CMD", "/bin/false"]}


class FakeEngine(
    FakeSystemRequests, FakeContainerRequests, FakeFileRequests, FakeImageRequests, FakeNetworkRequests, FakeSwarmRequests
):
    """One engine and every connection to it: `sibling` and `with` return the same object."""

    address = "unix:///run/fake.sock"  # as EngineClient.address

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

    def add_image(self, reference: str, *, digest: str = "", size: int = 0, parent: str = "", **config: Any) -> str:
        """Add an image under the tag, which moves to it, and return its id. `config` is in the Engine API's form.

        `size` is in bytes and includes the size of `parent`, which is an image's id.
        """
        image_id = self._make_image(config)
        self.images[image_id] |= {"Size": size, "ParentId": parent}
        self._tag(image_id, reference)
        if digest:
            self.images[image_id]["RepoDigests"].append(f"{reference.rpartition(':')[0]}@{digest}")
        return image_id

    def publish(self, reference: str, platform: str = "", **config: Any) -> str:
        """Put a new image into the registry under this reference, for a pull to find. Return its id.

        `platform`: only a pull for this one, such as `linux/386`, finds it.
        """
        architecture = {"Architecture": platform.split("/")[1]} if platform else {}
        image_id = self._make_image({**config, **architecture})
        self.registry[f"{reference} {platform}" if platform else reference] = image_id
        self.published[image_id] = copy_of(self.images[image_id])
        return image_id

    def fail_pull(self, reference: str, code: str = "pull_failed") -> None:
        self.registry[reference] = PullFailed(f"{reference} could not be pulled: scripted.", code=code)

    def add_network(self, name: str, subnet: str = "", labels: Json | None = None) -> str:
        """Add a network and return its name. With `subnet`, containers can request an address."""
        pools = [{"Subnet": subnet}] if subnet else []
        self.networks[name] = {"Name": name, "Id": make_id(name), "IPAM": {"Config": pools}, "Labels": labels or {}}
        return name

    def run(self, name: str, image: str, *, start: bool = True, **config: Any) -> str:
        """Create and start a container without logging it, and return its id. `config` is the rest of the create body."""
        with self._lock:
            container = self._create(name, {"Image": image, **config})
            if start:
                self._start(container)
            return str(container["Id"])

    def write_log(self, name: str, *texts: str, stream: Stream = "stdout", moment: int = 0) -> None:
        """Let a container, or a Swarm task given by its id, write each text as a line.

        `moment` is in nanoseconds since 1970; without it, each line is later than everything before.
        """
        is_task = self.swarm is not None and any(task.id == name for task in self.swarm.tasks)
        log_id = name if is_task else str(self._find(name)["Id"])
        with self._lock:
            for text in texts:
                written = cut_pieces(moment or FIRST_MOMENT + self._next() * SECOND, stream, text.encode() + b"\n")
                self.logs.setdefault(log_id, []).extend(written)

    def init_swarm(self, *workers: str) -> FakeSwarm:
        """Make the engine the manager `manager1`, with a node for each of `workers`."""
        self.swarm = FakeSwarm(self._image_for_node)
        self.swarm.add_node("manager1", role="manager")
        for hostname in workers:
            self.swarm.add_node(hostname)
        return self.swarm

    def names(self) -> set[str]:
        """Return the names of all containers."""
        return {container["Name"][1:] for container in self.containers.values()}

    def running(self) -> set[str]:
        return {c["Name"][1:] for c in self.containers.values() if c["State"]["Running"]}
