"""Replace one container with another: the operations, and the rollback of each of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from clusters.engine import names
from clusters.engine.operation import Operation
from clusters.engine.standalone.checks import plan_check
from clusters.engine.standalone.container_operations import make_stop, refer_to
from clusters.engine.standalone.create_config import PLAIN_NETWORKS, CreateConfig, make_create_config
from clusters.engine.standalone.hook_operations import AskCheck
from clusters.engine.standalone.inspected import InspectedContainer, shorten_id
from clusters.engine.standalone.joined import (
    Reference,
    find_lost,
    find_neighbour,
    find_stand_in,
    is_detached,
    list_references,
)
from clusters.engine.standalone.observed import StandaloneTarget
from clusters.engine.standalone.plan import (
    Connect,
    CopyFiles,
    Create,
    Disconnect,
    Ref,
    Remove,
    Rename,
    SetRestartPolicy,
    Start,
    Step,
    Stop,
    Watch,
    put_together,
)
from clusters.engine.standalone.rules import Order, choose_order, read_monitor
from clusters.engine.standalone.stopped import Decision

RESTORED = "the previous container is restored"
NOT_HEALTHY = "it is not healthy"
NO_RESTART = {"Name": "no", "MaximumRetryCount": 0}


@dataclass
class Successors:
    """The new containers of a plan, by the ids and names of those that they replace.

    A container that joined an old one's namespaces joins its successor's.
    """

    found: dict[str, Ref] = field(default_factory=dict)

    def add(self, old: InspectedContainer, new: Ref) -> None:
        self.found.update(dict.fromkeys(old.keys, new))

    def find_joins(self, observed: StandaloneTarget, container: InspectedContainer) -> tuple[tuple[str, Ref], ...]:
        """Return, by HostConfig entry, whose namespace the container's successor joins where that is another one than now."""
        joins = [(item.mode, self.found[shorten_id(item.key)]) for item in list_references(container) if self._has(item)]
        lost = [item for item in find_lost(observed, container, self.found) if item.mode]
        stand_in = find_stand_in(observed, container) if lost else None
        if stand_in:
            joins += [(item.mode, self.found.get(stand_in.short_id, refer_to(stand_in))) for item in lost]
        return tuple(joins)

    def _has(self, reference: Reference) -> bool:
        return bool(reference.mode) and shorten_id(reference.key) in self.found

    def find_lenders(self, observed: StandaloneTarget, container: InspectedContainer) -> list[str]:
        """Return VolumesFrom by the names that its containers have at the creation; nothing if one no longer exists."""
        found = []
        for entry in container.host_config.get("VolumesFrom") or []:
            key, colon, mode = str(entry).partition(":")
            if new := self.found.get(shorten_id(key)):
                found.append(f"{names.base_name(new.name)}{colon}{mode}")
            elif observed.neighbours is None or find_neighbour(observed, key):
                found.append(str(entry))
            else:
                return []
        return found


@dataclass(frozen=True)
class Replacement:
    """The operations that replace one container.

    `before` ends with the start of the new container if the decision says so, which is then watched. It takes over the name in
    `before`, where that harms nobody, or in `after`. `check` is asked in between, when it is healthy. `cleanup` runs when all
    containers of the plan are healthy.
    """

    new: Ref
    decision: Decision
    monitor: float
    before: tuple[Operation, ...]
    after: tuple[Operation, ...]
    cleanup: tuple[Operation, ...]
    check: AskCheck | None = None


