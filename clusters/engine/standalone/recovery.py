"""What an unfinished recreate left, read from names alone, and the operations that finish it or go back.

The old one is parked only after the new one proved well, so a parked container whose successor is well is a leftover.
In every other case the old one comes back first; the redeploy is then planned again.

What is to go is stopped at once but removed last: until everything that joined its namespaces is made anew, its name is
the only trace of whose place it had.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.engine import names
from clusters.engine.operation import Operation
from clusters.engine.standalone.create_config import ANONYMOUS_VOLUME
from clusters.engine.standalone.observed import ObservedContainer
from clusters.engine.standalone.plan import Ref, Remove, RemoveVolume, Rename, SetRestartPolicy, Start, Stop
from clusters.engine.standalone.rules import choose_order

CAUSE = "left by an unfinished redeploy"
CAUSE_GONE = "left by an unfinished scaling"


@dataclass(frozen=True)
class Recovered:
    """The containers as they are after the operations, one for each name. `leftovers`: to be done when all else is."""

    containers: tuple[ObservedContainer, ...]
    operations: tuple[Operation, ...]
    leftovers: tuple[Operation, ...]


@dataclass
class Settlement:
    """Of one base name: the container that is left under it, what is to be done now, and what last."""

    survivor: ObservedContainer | None = None
    now: list[Operation] = field(default_factory=list)
    last: list[Operation] = field(default_factory=list)

    def discard(self, container: ObservedContainer) -> None:
        if container.runs_now:
            self.now.append(make_stop(container))
        if not vanishes(container):
            self.last.append(remove_unproved(container))


@dataclass
class Leftover:
    """One unfinished recreate. `holder` has the base name; `parked` is the old one, `spare` its never-started copy."""

    base: str
    old_id: str
    was_running: bool
    holder: ObservedContainer | None = None
    new: ObservedContainer | None = None
    parked: ObservedContainer | None = None
    spare: ObservedContainer | None = None


def recover(containers: Iterable[ObservedContainer], superseded: frozenset[str] = frozenset()) -> Recovered:
    """Of one service or more. `superseded`: short ids of containers that do not come back, from an earlier recovery."""
    by_base: dict[str, list[ObservedContainer]] = defaultdict(list)
    for container in containers:
        by_base[names.base_name(container.engine_name)].append(container)
    found: list[ObservedContainer] = []
    now: list[Operation] = []
    last: list[Operation] = []
    # What joins another's namespace comes last: it can only be started beside a running one.
    for base, group in sorted(by_base.items(), key=lambda item: (any(joins_others(member) for member in item[1]), item[0])):
        if all(container.temporary is None for container in group):
            found += group
            continue
        settled = settle_group(base, group)
        if settled.survivor:
            found.append(settled.survivor)
            superseded |= settled.survivor.former_ids
            if superseded.intersection(settled.survivor.joined_containers()):
                settled.now = [operation for operation in settled.now if not is_start_of(settled.survivor, operation)]
        now += settled.now
        last += settled.last
    return Recovered(tuple(found), tuple(now), tuple(last))


def joins_others(container: ObservedContainer) -> bool:
    return any(True for _ in container.joined_containers())


def is_start_of(container: ObservedContainer, operation: Operation) -> bool:
    """What would join a container that does not come back cannot be started: the redeploy makes it anew."""
    return isinstance(operation, Start) and operation.container.id == container.id


def settle_group(base: str, group: list[ObservedContainer]) -> Settlement:
    """All that has or had one name."""
    gone = [container for container in group if container.temporary and container.temporary.role == "gone"]
    pair = [container for container in group if container not in gone]
    if not pair:
        return Settlement(last=[operation for container in gone for operation in discard_gone(container, CAUSE_GONE)])
    leftover, stale = read_leftover(base, pair)
    settled = settle(leftover) if leftover else settle_restored(pair[0], gone)
    for container in [*stale, *gone]:
        settled.discard(container)
    if settled.survivor:
        mentioned = {container.temporary.old_id for container in group if container.temporary}
        former = mentioned | {container.short_id for container in group}
        settled.survivor = replace(settled.survivor, former_ids=frozenset(former - {settled.survivor.short_id}))
    return settled


def settle_restored(holder: ObservedContainer, gone: list[ObservedContainer]) -> Settlement:
    """It has come back, but for its start where the container it joins was not there: its successor's name still tells."""
    ran = any(container.temporary.was_running for container in gone if container.temporary)
    start = [Start(container=ref(holder), cause=CAUSE)] if ran and not holder.runs_now else []
    return Settlement(replace(holder, running=holder.runs_now or ran), now=[*start])


def read_leftover(base: str, pair: Iterable[ObservedContainer]) -> tuple[Leftover | None, list[ObservedContainer]]:
    """The newest recreate's leftovers, and what is stale: of an earlier one, whose recovery was not finished either."""
    ordered = sorted(pair, key=lambda item: str(item.details.get("Created")), reverse=True)
    temporaries = [container.temporary for container in ordered if container.temporary]
    newest = next((item for item in temporaries if item.role == "new"), temporaries[0] if temporaries else None)
    if newest is None:
        return None, []
    leftover = Leftover(base, newest.old_id, newest.was_running)
    stale = []
    for container in ordered:
        slot = find_slot(container, newest.old_id)
        if slot and getattr(leftover, slot) is None:
            setattr(leftover, slot, container)
        else:
            stale.append(container)
    return leftover, stale


