"""What an unfinished recreate left, read from names alone, and the operations that finish it or go back.

The old one is parked only after the new one proved well, so a parked container whose successor is well is a leftover.
In every other case the old one comes back first; the redeploy is then planned again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusters.engine import names
from clusters.engine.create_config import ANONYMOUS_VOLUME
from clusters.engine.observed import ObservedContainer
from clusters.engine.plan import Operation, Ref, Remove, RemoveVolume, Rename, SetRestartPolicy, Start, Stop

CAUSE = "left by an unfinished redeploy"


@dataclass(frozen=True)
class Recovered:
    """The containers as they are after the operations, one for each name."""

    containers: tuple[ObservedContainer, ...]
    operations: tuple[Operation, ...]


@dataclass
class Leftover:
    """What has to do with one base name. `old` is the replaced one wherever it is; `spare` its never-started copy."""

    base: str
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
    operations: list[Operation] = []
    # What joins another's namespace comes last: it can only be started beside a running one.
    for base, group in sorted(by_base.items(), key=lambda item: (any(joins_others(member) for member in item[1]), item[0])):
        if all(container.temporary is None for container in group):
            found += group
            continue
        survivor, made = recover_group(base, group)
        if survivor:
            found.append(survivor)
            superseded |= survivor.former_ids
            if superseded.intersection(survivor.joined_containers()):
                made = [operation for operation in made if not is_start_of(survivor, operation)]
        operations += made
    return Recovered(tuple(found), tuple(operations))


def is_start_of(container: ObservedContainer, operation: Operation) -> bool:
    """What would join a container that does not come back cannot be started: the redeploy makes it anew."""
    return isinstance(operation, Start) and operation.container.id == container.id


def recover_group(base: str, group: Iterable[ObservedContainer]) -> tuple[ObservedContainer | None, list[Operation]]:
    """The one container that is left, if any, and the operations that lead there."""
    members = list(group)
    gone = [container for container in members if container.temporary and container.temporary.role == "gone"]
    operations = [operation for container in gone for operation in discard_gone(container, "left by an unfinished scaling")]
    pair = [container for container in members if container not in gone]
    if not any(container.temporary for container in pair):
        return (pair[0] if pair else None), operations
    leftover, superfluous = read_leftover(base, pair)
    operations += [operation for container in superfluous for operation in discard(container)]
    survivor, made = settle(leftover)
    if survivor:
        mentioned = {container.temporary.old_id for container in pair if container.temporary}
        former = mentioned | {container.short_id for container in pair}
        survivor = replace(survivor, former_ids=frozenset(former - {survivor.short_id}))
    return survivor, [*operations, *made]


def joins_others(container: ObservedContainer) -> bool:
    return any(True for _ in container.joined_containers())


def read_leftover(base: str, group: Iterable[ObservedContainer]) -> tuple[Leftover, list[ObservedContainer]]:
    """The newest recreate's leftovers, and what an earlier one may have left besides."""
    leftover = Leftover(base, was_running=False)
    superfluous = []
    for container in sorted(group, key=lambda item: str(item.details.get("Created")), reverse=True):
        temporary = container.temporary
        if temporary is None:
            leftover.holder = container
            continue
        parked = "parked" if temporary.old_id == container.short_id else "spare"
        slot = "new" if temporary.role == "new" else parked
        if getattr(leftover, slot) is not None:
            superfluous.append(container)
            continue
        setattr(leftover, slot, container)
        leftover.was_running = leftover.was_running or temporary.was_running
    return leftover, superfluous


def settle(leftover: Leftover) -> tuple[ObservedContainer | None, list[Operation]]:
    """The container that is left under the base name, and the operations that lead there."""
    if leftover.parked:
        successor = leftover.holder or leftover.new
        if successor and (successor.is_well or not leftover.was_running):
            return finish(leftover, successor)
        return go_back(leftover, leftover.parked)
    if leftover.spare:
        return settle_spare(leftover, leftover.spare)
    if leftover.holder:
        return go_back(leftover, leftover.holder)
    return (finish(leftover, leftover.new)) if leftover.new else (None, [])


def settle_spare(leftover: Leftover, spare: ObservedContainer) -> tuple[ObservedContainer | None, list[Operation]]:
    """The old one vanishes when it stops: while it is there nothing was lost; once its successor has the name, it is well."""
    holder = leftover.holder
    old_id = spare.temporary.old_id if spare.temporary else ""
    if holder and (holder.short_id == old_id or holder.is_well):
        survivor, operations = (go_back if holder.short_id == old_id else finish)(leftover, holder)
        return survivor, operations
    return go_back(leftover, spare)


