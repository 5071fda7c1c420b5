"""The message at the end of a plan: what happened, and what the target is like now."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from clusters.engine.names import base_name
from clusters.engine.operation import Operation
from clusters.engine.references import shorten_image_id
from clusters.engine.standalone.final_state import FinalState, count_states
from clusters.engine.standalone.inspected import RUNNING_STATES
from clusters.engine.standalone.plan import (
    Change,
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

NAMES_SHOWN = 5


def describe_success(
    plan: StandalonePlan, final: FinalState, find_id: Callable[[Ref], str], remarks: Sequence[str] = ()
) -> str:
    """`find_id` returns the ids of the plan's containers. `remarks`: sentences about containers that ended with success."""
    if plan.action == "scale":
        return describe_scaled(plan, final)
    if not plan.changes:
        return describe_repair(plan)
    running = [change for change in plan.changes if final.state_of(find_id(change.container)) == "running"]
    images: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for change in running:
        image = shorten_image_id(final.image_of(find_id(change.container))) or "an image"
        images[change.service][f"{image} ({change.reference})"] += 1
    return " ".join([describe_running(plan, images), *remarks, *describe_stopped(plan.changes)])


def describe_running(plan: StandalonePlan, images: Mapping[str, Mapping[str, int]]) -> str:
    """`images`: by service, how many of the new containers run which image."""
    replaced = len(plan.changes)
    total = sum(number for found in images.values() for number in found.values())
    if not total:
        was, none = ("was", "it does not run") if replaced == 1 else ("were", "none of them runs")
        return f"{count_containers(replaced)} of {plan.subject} {was} replaced; {none}."
    distinct = {image for found in images.values() for image in found}
    if len(distinct) == 1:
        return f"{count_containers(total)} of {plan.subject} now run{'s' if total == 1 else ''} {distinct.pop()}."
    parts = [f"{number} of {service} with {image}" for service, found in images.items() for image, number in found.items()]
    return f"{count_containers(total)} of {plan.subject} were replaced and run: {', '.join(parts)}."


def describe_stopped(changes: Iterable[Change]) -> list[str]:
    """Return a sentence for each reason why new containers stay stopped."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        if change.stays:
            reasons[change.stays].append(base_name(change.container.name))
    return [
        f"{list_names(found)} was replaced and stays stopped: {reason}."
        if len(found) == 1
        else f"{list_names(found)} were replaced and stay stopped, each for this reason: {reason}."
        for reason, found in reasons.items()
    ]


def list_names(found: Sequence[str]) -> str:
    """`web-1, web-2 and 3 more`"""
    more = len(found) - NAMES_SHOWN
    return ", ".join(found) if more < 1 else f"{', '.join(found[:NAMES_SHOWN])} and {more} more"


def describe_scaled(plan: StandalonePlan, final: FinalState) -> str:
    states = count_states(final.list_states(plan.target) if plan.target else ())
    text = f"{plan.subject} now runs {count_containers(states.get('running', 0))}."
    return text if states.get("running") == plan.replicas else f"{text} {plan.replicas} were requested; others have changed it."


def describe_repair(plan: StandalonePlan) -> str:
    return f"An unfinished redeploy of {plan.subject} was cleaned up."


def describe_unfinished(plan: StandalonePlan, reason: str, touched: bool = False, running: int | None = None) -> str:
    """Describe a failure without a rollback.

    `touched`: a scale-in met an error half way, and its removals stay. `running`: how many of the target's containers run.
    """
    if touched:
        now = "" if running is None else f" {plan.subject} now runs {count_containers(running)}."
        return f"{sentence(reason)} The scaling stopped there. Containers that were already removed stay removed.{now}"
    if plan.recovery:
        return f"{sentence(reason)} Nothing was replaced. An unfinished earlier redeploy was cleaned up first."
    return f"{sentence(reason)} Nothing was touched."


def describe_rollback(
    plan: StandalonePlan, reason: str, problems: Sequence[str], previous: Sequence[tuple[bool, str]], final: FinalState
) -> str:
    """`previous`: of each container whose replacement was begun, whether it ran before, and its state now."""
    if plan.action == "scale":
        number = final.list_states(plan.target).count("running") if plan.target else 0
        now = f"{plan.subject} now runs {count_containers(number)}."
        now = now if problems else f"The added containers were removed; {now}"
    else:
        now = describe_previous(previous)
    trouble = f" The rollback had problems: {'; '.join(problems)[:1000]}." if problems else ""
    return f"{sentence(reason)}{trouble} {now}"


def describe_previous(previous: Sequence[tuple[bool, str]]) -> str:
    """`The previous containers are running again.` `previous`: see describe_rollback."""
    counts = count_states(state for _, state in previous)
    lost = sum(was_running and state not in RUNNING_STATES for was_running, state in previous)
    total = len(previous)
    if len(counts) > 1:
        parts = [f"{number} {'is' if number == 1 else 'are'} {word}" for word, number in counts.items()]
        text = f"Of the {total} previous containers, {' and '.join(parts)}."
    else:
        word = next(iter(counts), "")
        end = {"running": "running again", "stopped": "stopped" if lost else "stopped, as before"}.get(word, word)
        text = f"The previous container is {end}." if total == 1 else f"The previous containers are {end}."
    if not lost:
        return text
    return f"{text} {'It' if total == 1 else f'{lost} of them'} ran before."


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
    words = {"running": "running", "restarting": "restarting", "paused": "paused", "gone": "deleted"}
    counts = Counter(words.get(state, "stopped") for state in states)
    parts = [
        f"{number} {'is' if number == 1 else 'are'} {word}" for word in (*words.values(), "stopped") if (number := counts[word])
    ]
    if len(states) == 1:
        return f"Now {base_name(plan.affected[0].name)} {parts[0].removeprefix('1 ')}."
    return f"Of {count_containers(len(states))} of {plan.subject}, {' and '.join(parts)}." if parts else ""


def count_containers(number: int) -> str:
    return f"{number} container{'' if number == 1 else 's'}"
