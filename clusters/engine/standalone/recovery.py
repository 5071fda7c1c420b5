"""Recover from an unfinished recreate: read its progress from container names alone, then finish it or roll it back.

The old container is parked as `old` only after the new one proved healthy, so such a container with a healthy successor is a
leftover. In every other case, also if it is parked as `kept`, the old container is restored first, and the redeploy is then
planned again.

A discarded container is stopped at once but removed last: until everything that joined its namespaces is recreated, its name
is the only trace of whose place it had.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.engine import names
from clusters.engine.operation import Operation
from clusters.engine.standalone.container_operations import make_stop, refer_to_current
from clusters.engine.standalone.create_config import ANONYMOUS_VOLUME
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.plan import Remove, RemoveVolume, Rename, SetRestartPolicy, Start
from clusters.engine.standalone.rules import choose_order

CAUSE = "left by an unfinished redeploy"
CAUSE_COMPOSE = "left by an unfinished recreate of Compose"
CAUSE_SCALING = "left by an unfinished scaling"


@dataclass(frozen=True)
class Recovered:
    """The containers after the operations, one for each name. `leftovers`: operations for the end of the plan."""

    containers: tuple[InspectedContainer, ...]
    operations: tuple[Operation, ...]
    leftovers: tuple[Operation, ...]


@dataclass
class Settlement:
    """The recovery of one base name: the container that keeps the name, the operations to do now, and those to do last."""

    survivor: InspectedContainer | None = None
    now: list[Operation] = field(default_factory=list)
    last: list[Operation] = field(default_factory=list)

    def discard(self, container: InspectedContainer) -> None:
        if container.runs_now:
            self.now.append(make_stop(container, refer_to_current(container), CAUSE))
        if not is_auto_removed(container):
            self.last.append(remove_unproven(container))


@dataclass
class Leftover:
    """An unfinished recreate. `holder` has the base name, `parked` is the old container, `spare` a copy that never started.

    `is_proven`: the successor proved healthy if it has the base name.
    """

    base: str
    old_id: str
    was_running: bool
    holder: InspectedContainer | None = None
    new: InspectedContainer | None = None
    parked: InspectedContainer | None = None
    spare: InspectedContainer | None = None

    @property
    def is_proven(self) -> bool:
        reserve = self.parked or self.spare
        return not (reserve and reserve.temporary and reserve.temporary.role == "kept")


def recover(
    containers: Iterable[InspectedContainer],
    superseded: frozenset[str] = frozenset(),
    detached: frozenset[str] = frozenset(),
) -> Recovered:
    """Recover containers of any services.

    `superseded`: short ids of containers that an earlier recovery does not restore. `detached`: ids of those that cannot be
    started as they are.
    """
    by_base: dict[str, list[InspectedContainer]] = defaultdict(list)
    for container in containers:
        by_base[names.base_name(container.own_name)].append(container)
    found: list[InspectedContainer] = []
    now: list[Operation] = []
    last: list[Operation] = []
    # Containers that join another's namespace come last: they can only start while that one runs.
    for base, group in sorted(by_base.items(), key=lambda item: (any(joins_others(member) for member in item[1]), item[0])):
        if all(container.engine_name == base for container in group):
            found += group
            continue
        is_ours = any(container.temporary for container in group)
        settled = settle_group(base, group) if is_ours else settle_compose(base, group)
        if settled.survivor:
            found.append(settled.survivor)
            superseded |= settled.survivor.previous_ids
            if settled.survivor.id in detached or superseded.intersection(settled.survivor.joined_containers()):
                settled.now = [operation for operation in settled.now if not starts_container(settled.survivor, operation)]
        now += settled.now
        last += settled.last
    return Recovered(tuple(found), tuple(now), tuple(last))


def joins_others(container: InspectedContainer) -> bool:
    return any(True for _ in container.joined_containers())


def starts_container(container: InspectedContainer, operation: Operation) -> bool:
    """Return whether the operation starts the container.

    It cannot start if it joins a container that is not restored. The redeploy recreates it.
    """
    return isinstance(operation, Start) and operation.container.id == container.id


def settle_group(base: str, group: list[InspectedContainer]) -> Settlement:
    """Recover all containers that have or had one name."""
    gone = [container for container in group if container.temporary and container.temporary.role == "gone"]
    pair = [container for container in group if container not in gone]
    if not pair:
        return Settlement(last=[operation for container in gone for operation in remove_scaled_in(container, CAUSE_SCALING)])
    leftover, stale = read_leftover(base, pair)
    settled = settle(leftover) if leftover else settle_restored(settle_compose(base, pair), gone)
    for container in [*stale, *gone]:
        settled.discard(container)
    if settled.survivor:
        mentioned = {container.temporary.old_id for container in group if container.temporary}
        previous = mentioned | {container.short_id for container in group}
        settled.survivor = replace(settled.survivor, previous_ids=frozenset(previous - {settled.survivor.short_id}))
    return settled


def settle_compose(base: str, group: list[InspectedContainer]) -> Settlement:
    """Keep one of the containers that Compose left: the one that runs, else the one that has the name, else the newest.

    Compose hands anonymous volumes from the old to the new container, so these stay.
    """
    keep = max(group, key=lambda item: (item.is_healthy, item.runs_now, item.engine_name == base, str(item.details["Created"])))
    previous = frozenset(item.short_id for item in group if item is not keep)
    settled = Settlement(replace(keep, name=base, previous_ids=previous))
    for container in group:
        if container is keep:
            continue
        if container.runs_now:
            settled.now.append(make_stop(container, refer_to_current(container), CAUSE_COMPOSE))
        if container.engine_name == base:
            gone = names.TemporaryName(base, "gone", container.short_id, was_running=False)
            settled.now.append(Rename(container=refer_to_current(container), name=str(gone), cause=CAUSE_COMPOSE))
        if not is_auto_removed(container):
            settled.last.append(Remove(container=refer_to_current(container), cause=CAUSE_COMPOSE))
    if keep.engine_name != base:
        settled.now.append(Rename(container=refer_to_current(keep), name=base, cause=CAUSE_COMPOSE))
    return settled


def settle_restored(settled: Settlement, gone: list[InspectedContainer]) -> Settlement:
    """Start the restored container if it could not start before, because the container that it joins was missing.

    Its successor's name still shows that it ran.
    """
    holder = settled.survivor
    if holder and any(container.temporary.was_running for container in gone if container.temporary):
        start = [] if holder.runs_now else [Start(container=refer_to_current(holder), cause=CAUSE)]
        return Settlement(replace(holder, running=True), [*settled.now, *start], settled.last)
    return settled


def read_leftover(base: str, pair: Iterable[InspectedContainer]) -> tuple[Leftover | None, list[InspectedContainer]]:
    """Return the newest recreate, and the stale containers of an earlier one whose recovery was not finished either."""
    ordered = sorted(pair, key=lambda item: str(item.details.get("Created")), reverse=True)
    temporaries = [container.temporary for container in ordered if container.temporary]
    newest = next((item for item in temporaries if item.role == "new"), temporaries[0] if temporaries else None)
    if newest is None:
        return None, []
    leftover = Leftover(base, newest.old_id, newest.was_running)
    stale = []
    for container in ordered:
        slot = find_slot(container, newest.old_id) if container.state != "dead" or not container.temporary else ""
        if slot and getattr(leftover, slot) is None:
            setattr(leftover, slot, container)
        else:
            stale.append(container)
    return leftover, stale


def find_slot(container: InspectedContainer, old_id: str) -> str:
    """Return the container's field in the Leftover for the recreate of `old_id`; empty if it has no part in it."""
    temporary = container.temporary
    if temporary is None:
        return "holder"
    if temporary.old_id != old_id:
        return ""
    if temporary.role == "new":
        return "new"
    return "parked" if old_id == container.short_id else "spare"


