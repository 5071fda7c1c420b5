"""A private, real Docker engine for one test session (or one pytest-xdist worker), beside anything else on the machine.

It runs in a process and a mount namespace of its own: when its first process ends, for whatever reason, the kernel ends
containerd, the shims and the containers with it and drops all its mounts. What can stay behind after a kill -9 of the
whole session (bridges, one firewall rule, cgroups, the folder) is named after the engine's number and is removed by the
next engine that starts. The machine's firewall is left to whoever has it: the engine runs with --iptables=false.
"""

import contextlib
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

import docker

from clusters.engine.connection.endpoint import EngineEndpoint
from console.process.private_engine import EngineStartError, start_private_engine
from console.process.private_engine import PrivateEngine as DaemonProcess
from tests.harness.eventually import eventually
from tests.harness.proc import find_program, kill_namespace, read_start_time

STATE = Path(tempfile.gettempdir()) / "windlass-test-engines"  # sockets are here, so the path must be short
NUMBERS = range(200, 250)  # engine N has the bridge wltestN and the addresses 10.N.0.0/16
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
HOW_TO_GET_ONE = "`apt-get install docker.io iptables iproute2` installs it on Debian"


class EngineMissing(Exception):
    """No engine can be started here. The message says what to do."""


@dataclass
class PrivateEngine:
    number: int
    daemon: DaemonProcess | None = None
    _subnets: Iterator[IPv4Network] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # The engine takes networks from the upper half. Tests that need a subnet of their own get one of these.
        self._subnets = itertools.cycle(IPv4Network(f"10.{self.number}.64.0/18").subnets(new_prefix=24))

    @property
    def folder(self) -> Path:
        return STATE / str(self.number)

    @property
    def log_file(self) -> Path:
        return self.folder / "dockerd.log"

    @property
    def endpoint_url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def endpoint(self) -> EngineEndpoint:
        return EngineEndpoint(self.endpoint_url)

    @property
    def bridge(self) -> str:
        return f"wltest{self.number}"

    def new_subnet(self) -> str:
        """Return a /24 that no other network of this machine's test engines has. They repeat after 64 calls."""
        return str(next(self._subnets))

    def connect(self, timeout: float = 60) -> docker.APIClient:
        """Return the SDK's client, for tests to arrange and to check. The code under test has its own client."""
        return docker.APIClient(base_url=self.endpoint_url, version="auto", timeout=timeout)


@contextlib.contextmanager
def run_engine() -> Iterator[PrivateEngine]:
    """Run an engine and remove every trace of it afterwards. If it does not start, the error has the end of its log.

    Raises EngineMissing with one sentence when this machine cannot have one.
    """
    require_engine_programs()
    engine = take_number()
    try:
        start_engine(engine)
        yield engine
    finally:
        stop_engine(engine)


def require_engine_programs() -> None:
    require_programs("a Docker engine", ("dockerd", "containerd", "iptables", "ip", "unshare", "setpriv"), HOW_TO_GET_ONE)
    if os.geteuid() != 0:
        raise EngineMissing("These tests start a private Docker engine, which only root can do: run them as root.")


def require_programs(purpose: str, programs: Sequence[str], how_to_get_them: str) -> None:
    missing = [name for name in programs if not find_program(name)]
    if missing:
        raise EngineMissing(f"These tests need {purpose}, and {', '.join(missing)} is not installed: {how_to_get_them}.")


def take_number() -> PrivateEngine:
    """Claim the first free number by creating its folder. Leftovers of dead sessions are removed first."""
    STATE.mkdir(exist_ok=True)
    with numbers_held():
        remove_dead_engines()
        for number in NUMBERS:
            engine = PrivateEngine(number)
            if Path(
                f"/sys/class/net/{engine.bridge}"
            ).exists():  # of a running engine whose session has another temporary folder
                continue
            with contextlib.suppress(FileExistsError):
                engine.folder.mkdir()
                pid = os.getpid()
                (engine.folder / "owner").write_text(f"{pid} {read_start_time(pid)}")
                return engine
    raise EngineMissing(f"All {len(NUMBERS)} test engines' numbers are taken: look into {STATE}.")


def start_engine(engine: PrivateEngine) -> None:
    create_bridge(engine)
    run_ip("iptables", *forward_rule("-I", engine))
    launch_daemon(engine)


def kill_daemon(engine: PrivateEngine) -> None:
    """End engine and containers at once, as a power failure does. `launch_daemon` starts the engine with the same data."""
    if engine.daemon:
        kill_namespace(engine.daemon.process)
        engine.daemon = None
        shutil.rmtree(engine.folder / "exec")  # a power failure clears /run, pid files above all


