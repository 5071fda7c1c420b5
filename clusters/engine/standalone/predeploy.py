"""Plan the one-off containers of a redeploy: the pre-deploy step of each service, and what earlier plans have left of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.engine import names
from clusters.engine.driver import Intent
from clusters.engine.evidence import make_masker
from clusters.engine.hooks import LOOK_COMMAND, PreDeploy, describe_done, read_check, read_predeploy
from clusters.engine.operation import Operation
from clusters.engine.standalone.checks import make_helper, make_hook_labels
from clusters.engine.standalone.create_config import CreateConfig
from clusters.engine.standalone.findings import HookContainer
from clusters.engine.standalone.hook_operations import RemoveHelper, RunOnce
from clusters.engine.standalone.inspected import RUNNING_STATES, InspectedContainer
from clusters.engine.standalone.observed import StandaloneTarget
from clusters.engine.standalone.plan import AwaitEnd, Pull, Ref, Remove, Start, Stop
from clusters.engine.standalone.recreate import (
    NO_RESTART,
    Successors,
    copy_carried_files,
    create_with_networks,
    make_config,
)
from clusters.engine.standalone.stopped import Decision
from clusters.engine.wording import cut

BEFORE = "its label says so, before anything is touched"
LEFT = "left by an unfinished redeploy"
ENDED = "it has ended"
KEPT_ENDPOINT_FIELDS = ("Links", "DriverOpts", "GwPriority", "NetworkID")
GRACE = 10.0  # seconds, of a one-off container whose settings are not known


@dataclass
class Hooks:
    """The parts of a plan that one-off containers add, see StandalonePlan."""

    waits: list[AwaitEnd] = field(default_factory=list)
    recovery: list[Operation] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    operations: list[RunOnce] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Renewal:
    """A container that the redeploy replaces, what it is replaced by, and whether that is started."""

    container: InspectedContainer
    image: str
    platform: str
    decision: Decision

    @property
    def service(self) -> str:
        return self.container.place.service


def plan_hooks(observed: StandaloneTarget, renewals: Sequence[Renewal], intent: Intent) -> Hooks:
    """`renewals`: the containers with a newer image, in the order of the plan. Raises PlanRefused for labels of no use."""
    hooks = Hooks()
    resumed = {hook.service: hook for hook in observed.hooks if is_resumable(hook, intent)}
    by_service: dict[str, list[Renewal]] = {}
    for renewal in renewals:
        by_service.setdefault(renewal.service, []).append(renewal)
    looks: list[RunOnce] = []
    steps: list[RunOnce] = []
    continued: list[HookContainer] = []
    for service, group in by_service.items():
        started = [renewal for renewal in group if renewal.decision.starts]
        checked = [item for item in started if read_check(service, item.container.labels) and not item.decision.must_end]
        if checked:
            hooks.pulls += plan_check_pull(checked[0])
            looks.append(plan_look(checked[0]))
        labelled = [item for item in group if read_predeploy(service, item.container.labels)]
        if not labelled:
            continue
        if not started:
            hooks.notes.append(f"the pre-deploy step of {service} is left out: its containers stay stopped")
        elif describe_done(service) in intent.predeployed:
            hooks.notes.append(f"the pre-deploy step of {service} was done by an earlier attempt")
        else:
            chosen = next((item for item in labelled if item.decision.starts), labelled[0])
            found = resumed.get(service)
            continued += [found] if found else []
            steps.append(plan_step(observed, chosen, intent, found))
    hooks.operations = [*looks, *steps]
    for hook in observed.hooks:
        if hook not in continued:
            hooks.waits += [await_hook(hook)] if is_begun_step(hook) else []
            hooks.recovery += remove_hook(hook)
    return hooks


def is_resumable(hook: HookContainer, intent: Intent) -> bool:
    """Return whether the call has started the step itself: it must not run again, whatever came of it."""
    is_ours = bool(intent.call) and hook.call == intent.call
    return is_ours and hook.kind == "predeploy" and hook.state != "created"


def is_begun_step(hook: HookContainer) -> bool:
    return hook.kind == "predeploy" and hook.state in RUNNING_STATES


def await_hook(hook: HookContainer) -> AwaitEnd:
    return AwaitEnd(container=Ref(hook.name, hook.id), cause="an earlier redeploy started it, and a step is not broken off")


def remove_hook(hook: HookContainer) -> list[Operation]:
    """Stop and remove what an earlier plan left."""
    ref = Ref(hook.name, hook.id)
    if hook.kind != "predeploy":
        return [RemoveHelper(container=ref, cause=LEFT)]
    stop: list[Operation] = [Stop(container=ref, grace=GRACE, cause=LEFT)] if hook.state in RUNNING_STATES else []
    return [*stop, Remove(container=ref, volumes=True, cause=LEFT)]


def remove_hooks(observed: StandaloneTarget) -> list[Operation]:
    """Return what removes the one-off containers of the target's services, whatever they do."""
    chosen = [hook for hook in observed.hooks if observed.target.service in {"", hook.service}]
    return [operation for hook in chosen for operation in remove_hook(hook)]