def settle(leftover: Leftover) -> Settlement:
    if leftover.parked:
        successor = leftover.holder or leftover.new
        if successor and leftover.is_proven and (successor.is_healthy or not leftover.was_running):
            return finish(leftover, successor)
        return roll_back(leftover, leftover.parked)
    if leftover.spare:
        return settle_spare(leftover, leftover.spare)
    if leftover.holder:
        return roll_back(leftover, leftover.holder)
    return finish(leftover, leftover.new) if leftover.new else Settlement()


def settle_spare(leftover: Leftover, spare: InspectedContainer) -> Settlement:
    """Recover where the engine removes the old container when it stops.

    While the old one exists, nothing is lost.
    """
    holder = leftover.holder
    if holder and holder.short_id == leftover.old_id:
        return roll_back(leftover, holder)
    is_finished = holder and holder.is_healthy and leftover.is_proven
    return finish(leftover, holder) if holder and is_finished else roll_back(leftover, spare)


def finish(leftover: Leftover, successor: InspectedContainer) -> Settlement:
    """Keep the successor and discard everything else of the pair."""
    running = successor.runs_now or leftover.was_running
    settled = Settlement(replace(successor, name=leftover.base, running=running))
    for container in (leftover.new, leftover.parked, leftover.spare):
        if container and container is not successor:
            settled.discard(container)
    if running and not successor.runs_now:
        settled.now.append(Start(container=refer_to_current(successor), cause=CAUSE))
    if successor.engine_name != leftover.base:
        settled.now.append(Rename(container=refer_to_current(successor), name=leftover.base, cause=CAUSE))
    return settled


