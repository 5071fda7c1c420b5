"""Which application a service of a Swarm belongs to, and what it is called there: one rule for the inventory and for calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clusters.engine.cleaning import NAME_LENGTH, clean_text, is_name

STACK_LABEL = "com.docker.stack.namespace"  # written by `docker stack deploy`

MODES: dict[str, Literal["replicated", "global", "replicated-job", "global-job"]] = {
    "Replicated": "replicated",
    "Global": "global",
    "ReplicatedJob": "replicated-job",
    "GlobalJob": "global-job",
}


@dataclass(frozen=True)
class ServicePlace:
    """`name` is what people call the service: within a stack without the stack's name in front."""

    source: Literal["stack", "service"]
    application: str
    name: str


def locate_services(services: Iterable[Mapping[str, Any]]) -> list[ServicePlace]:
    """A place for each service, as the engine lists it. All services of a stack have to be among them: of two that would
    have one name without the prefix, the one that has the prefix keeps it."""
    listed = list(services)
    taken = {(read_stack(service), service["Spec"]["Name"]) for service in listed}
    return [locate_service(service, taken) for service in listed]


def locate_service(service: Mapping[str, Any], taken: Iterable[tuple[str, str]] = ()) -> ServicePlace:
    """`taken`: stacks and whole names of all services."""
    whole, stack = service["Spec"]["Name"], read_stack(service)
    short = whole.removeprefix(f"{stack}_") if stack else whole
    if short != whole and (stack, short) in taken:
        short = whole
    name = clean_text(short, NAME_LENGTH) or clean_text(service["ID"], NAME_LENGTH)
    return ServicePlace("stack", stack, name) if stack else ServicePlace("service", name, name)


def read_stack(service: Mapping[str, Any]) -> str:
    """Empty for a lone service; a label that could not be a name is as good as none."""
    stack = str((service["Spec"].get("Labels") or {}).get(STACK_LABEL) or "")
    return stack if is_name(stack) else ""
