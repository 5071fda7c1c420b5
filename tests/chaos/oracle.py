"""The judge of a trial. It asks only the engine what there is; the console's word is compared with that.

A `Picture` is all there is on an engine that has nothing but the trial's application. What it must be afterwards follows from
the picture before, from what was asked, and from how the call says that it ended.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import docker

from tests.chaos.applications import NAME, Kind

OWN_NETWORKS = {"bridge", "host", "none", "ingress", "docker_gwbridge"}
# Of what a container is made of, what a redeploy changes.
FOLLOWS_THE_IMAGE = {"com.docker.compose.image", "windlass.image"}


@dataclass(frozen=True)
class Container:
    name: str
    id: str
    service: str
    image: str
    status: str
    is_clone: bool
    lines: frozenset[str]  # everything else that must not change, one line each
    volumes: frozenset[str]


@dataclass(frozen=True)
class Picture:
    """A picture of everything on the engine. `service` is the content of its spec on a Swarm."""

    containers: Mapping[str, Container]
    volumes: frozenset[str]
    networks: frozenset[str]
    service: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, bytes] = field(default_factory=dict)  # the content of the file `mark` by volume

    def of(self, service: str) -> list[Container]:
        return [container for container in self.containers.values() if container.service == service]


@dataclass(frozen=True)
class Fault:
    """A problem. `kind` is lost, outcome, leftover, under-count or data."""

    kind: str
    text: str


# Looking


def take_picture(api: docker.APIClient, kind: Kind, mark: bool = False) -> Picture:
    """Look at the engine. With `mark`, also write a unique mark into each volume, to check later that it is still there."""
    details = list(inspect_containers(api, kind.on_swarm))
    volumes = frozenset(volume["Name"] for volume in api.volumes().get("Volumes") or [])
    networks = frozenset(network["Name"] for network in api.networks()) - OWN_NETWORKS
    containers = {item["Name"].lstrip("/"): describe(item) for item in details}
    mounts = {m["Name"]: (item["Id"], m["Destination"]) for item in details for m in item["Mounts"] if m["Type"] == "volume"}
    if mark:
        for volume, (container, folder) in mounts.items():
            write_mark(api, container, folder, volume)
    marks = {volume: read_mark(api, container, folder) for volume, (container, folder) in mounts.items()}
    return Picture(containers, volumes, networks, describe_service(api) if kind.on_swarm else {}, marks)


def inspect_containers(api: docker.APIClient, may_go: bool) -> Iterable[dict[str, Any]]:
    """Look at the containers. With `may_go`, one may disappear after it was listed: Swarm removes those of past tasks."""
    for entry in api.containers(all=True):
        try:
            yield api.inspect_container(entry["Id"])
        except docker.errors.NotFound:
            if not may_go:
                raise


def describe(details: Mapping[str, Any]) -> Container:
    """Return everything about a container that a person would miss."""
    labels, host = details["Config"]["Labels"] or {}, details["HostConfig"]
    short_id = details["Id"][:12]
    lines = {f"label {key}={value}" for key, value in labels.items() if key not in FOLLOWS_THE_IMAGE}
    lines.add(f"restart {host['RestartPolicy']['Name']}:{host['RestartPolicy']['MaximumRetryCount']}")
    lines.add(f"auto-remove {host['AutoRemove']}")
    lines |= {f"port {port} at {bindings}" for port, bindings in (host["PortBindings"] or {}).items()}
    lines |= {f"mount {mount['Destination']} of {mount['Type']} {mount.get('Name')}" for mount in details["Mounts"]}
    for network, endpoint in details["NetworkSettings"]["Networks"].items():
        aliases = sorted(set(endpoint["Aliases"] or []) - {short_id})
        lines.add(f"network {network} as {', '.join(aliases)}")
    return Container(
        name=details["Name"].lstrip("/"),
        id=details["Id"],
        service=labels.get("com.docker.compose.service") or "web",
        image=details["Image"],
        status=details["State"]["Status"],
        is_clone="windlass.clone" in labels,
        lines=frozenset(lines),
        volumes=frozenset(mount["Name"] for mount in details["Mounts"] if mount["Type"] == "volume"),
    )


def describe_service(api: docker.APIClient) -> dict[str, Any]:
    """Return a Swarm service: its spec in parts, and its tasks that run or should run."""
    service = api.inspect_service(NAME)
    spec, template = service["Spec"], service["Spec"]["TaskTemplate"]
    tasks = [task for task in api.tasks(filters={"service": NAME}) if task["DesiredState"] in {"running", "ready"}]
    return {
        "image": template["ContainerSpec"]["Image"],
        "replicas": spec["Mode"]["Replicated"]["Replicas"],
        "force": template.get("ForceUpdate", 0),
        "labels": spec["Labels"],
        "mounts": template["ContainerSpec"].get("Mounts"),
        "policy": template.get("RestartPolicy"),
        "update": spec.get("UpdateConfig"),
        "networks": template.get("Networks"),
        "tasks": {task["ID"]: (task["Status"]["State"], task["Spec"]["ContainerSpec"]["Image"]) for task in tasks},
    }


def write_mark(api: docker.APIClient, container: str, folder: str, text: str) -> None:
    import io
    import tarfile

    archive, content = io.BytesIO(), text.encode()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("mark")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    api.put_archive(container, folder, archive.getvalue())


def read_mark(api: docker.APIClient, container: str, folder: str) -> bytes:
    """Return the mark, or empty bytes if there is none."""
    try:
        stream, _ = api.get_archive(container, f"{folder}/mark")
        return b"".join(stream)[512:].rstrip(b"\0")
    except docker.errors.NotFound:
        return b""


# Judging


@dataclass(frozen=True)
class Expectation:
    """What was asked. `states`: how the redeploys and scalings may say that they ended. `replicas` of `web` afterwards.
    `image`: what now counts as new; empty where no redeploy was asked for."""

    kind: Kind
    image: str
    replicas: int
    rolls_back: bool = False


def judge(expected: Expectation, before: Picture, after: Picture) -> list[Fault]:
    if expected.kind.on_swarm:
        faults = judge_service(expected, before.service, after.service)
    else:
        faults = judge_containers(expected, before, after)
    return [*faults, *judge_rest(before, after, expected)]


def judge_containers(expected: Expectation, before: Picture, after: Picture) -> list[Fault]:
    """Check every container by its name: does it exist and run, has it the right image, and is everything else unchanged?"""
    faults = []
    wanted = {name: container for name, container in before.containers.items() if container.service != "web"}
    web = sorted(before.of("web"), key=lambda item: (len(item.name), item.name))
    wanted |= {container.name: container for container in web[: expected.replicas]}
    added = expected.replicas - len(web)
    extra = set(after.containers) - set(wanted)
    for container in (after.containers[name] for name in sorted(extra)):
        is_clone = added > 0 and container.service == "web" and container.is_clone and "windlass-" not in container.name
        if is_clone:
            added -= 1
            faults += judge_clone(expected, web[0], container)
        else:
            faults.append(Fault("leftover", f"{container.name} is left over, {container.status}"))
    if added > 0:
        faults.append(Fault("outcome", f"{added} containers of web are missing"))
    for name, old in wanted.items():
        found = after.containers.get(name)
        faults += judge_container(expected, old, found) if found else [Fault("lost", f"{name} is not there any more")]
    return faults


def judge_container(expected: Expectation, old: Container, found: Container) -> Iterable[Fault]:
    if found.status != old.status:
        yield Fault("outcome", f"{found.name} is {found.status}")
    is_replaced = bool(expected.image) and not expected.rolls_back
    if found.image != (expected.image if is_replaced else old.image):
        yield Fault("outcome", f"{found.name} runs {'the old' if is_replaced else 'another'} image")
    if is_replaced == (found.id == old.id):
        yield Fault("outcome", f"{found.name} was {'not ' if is_replaced else ''}made anew")
    for line in sorted(found.lines ^ old.lines):
        yield Fault("data", f"{found.name} has {'gained' if line in found.lines else 'lost'} {line}")


def judge_clone(expected: Expectation, source: Container, clone: Container) -> Iterable[Fault]:
    if clone.status != "running":
        yield Fault("outcome", f"{clone.name} is {clone.status}")
    if clone.image != (expected.image or source.image):
        yield Fault("outcome", f"{clone.name} runs another image than its service")
    for line in sorted(read_inherited(clone) ^ read_inherited(source)):
        yield Fault("data", f"{clone.name} differs from {source.name} in {line}")


def read_inherited(container: Container) -> set[str]:
    """Return what a clone shares with its source: restart policy and networks, except for its name there."""
    return {line.partition(" as ")[0] for line in container.lines if line.startswith(("restart ", "auto-remove ", "network "))}


def judge_service(expected: Expectation, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Fault]:
    """Check the exact spec, that there was exactly one update, and that each wanted task runs what the spec says."""
    is_replaced = bool(expected.image) and not expected.rolls_back
    wanted = {
        **before,
        "image": expected.image if is_replaced else before["image"],
        "force": before["force"] + is_replaced,
        "replicas": expected.replicas,
    }
    for part in sorted(set(wanted) - {"tasks"}):
        if after[part] != wanted[part]:
            yield Fault("outcome", f"the service's {part} is {after[part]}, not {wanted[part]}")
    running = Counter(after["tasks"].values())
    if running != Counter({("running", wanted["image"]): expected.replicas}):
        yield Fault("outcome", f"its tasks are {dict(running)}")


def judge_rest(before: Picture, after: Picture, expected: Expectation) -> Iterable[Fault]:
    """Check volumes and networks: none too many, none lost, and their content unchanged."""
    removed = [item for name, item in before.containers.items() if item.is_clone and name not in after.containers]
    may_go = frozenset().union(*(container.volumes for container in removed))
    used = frozenset().union(*(container.volumes for container in after.containers.values()))
    for volume in sorted(before.volumes - after.volumes - may_go):
        yield Fault("lost", f"the volume {volume[:12]} was lost")
    for volume in sorted((after.volumes - before.volumes - used) | (after.volumes & may_go)):
        yield Fault("leftover", f"the volume {volume[:12]} is left over")
    for network in sorted(before.networks ^ after.networks):
        yield Fault("leftover" if network in after.networks else "lost", f"the network {network}")
    for volume in sorted(set(before.marks) & set(after.marks)):
        if before.marks[volume] != after.marks[volume]:
            yield Fault("data", f"what was written to the volume {volume[:12]} was lost")


def judge_counts(expected: Expectation, before: Picture, after: Picture, events: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """From the engine's start and die events: how many ran at each moment, and whether that was ever too few. The count may
    be lower by what the step in flight has stopped. Ends by checking itself: what runs now must be what the events say."""
    services = {item.id: item.service for picture in (before, after) for item in picture.containers.values()}
    running = {item.id for item in before.containers.values() if item.status == "running"}
    least = {name: sum(services[found] == name for found in running) for name in expected.kind.services}
    floor = {
        name: min(least[name], expected.replicas if name == "web" else least[name]) - (service.missing if expected.image else 0)
        for name, service in expected.kind.services.items()
    }
    for event in events:
        attributes = event["Actor"]["Attributes"]
        services.setdefault(event["Actor"]["ID"], attributes.get("com.docker.compose.service") or "web")
        (running.add if event["Action"] == "start" else running.discard)(event["Actor"]["ID"])
        for name in least:
            least[name] = min(least[name], sum(services[found] == name for found in running))
    faults = [
        Fault("under-count", f"only {least[name]} of {name} ran, and never less than {floor[name]} should")
        for name in least
        if least[name] < floor[name]
    ]
    if running != {item.id for item in after.containers.values() if item.status == "running"}:
        faults.append(Fault("events", "the events do not lead to what runs now"))
    return faults
