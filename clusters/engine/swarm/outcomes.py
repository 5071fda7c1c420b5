"""The sentence at the end of a plan: what happened, and what the services are like now."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from clusters.engine.driver import Outcome
from clusters.engine.errors import EngineError
from clusters.engine.swarm.follow import Run
from clusters.engine.swarm.images import shorten_image
from clusters.engine.swarm.observed import FAILED_STATES, Look
from clusters.engine.swarm.plan import FollowScale, Part, SwarmPlan
from clusters.engine.swarm.wording import count_tasks, describe_end, describe_running
from clusters.engine.wording import cut, sentence

MESSAGE_LENGTH = 2000


def describe_untouched(reason: str) -> str:
    return f"{sentence(reason)} Nothing was touched."


def describe_unresolved(reference: str, error: EngineError) -> str:
    return (
        f"The digest of {cut(reference)} could not be asked for ({cut(error.message).rstrip('.')}): "
        "each node resolves it itself, with the credentials that Swarm has."
    )


def describe_refused(part: Part, error: EngineError) -> str:
    if error.code == "not_found":
        return f"{part.name} was removed meanwhile."
    return f"{part.name} was not changed: {sentence(cut(error.message))}"


def describe_no_way_back(part: Part, error: EngineError) -> str:
    return f"{part.name} could not go back: {sentence(cut(error.message))}"


def describe_warning(part: Part, warning: str) -> str:
    return f"{part.name}: {cut(warning)}"


def describe_earlier_failure(run: Run) -> str:
    """Of an update that an earlier attempt sent: its newest failed task tells why. Empty when none has failed."""
    look = run.look
    if look is None or look.service is None:
        return ""
    sent = [task for task in look.tasks if task.force_update == run.previous + 1]
    failed = [task for task in sent if task.state in FAILED_STATES or (task.state == "complete" and not look.service.is_job)]
    if not failed:
        return ""
    newest = max(failed, key=lambda task: task.changed_at)
    return f"The update of {run.part.name} failed: {sentence(describe_end(look, newest))}"


def describe_forgotten_failure(run: Run) -> str:
    """Swarm keeps no failed task any more."""
    message = run.look.service.update_status.get("Message") if run.look and run.look.service else ""
    return f"An earlier attempt at the update failed: {sentence(cut(str(message or 'its tasks are forgotten')))}"


# Redeploy


def conclude_redeploy(plan: SwarmPlan, runs: Sequence[Run], unbegun: Sequence[str], warnings: Sequence[str]) -> Outcome:
    failed = [run for run in runs if run.has_failed]
    if not failed:
        return Outcome("succeeded", "", join([describe_updated(plan, runs), *warnings]))
    touched = [run for run in runs if run.was_touched]
    reasons = [run.reason for run in failed]
    if not touched:
        return Outcome("failed", failed[0].code, join([*reasons, "Nothing was touched."]))
    ends = [f"{describe_untold(unbegun)} not updated." if unbegun else "", *warnings]
    if all(run.is_back for run in touched):
        back = "The previous version runs again" if any(run.look and run.look.wanted for run in touched) else "It went back"
        return Outcome("rolled_back", failed[0].code, join([*reasons, f"{back}: {describe_now(touched)}.", *ends]))
    problems = [run.end.reason for run in failed if run.end and run.end.state == "failed" and run.end.reason not in run.reason]
    is_mixed = any(run.is_back for run in touched)
    code = "partly_rolled_back" if is_mixed else pick_code(failed)
    return Outcome("failed", code, join([*reasons, *problems, f"Now: {describe_now(touched)}.", *ends]))


def pick_code(failed: Sequence[Run]) -> str:
    """A way back that failed is worse news than why it was begun."""
    final = [run.end.code for run in failed if run.is_returning and run.end and run.end.state == "failed"]
    return (final or [run.code for run in failed])[0]


def describe_untold(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'was' if len(names) == 1 else 'were'}"


def describe_now(runs: Iterable[Run]) -> str:
    return "; ".join(f"{describe_running(run.look)}{describe_state(run)}" for run in runs if run.look)


def describe_state(run: Run) -> str:
    state = run.look.service.update_state if run.look and run.look.service else ""
    words = {
        "paused": "its update is paused",
        "updating": "Swarm is still updating it",
        "rollback_started": "Swarm is still taking it back",
        "rollback_paused": "its way back is paused",
    }
    return f" ({words[state]})" if state in words else ""


def describe_updated(plan: SwarmPlan, runs: Sequence[Run]) -> str:
    if plan.action == "restart":
        total = sum(run.look.wanted for run in runs if run.look)
        return f"{count_tasks(total)} of {plan.subject} {'was' if total == 1 else 'were'} started anew."
    images: dict[str, list[str]] = defaultdict(list)
    total, idle, jobs = 0, [], []
    for run in runs:
        look = run.look
        if look is None or look.service is None:
            continue
        image = cut(shorten_image(look.service.image))
        if run.part.is_job:
            jobs.append(f"{describe_running(look)} with {image}.")
        elif not look.wanted:
            idle.append(f"{run.part.name} has no tasks to run; the next ones run {image}.")
        else:
            total += look.wanted
            images[image].append(f"{look.wanted} of {run.part.name} with {image}")
    if not images:
        return join([*idle, *jobs])
    if len(images) == 1:
        return join(
            [
                f"{count_tasks(total)} of {plan.subject} now {'runs' if total == 1 else 'run'} {next(iter(images))}.",
                *idle,
                *jobs,
            ]
        )
    parts = ", ".join(part for found in images.values() for part in found)
    return join([f"{count_tasks(total)} of {plan.subject} were updated: {parts}.", *idle, *jobs])


# Scale


def conclude_scale(plan: SwarmPlan, run: Run, operation: FollowScale, was_put_back: bool) -> Outcome:
    look = run.look
    if not run.has_failed:
        return Outcome("succeeded", "", f"{plan.subject} now runs {count_tasks(operation.replicas)}.")
    now = describe_count(look) if look else ""
    if not was_put_back:
        left = "" if run.code in {"superseded", "not_found"} else f" The wanted count was left at {operation.replicas}: {now}."
        return Outcome("failed", run.code, f"{run.reason}{left}")
    count = operation.replicas if operation.reason else operation.put_back
    return Outcome("failed", run.code, f"{run.reason} The wanted count was put back to {count}: {now}.")


def describe_count(look: Look) -> str:
    running, wanted = len(look.running), look.wanted
    return f"{running} of {count_tasks(wanted)} {'runs' if wanted == 1 else 'run'}" if wanted else "none is to run"


def join(sentences: Iterable[str]) -> str:
    return " ".join(filter(None, sentences))[:MESSAGE_LENGTH]
