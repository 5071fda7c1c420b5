"""A real Docker Swarm of one or several nodes for tests, beside anything else on the machine.

Each node is a dockerd in network, process, mount and host name namespaces of its own; a veth joins it to a bridge that has
a network namespace too, so that no firewall rule of the machine matters and none is made. One more link leads from the
bridge to this machine: tests reach the nodes, and the nodes the Swarm's registry. Namespaces are held by processes that
the kernel ends with the session. What else a kill -9 leaves (cgroups, a folder) belongs to a number taken from
`tests.harness.engine`, and the next engine or Swarm removes it.

There is no IPVS in the kernels these tests run on: use `endpoint_mode: dnsrr`, or publish ports with `mode: host`.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests

from clusters.engine.connection.endpoint import EngineEndpoint
from console.process.private_engine import EngineStartError, launch_private_engine, wait_until_ready
from console.process.private_engine import PrivateEngine as DaemonProcess
from tests.harness.engine import (
    UNSHARE,
    PrivateEngine,
    find_reaper,
    remove_traces,
    require_engine_programs,
    require_programs,
    take_number,
)
from tests.harness.eventually import eventually
from tests.harness.images import create_base_image, make_image
from tests.harness.netns import NetworkSpace, hold_network_space, run_ip_batch
from tests.harness.proc import find_program, kill_namespace
from tests.harness.registry import PrivateRegistry, run_registry

HEARTBEAT = 1_000_000_000  # nanoseconds; a worker that misses three is down
HISTORY = 5  # ended tasks kept of each slot; Swarm's own default
READY_WITHIN = 30.0  # seconds for a node to be ready at the manager
RETURNED_WITHIN = 20.0  # seconds for one that was lost, before it is started anew
AGREED_WITHIN = 90.0  # seconds for it after managers were lost: they elect, dial each other at ever longer intervals, and agree
HOW_TO_GET_IT = "`apt-get install docker.io docker-registry iptables iproute2 util-linux hostname` installs them on Debian"
# In a Compose file for `deploy_stack`: tasks without a network and ports of their own, as `create_service` has them by itself.
ON_THE_HOST = {"networks": {"default": {"external": True, "name": "host"}}}
OWN_NETWORKS = {"bridge", "host", "none", "ingress", "docker_gwbridge"}


@dataclass
class SwarmNode:
    """One node: an engine that can be killed and started again, and a network that can be cut."""

    swarm: "PrivateSwarm"
    number: int
    is_manager: bool
    node_id: str = ""
    daemon: DaemonProcess | None = None
    space: NetworkSpace | None = None
    is_cut: bool = False
    api_version: str = ""

    @property
    def name(self) -> str:
        """Its host name, as `docker node ls` shows it."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """Reachable from this machine and from every node."""
        return f"{self.swarm.network}.{10 + self.number}"

    @property
    def folder(self) -> Path:
        return self.swarm.folder / self.name

    @property
    def log_file(self) -> Path:
        return self.folder / "dockerd.log"

    @property
    def endpoint_url(self) -> str:
        """Its socket: answers also while the network is cut."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def tcp_url(self) -> str:
        """The same engine by way of the network: silent while that is cut."""
        return f"tcp://{self.address}:2375"

    @property
    def endpoint(self) -> EngineEndpoint:
        return EngineEndpoint(self.endpoint_url)

    @property
    def is_running(self) -> bool:
        return self.daemon is not None

    def connect(self, timeout: float = 60) -> docker.APIClient:
        """The SDK's client, for tests to arrange and to look; the code under test has its own."""
        self.api_version = self.api_version or read_api_version(self.endpoint_url)
        return docker.APIClient(base_url=self.endpoint_url, version=self.api_version, timeout=timeout)

    def launch(self) -> None:
        """Starts its engine without waiting. The engine ends with the calling thread: call it from a lasting one."""
        self.space = self.swarm.plug_in(self)
        command = [*self.space.enter, *UNSHARE, "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name, *find_reaper()]
        self.daemon = launch_private_engine(
            self.folder,
            arguments=[
                f"--host={self.tcp_url}",
                "--tls=false",
                f"--insecure-registry={self.swarm.network}.0/24",
                f"--cgroup-parent=/{self.swarm.claim.bridge}",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-masq=false",
            ],
            log=self.log_file,
            wrapper=["setpriv", "--pdeathsig", "KILL", *command],
        )

    def wait_until_ready(self) -> None:
        """Until its engine answers; AssertionError with the end of its log otherwise."""
        assert self.daemon
        try:
            wait_until_ready(self.daemon)
        except EngineStartError as error:
            raise AssertionError(f"{self.name}: {error}\n{self.log_file.read_text(errors='replace')[-3000:]}") from error

    def start(self) -> None:
        """Again, with the same data, and ready to take tasks. From a lasting thread: see `launch`."""
        self.launch()
        self.wait_until_ready()
        if self.node_id:
            self.swarm.wait_for_node(self, "ready", within=AGREED_WITHIN)

    def kill(self) -> None:
        """As if its power failed: engine and containers end without a word. Safe to repeat, and from any thread."""
        if self.daemon:
            kill_namespace(self.daemon.process)
            self.daemon = None
            shutil.rmtree(self.folder / "exec")  # what lies under /run is lost in a power failure, pid files above all
        if self.space:
            self.space.release()
            self.space = None
        self.is_cut = False

    def cut_network(self) -> None:
        """Its cable is pulled: it runs on and reaches nobody."""
        self.swarm.switch.ip(f"link set {self.name} down")
        self.is_cut = True

    def restore_network(self) -> None:
        self.swarm.switch.ip(f"link set {self.name} up")
        self.is_cut = False


@dataclass
class PrivateSwarm:
    claim: PrivateEngine
    switch: NetworkSpace = field(init=False, repr=False)
    registry: PrivateRegistry = field(init=False, repr=False)
    nodes: list[SwarmNode] = field(default_factory=list, repr=False)
    _first_count: int = 0
    _resources: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)
    _builds: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def folder(self) -> Path:
        return self.claim.folder

    @property
    def network(self) -> str:
        """The first three numbers of its addresses."""
        return f"10.{self.claim.number}.0"

    @property
    def host_address(self) -> str:
        """This machine, as the nodes see it."""
        return f"{self.network}.1"

    @property
    def manager(self) -> SwarmNode:
        return self.nodes[0]

    @property
    def managers(self) -> list[SwarmNode]:
        return [node for node in self.nodes if node.is_manager]

    @property
    def workers(self) -> list[SwarmNode]:
        return [node for node in self.nodes if not node.is_manager]

    @property
    def endpoint_url(self) -> str:
        return self.manager.endpoint_url

    @property
    def endpoint(self) -> EngineEndpoint:
        return self.manager.endpoint

    def node(self, name: str) -> SwarmNode:
        return next(node for node in self.nodes if node.name == name)

    def connect(self, timeout: float = 60) -> docker.APIClient:
        """The SDK's client of the first manager that runs."""
        return self._reachable_manager().connect(timeout)

    def _reachable_manager(self) -> SwarmNode:
        return next(node for node in self.managers if node.is_running and not node.is_cut)

    # Starting and ending

    def start(self, nodes: int, managers: int) -> None:
        self.switch = hold_network_space()
        self._resources.callback(self.switch.release)
        bridge = self.claim.bridge
        run_ip_batch((f"link add {bridge} type veth peer name uplink netns {self.switch.pid}",))
        self.switch.ip("link add switch type bridge", "link set switch up", "link set uplink master switch up")
        run_ip_batch((f"addr add {self.host_address}/24 dev {bridge}", f"link set {bridge} up"))
        self.registry = self.run_registry()
        self._add_nodes([number < managers for number in range(nodes)])
        self._first_count = nodes

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
        self._resources.close()
        remove_traces(self.claim)

    def plug_in(self, node: SwarmNode) -> NetworkSpace:
        """A network for the node, joined to the switch."""
        space = hold_network_space()
        with contextlib.suppress(AssertionError):  # what an earlier life left; the kernel takes its time to remove it
            self.switch.ip(f"link delete {node.name}")
        self.switch.ip(
            f"link add {node.name} type veth peer name eth0 netns {space.pid}", f"link set {node.name} master switch up"
        )
        space.ip("link set lo up", f"addr add {node.address}/24 dev eth0", "link set eth0 up")
        return space

    def add_node(self, manager: bool = False) -> SwarmNode:
        """One more, ready. From a lasting thread: see SwarmNode.launch."""
        return self._add_nodes([manager])[0]

    def _add_nodes(self, roles: list[bool]) -> list[SwarmNode]:
        """`roles`: for each new node whether it is a manager."""
        first = len(self.nodes) + 1
        added = [SwarmNode(self, number, is_manager) for number, is_manager in enumerate(roles, first)]
        self.nodes += added
        for node in added:
            node.launch()
        for node in added:
            node.wait_until_ready()
        with ThreadPoolExecutor() as pool:
            imports = pool.map(import_base_image, added)
            if first == 1:
                self._init()
            for node in added:
                if node.is_manager and node is not self.manager:  # one after the other: each changes the quorum
                    self._join(node)
            list(pool.map(self._join, [node for node in added if not node.is_manager]))
            list(imports)
        for node in added:
            self.wait_for_node(node, "ready")
        return added

    def _init(self) -> None:
        with self.manager.connect() as api:
            spec = api.create_swarm_spec(dispatcher_heartbeat_period=HEARTBEAT, task_history_retention_limit=HISTORY)
            api.init_swarm(
                advertise_addr=self.manager.address,
                listen_addr=f"{self.manager.address}:2377",
                default_addr_pool=[f"10.{self.claim.number}.128.0/17"],
                subnet_size=24,
                swarm_spec=spec,
            )
            self.manager.node_id = read_node_id(api)

    def _join(self, node: SwarmNode) -> None:
        with self.manager.connect() as api:
            tokens = api.inspect_swarm()["JoinTokens"]
        with node.connect() as api:
            api.join_swarm(
                [f"{self.manager.address}:2377"],
                tokens["Manager" if node.is_manager else "Worker"],
                listen_addr=f"{node.address}:2377",
                advertise_addr=node.address,
            )
            node.node_id = read_node_id(api)

    def read_node_state(self, node: SwarmNode) -> str:
        """`ready`, `down`, `unknown` or `disconnected`, as a manager that runs sees it."""
        with self.connect() as api:
            return str(api.inspect_node(node.node_id)["Status"]["State"])

    def wait_for_node(self, node: SwarmNode, state: str, within: float = READY_WITHIN) -> None:
        eventually(ignoring_errors(lambda: self.read_node_state(node) == state), within=within, what=f"{node.name} is {state}")

    # Images

    def run_registry(self, **options: Any) -> PrivateRegistry:
        """One more that this machine and all nodes reach, for as long as the Swarm is there. Options as `run_registry` has
        them: `**LOGIN` makes it private.
        """
        folder = self.folder / f"registry{next(self._builds)}"
        folder.mkdir()
        return self._resources.enter_context(run_registry(folder, address=self.host_address, **options))

    def publish(self, name: str, tag: str = "1", registry: PrivateRegistry | None = None, **config: Any) -> str:
        """Pushes a new image `<registry>/<name>:<tag>` with BASE's files and this config, as `make_image` has it, and returns
        its reference. No node has it then. Every build is another image; the same name and tag again moves the tag.
        """
        build = next(self._builds)
        config["Labels"] = {"build": str(build), **config.get("Labels", {})}
        with self.connect() as api:
            made = make_image(api, f"windlass-test/build{build}:1", **config)
            reference = (registry or self.registry).push(api, name, made, tag)
            try:
                api.remove_image(made, force=True)
            except docker.errors.APIError as error:
                if error.status_code != 409:  # a task that started again after the push runs it already
                    raise
        return reference

    # Services

    def docker(self, *arguments: str, text: str = "") -> str:
        """What the docker CLI prints, spoken to a manager that runs; AssertionError with its words when it fails."""
        config = self.folder / "cli"
        config.mkdir(exist_ok=True)
        done = subprocess.run(
            [find_program("docker") or "docker", "--host", self._reachable_manager().endpoint_url, *arguments],
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, "DOCKER_CONFIG": str(config)},
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def log_in(self, registry: PrivateRegistry) -> None:
        """From now on the CLI knows the registry's password: give `--with-registry-auth` to have it sent to the nodes."""
        self.docker("login", "--username", registry.user, "--password-stdin", registry.host, text=registry.password)

    def deploy_stack(self, name: str, compose: Mapping[str, Any], *options: str) -> None:
        """`docker stack deploy` of a Compose file given as a dict; returns before the tasks run. Options go to the CLI."""
        file = json.dumps({"version": "3.8", **compose})  # every JSON text is YAML too
        self.docker("stack", "deploy", "--compose-file", "-", *options, name, text=file)

    def create_service(self, name: str, image: str, *options: str, command: tuple[str, ...] = ()) -> str:
        """`docker service create`, detached; the new id. Options are the CLI's: "--replicas=3".

        Without an option about them its tasks have no network and no ports of their own: each start is half the work."""
        if not any(option.startswith(("--network", "--publish")) for option in options):
            options = (*options, "--network=host")
        return self.docker("service", "create", "--detach", "--quiet", "--name", name, *options, image, *command).strip()

    def inspect_service(self, name: str) -> dict[str, Any]:
        with self.connect() as api:
            return dict(api.inspect_service(name))

    def service_ps(self, name: str) -> list[dict[str, str]]:
        """`docker service ps`: one dict a task with ID, Name, Image, Node, DesiredState, CurrentState, Error, Ports."""
        lines = self.docker("service", "ps", "--no-trunc", "--format", "{{json .}}", name).splitlines()
        return [json.loads(line) for line in lines]

    def list_tasks(self, service: str) -> list[dict[str, Any]]:
        """All its tasks as the Engine API gives them, ended ones too."""
        with self.connect() as api:
            return list(api.tasks(filters={"service": service}))

    def running_tasks(self, service: str) -> list[dict[str, Any]]:
        return [t for t in self.list_tasks(service) if t["DesiredState"] == "running" and t["Status"]["State"] == "running"]

    def wait_for_tasks(self, service: str, count: int, within: float = 30.0) -> list[dict[str, Any]]:
        """Until exactly so many run and none else is wanted; those."""

        def are_well() -> bool:
            tasks = [task for task in self.list_tasks(service) if task["DesiredState"] in {"running", "ready"}]
            return len(tasks) == count and all(task["Status"]["State"] == "running" for task in tasks)

        eventually(are_well, within=within, what=f"{count} tasks of {service} run")
        return self.running_tasks(service)

    # Putting right what a test did

    def reset(self) -> None:
        """As it was at first, for the next test: its nodes, the registry, and nothing on them. Images stay."""
        self.repair()
        for node in self.nodes[self._first_count :]:
            self.remove_node(node)
        self.remove_everything()
        if self.registry.process is None:
            self.registry.start()

    def repair(self) -> None:
        """Every node runs, is reached, ready and active, has its first role and no labels."""
        for node in self.nodes:
            if not node.is_running:
                node.launch()
            elif node.is_cut:
                node.restore_network()
        for node in self.nodes:
            node.wait_until_ready()
        for node in self.nodes:
            self._wait_for_return(node)
            eventually(ignoring_errors(lambda node=node: self._reset_spec(node)), within=AGREED_WITHIN)

    def _wait_for_return(self, node: SwarmNode) -> None:
        """Until it is ready. An engine that found no manager for long asks ever more seldom: one started anew asks at once."""
        try:
            self.wait_for_node(node, "ready", within=RETURNED_WITHIN)
        except AssertionError:
            node.kill()
            node.launch()
            node.wait_until_ready()
            self.wait_for_node(node, "ready", within=AGREED_WITHIN)

    def remove_node(self, node: SwarmNode) -> None:
        node.is_manager = False
        eventually(ignoring_errors(lambda: self._reset_spec(node)), within=READY_WITHIN)
        with self.connect() as api:
            eventually(lambda: "ManagerStatus" not in api.inspect_node(node.node_id), what=f"{node.name} is a worker")
            node.kill()
            eventually(ignoring_errors(lambda: api.remove_node(node.node_id, force=True)), what=f"{node.name} is forgotten")
        self.nodes.remove(node)

    def _reset_spec(self, node: SwarmNode) -> bool:
        spec = {"Availability": "active", "Role": "manager" if node.is_manager else "worker", "Labels": {}}
        with self.connect() as api:
            found = api.inspect_node(node.node_id)
            if {name: found["Spec"].get(name) or {} for name in spec} != spec:
                api.update_node(node.node_id, found["Version"]["Index"], spec)
        return True

    def remove_everything(self) -> None:
        """Stacks, services, their containers and lone ones, networks, secrets, configs and volumes, on all nodes that run.
        Images stay.
        """
        with self.connect() as api:
            for service in api.services():
                api.remove_service(service["ID"])
            for kind in (api.secrets, api.configs):
                remove = api.remove_secret if kind == api.secrets else api.remove_config
                for item in kind():
                    remove(item["ID"])
        running = [node for node in self.nodes if node.is_running]
        eventually(ignoring_errors(lambda: all(list(map(clear_node, running)))), within=60, what="all nodes are empty")
        with self.connect() as api:
            # Swarm never forgets a job's tasks.
            eventually(lambda: all(map(is_over, api.tasks())), within=60, what="all tasks are forgotten")


