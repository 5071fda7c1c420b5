"""The configuration of a Swarm service, ready to be shown, from the JSON of `GET /services/{id}`."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from clusters.engine.cleaning import IMAGE_LENGTH, LARGEST_SIZE, NAME_LENGTH, TEXT_LENGTH
from clusters.engine.inspection.container_details import (
    Configuration,
    Mount,
    Network,
    Port,
    ResourceLimits,
    bound,
    describe_capabilities,
    describe_stop,
    keep_facts,
    read_environment,
    read_health_check,
    read_labels,
    split_environment,
)
from clusters.engine.inspection.json_values import (
    SECOND,
    arguments_of,
    as_list,
    as_map,
    number_of,
    raw_text,
    seconds_of,
    text_of,
    texts_of,
)
from clusters.engine.masking import Masker, Setting


def read_service_configuration(
    service: Mapping[str, Any], networks: Mapping[str, str], revealed: bool = False
) -> Configuration:
    """`networks` has names by id. Unless `revealed` is true, the result contains no secret."""
    spec = as_map(service.get("Spec"))
    template = as_map(spec.get("TaskTemplate"))
    container, resources = as_map(template.get("ContainerSpec")), as_map(template.get("Resources"))
    environment = split_environment(container.get("Env"))
    masker = Masker(environment, revealed)
    image, _, digest = text_of(container.get("Image"), IMAGE_LENGTH).partition("@")
    configuration = Configuration(
        image=image,
        image_id="",
        digests=(f"{image}@{digest}",) if digest else (),
        facts=read_service_facts(spec, template, container, masker),
        health_check=read_health_check(as_map(container.get("Healthcheck")), masker),
        limits=read_swarm_limits(as_map(resources.get("Limits"))),
        reserved=read_swarm_limits(as_map(resources.get("Reservations"))),
        ports=bound(read_swarm_ports(service)),
        networks=bound(read_swarm_networks(spec, template, networks)),
        mounts=bound(read_swarm_mounts(container)),
        files=bound([*read_files(container, "Secret"), *read_files(container, "Config")]),
        environment=read_environment(environment, masker),
        labels=read_labels({**as_map(spec.get("Labels")), **as_map(container.get("Labels"))}, masker),
        masked=0,
        revealed=revealed,
    )
    return replace(configuration, masked=masker.count)


def read_service_facts(
    spec: Mapping[str, Any], template: Mapping[str, Any], container: Mapping[str, Any], masker: Masker
) -> tuple[Setting, ...]:
    placement = as_map(template.get("Placement"))
    spreads = [as_map(as_map(found).get("Spread")) for found in as_list(placement.get("Preferences"))]
    most = number_of(placement.get("MaxReplicas"))
    return keep_facts(
        ("Mode", describe_mode(as_map(spec.get("Mode")))),
        ("Entrypoint", masker.read_arguments(arguments_of(container.get("Command")))),
        ("Command", masker.read_arguments(arguments_of(container.get("Args")))),
        ("User", text_of(container.get("User"), NAME_LENGTH)),
        ("Working directory", text_of(container.get("Dir"), NAME_LENGTH)),
        ("Host name", text_of(container.get("Hostname"), NAME_LENGTH)),
        ("Restart", describe_swarm_restart(as_map(template.get("RestartPolicy")))),
        ("Stop", describe_stop(text_of(container.get("StopSignal"), 32), seconds_of(container.get("StopGracePeriod")))),
        ("Placed on", " and ".join(texts_of(placement.get("Constraints")))[:TEXT_LENGTH]),
        ("Spread over", ", ".join(text_of(found.get("SpreadDescriptor"), NAME_LENGTH) for found in spreads)[:TEXT_LENGTH]),
        ("On one node", f"at most {most}" if most else ""),
        ("Rights", "read-only root file system" if container.get("ReadOnly") is True else ""),
        ("Capabilities", describe_capabilities(container.get("CapabilityAdd"), container.get("CapabilityDrop"))),
        ("Log driver", text_of(as_map(template.get("LogDriver")).get("Name"), 64)),
    )


def describe_mode(mode: Mapping[str, Any]) -> str:
    replicated, job = as_map(mode.get("Replicated")), as_map(mode.get("ReplicatedJob"))
    if "Global" in mode:
        return "a task on each node"
    if "GlobalJob" in mode:
        return "a job on each node"
    if "ReplicatedJob" in mode:
        return f"a job of {number_of(job.get('TotalCompletions')) or 1}, {number_of(job.get('MaxConcurrent')) or 1} at a time"
    return f"{number_of(replicated.get('Replicas', 1))} replicated"


def describe_swarm_restart(policy: Mapping[str, Any]) -> str:
    condition, most = text_of(policy.get("Condition"), 32) or "any", number_of(policy.get("MaxAttempts"))
    word = {"none": "never", "any": "always"}.get(condition, condition)
    return f"{word}, at most {most} times" if most and word != "never" else word


def read_swarm_limits(found: Mapping[str, Any]) -> ResourceLimits:
    cpus = number_of(found.get("NanoCPUs"), LARGEST_SIZE) / SECOND
    return ResourceLimits(number_of(found.get("MemoryBytes"), LARGEST_SIZE), cpus, number_of(found.get("Pids")))


def read_swarm_ports(service: Mapping[str, Any]) -> Iterable[Port]:
    """Yield the ports with the numbers that the Swarm chose, or as the spec has them if it reports none."""
    spec = as_map(as_map(service.get("Spec")).get("EndpointSpec"))
    for port in map(as_map, as_list(as_map(service.get("Endpoint")).get("Ports")) or as_list(spec.get("Ports"))):
        inside = f"{number_of(port.get('TargetPort'))}/{text_of(port.get('Protocol'), 8) or 'tcp'}"
        outside = str(number_of(port.get("PublishedPort")) or "chosen by the node")
        yield Port(inside, (f"{outside} on its node" if port.get("PublishMode") == "host" else outside,))


def read_swarm_networks(spec: Mapping[str, Any], template: Mapping[str, Any], names: Mapping[str, str]) -> Iterable[Network]:
    for found in map(as_map, as_list(template.get("Networks")) or as_list(spec.get("Networks"))):
        target = raw_text(found.get("Target"))
        yield Network(text_of(names.get(target, target), NAME_LENGTH), (), texts_of(found.get("Aliases")), "")


def read_swarm_mounts(container: Mapping[str, Any]) -> Iterable[Mount]:
    for mount in map(as_map, as_list(container.get("Mounts"))):
        kind = text_of(mount.get("Type"), 16) or "volume"
        source, target = text_of(mount.get("Source"), TEXT_LENGTH), text_of(mount.get("Target"), TEXT_LENGTH)
        yield Mount(kind, source, target, mount.get("ReadOnly") is True)


def read_files(container: Mapping[str, Any], kind: str) -> Iterable[Setting]:
    """`kind` is Secret or Config. A secret without an absolute path is below /run/secrets."""
    for found in map(as_map, as_list(container.get(f"{kind}s"))):
        target = text_of(as_map(found.get("File")).get("Name"), TEXT_LENGTH)
        folder = "" if target.startswith("/") or not target else {"Secret": "/run/secrets/", "Config": "/"}[kind]
        yield Setting(f"{kind} {text_of(found.get(f'{kind}Name'), NAME_LENGTH)}", f"{folder}{target}")
