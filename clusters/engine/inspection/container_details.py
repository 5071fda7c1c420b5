"""One container as its engine describes it, fit to be shown: limited, cleaned, and with its secrets masked.

Pure: reads the JSON of `GET /containers/{id}/json` and `/images/{id}/json`. Values that an old or hostile engine leaves out are
left out here too; no answer of an engine raises an error. `swarm_details` does the same for a Swarm service.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from clusters.engine.cleaning import IMAGE_LENGTH, LARGEST_SIZE, NAME_LENGTH, TEXT_LENGTH
from clusters.engine.inspection.json_values import (
    SECOND,
    arguments_of,
    as_list,
    as_map,
    duration_of,
    number_of,
    raw_text,
    text_of,
    texts_of,
    time_of,
)
from clusters.engine.masking import READ_LENGTH, Masker, Setting

Item = TypeVar("Item")

MOST = 200  # items of each kind are shown
MOST_PROBES = 5
PROBE_LENGTH = 2000
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True)
class Bounded(Generic[Item]):
    """The first items of a list; `left_out` counts the rest."""

    shown: tuple[Item, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class State:
    """`word` is the engine's: created, running, paused, restarting, removing, exited, dead."""

    word: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    error: str = ""
    out_of_memory: bool = False
    restarts: int = 0

    @property
    def is_running(self) -> bool:
        return self.word in {"running", "paused"}

    @property
    def has_ended(self) -> bool:
        return self.word in {"exited", "dead", "restarting"} and self.finished_at is not None


@dataclass(frozen=True)
class Probe:
    """One run of a health check."""

    started_at: datetime | None
    took: timedelta | None
    exit_code: int
    output: str

    @property
    def is_healthy(self) -> bool:
        return self.exit_code == 0


@dataclass(frozen=True)
class Health:
    """The present health. `probes` has the newest first."""

    status: str
    failing_streak: int
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class HealthCheck:
    """A health check's definition. None and 0 stand for values that were not set, where the engine's defaults apply."""

    test: str
    interval: timedelta | None
    timeout: timedelta | None
    start_period: timedelta | None
    retries: int


@dataclass(frozen=True)
class ResourceLimits:
    """Limits in bytes, CPUs and processes; 0 is no limit."""

    memory: int = 0
    cpus: float = 0
    pids: int = 0

    def __bool__(self) -> bool:
        return bool(self.memory or self.cpus or self.pids)


@dataclass(frozen=True)
class Port:
    """`inside` is such as `80/tcp`; `published` such as `8080` or `127.0.0.1:8080`, empty where the port is only exposed."""

    inside: str
    published: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    name: str
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    mac: str


@dataclass(frozen=True)
class Mount:
    """`kind` is bind, volume, tmpfs, npipe or cluster. `source` is a volume's name, or the path on the host."""

    kind: str
    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class Configuration:
    """The configuration of a container or of a Swarm service's tasks. `facts` are what it runs and how.

    `files` are a Swarm service's secrets and configs by name, with their path in a task. `masked` counts the values that hold
    secrets, whether they are shown (`revealed`) or not.
    """

    image: str
    image_id: str
    digests: tuple[str, ...]
    facts: tuple[Setting, ...]
    health_check: HealthCheck | None
    limits: ResourceLimits
    reserved: ResourceLimits
    ports: Bounded[Port]
    networks: Bounded[Network]
    mounts: Bounded[Mount]
    files: Bounded[Setting]
    environment: Bounded[Setting]
    labels: Bounded[Setting]
    masked: int
    revealed: bool


@dataclass(frozen=True)
class ContainerDetails:
    container_id: str
    name: str
    state: State
    health: Health | None
    configuration: Configuration


def read_container_details(
    inspected: Mapping[str, Any], image: Mapping[str, Any] | None = None, revealed: bool = False
) -> ContainerDetails:
    """Return the details. `image` is its inspected image, for the digests. Without `revealed`, the result holds no secret."""
    environment = split_environment(as_map(inspected.get("Config")).get("Env"))
    masker = Masker(environment, revealed)
    configuration = read_configuration(inspected, masker, environment)
    state = as_map(inspected.get("State"))
    return ContainerDetails(
        container_id=text_of(inspected.get("Id"), 64),
        name=text_of(inspected.get("Name"), NAME_LENGTH).lstrip("/"),
        state=read_container_state(state, inspected.get("RestartCount"), masker),
        health=read_health(as_map(state.get("Health")), masker),
        configuration=replace(configuration, digests=read_digests(image or {})),
    )