def launch_daemon(engine: PrivateEngine) -> None:
    """Start the daemon and return when it answers. It ends with the calling thread."""
    options = [
        f"--default-address-pool=base=10.{engine.number}.128.0/17,size=24",
        f"--cgroup-parent=/{engine.bridge}",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-masq=false",
    ]
    try:
        engine.daemon = start_private_engine(
            engine.folder,
            bridge=engine.bridge,
            arguments=options,
            log=engine.log_file,
            wrapper=["setpriv", "--pdeathsig", "KILL", *UNSHARE, *find_reaper()],
        )
    except EngineStartError as error:
        raise AssertionError(f"{error} The end of its log:\n{engine.log_file.read_text(errors='replace')[-3000:]}") from error


def find_reaper() -> list[str]:
    """Return the command of a process namespace's first process, to put before the engine: it reaps the shims' orphans."""
    return [tini, "-s", "--"] if (tini := find_program("tini", "docker-init")) else []


def stop_engine(engine: PrivateEngine) -> None:
    if engine.daemon:
        # Nothing needs a clean end, and killing the namespaces' first process ends everything for certain.
        kill_namespace(engine.daemon.process)
        engine.daemon = None
    remove_traces(engine)


@contextlib.contextmanager
def numbers_held() -> Iterator[None]:
    """Keep other sessions from claiming a number. They wait."""
    with (STATE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_dead_engines() -> None:
    """Remove the leftovers of engines whose session was killed. Call it with `numbers_held`."""
    for folder in STATE.iterdir():
        if folder.name.isdigit() and not owner_is_alive(folder):
            remove_traces(PrivateEngine(int(folder.name)))


def owner_is_alive(folder: Path) -> bool:
    try:
        pid, _, started = (folder / "owner").read_text().partition(" ")
    except FileNotFoundError:  # killed while it claimed or removed the number
        return False
    return read_start_time(int(pid)) == started


def remove_traces(engine: PrivateEngine) -> None:
    """Remove bridges, the firewall rule, cgroups and the folder of an engine whose processes have ended. Safe to repeat."""
    for link in find_links(engine):
        run_ip("ip", "link", "delete", link, check=False)
    while run_ip("iptables", *forward_rule("-D", engine), check=False):
        pass
    remove_cgroups(engine.bridge)
    shutil.rmtree(engine.folder, ignore_errors=True)


def find_links(engine: PrivateEngine) -> list[str]:
    """Return the engine's bridge and those of its networks: all with an address from its range."""
    listing = subprocess.run([find_program("ip") or "ip", "-j", "-4", "addr"], capture_output=True, check=True).stdout
    own = {engine.bridge} if Path(f"/sys/class/net/{engine.bridge}").exists() else set()
    prefix = f"10.{engine.number}."
    for link in json.loads(listing):
        name = link.get("ifname", "")
        if name.startswith("br-") and any(a.get("local", "").startswith(prefix) for a in link.get("addr_info", [])):
            own.add(name)
    return sorted(own)


def create_bridge(engine: PrivateEngine) -> None:
    run_ip("ip", "link", "add", engine.bridge, "type", "bridge")
    run_ip("ip", "addr", "add", f"10.{engine.number}.0.1/20", "dev", engine.bridge)
    run_ip("ip", "link", "set", engine.bridge, "up")


def forward_rule(action: str, engine: PrivateEngine) -> list[str]:
    """Let the engine's containers reach each other even if another engine has set the FORWARD policy to DROP."""
    network = f"10.{engine.number}.0.0/16"
    return ["-w", action, "FORWARD", "-s", network, "-d", network, "-m", "comment", "--comment", engine.bridge, "-j", "ACCEPT"]


def remove_cgroups(name: str) -> None:
    for tops in (Path("/sys/fs/cgroup").glob(f"*/{name}"), Path("/sys/fs/cgroup").glob(name)):
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


def run_ip(program: str, *arguments: str, check: bool = True) -> bool:
    """Run `ip` or `iptables` and return whether it succeeded. With `check`, raise with the program's output if it fails."""
    done = subprocess.run([find_program(program) or program, *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.returncode == 0


def remove_everything(api: docker.APIClient) -> None:
    """Remove every container, volume and network, so that the next test finds an empty engine. Images stay. Waits for what the
    engine is still removing, or creating for a client that was killed."""
    eventually(lambda: remove_containers_and_networks(api), within=30, what="the engine has no container and no network")
    for volume in api.volumes().get("Volumes") or []:
        api.remove_volume(volume["Name"], force=True)


def remove_containers_and_networks(api: docker.APIClient) -> bool:
    """Remove all containers and networks, and return whether none is left."""
    for container in api.containers(all=True, quiet=True):
        with contextlib.suppress(docker.errors.APIError):
            api.remove_container(container["Id"], force=True, v=True)
    try:
        for network in api.networks():
            if network["Name"] not in {"bridge", "host", "none"}:
                api.remove_network(network["Id"])
    except docker.errors.APIError:
        return False
    return not api.containers(all=True, quiet=True)