def finish(leftover: Leftover, successor: ObservedContainer) -> tuple[ObservedContainer, list[Operation]]:
    """The successor stays; everything else of the pair goes."""
    operations: list[Operation] = []
    for container in (leftover.new, leftover.parked, leftover.spare):
        if container and container is not successor:
            operations += discard(container)
    if successor.engine_name != leftover.base:
        operations.append(Rename(container=ref(successor), name=leftover.base, cause=CAUSE))
    running = successor.runs_now
    if leftover.was_running and not running:
        operations.append(Start(container=ref(successor), cause=CAUSE))
        running = True
    return replace(successor, name=leftover.base, running=running), operations


def go_back(leftover: Leftover, old: ObservedContainer) -> tuple[ObservedContainer, list[Operation]]:
    """The old one gets its name, restart policy and running state back; then its successor goes."""
    successors = [item for item in (leftover.holder, leftover.new, leftover.spare) if item and item is not old]
    policy = find_policy(old, successors)
    operations: list[Operation] = []
    if leftover.new and leftover.holder in successors:  # the holder needs the temporary name
        operations += discard(leftover.new)
        successors.remove(leftover.new)
    for container in successors:
        operations += put_aside(leftover, container, old)
    if dict(policy) != dict(old.restart_policy):
        operations.append(SetRestartPolicy(container=ref(old), policy=policy, cause=CAUSE))
    if leftover.was_running and not old.runs_now:
        operations.append(Start(container=ref(old), cause=CAUSE))
    if old.engine_name != leftover.base:  # last: until then the name tells what is to be done
        operations.append(Rename(container=ref(old), name=leftover.base, cause=CAUSE))
    operations += [remove_unproved(container) for container in successors if not vanishes(container)]
    running = old.runs_now or leftover.was_running
    return replace(old, name=leftover.base, running=running, restart_policy=policy), operations


def put_aside(leftover: Leftover, successor: ObservedContainer, old: ObservedContainer) -> list[Operation]:
    """A successor gives up what it holds: ports and addresses, and the name."""
    operations: list[Operation] = []
    if successor.runs_now:
        operations.append(make_stop(successor))
    if successor is leftover.holder and not vanishes(successor):
        old_id = old.temporary.old_id if old.temporary else old.short_id
        aside = names.TemporaryName(leftover.base, "new", old_id, leftover.was_running)
        operations.append(Rename(container=ref(successor), name=str(aside), cause=CAUSE))
    return operations


def find_policy(old: ObservedContainer, successors: list[ObservedContainer]) -> Mapping[str, Any]:
    """The original: a replaced container's own is `no`, its successor was made with the original one."""
    if (old.restart_policy.get("Name") or "no") != "no" or not successors:
        return old.restart_policy
    return successors[0].restart_policy


def discard(container: ObservedContainer) -> list[Operation]:
    stop: list[Operation] = [make_stop(container)] if container.runs_now else []
    return stop if vanishes(container) else [*stop, remove_unproved(container)]


def remove_unproved(container: ObservedContainer) -> Remove:
    """A new container goes with the anonymous volumes that were made for it; the old one's it has by name, and they stay."""
    is_new = container.temporary is None or container.temporary.role == "new"
    return Remove(container=ref(container), volumes=is_new and container.owns_anonymous_volumes, cause=CAUSE)


def discard_gone(container: ObservedContainer, cause: str) -> list[Operation]:
    """Named volumes stay. A clone's anonymous ones were made for it alone, also those a later recreate attached by name."""
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
    sources += [
        str(mount.get("Source")) for mount in container.host_config.get("Mounts") or [] if mount.get("Type") == "volume"
    ]
    return sorted({source for source in sources if ANONYMOUS_VOLUME.fullmatch(source)})


def make_stop(container: ObservedContainer) -> Stop:
    return Stop(container=ref(container), grace=container.grace, vanishes=vanishes(container), cause=CAUSE)


def vanishes(container: ObservedContainer) -> bool:
    return container.auto_remove and container.runs_now


def ref(container: ObservedContainer) -> Ref:
    return Ref(container.engine_name, container.id)
