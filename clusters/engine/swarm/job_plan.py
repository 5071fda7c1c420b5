"""Plan the jobs around a redeploy: the pre-deploy step of each service, and the check when its tasks run."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, Literal

from clusters.engine import names
from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.evidence import make_masker
from clusters.engine.hooks import LOOK_COMMAND, Check, describe_done, read_check, read_predeploy
from clusters.engine.swarm.objects import SwarmService
from clusters.engine.swarm.plan import PlannedService, RemoveService, RunJob
from clusters.engine.swarm.stack_labels import JOB_SUFFIXES, STACK_LABEL
from clusters.engine.tags import with_tag
from clusters.engine.wording import cut

NAME_LENGTH = 63  # characters of a service's name
ID_LENGTH = 25
ONCE = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
BEFORE = "its label says so, before anything is touched"
AFTER = "its label says so, when its tasks run"
ALIAS_FIELDS = ("Aliases",)


def plan_jobs_before(services: Iterable[SwarmService], intent: Intent) -> tuple[list[RunJob | RemoveService], list[str]]:
    """Return the jobs that have to succeed before anything is touched, and notes. Raises PlanRefused."""
    looks: list[RunJob] = []
    steps: list[RunJob | RemoveService] = []
    notes: list[str] = []
    for service in services:
        check, step = read_service_check(service), read_predeploy(service.name, service.labels)
        if check and service.replicas != 0:
            looks.append(plan_look(service, check, intent))
        if step is None:
            continue
        if service.replicas == 0:
            notes.append(f"the pre-deploy step of {service.name} is left out: it has no tasks to run")
        elif describe_done(service.name) in intent.predeployed:
            notes.append(f"the pre-deploy step of {service.name} was done by an earlier attempt")
            name = name_job(service, "predeploy")
            steps.append(RemoveService(service=name, full_name=name, cause="unless the earlier attempt has removed it"))
        else:
            own = {"Args": list(step.command)} | ({"Command": list(step.entrypoint)} if step.entrypoint is not None else {})
            command = cut(make_masker(service.container_spec.get("Env") or ()).read_text(" ".join(step.command)))
            steps.append(
                RunJob(
                    kind="predeploy",
                    service=service.name,
                    reference=choose_job_image(service, intent),
                    spec=make_job_spec(service, "predeploy", copy_container(service) | own, intent.call),
                    what=f"the pre-deploy step of {service.name}",
                    shown=f"run the pre-deploy step of {service.name} once, for {step.timeout:g} s at most: {command}",
                    code="predeploy_failed",
                    timeout=step.timeout,
                    done=describe_done(service.name),
                    cause=BEFORE,
                )
            )
    return [*looks, *steps], notes


def choose_job_image(service: SwarmService, intent: Intent) -> str:
    """Return the image that the service gets: a job before it runs the same one."""
    previous = intent.returns_to.get(service.name)
    return previous.digests[0] if previous else with_tag(service.reference, intent.tag)


def read_service_check(service: SwarmService) -> Check | None:
    """Raises PlanRefused where the label cannot be read, or nothing can ask."""
    check = read_check(service.name, service.labels)
    if check and not check.host and service.replicas != 0 and not list_networks(service):
        what = f"The check of {service.name} cannot be asked: it is in no network of its own, so nothing can reach its tasks"
        raise PlanRefused(
            f"{what}. Give it a network, or name a host in the label {names.CHECK_LABEL}.", code="check_impossible"
        )
    return check


def plan_look(service: SwarmService, check: Check, intent: Intent) -> RunJob:
    """Look whether the image has what a check is asked with."""
    image = check.image or choose_job_image(service, intent)
    return RunJob(
        kind="check",
        service=service.name,
        reference=image,
        spec=make_job_spec(service, "check", {"Command": LOOK_COMMAND}, intent.call),
        what=f"the look for the tools of the check of {service.name}",
        shown=f"look whether {check.address} of {service.name} can be asked from {cut(image)}",
        code="check_impossible",
        timeout=check.timeout,
        cause="its label has a check",
    )


def plan_check(service: SwarmService, planned: PlannedService, intent: Intent) -> RunJob | None:
    """Return the job that asks the service's tasks; None where its labels have no check, or it has no tasks to run."""
    check = read_service_check(service)
    if check is None or service.replicas == 0 or service.is_job:
        return None
    command = check.make_command(check.host or f"tasks.{service.full_name}")  # the tasks themselves, not their virtual address
    return RunJob(
        kind="check",
        service=service.name,
        reference=check.image or planned.pinned or planned.reference,
        spec=make_job_spec(service, "check", {"Command": command}, intent.call, networks=list_networks(service)),
        what=f"the check of {service.name}",
        shown=f"ask {check.address} of {service.name} until it answers, for {check.timeout:g} s at most",
        code="check_failed",
        timeout=check.timeout,
        check=check,
        cause=AFTER,
    )


def list_networks(service: SwarmService) -> list[dict[str, Any]]:
    """Return the service's networks without its aliases there. Those of an old client are in the spec itself."""
    found = service.task_template.get("Networks") or service.spec.get("Networks") or []
    return [{key: value for key, value in network.items() if key not in ALIAS_FIELDS} for network in found]


def copy_container(service: SwarmService) -> dict[str, Any]:
    """Return the service's container without what lets others take the job for the service."""
    container = deepcopy(dict(service.container_spec))
    container.pop("Labels", None)
    container["Healthcheck"] = {"Test": ["NONE"]}
    return container


def make_job_spec(
    service: SwarmService,
    kind: Literal["predeploy", "check"],
    container: Mapping[str, Any],
    call: str,
    networks: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the spec of a job without its image. A step has the service's networks and place; a check only `networks`."""
    template: dict[str, Any] = {"ContainerSpec": dict(container), "RestartPolicy": {"Condition": "none"}}
    if kind == "predeploy":
        own = service.task_template
        template |= {key: deepcopy(own[key]) for key in ("Resources", "LogDriver") if own.get(key)}
        placement = own.get("Placement") or {}
        template["Placement"] = {key: deepcopy(placement[key]) for key in ("Constraints", "Platforms") if placement.get(key)}
        networks = list_networks(service)
    if networks:
        template["Networks"] = networks
    stack = service.labels.get(STACK_LABEL)
    labels = {names.HOOK_LABEL: kind, names.HOOK_CALL_LABEL: call} | ({STACK_LABEL: stack} if stack else {})
    return {"Name": name_job(service, kind), "Labels": labels, "TaskTemplate": template, "Mode": deepcopy(ONCE)}


def name_job(service: SwarmService, kind: Literal["predeploy", "check"]) -> str:
    suffix = JOB_SUFFIXES[kind]
    room = NAME_LENGTH - len(suffix)
    name = service.full_name
    return f"{name if len(name) <= room else f'{name[: room - ID_LENGTH - 1]}-{service.id[:ID_LENGTH]}'}{suffix}"