def read_container_state(state: Mapping[str, Any], restarts: Any, masker: Masker) -> State:
    return State(
        word=text_of(state.get("Status"), 16) or ("running" if state.get("Running") is True else "exited"),
        started_at=time_of(state.get("StartedAt")),
        finished_at=time_of(state.get("FinishedAt")),
        exit_code=number_of(state.get("ExitCode")),
        error=masker.read_text(raw_text(state.get("Error")), TEXT_LENGTH),
        out_of_memory=state.get("OOMKilled") is True,
        restarts=number_of(restarts),
    )


def read_health(health: Mapping[str, Any], masker: Masker) -> Health | None:
    """Return None where there is no health check."""
    status = text_of(health.get("Status"), 16)
    if status in ("", "none"):
        return None
    log = as_list(health.get("Log"))[-MOST_PROBES:]
    probes = tuple(read_probe(as_map(entry), masker) for entry in reversed(log))
    return Health(status, number_of(health.get("FailingStreak")), probes)


def read_probe(entry: Mapping[str, Any], masker: Masker) -> Probe:
    started, ended = time_of(entry.get("Start")), time_of(entry.get("End"))
    return Probe(
        started_at=started,
        took=ended - started if started and ended else None,
        exit_code=number_of(entry.get("ExitCode")),
        output=masker.read_text(raw_text(entry.get("Output")), PROBE_LENGTH).strip(),
    )


def read_configuration(inspected: Mapping[str, Any], masker: Masker, environment: list[tuple[str, str]]) -> Configuration:
    config, host = as_map(inspected.get("Config")), as_map(inspected.get("HostConfig"))
    short_id = text_of(inspected.get("Id"), 12)
    configuration = Configuration(
        image=text_of(config.get("Image"), IMAGE_LENGTH),
        image_id=text_of(inspected.get("Image"), 80),
        digests=(),
        facts=read_container_facts(config, host, masker, short_id),
        health_check=read_health_check(as_map(config.get("Healthcheck")), masker),
        limits=ResourceLimits(number_of(host.get("Memory")), read_cpus(host), number_of(host.get("PidsLimit"))),
        reserved=ResourceLimits(memory=number_of(host.get("MemoryReservation"))),
        ports=bound(read_container_ports(config, host, as_map(inspected.get("NetworkSettings")))),
        networks=bound(read_attached_networks(as_map(inspected.get("NetworkSettings")), short_id)),
        mounts=bound(read_mounts(inspected, host)),
        files=Bounded(),
        environment=read_environment(environment, masker),
        labels=read_labels(config.get("Labels"), masker),
        masked=0,
        revealed=masker.revealed,
    )
    return replace(configuration, masked=masker.count)


def read_container_facts(
    config: Mapping[str, Any], host: Mapping[str, Any], masker: Masker, short_id: str
) -> tuple[Setting, ...]:
    logging = as_map(host.get("LogConfig"))
    flags = {"privileged": host.get("Privileged"), "read-only root file system": host.get("ReadonlyRootfs")}
    return keep_facts(
        ("Entrypoint", masker.read_arguments(arguments_of(config.get("Entrypoint")))),
        ("Command", masker.read_arguments(arguments_of(config.get("Cmd")))),
        ("User", text_of(config.get("User"), NAME_LENGTH)),
        ("Working directory", text_of(config.get("WorkingDir"), NAME_LENGTH)),
        ("Host name", text_of(config.get("Hostname"), NAME_LENGTH) if config.get("Hostname") != short_id else ""),
        ("Restart", describe_restart(as_map(host.get("RestartPolicy")))),
        ("Stop", describe_stop(text_of(config.get("StopSignal"), 32), number_of(config.get("StopTimeout")))),
        ("Rights", ", ".join(word for word, is_set in flags.items() if is_set is True)),
        ("Capabilities", describe_capabilities(host.get("CapAdd"), host.get("CapDrop"))),
        ("Log driver", text_of(logging.get("Type"), 64)),
    )


def describe_restart(policy: Mapping[str, Any]) -> str:
    name, most = text_of(policy.get("Name"), 32), number_of(policy.get("MaximumRetryCount"))
    if name in ("", "no"):
        return "never"
    return f"{name}, at most {most} times" if most else name


def describe_stop(signal: str, seconds: int) -> str:
    """Return such as `SIGINT, killed after 3 s`, or "" for the engine's defaults."""
    return ", ".join(part for part in (signal, f"killed after {seconds} s" if seconds else "") if part)


def describe_capabilities(added: Any, dropped: Any) -> str:
    words = [f"+{text_of(name, 64)}" for name in as_list(added)] + [f"−{text_of(name, 64)}" for name in as_list(dropped)]
    return " ".join(words)[:TEXT_LENGTH]


