"""The sentence at the end of a plan: what happened, and what the target is like now."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from clusters.engine.names import base_name
from clusters.engine.references import shorten
from clusters.engine.standalone.plan import (
    EnginePlan,
    Operation,
    Ref,
    Remove,
    RemoveNetwork,
    Restart,
    Start,
    Stop,
    Together,
    Watch,
)
from clusters.engine.wording import sentence


def describe_success(plan: EnginePlan, image_ids: Mapping[str, str]) -> str:
    """`image_ids`: what the changed containers run, by the names they were created under."""
    if plan.action == "scale":
        return f"{plan.subject} now runs {count_containers(plan.replicas)}."
    if not plan.changes:
        return f"What an unfinished redeploy of {plan.subject} had left was put right."
    images: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for change in plan.changes:
        images[change.service][f"{shorten(image_ids.get(change.container.name, '')) or 'an image'} ({change.reference})"] += 1
    distinct = {image for found in images.values() for image in found}
    total = len(plan.changes)
    if len(distinct) == 1:
        return f"{count_containers(total)} of {plan.subject} now run{'s' if total == 1 else ''} {distinct.pop()}."
    parts = [f"{number} of {service} with {image}" for service, found in images.items() for image, number in found.items()]
    return f"{count_containers(total)} of {plan.subject} {'was' if total == 1 else 'were'} replaced: {', '.join(parts)}."


def describe_failure(plan: EnginePlan, reason: str, touched: bool = False) -> str:
    """Nothing was touched, or what was done stays done: a scale-in that met an error half way."""
    if touched:
        return f"{sentence(reason)} It stopped there: what was already removed stays removed."
    if plan.recovery:
        return f"{sentence(reason)} Nothing was replaced; what an earlier redeploy had left unfinished was dealt with first."
    return f"{sentence(reason)} Nothing was touched."


def describe_rollback(plan: EnginePlan, reason: str, problems: Sequence[str], created: int) -> str:
    """`created`: the number of new containers that had been begun."""
    if problems:
        return f"{sentence(reason)} Going back met problems: {'; '.join(problems)[:1000]}."
    if plan.action == "scale":
        return f"{sentence(reason)} The containers that were added are gone again; the others run as before."
    if created > 1:
        return f"{sentence(reason)} The previous containers are running again."
    return f"{sentence(reason)} The previous container is running again."


def describe_act(plan: EnginePlan, asides: Sequence[str]) -> str:
    """`asides`: sentences about what came otherwise than most. A delete's count is `plan.replicas`: with those that an earlier
    attempt has removed."""
    own = {base_name(container.name) for container in plan.affected}
    worked_at = find_worked_at(plan)
    done, along_with = worked_at & own, sorted(worked_at - own)
    what = plan.subject if own == {plan.subject} else ""
    whole = what or f"{count_containers(len(done))} of {plan.subject}"
    is_one = len(done) == 1
    if plan.action == "delete":
        networks = [f"the network {operation.name}" for operation in plan.operations() if isinstance(operation, RemoveNetwork)]
        along = f", {', '.join(networks)}" if networks else ""
        named = f"{what} is removed" if what else f"{plan.subject} is deleted: {count_containers(plan.replicas)}{along}"
        text = f"{named}. Named volumes and images stay."
    elif not done:
        text = f"What an unfinished redeploy of {plan.subject} had left was put right."
    elif plan.action == "stop":
        text = f"{whole} {'is' if is_one else 'are'} stopped."
    else:
        verb = "started" if plan.action == "start" else "restarted"
        well = "" if asides else f" and {'is' if is_one else 'are'} well"
        text = f"{whole} {'was' if is_one else 'were'} {verb}{well}."
        if along_with:
            text += f" With {'it' if is_one else 'them'} what runs in {'its' if is_one else 'their'} namespaces: "
            text += f"{', '.join(along_with)}."
    return " ".join([text, *asides])


def find_worked_at(plan: EnginePlan) -> set[str]:
    """Names of the containers that the plan's steps are about."""
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


def describe_act_failure(plan: EnginePlan, reason: str, failed: Operation | None, states: Sequence[str]) -> str:
    """`states`: of `plan.affected`, by the engine's words; `gone` where there is none."""
    problems = {Start: "would not start", Restart: "would not restart", Stop: "would not stop", Remove: "was not removed"}
    verb = problems.get(type(failed)) if failed else None
    name = base_name(str(getattr(failed, "container", "")))
    said = f"{name} {verb}: {reason}" if verb else reason
    return f"{sentence(said)} {describe_states(plan, states)}"


def describe_states(plan: EnginePlan, states: Sequence[str]) -> str:
    """`Of 3 containers of shop 2 run and 1 is stopped.`"""
    words = {"running": ("runs", "run"), "restarting": ("is restarting", "are restarting"), "gone": ("is gone", "are gone")}
    counts = Counter(state if state in words else "stopped" for state in states)
    parts = []
    for state in (*words, "stopped"):
        if number := counts[state]:
            one, more = words.get(state, ("is stopped", "are stopped"))
            parts.append(f"{number} {one if number == 1 else more}")
    if len(states) == 1:
        return f"Now {base_name(plan.affected[0].name)} {parts[0].partition(' ')[2]}."
    return f"Of {count_containers(len(states))} of {plan.subject} {' and '.join(parts)}." if parts else ""


def count_containers(number: int) -> str:
    return f"{number} container{'' if number == 1 else 's'}"