def find_slot(container: ObservedContainer, old_id: str) -> str:
    """Which part it has in the recreate of the container `old_id`; empty: none."""
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
        if successor and (successor.is_well or not leftover.was_running):
            return finish(leftover, successor)
        return go_back(leftover, leftover.parked)
    if leftover.spare:
        return settle_spare(leftover, leftover.spare)
    if leftover.holder:
        return go_back(leftover, leftover.holder)
    return finish(leftover, leftover.new) if leftover.new else Settlement()


def settle_spare(leftover: Leftover, spare: ObservedContainer) -> Settlement:
    """The old one vanishes when it stops: while it is there nothing was lost; once its successor has the name, it is well."""
    holder = leftover.holder
    if holder and holder.short_id == leftover.old_id:
        return go_back(leftover, holder)
    return finish(leftover, holder) if holder and holder.is_well else go_back(leftover, spare)


def finish(leftover: Leftover, successor: ObservedContainer) -> Settlement:
    """The successor stays; everything else of the pair goes."""
    running = successor.runs_now or leftover.was_running
    settled = Settlement(replace(successor, name=leftover.base, running=running))
    for container in (leftover.new, leftover.parked, leftover.spare):
        if container and container is not successor:
            settled.discard(container)
    if running and not successor.runs_now:
        settled.now.append(Start(container=ref(successor), cause=CAUSE))
    if successor.engine_name != leftover.base:
        settled.now.append(Rename(container=ref(successor), name=leftover.base, cause=CAUSE))
    return settled


def go_back(leftover: Leftover, old: ObservedContainer) -> Settlement:
    """The old one gets its restart policy, running state and name back, in this order: until the end the name tells what is
    to be done. Then its successors are marked as going. They are stopped first, or last where they can run beside the old
    one: nothing is missing then at any moment."""
    successors = [item for item in (leftover.holder, leftover.new, leftover.spare) if item and item is not old]
    policy = find_policy(old, successors)
    running = old.runs_now or leftover.was_running
    settled = Settlement(replace(old, name=leftover.base, running=running, restart_policy=policy))
    stops = [make_stop(container) for container in successors if container.runs_now]
    can_overlap = choose_order(old)[0] == "start-first"
    settled.now += [] if can_overlap else stops
    for container in successors:
        if container is leftover.holder and not vanishes(container):
            settled.now.append(mark_gone(leftover, container))
    if dict(policy) != dict(old.restart_policy):
        settled.now.append(SetRestartPolicy(container=ref(old), policy=policy, cause=CAUSE))
    if running and not old.runs_now:
        settled.now.append(Start(container=ref(old), cause=CAUSE))
    if old.engine_name != leftover.base:
        settled.now.append(Rename(container=ref(old), name=leftover.base, cause=CAUSE))
    settled.now += stops if can_overlap else []
    for container in successors:
        if not vanishes(container):
            settled.now += [mark_gone(leftover, container)] if container is not leftover.holder else []
            settled.last.append(remove_unproved(container))
    return settled


def mark_gone(leftover: Leftover, container: ObservedContainer) -> Rename:
    gone = names.TemporaryName(leftover.base, "gone", container.short_id, leftover.was_running)
    return Rename(container=ref(container), name=str(gone), cause=CAUSE)


def find_policy(old: ObservedContainer, successors: list[ObservedContainer]) -> Mapping[str, Any]:
    """The original: a replaced container's own is `no`, its successor was made with the original one."""
    if (old.restart_policy.get("Name") or "no") != "no" or not successors:
        return old.restart_policy
    return successors[0].restart_policy


def remove_unproved(container: ObservedContainer) -> Remove:
    """A new container goes with the anonymous volumes that were made for it; the old one's it has by name, and they stay."""
    is_old = container.temporary is not None and container.temporary.role == "old"
    return Remove(container=ref(container), volumes=not is_old and container.owns_anonymous_volumes, cause=CAUSE)


def discard_gone(container: ObservedContainer, cause: str) -> list[Operation]:
    """What a scale-in removes. Named volumes stay; a clone's anonymous ones were made for it alone, also those that a later
    recreate attached by name."""
    stop = Stop(container=ref(container), grace=container.grace, vanishes=vanishes(container), cause=cause)
    operations: list[Operation] = [stop] if container.runs_now else []
    if not vanishes(container):
        volumes = container.is_clone and container.owns_anonymous_volumes
        operations.append(Remove(container=ref(container), volumes=volumes, cause=cause))
    if container.is_clone:
        operations += [RemoveVolume(volume=volume, cause=cause) for volume in reattached_volumes(container)]
    return operations


def reattached_volumes(container: ObservedContainer) -> list[str]:
    sources = [str(bind).split(":", 1)[0] for bind in container.host_config.get("Binds") or []]
    mounts = container.host_config.get("Mounts") or []
    sources += [str(mount.get("Source")) for mount in mounts if mount.get("Type") == "volume"]
    return sorted({source for source in sources if ANONYMOUS_VOLUME.fullmatch(source)})


def make_stop(container: ObservedContainer) -> Stop:
    return Stop(container=ref(container), grace=container.grace, vanishes=vanishes(container), cause=CAUSE)


def vanishes(container: ObservedContainer) -> bool:
    return container.auto_remove and container.runs_now


def ref(container: ObservedContainer) -> Ref:
    return Ref(container.engine_name, container.id)