def replace_container(
    observed: StandaloneTarget,
    container: InspectedContainer,
    *,
    image: str,
    follows_image: bool,
    cause: str,
    successors: Successors,
    decision: Decision,
    platform: str = "",
    source: str = "",
) -> Replacement:
    """`follows_image`: the new container can have another image than the old one, which Compose's label has to name.
    `platform`, `source`: see Create."""
    old, new = refer_to(container), Ref(str(names.TemporaryName(container.name, "new", container.short_id, container.running)))
    parked = str(names.TemporaryName(container.name, "old", container.short_id, container.running))
    order, reason = order_replacement(container, decision)
    if container.running and is_detached(observed, container, successors.found):
        order, reason = "start-first", "a container that it uses no longer exists"
    cause = f"{cause}; {order}: {reason}"
    made = make_config(observed, container, successors, image)
    joins = successors.find_joins(observed, container)
    successors.add(container, new)
    is_auto_removed = container.auto_remove and container.running

    create, connects = create_with_networks(new, made, cause)
    create = replace(
        create,
        joins=joins,
        platform=platform,
        source=source,
        follows_image=follows_image and names.COMPOSE_IMAGE_LABEL in container.labels,
        undo=(Remove(container=new, volumes=container.owns_anonymous_volumes, cause=NOT_HEALTHY),),
    )
    connects += copy_carried_files(observed, container, new)
    is_early = container.running and takes_name_early(container, order)
    kept = str(names.TemporaryName(container.name, "kept", container.short_id, container.running)) if is_early else parked
    reserve = Ref(kept) if is_auto_removed else Ref(kept, container.id)
    spare = create_spare(observed, container, kept) if is_auto_removed else ()
    start = [Start(container=new, cause=cause, undo=(Stop(container=new, grace=container.grace, cause=NOT_HEALTHY),))]
    release = release_old(container, old, reserve if is_auto_removed else None, cause)
    swap = [] if is_auto_removed else [park_old(old, kept)]
    swap.append(take_name(container, new, cause))
    proven = [show_proven(reserve, parked)] if is_early else []
    if not decision.starts:
        before, after = [create, *connects, *release], swap
    elif not container.running:
        before, after = [create, *connects, *release, *start], swap
    elif order == "stop-first":
        before, after = [*spare, create, *connects, *release, *swap, *start], proven
    elif is_early:
        before, after = [create, *connects, *swap, *start], [*release, *proven]
    else:
        before, after = [*spare, create, *connects, *start], [*release, *swap]
    leftover = replace(reserve, name=parked) if reserve.id else reserve  # what is created has the name of its creation
    return Replacement(
        new=new,
        decision=decision,
        monitor=read_monitor(container),
        before=tuple(before),
        after=tuple(after),
        cleanup=(Remove(container=leftover, cause="its replacement is healthy"),),
        check=plan_check(container, new, image, platform) if follows_image and decision.starts else None,
    )


def order_replacement(container: InspectedContainer, decision: Decision) -> tuple[Order, str]:
    """Return the order and its reason. Two of a one-shot never run side by side."""
    if decision.must_end:
        return "stop-first", "it runs once, and others wait for its end"
    if container.running:
        return choose_order(container)
    return "stop-first", f"{decision.reason}, so it is started" if decision.starts else f"it stays stopped: {decision.reason}"


def takes_name_early(container: InspectedContainer, order: Order) -> bool:
    """Return whether the new container has its true name when it starts: log tags, the journal and start events keep that name.

    If the old one still runs, others may reach it by its name, and must not reach one that is not proven instead. The engine
    cannot rename one that crashes again and again, since it has no network in between.
    """
    is_steady = container.state == "running" and not container.details.get("RestartCount")
    return order == "stop-first" or (is_steady and not container.auto_remove and not is_reached_by_name(container))


def is_reached_by_name(container: InspectedContainer) -> bool:
    """Return whether a network resolves the container's name, and would not if the container were renamed."""
    resolving = [endpoint for network, endpoint in container.networks.items() if network not in PLAIN_NETWORKS]
    return any(container.name not in (endpoint.get("Aliases") or []) for endpoint in resolving)


def make_config(
    observed: StandaloneTarget, container: InspectedContainer, successors: Successors, image: str, as_clone: bool = False
) -> CreateConfig:
    return make_create_config(
        container,
        observed.image_of(container),
        image=image,
        api_version=observed.api_version,
        as_clone=as_clone,
        ambiguous_networks=observed.ambiguous_networks,
        volumes_from=successors.find_lenders(observed, container),
    )


def create_with_networks(new: Ref, made: CreateConfig, cause: str) -> tuple[Create, list[Operation]]:
    """Return the creation, without a rollback yet, and the operations that complete the container's networks."""
    leaves = [Disconnect(container=new, network=network, cause="the old container left it too") for network in made.disconnects]
    connects = [Connect(container=new, network=name, endpoint=endpoint, cause=cause) for name, endpoint in made.connects]
    return Create(name=new.name, config=made.body, cause=cause), [*leaves, *connects]