def roll_back(leftover: Leftover, old: InspectedContainer) -> Settlement:
    """Restore the old container and discard its successors.

    The old one gets its restart policy, running state and name back, in this order: until the end, the name shows what
    remains to be done. Then its successors are marked for removal. They are stopped first, or last if they can run beside the
    old one, so that the service is never interrupted.
    """
    successors = [item for item in (leftover.holder, leftover.new, leftover.spare) if item and item is not old]
    policy = find_policy(old, successors)
    running = old.runs_now or leftover.was_running
    settled = Settlement(replace(old, name=leftover.base, running=running, restart_policy=policy))
    stops = [make_stop(container, refer_to_current(container), CAUSE) for container in successors if container.runs_now]
    can_overlap = choose_order(old)[0] == "start-first"
    settled.now += [] if can_overlap else stops
    for container in successors:
        if container is leftover.holder and not is_auto_removed(container):
            settled.now.append(take_name_back(leftover, container))
    if dict(policy) != dict(old.restart_policy):
        settled.now.append(SetRestartPolicy(container=refer_to_current(old), policy=policy, cause=CAUSE))
    if running and not old.runs_now and old.state != "dead":
        settled.now.append(Start(container=refer_to_current(old), cause=CAUSE))
    if old.engine_name != leftover.base:
        settled.now.append(Rename(container=refer_to_current(old), name=leftover.base, cause=CAUSE))
    settled.now += stops if can_overlap else []
    for container in successors:
        if not is_auto_removed(container):
            is_marked = container is leftover.holder and not is_unproven_pair(leftover)
            settled.now += [] if is_marked else [mark_for_removal(leftover, container)]
            settled.last.append(remove_unproven(container))
    return settled


def take_name_back(leftover: Leftover, holder: InspectedContainer) -> Rename:
    """Give an unproven successor its temporary name: it has the restart policy that the old container has to get back."""
    if not is_unproven_pair(leftover):
        return mark_for_removal(leftover, holder)
    new = names.TemporaryName(leftover.base, "new", leftover.old_id, leftover.was_running)
    return Rename(container=refer_to_current(holder), name=str(new), cause=CAUSE)


def is_unproven_pair(leftover: Leftover) -> bool:
    return not leftover.is_proven and leftover.new is None


def mark_for_removal(leftover: Leftover, container: InspectedContainer) -> Rename:
    gone = names.TemporaryName(leftover.base, "gone", container.short_id, leftover.was_running)
    return Rename(container=refer_to_current(container), name=str(gone), cause=CAUSE)


def find_policy(old: InspectedContainer, successors: list[InspectedContainer]) -> Mapping[str, Any]:
    """Return the original restart policy. A replaced container has `no`; its successor was created with the original one."""
    if (old.restart_policy.get("Name") or "no") != "no" or not successors:
        return old.restart_policy
    return successors[0].restart_policy


def remove_unproven(container: InspectedContainer) -> Remove:
    """Remove a new container with the anonymous volumes that were created for it.

    The old container's volumes stay: the new one has them by name.
    """
    is_old = container.temporary is not None and container.temporary.role in {"old", "kept"}
    return Remove(container=refer_to_current(container), volumes=not is_old and container.owns_anonymous_volumes, cause=CAUSE)


def remove_scaled_in(container: InspectedContainer, cause: str) -> list[Operation]:
    """Stop and remove a container in a scale-in.

    Named volumes stay. A clone's anonymous volumes were created for it alone, even those that a later recreate attached by
    name.
    """
    operations: list[Operation] = []
    if container.runs_now:
        operations.append(make_stop(container, refer_to_current(container), cause))
    if not is_auto_removed(container):
        volumes = container.is_clone and container.owns_anonymous_volumes
        operations.append(Remove(container=refer_to_current(container), volumes=volumes, cause=cause))
    if container.is_clone:
        operations += [RemoveVolume(volume=volume, cause=cause) for volume in find_reattached_volumes(container)]
    return operations


def find_reattached_volumes(container: InspectedContainer) -> list[str]:
    sources = [str(bind).split(":", 1)[0] for bind in container.host_config.get("Binds") or []]
    mounts = container.host_config.get("Mounts") or []
    sources += [str(mount.get("Source")) for mount in mounts if mount.get("Type") == "volume"]
    return sorted({source for source in sources if ANONYMOUS_VOLUME.fullmatch(source)})


def is_auto_removed(container: InspectedContainer) -> bool:
    return container.auto_remove and container.runs_now