def read_health_check(check: Mapping[str, Any], masker: Masker) -> HealthCheck | None:
    """Return None where there is no health check, or where the image's was disabled."""
    test = arguments_of(check.get("Test"))
    if not test or test[0] == "NONE":
        return None
    command = test[1:] if test[0] in ("CMD", "CMD-SHELL") else test
    return HealthCheck(
        test=masker.read_text(" ".join(command)) if test[0] == "CMD-SHELL" else masker.read_arguments(command),
        interval=duration_of(check.get("Interval")),
        timeout=duration_of(check.get("Timeout")),
        start_period=duration_of(check.get("StartPeriod")),
        retries=number_of(check.get("Retries")),
    )


def read_cpus(host: Mapping[str, Any]) -> float:
    """Return the CPU limit, set by `--cpus` or by a quota of a period."""
    if nano := number_of(host.get("NanoCpus"), LARGEST_SIZE):
        return nano / SECOND
    quota, period = number_of(host.get("CpuQuota")), number_of(host.get("CpuPeriod")) or 100_000
    return round(quota / period, 3)


def read_container_ports(config: Mapping[str, Any], host: Mapping[str, Any], network: Mapping[str, Any]) -> Iterable[Port]:
    """Return the ports: the published ones of a running container, the requested ones of a stopped container."""
    published = as_map(network.get("Ports")) or as_map(host.get("PortBindings"))
    inside = dict.fromkeys([*published, *as_map(config.get("ExposedPorts"))])
    return (Port(text_of(port, 32), describe_bindings(published.get(port))) for port in inside)


def describe_bindings(bindings: Any) -> tuple[str, ...]:
    """Return each binding once. An address that stands for all addresses is left out."""
    shown = []
    for binding in map(as_map, as_list(bindings)[:MOST]):
        address, port = text_of(binding.get("HostIp"), 64), text_of(binding.get("HostPort"), 16) or "chosen at start"
        named = f"[{address}]" if ":" in address else address
        shown.append(port if address in ANY_ADDRESS else f"{named}:{port}")
    return tuple(dict.fromkeys(shown))


def read_attached_networks(network: Mapping[str, Any], short_id: str) -> Iterable[Network]:
    """Return the networks without the container's short id, which the engine always adds as an alias."""
    for name, found in as_map(network.get("Networks")).items():
        endpoint = as_map(found)
        addresses = (text_of(endpoint.get(key), 64) for key in ("IPAddress", "GlobalIPv6Address"))
        yield Network(
            name=text_of(name, NAME_LENGTH),
            addresses=tuple(address for address in addresses if address),
            aliases=tuple(alias for alias in texts_of(endpoint.get("Aliases")) if alias != short_id),
            mac=text_of(endpoint.get("MacAddress"), 32),
        )


def read_mounts(inspected: Mapping[str, Any], host: Mapping[str, Any]) -> Iterable[Mount]:
    for mount in map(as_map, as_list(inspected.get("Mounts"))):
        kind = text_of(mount.get("Type"), 16) or "bind"
        source = mount.get("Name") or mount.get("Source") if kind == "volume" else mount.get("Source")
        yield Mount(
            kind, text_of(source, TEXT_LENGTH), text_of(mount.get("Destination"), TEXT_LENGTH), mount.get("RW") is False
        )
    for target in as_map(host.get("Tmpfs")):
        yield Mount("tmpfs", "", text_of(target, TEXT_LENGTH), False)


def read_digests(image: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the `name@sha256:…` of an inspected image."""
    return texts_of(image.get("RepoDigests"), IMAGE_LENGTH)


# For containers and services alike


def split_environment(entries: Any) -> list[tuple[str, str]]:
    pairs = (raw_text(entry).partition("=") for entry in as_list(entries))
    return [(name, value[:READ_LENGTH]) for name, _, value in pairs]


def read_environment(pairs: list[tuple[str, str]], masker: Masker) -> Bounded[Setting]:
    """Return the variables in the order in which they were set; the engine puts the image's last."""
    return Bounded(tuple(masker.read_setting(name, value) for name, value in pairs[:MOST]), max(len(pairs) - MOST, 0))


def read_labels(labels: Any, masker: Masker) -> Bounded[Setting]:
    """Return the labels by name."""
    pairs = sorted((raw_text(name), raw_text(value)) for name, value in as_map(labels).items())
    return read_environment(pairs, masker)


def keep_facts(*facts: tuple[str, str]) -> tuple[Setting, ...]:
    return tuple(Setting(name, value) for name, value in facts if value)


def bound(items: Iterable[Item]) -> Bounded[Item]:
    found = list(items)
    return Bounded(tuple(found[:MOST]), max(len(found) - MOST, 0))