def copy_carried_files(observed: StandaloneTarget, container: InspectedContainer, new: Ref) -> list[Operation]:
    """Copy what was copied into the container before its start. The container itself still exists then, in every order."""
    copied = observed.copied.get(container.id)
    if not copied or not copied.paths:
        return []
    cause = "it was copied in before the start, and no setting names it"
    return [CopyFiles(container=new, source=refer_to(container), paths=copied.paths, folders=copied.folders, cause=cause)]


def create_spare(observed: StandaloneTarget, container: InspectedContainer, parked: str) -> list[Operation]:
    """Create a copy of a container that the engine removes when it stops. Only a rollback starts it.

    It joins its parents and not their replacements: a rollback starts it after those were rolled back.
    """
    spare, cause = Ref(parked), "for a rollback: the engine removes the old container when it stops"
    image = find_unchanged_image(observed, container)
    made = make_config(observed, container, Successors(), image)
    undo = (Remove(container=spare, unless_running=True, cause="it was not needed"),)
    create, connects = create_with_networks(spare, made, cause)
    create = replace(create, joins=Successors().find_joins(observed, container), undo=undo)
    return [create, *connects, *copy_carried_files(observed, container, spare)]


def release_old(container: InspectedContainer, old: Ref, spare: Ref | None, cause: str) -> list[Operation]:
    """Stop the old container, and disable its restart policy so that it stays stopped when the engine restarts.

    The stop comes first: the engine refuses to update a container that is crashing. It never updates a dead one.
    """
    operations: list[Operation] = []
    if container.running:
        back: tuple[Operation, ...] = (Start(container=old, cause=RESTORED),)
        if spare:  # rename it last: until then its name shows what remains to be done
            back = (
                Start(container=spare, cause=RESTORED),
                Rename(container=spare, name=container.name, is_trace=True, cause=RESTORED),
            )
        operations.append(make_stop(container, old, cause, undo=back))
    # Podman starts nothing again that was stopped, and cannot change the policy of a container.
    can_start_again = container.state != "dead" and not container.is_podman
    if (container.restart_policy.get("Name") or "no") != "no" and can_start_again:
        undo = (SetRestartPolicy(container=old, policy=container.restart_policy, cause=RESTORED),)
        operations.append(SetRestartPolicy(container=old, policy=NO_RESTART, cause="so that it stays stopped", undo=undo))
    return operations


def park_old(old: Ref, parked: str) -> Operation:
    unpark = Rename(container=old, name=old.name, cause=RESTORED)
    return Rename(container=old, name=parked, cause="kept until all containers are healthy", undo=(unpark,))


def show_proven(reserve: Ref, parked: str) -> Operation:
    """Rename the old container, or its spare, once more: from now on a recovery keeps its successor."""
    unproven = Rename(container=reserve, name=reserve.name, cause=RESTORED)
    return Rename(container=reserve, name=parked, cause="its replacement is healthy", undo=(unproven,))


def take_name(container: InspectedContainer, new: Ref, cause: str) -> Operation:
    give_back = Rename(container=new, name=new.name, if_exists=container.auto_remove, cause=RESTORED)
    return Rename(container=new, name=container.name, cause=cause, undo=(give_back,))


def find_unchanged_image(observed: StandaloneTarget, container: InspectedContainer) -> str:
    """Return the reference if it still means the image that the container runs, else that image's id."""
    known = observed.images.get(container.image)
    return container.image if known and known["Id"] == container.image_id else container.image_id


def make_step(replacements: Sequence[Replacement], cause: str) -> Step:
    """Put the replacements side by side: start all of them, watch them together, then let them take over."""
    operations = list(put_together([replacement.before for replacement in replacements], cause))
    watched = [replacement for replacement in replacements if replacement.decision.starts]
    kinds = dict.fromkeys((item.decision.must_end, item.decision.may_end) for item in watched)
    for must_end, may_end in kinds:
        alike = [item for item in watched if (item.decision.must_end, item.decision.may_end) == (must_end, may_end)]
        monitor = max(replacement.monitor for replacement in alike)
        refs = tuple(item.new for item in alike)
        operations.append(Watch(containers=refs, monitor=monitor, may_end=may_end, must_end=must_end, cause=cause))
    operations += put_together([[item.check] for item in watched if item.check and not item.decision.must_end], cause)
    operations += put_together([replacement.after for replacement in replacements], cause)
    return Step(tuple(operations))


def collect_cleanup(replacements: Iterable[Replacement]) -> tuple[Operation, ...]:
    return tuple(operation for replacement in replacements for operation in replacement.cleanup)
