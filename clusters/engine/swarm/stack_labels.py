"""Find the application of a Swarm service and the service's name in it: one rule for the inventory and for calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clusters.engine.cleaning import NAME_LENGTH, clean_text, is_name
from clusters.engine.names import HOOK_LABEL

STACK_LABEL = "com.docker.stack.namespace"  # written by `docker stack deploy`
JOB_SUFFIXES = {"predeploy": "_windlass-predeploy", "check": "_windlass-check"}  # of the names of our own jobs

MODES: dict[str, Literal["replicated", "global", "replicated-job", "global-job"]] = {
    "Replicated": "replicated",
    "Global": "global",
    "ReplicatedJob": "replicated-job",
    "GlobalJob": "global-job",
}


@dataclass(frozen=True)
class ServicePlace:
    """A service's application, and the name that people use: in a stack without the stack's name in front."""

    source: Literal["stack", "service"]
    application: str
    name: str


def locate_services(services: Iterable[Mapping[str, Any]]) -> list[ServicePlace]:
    """Return the place of each service, in the order given. `services` are as the engine lists them.

    All services of a stack must be among them: if two would have the same name without the prefix, the one that has the
    prefix keeps it.
    """
    listed = list(services)
    taken = {(read_stack(service), service["Spec"]["Name"]) for service in listed}
    return [locate_service(service, taken) for service in listed]


def locate_service(service: Mapping[str, Any], taken: Iterable[tuple[str, str]] = ()) -> ServicePlace:
    """`taken` has the stack and the full name of every service."""
    full, stack = service["Spec"]["Name"], read_stack(service)
    short = full.removeprefix(f"{stack}_") if stack else full
    if short != full and (stack, short) in taken:
        short = full
    name = clean_text(short, NAME_LENGTH) or clean_text(service["ID"], NAME_LENGTH)
    return ServicePlace("stack", stack, name) if stack else ServicePlace("service", name, name)


def is_own_job(service: Mapping[str, Any]) -> bool:
    """Return whether the service is a job of a redeploy of ours, which belongs to no application."""
    is_named = str(service["Spec"]["Name"]).endswith(tuple(JOB_SUFFIXES.values()))
    return is_named and HOOK_LABEL in (service["Spec"].get("Labels") or {})


def read_stack(service: Mapping[str, Any]) -> str:
    """Return the service's stack, or an empty string for a lone service. A label that cannot be a name is ignored."""
    stack = str((service["Spec"].get("Labels") or {}).get(STACK_LABEL) or "")
    return stack if is_name(stack) else ""
