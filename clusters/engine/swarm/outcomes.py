"""The sentences at the end of a plan: what happened, and what the services run now."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from clusters.engine.connection.pull_failures import may_lack_credentials
from clusters.engine.driver import Outcome
from clusters.engine.errors import EngineError, PullFailed
from clusters.engine.swarm.follower import ServiceRun
from clusters.engine.swarm.image_references import shorten_image
from clusters.engine.swarm.objects import FAILED_STATES
from clusters.engine.swarm.observed import ServiceLook
from clusters.engine.swarm.plan import FollowScale, PlannedService, SwarmPlan
from clusters.engine.swarm.task_wording import count_running_tasks, count_tasks, describe_end, describe_running
from clusters.engine.wording import cut, sentence

MESSAGE_LENGTH = 2000


def describe_untouched(reason: str) -> str:
    return f"{sentence(reason)} Nothing was touched."


def describe_unresolved(reference: str, error: EngineError) -> str:
    reason, withheld = cut(error.message), error.withheld if isinstance(error, PullFailed) else ""
    text = (
        f"The digest of {cut(reference)} could not be resolved ({reason.rstrip('.')}): "
        "each node resolves it itself, with the credentials that Swarm has."
    )
    return text if withheld in reason else f"{text} {withheld}"


def add_withheld(outcome: Outcome, withheld: Mapping[str, str]) -> Outcome:
    """Return a failure that may come from missing credentials with why they were withheld. `withheld` is by image reference."""
    if outcome.state == "succeeded" or not may_lack_credentials(outcome.message):
        return outcome
    missing = [text for text in dict.fromkeys(withheld.values()) if text not in outcome.message]
    room = MESSAGE_LENGTH - sum(len(text) + 1 for text in missing)
    return replace(outcome, message=" ".join([outcome.message[:room], *missing]))


def describe_removed(planned: PlannedService) -> str:
    return f"{planned.name} was removed in the meantime."


def describe_refused(planned: PlannedService, error: EngineError) -> str:
    if error.code == "not_found":
        return describe_removed(planned)
    return f"{planned.name} was not changed: {sentence(cut(error.message))}"


def describe_lost_rollback(planned: PlannedService, error: EngineError) -> str:
    return f"{planned.name} could not be rolled back: {sentence(cut(error.message))}"


def describe_warning(planned: PlannedService, warning: str) -> str:
    return f"{planned.name}: {cut(warning)}"


def describe_earlier_failure(run: ServiceRun) -> str:
    """Explain why an update that an earlier attempt sent has failed, by its newest failed task; empty if none has failed."""
    look = run.look
    if look is None or look.service is None:
        return ""
    sent = [task for task in look.tasks if task.force_update == run.previous_force_update + 1]
    failed = [task for task in sent if task.state in FAILED_STATES or (task.state == "complete" and not look.service.is_job)]
    if not failed:
        return ""
    newest = max(failed, key=lambda task: task.changed_at)
    return f"The update of {run.planned.name} failed: {sentence(describe_end(look, newest))}"


def describe_forgotten_failure(run: ServiceRun) -> str:
    """Explain the failure by UpdateStatus: Swarm no longer lists a failed task."""
    message = run.look.service.update_status.get("Message") if run.look and run.look.service else ""
    reason = cut(str(message or "Swarm no longer lists its tasks"))
    return f"An earlier attempt at the update failed: {sentence(reason)}"


# Redeploy


def conclude_redeploy(
    plan: SwarmPlan, runs: Sequence[ServiceRun], not_started: Sequence[str], warnings: Sequence[str]
) -> Outcome:
    failed = [run for run in runs if run.has_failed]
    if not failed:
        return Outcome("succeeded", "", join([describe_updated(plan, runs), *warnings]))
    touched = [run for run in runs if run.was_touched]
    reasons = [run.reason for run in failed]
    if not touched:
        return Outcome("failed", failed[0].code, join([*reasons, "Nothing was touched."]))
    ends = [f"{name_were(not_started)} not updated." if not_started else "", *warnings]
    if all(run.is_rolled_back for run in touched):
        runs_again = any(run.look and run.look.wanted for run in touched)
        now = f"{'The previous version runs again' if runs_again else 'It was rolled back'}: {describe_now(touched)}."
        return Outcome("rolled_back", failed[0].code, join([*reasons, now, *ends]))
    problems = [run.end.reason for run in failed if run.end and run.end.state == "failed" and run.end.reason not in run.reason]
    is_mixed = any(run.is_rolled_back for run in touched)
    code = "partly_rolled_back" if is_mixed else pick_code(failed)
    return Outcome("failed", code, join([*reasons, *problems, f"Now: {describe_now(touched)}.", *ends]))


def pick_code(failed: Sequence[ServiceRun]) -> str:
    """Return the code of a failed rollback if there is one: that is worse than the reason why it was started."""
    final = [run.end.code for run in failed if run.is_rolling_back and run.end and run.end.state == "failed"]
    return (final or [run.code for run in failed])[0]


def name_were(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'was' if len(names) == 1 else 'were'}"


def describe_now(runs: Iterable[ServiceRun]) -> str:
    return "; ".join(f"{describe_running(run.look)}{describe_update_state(run)}" for run in runs if run.look)


def describe_update_state(run: ServiceRun) -> str:
    state = run.look.service.update_state if run.look and run.look.service else ""
    words = {
        "paused": "its update is paused",
        "updating": "Swarm is still updating it",
        "rollback_started": "Swarm is still rolling it back",
        "rollback_paused": "its rollback is paused",
    }
    return f" ({words[state]})" if state in words else ""


def describe_updated(plan: SwarmPlan, runs: Sequence[ServiceRun]) -> str:
    if plan.action == "restart":
        total = sum(run.look.wanted for run in runs if run.look)
        return f"{count_tasks(total)} of {plan.subject} {'was' if total == 1 else 'were'} restarted."
    images: dict[str, list[str]] = defaultdict(list)
    total, idle, jobs = 0, [], []
    for run in runs:
        look = run.look
        if look is None or look.service is None:
            continue
        image = cut(shorten_image(look.service.image))
        if run.planned.is_job:
            jobs.append(f"{describe_running(look)} with {image}.")
        elif not look.wanted:
            idle.append(f"{run.planned.name} has no tasks to run; new ones will run {image}.")
        else:
            total += look.wanted
            images[image].append(f"{look.wanted} of {run.planned.name} with {image}")
    return join([*summarize_images(plan, images, total), *idle, *jobs])


def summarize_images(plan: SwarmPlan, images: dict[str, list[str]], total: int) -> list[str]:
    """Return no sentence, or one. `images` has for each image its services' parts of the sentence."""
    if not images:
        return []
    if len(images) == 1:
        return [f"{count_tasks(total)} of {plan.subject} now {'runs' if total == 1 else 'run'} {next(iter(images))}."]
    parts = ", ".join(part for found in images.values() for part in found)
    return [f"{count_tasks(total)} of {plan.subject} were updated: {parts}."]


# Scale


def conclude_scale(plan: SwarmPlan, run: ServiceRun, operation: FollowScale, was_restored: bool) -> Outcome:
    look = run.look
    if not run.has_failed:
        return Outcome("succeeded", "", f"{plan.subject} now runs {count_tasks(operation.replicas)}.")
    now = describe_count(look) if look else ""
    if not was_restored:
        left = "" if run.is_changed_by_others else f" The replicas were left at {operation.replicas}: {now}."
        return Outcome("failed", run.code, f"{run.reason}{left}")
    count = operation.replicas if operation.reason else operation.restore
    return Outcome("failed", run.code, f"{run.reason} The replicas were set back to {count}: {now}.")


def describe_count(look: ServiceLook) -> str:
    running, wanted = len(look.running), look.wanted
    return f"{running} of {count_running_tasks(wanted)}" if wanted else "no task should run"


def join(sentences: Iterable[str]) -> str:
    return " ".join(filter(None, sentences))[:MESSAGE_LENGTH]
