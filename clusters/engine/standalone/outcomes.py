"""The message at the end of a plan: what happened, and what the target is like now."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from clusters.engine.names import base_name
from clusters.engine.operation import Operation
from clusters.engine.references import shorten_image_id
from clusters.engine.standalone.plan import (
    Ref,
    Remove,
    RemoveNetwork,
    Restart,
    StandalonePlan,
    Start,
    Stop,
    Together,
    Watch,
)
from clusters.engine.wording import sentence


def describe_success(plan: StandalonePlan, image_ids: Mapping[str, str]) -> str:
    """`image_ids`: the images of the changed containers, by the names under which they were created."""
    if plan.action == "scale":
        return f"{plan.subject} now runs {count_containers(plan.replicas)}."
    if not plan.changes:
        return describe_repair(plan)
    images: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for change in plan.changes:
        image = shorten_image_id(image_ids.get(change.container.name, "")) or "an image"
        images[change.service][f"{image} ({change.reference})"] += 1
    distinct = {image for found in images.values() for image in found}
    total = len(plan.changes)
    if len(distinct) == 1:
        return f"{count_containers(total)} of {plan.subject} now run{'s' if total == 1 else ''} {distinct.pop()}."
    parts = [f"{number} of {service} with {image}" for service, found in images.items() for image, number in found.items()]
    return f"{count_containers(total)} of {plan.subject} {'was' if total == 1 else 'were'} replaced: {', '.join(parts)}."


def describe_repair(plan: StandalonePlan) -> str:
    return f"An unfinished redeploy of {plan.subject} was cleaned up."


def describe_unfinished(plan: StandalonePlan, reason: str, touched: bool = False) -> str:
    """Describe a failure without a rollback. `touched`: a scale-in met an error half way, and its removals stay."""
    if touched:
        return f"{sentence(reason)} The scaling stopped there. Containers that were already removed stay removed."
    if plan.recovery:
        return f"{sentence(reason)} Nothing was replaced. An unfinished earlier redeploy was cleaned up first."
    return f"{sentence(reason)} Nothing was touched."


def describe_rollback(plan: StandalonePlan, reason: str, problems: Sequence[str], created: int) -> str:
    """`created`: the number of new containers whose creation was started."""
    if problems:
        return f"{sentence(reason)} The rollback had problems: {'; '.join(problems)[:1000]}."
    if plan.action == "scale":
        return f"{sentence(reason)} The added containers were removed; the others still run."
    if created > 1:
        return f"{sentence(reason)} The previous containers are running again."
    return f"{sentence(reason)} The previous container is running again."


def describe_act_success(plan: StandalonePlan, remarks: Sequence[str]) -> str:
    """`remarks`: sentences about exceptions. `plan.replicas` counts a delete's containers, also those of an earlier attempt."""
    own = {base_name(container.name) for container in plan.affected}
    changed = find_changed_containers(plan)
    done, also = changed & own, sorted(changed - own)
    only = plan.subject if own == {plan.subject} else ""
    whole = only or f"{count_containers(len(done))} of {plan.subject}"
    is_one = len(done) == 1
    if plan.action == "delete":
        text = describe_delete(plan, only)
    elif not done:
        text = describe_repair(plan)
    elif plan.action == "stop":
        text = f"{whole} {'is' if is_one else 'are'} stopped."
    else:
        verb = "started" if plan.action == "start" else "restarted"
        healthy = "" if remarks else f" and {'is' if is_one else 'are'} healthy"
        text = f"{whole} {'was' if is_one else 'were'} {verb}{healthy}."
        if also:
            text += f" Also {verb}, because of a shared namespace: {', '.join(also)}."
    return " ".join([text, *remarks])


def describe_delete(plan: StandalonePlan, only: str) -> str:
    """`only`: the name of the only container that was deleted."""
    networks = [f"the network {operation.name}" for operation in plan.operations() if isinstance(operation, RemoveNetwork)]
    removed = ", ".join([count_containers(plan.replicas), *networks])
    return f"{f'{only} was deleted' if only else f'{plan.subject} was deleted: {removed}'}. Named volumes and images are kept."


def find_changed_containers(plan: StandalonePlan) -> set[str]:
    """Return the names of the containers that the plan's steps are about."""
    found: set[str] = set()

    def take(operations: Iterable[Operation]) -> None:
        for operation in operations:
            if isinstance(operation, Together):
                for lane in operation.lanes:
                    take(lane)
            refs = operation.containers if isinstance(operation, Watch) else (getattr(operation, "container", None),)
            found.update(base_name(ref.name) for ref in refs if isinstance(ref, Ref))

    for step in plan.steps:
        take(step.operations)
    return found


def describe_act_failure(plan: StandalonePlan, reason: str, failed: Operation | None, states: Sequence[str]) -> str:
    """`states`: those of `plan.affected`, in the engine's words; `gone` for a container that no longer exists."""
    problems = {Start: "did not start", Restart: "did not restart", Stop: "did not stop", Remove: "was not removed"}
    problem = problems.get(type(failed)) if failed else None
    name = base_name(str(getattr(failed, "container", "")))
    text = f"{name} {problem}: {reason}" if problem else reason
    return f"{sentence(text)} {describe_states(plan, states)}"


def describe_states(plan: StandalonePlan, states: Sequence[str]) -> str:
    """`Of 3 containers of shop, 2 are running and 1 is stopped.`"""
    words = {"running": "running", "restarting": "restarting", "gone": "deleted"}
    counts = Counter(words.get(state, "stopped") for state in states)
    parts = [
        f"{number} {'is' if number == 1 else 'are'} {word}" for word in (*words.values(), "stopped") if (number := counts[word])
    ]
    if len(states) == 1:
        return f"Now {base_name(plan.affected[0].name)} {parts[0].removeprefix('1 ')}."
    return f"Of {count_containers(len(states))} of {plan.subject}, {' and '.join(parts)}." if parts else ""


def count_containers(number: int) -> str:
    return f"{number} container{'' if number == 1 else 's'}"
