"""A private, real `podman system service` for the tests that need one, beside the private Docker engine.

It runs in network, process and mount namespaces of its own: when its first process ends, the kernel ends the containers with
it and drops all its mounts and networks. A veth leads from its network to this machine, for a registry. There is no systemd:
nothing runs health checks by itself, so tests let `run_health_check` do that.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from clusters.engine.connection.endpoint import EngineEndpoint
from console.process.private_engine import engine_answers
from tests.harness.engine import (
    UNSHARE,
    EngineMissing,
    PrivateEngine,
    find_reaper,
    remove_cgroups,
    remove_traces,
    require_programs,
    take_number,
)
from tests.harness.eventually import eventually
from tests.harness.images import SERVE, write_base_archive
from tests.harness.netns import NetworkSpace, hold_network_space, run_ip_batch
from tests.harness.proc import find_free_port, find_program, kill_namespace

BASE = "localhost/windlass-test/base:latest"
CGROUPS = "libpod_parent"  # where Podman puts its containers' without systemd
LIBPOD = "http+docker://localhost/v4.0.0/libpod"
HOW_TO_GET_ONE = "`apt-get install podman runc iproute2` installs it on Debian"
# /run has the network namespaces and /var/lib/cni the addresses that are taken: both must be this one's own.
START = """
mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/lock /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni &&
exec podman --root "$0/storage" --runroot "$0/run" --tmpdir "$0/tmp" --network-config-dir "$0/networks" \
    --storage-driver overlay system service --time 0 "unix://$0/podman.sock"
"""
# The limits that Podman sets by default are above those that a container on a test machine may raise.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=2048:2048", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""


@dataclass
class PrivatePodman:
    """`number`, `folder` and `bridge`, the name of the veth's end on this machine, are those of a test engine's number."""

    place: PrivateEngine
    space: NetworkSpace
    registry_port: int = 0
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        return self.place.folder

    @property
    def log_file(self) -> Path:
        return self.folder / "podman.log"

    @property
    def endpoint_url(self) -> str:
        return f"unix://{self.folder}/podman.sock"

    @property
    def endpoint(self) -> EngineEndpoint:
        return EngineEndpoint(self.endpoint_url)

    @property
    def host_address(self) -> str:
        """This machine's address as containers and Podman see it; Podman trusts plain HTTP at its `registry_port`."""
        return f"10.{self.place.number}.0.1"

    def connect(self, timeout: float = 60) -> docker.APIClient:
        """Return the SDK's client, for tests to arrange and to check. It asks for no version, which takes Podman long."""
        return docker.APIClient(base_url=self.endpoint_url, version="1.41", timeout=timeout)

    def run(self, *arguments: str) -> str:
        """Run `podman --remote` and return its output. Raises AssertionError with the output of a failure."""
        command = [find_program("podman") or "podman", "--remote", "--url", self.endpoint_url, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"podman {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run_health_check(self, api: docker.APIClient, container: str) -> None:
        """Do what a systemd timer does: run the container's health check once."""
        api._get(f"{LIBPOD}/containers/{container}/healthcheck")


@contextlib.contextmanager
def run_podman() -> Iterator[PrivatePodman]:
    """Run Podman and remove every trace of it afterwards. Raises EngineMissing when this machine cannot have one."""
    require_podman_programs()
    podman = PrivatePodman(take_number(), hold_network_space())
    try:
        start_podman(podman)
        yield podman
    finally:
        if podman.process:
            kill_namespace(podman.process)
        podman.space.release()
        remove_traces(podman.place)
        remove_cgroups(CGROUPS)


def require_podman_programs() -> None:
    require_programs("Podman", ("podman", "runc", "conmon", "ip", "unshare", "nsenter", "setpriv"), HOW_TO_GET_ONE)
    if os.geteuid() != 0:
        raise EngineMissing("These tests start a private Podman, which only root can do: run them as root.")


def start_podman(podman: PrivatePodman) -> None:
    connect_to_machine(podman)
    podman.registry_port = find_free_port(podman.host_address)
    settings = write_settings(podman)
    shell = ["sh", "-c", START, str(podman.folder)]
    with podman.log_file.open("ab") as log:
        podman.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *podman.space.enter, *UNSHARE, *find_reaper(), *shell],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **settings},
        )
    process = podman.process
    eventually(
        lambda: process.poll() is not None or engine_answers(podman.folder / "podman.sock"),
        within=30,
        what=f"Podman answers; the end of its log: {podman.log_file.read_text()[-2000:]}",
    )
    if process.poll() is not None:
        raise AssertionError(f"Podman did not start. Its log:\n{podman.log_file.read_text()[-3000:]}")