def refuse_hook_labels(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for labels that cannot be read."""
    for container in containers:
        read_predeploy(container.place.service, container.labels)
        read_check(container.place.service, container.labels)


# The step


def plan_step(observed: StandaloneTarget, renewal: Renewal, intent: Intent, found: HookContainer | None) -> RunOnce:
    """`found`: the container that an earlier attempt of the same call has started."""
    container, service = renewal.container, renewal.service
    step = read_predeploy(service, container.labels)
    assert step
    ref = Ref(found.name, found.id) if found else Ref(f"{container.name}.windlass-predeploy")
    return RunOnce(
        container=ref,
        begin=() if found else begin_step(observed, renewal, step, ref, intent.call),
        what=f"the pre-deploy step of {service}",
        shown=f"run the pre-deploy step of {service} once, for {step.timeout:g} s at most: {show_command(container, step)}",
        code="predeploy_failed",
        timeout=step.timeout,
        done=describe_done(service),
        cause=BEFORE,
        undo=(
            Stop(container=ref, grace=container.grace, cause=ENDED),
            Remove(container=ref, volumes=container.owns_anonymous_volumes, cause=ENDED),
        ),
    )


def begin_step(observed: StandaloneTarget, renewal: Renewal, step: PreDeploy, ref: Ref, call: str) -> tuple[Operation, ...]:
    """Create a container like the service's next one, which nobody takes for it: without ports, aliases, addresses, a restart
    policy, a health check, and labels that others act on."""
    container = renewal.container
    made = make_config(observed, container, Successors(), renewal.image)
    body = made.body
    body |= {
        "Cmd": list(step.command),
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": make_hook_labels(container, "predeploy") | {names.HOOK_CALL_LABEL: call},
    }
    if step.entrypoint is not None:
        body["Entrypoint"] = list(step.entrypoint)
    for key in ("ExposedPorts", "MacAddress"):
        body.pop(key, None)
    body["HostConfig"] |= {"PortBindings": {}, "PublishAllPorts": False, "RestartPolicy": NO_RESTART, "AutoRemove": False}
    endpoints = body["NetworkingConfig"]["EndpointsConfig"]
    body["NetworkingConfig"] = {"EndpointsConfig": {name: strip_endpoint(endpoint) for name, endpoint in endpoints.items()}}
    connects = tuple((name, strip_endpoint(endpoint)) for name, endpoint in made.connects)
    create, connected = create_with_networks(ref, CreateConfig(body, connects, made.disconnects), BEFORE)
    create = replace(create, joins=Successors().find_joins(observed, container), platform=renewal.platform)
    return (create, *connected, *copy_carried_files(observed, container, ref), Start(container=ref, cause=BEFORE))


def strip_endpoint(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in endpoint.items() if key in KEPT_ENDPOINT_FIELDS}


def show_command(container: InspectedContainer, step: PreDeploy) -> str:
    """Return the command as one line, with secrets masked."""
    return cut(make_masker(container.config.get("Env") or ()).read_text(" ".join(step.command)))


# The check


def plan_check_pull(renewal: Renewal) -> Iterator[Pull]:
    check = read_check(renewal.service, renewal.container.labels)
    if check and check.image:
        yield Pull(reference=check.image, if_missing=True, cause="the check is asked from it")


def plan_look(renewal: Renewal) -> RunOnce:
    """Look whether the image has what a check is asked with."""
    container, service = renewal.container, renewal.service
    check = read_check(service, container.labels)
    assert check
    ref = Ref(f"{container.name}.windlass-check")
    image, platform = (check.image, "") if check.image else (renewal.image, renewal.platform)
    create = make_helper(container, ref, image, LOOK_COMMAND, platform=platform, cause=BEFORE)
    return RunOnce(
        container=ref,
        begin=(create, Start(container=ref, cause=BEFORE)),
        what=f"the look for the tools of the check of {service}",
        shown=f"look whether {check.address} of {service} can be asked from {image}",
        code="check_impossible",
        timeout=check.timeout,
        cause="its label has a check",
        undo=(RemoveHelper(container=ref, cause=ENDED),),
    )
