"""Decide what a redeploy does with containers that do not run: it starts them, unless there is a reason not to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clusters.engine import names
from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.snapshot import ContainerSnapshot
from clusters.engine.standalone.dependencies import parse_conditions
from clusters.engine.standalone.health import describe_container_exit
from clusters.engine.standalone.inspected import InspectedContainer

COMPLETED_CONDITION = "service_completed_successfully"  # of Compose's depends_on
NEVER_STARTED = "0001-"  # the year of State.StartedAt
KEPT = "its label says so"
STOPPED_BY_USER = "it was stopped in Windlass, where it can be started"
COMPLETED = "it completed its work (exit code 0)"
PARENT_STOPPED = "so does the container whose namespace it shares"


@dataclass(frozen=True)
class Decision:
    """What becomes of the successor of a container.

    `reason` says why a stopped one is started or stays stopped. `must_end`: it is run to its end, which has to be a success,
    before anything else is touched. `may_end`: it may also end with success.
    """

    starts: bool = True
    reason: str = ""
    must_end: bool = False
    may_end: bool = False


def decide(
    ordered: Sequence[InspectedContainer], rest: Iterable[InspectedContainer] = (), intent: Intent = FIRST_ATTEMPT
) -> dict[str, Decision]:
    """Return the decisions by container id.

    `ordered`: the containers to replace, those that others depend on first. `rest`: other containers that may depend on them.
    """
    decisions: dict[str, Decision] = {}
    running = [container for container in rest if container.running]
    for container in reversed(ordered):  # those that depend on it are decided
        decisions[container.id] = decide_one(container, running, intent)
        running += [container] if decisions[container.id].starts else []
    halted: set[str] = set()
    for container in ordered:
        if not container.running and halted.intersection(container.joined_containers()):
            decisions[container.id] = Decision(starts=False, reason=PARENT_STOPPED)
        if not decisions[container.id].starts:
            halted |= container.keys
    return decisions


def decide_one(container: InspectedContainer, running: Iterable[InspectedContainer], intent: Intent) -> Decision:
    """`running`: the other containers that will run."""
    label = container.labels.get(names.STOPPED_LABEL, "").strip().lower()
    is_awaited = is_left_when_done(container) and any(awaits_completion(other, container) for other in running)
    if container.running:
        return Decision(must_end=is_awaited)
    if label == "keep":
        return Decision(starts=False, reason=KEPT)
    if is_awaited:
        return Decision(reason="others wait for its completion", must_end=True)
    if label != "start" and is_as_left(container, intent.stopped):
        return Decision(starts=False, reason=STOPPED_BY_USER)
    if label != "start" and has_completed(container):
        return Decision(starts=False, reason=COMPLETED)
    return Decision(reason=describe_stopped(container), may_end=is_left_when_done(container))


def is_left_when_done(container: InspectedContainer) -> bool:
    """Return whether the restart policy leaves it stopped when it ends with success."""
    return (container.restart_policy.get("Name") or "no") in {"no", "on-failure"}


def awaits_completion(container: InspectedContainer, other: InspectedContainer) -> bool:
    """Return whether the container depends on the success of the other one's end."""
    conditions = parse_conditions(container.labels.get(names.DEPENDS_ON_LABEL, ""))
    mine, others = container.place, other.place
    return (
        (mine.source, mine.application) == (others.source, others.application)
        and mine.service != others.service
        and conditions.get(others.service) == COMPLETED_CONDITION
    )


def has_completed(container: InspectedContainer) -> bool:
    """Return whether the container is a one-shot that ended with success.

    A container that publishes a port serves others. If it ended with success, somebody has stopped it.
    """
    state = container.details["State"]
    has_succeeded = container.state == "exited" and state.get("ExitCode") == 0 and not state.get("OOMKilled")
    return has_succeeded and is_left_when_done(container) and not container.host_config.get("PortBindings")


def is_as_left(container: InspectedContainer, stopped: Mapping[str, ContainerSnapshot]) -> bool:
    """Return whether the container is as Stop left it, or a successor of that one which nothing has started."""
    left = stopped.get(container.name)
    if left is None:
        return False
    if left.id == container.id:
        return left.started_at == container.started_at
    return container.started_at.startswith(NEVER_STARTED) or not container.started_at


def describe_stopped(container: InspectedContainer) -> str:
    if container.state == "created":
        return "it was never started"
    return f"it did not run{describe_container_exit(container.details['State'])}"