def connect_to_machine(podman: PrivatePodman) -> None:
    link = podman.place.bridge
    run_ip_batch(
        (
            f"link add {link} type veth peer name machine netns {podman.space.pid}",
            f"addr add {podman.host_address}/30 dev {link}",
            f"link set {link} up",
        )
    )
    podman.space.ip("link set lo up", f"addr add 10.{podman.place.number}.0.2/30 dev machine", "link set machine up")


def write_settings(podman: PrivatePodman) -> dict[str, str]:
    """Write the configuration files and return the variables that name them."""
    registries = f'[[registry]]\nlocation = "{podman.host_address}:{podman.registry_port}"\ninsecure = true\n'
    (podman.folder / "containers.conf").write_text(CONTAINERS_CONF)
    (podman.folder / "registries.conf").write_text(registries)
    return {
        "CONTAINERS_CONF": str(podman.folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(podman.folder / "registries.conf"),
    }


def create_podman_base_image(api: docker.APIClient) -> None:
    """Import busybox from this machine as BASE. Podman takes no tag here."""
    api.import_image_from_data(write_base_archive(), repository=BASE.rpartition(":")[0])


def make_podman_image(api: docker.APIClient, reference: str, **config: Any) -> str:
    """Build an image with BASE's files and this config (Engine API names), and return its id. See images.make_image."""
    config.setdefault("Cmd", SERVE)
    lines = [f"FROM {BASE}", *write_instructions(config)]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        text = "\n".join(lines).encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    for line in api.build(fileobj=io.BytesIO(archive.getvalue()), custom_context=True, tag=reference, decode=True, rm=True):
        if "error" in line:
            raise AssertionError(f"Building {reference}: {line['error']}")
    return str(api.inspect_image(reference)["Id"])


def write_instructions(config: dict[str, Any]) -> Iterator[str]:
    """Yield the Dockerfile's instructions for an image's config."""
    yield from (
        f"ENV {name}={json.dumps(value)}" for name, _, value in (entry.partition("=") for entry in config.get("Env", []))
    )
    yield from (f"LABEL {name}={json.dumps(value)}" for name, value in config.get("Labels", {}).items())
    yield from (f"VOLUME {json.dumps([path])}" for path in config.get("Volumes", {}))
    yield from (f"EXPOSE {port}" for port in config.get("ExposedPorts", {}))
    for key, word in (("WorkingDir", "WORKDIR"), ("StopSignal", "STOPSIGNAL"), ("User", "USER")):
        if config.get(key):
            yield f"{word} {config[key]}"
    if check := config.get("Healthcheck"):
        options = f"--interval={check.get('Interval', 10**9)}ns --retries={check.get('Retries', 1)}"
        yield f"HEALTHCHECK {options} CMD {json.dumps(check['Test'][1:])}"
    if config.get("Entrypoint"):
        yield f"ENTRYPOINT {json.dumps(config['Entrypoint'])}"
    yield f"CMD {json.dumps(config['Cmd'])}"


def remove_everything_from_podman(api: docker.APIClient) -> None:
    """Remove every pod, container, volume and network, so that the next test finds nothing."""
    for pod in api._get(f"{LIBPOD}/pods/json").json() or []:
        api._post(f"{LIBPOD}/pods/{pod['Id']}/kill")
        api._delete(f"{LIBPOD}/pods/{pod['Id']}?force=true")
    eventually(lambda: remove_containers(api), within=30, what="Podman has no container")
    for network in api.networks():
        if network["Name"] != "bridge":
            api.remove_network(network["Id"])
    for volume in api.volumes().get("Volumes") or []:
        api.remove_volume(volume["Name"], force=True)


def remove_containers(api: docker.APIClient) -> bool:
    """Remove all containers, and return whether none is left: one whose network others share goes after them."""
    for container in api.containers(all=True, quiet=True):
        with contextlib.suppress(docker.errors.APIError):
            api.remove_container(container["Id"], force=True, v=True)
    return not api.containers(all=True, quiet=True)


def keep_log(podman: PrivatePodman, folder: Path) -> None:
    shutil.copy(podman.log_file, folder / "podman.log")