def is_over(task: Mapping[str, Any]) -> bool:
    """A job's task, completed or failed."""
    return "JobIteration" in task and task["Status"]["State"] in {"complete", "failed", "rejected", "shutdown"}


def clear_node(node: SwarmNode) -> bool:
    """Takes away what is on the node; whether nothing was left. Networks go when nothing uses them any more."""
    with node.connect() as api:
        for container in api.containers(all=True, quiet=True):
            with contextlib.suppress(docker.errors.APIError):
                api.remove_container(container["Id"], force=True, v=True)
        networks = [n for n in api.networks() if n["Name"] not in OWN_NETWORKS]
        for network in networks:
            with contextlib.suppress(docker.errors.APIError):
                api.remove_network(network["Id"])
        for volume in api.volumes().get("Volumes") or []:
            with contextlib.suppress(docker.errors.APIError):
                api.remove_volume(volume["Name"], force=True)
        return not api.containers(all=True, quiet=True) and not networks


def import_base_image(node: SwarmNode) -> None:
    with node.connect() as api:
        create_base_image(api)


def read_api_version(endpoint_url: str) -> str:
    with docker.APIClient(base_url=endpoint_url, version="auto") as api:
        return str(api.api_version)


def read_node_id(api: docker.APIClient) -> str:
    return str(eventually(lambda: api.info()["Swarm"]["NodeID"], what="the node has its id"))


def ignoring_errors(probe: Callable[[], bool]) -> Callable[[], bool]:
    """An engine's refusal or silence counts as "not yet": a manager that has just lost or found its quorum gives both."""

    def wrapped() -> bool:
        try:
            return probe()
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise AssertionError(str(error)) from error

    return wrapped


def require_swarm_programs() -> None:
    """Raises EngineMissing with one sentence when this machine cannot have a Swarm."""
    require_engine_programs()
    require_programs("a Docker Swarm", ("docker", "docker-registry", "nsenter", "hostname"), HOW_TO_GET_IT)


@contextlib.contextmanager
def run_swarm(nodes: int = 1, managers: int = 1) -> Iterator[PrivateSwarm]:
    """A Swarm whose nodes are all ready; the first `managers` of them are managers. Gone without a trace afterwards.

    Call it from a thread that lasts: the kernel ends the Swarm with it. Raises EngineMissing.
    """
    require_swarm_programs()
    swarm = PrivateSwarm(take_number())
    try:
        swarm.start(nodes, managers)
        yield swarm
    finally:
        swarm.stop()
