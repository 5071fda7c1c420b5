"""Replace one container with another: the operations, and the rollback of each of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from clusters.engine import names
from clusters.engine.operation import Operation
from clusters.engine.standalone.container_operations import make_stop, refer_to
from clusters.engine.standalone.create_config import CreateConfig, make_create_config
from clusters.engine.standalone.observed import CONTAINER_MODES, InspectedContainer, StandaloneTarget, read_joined, shorten_id
from clusters.engine.standalone.plan import (
    Connect,
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
from clusters.engine.standalone.rules import choose_order, read_monitor

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

    def find_joins(self, container: InspectedContainer) -> tuple[tuple[str, Ref], ...]:
        joined = ((mode, read_joined(container.host_config.get(mode))) for mode in CONTAINER_MODES)
        return tuple((mode, self.found[shorten_id(key)]) for mode, key in joined if key and shorten_id(key) in self.found)


@dataclass(frozen=True)
class Replacement:
    """The operations that replace one container.

    `before` ends with the start of the new container, which is then watched. In `after`, it takes over the name. `cleanup`
    runs when all containers of the plan are healthy.
    """

    new: Ref
    runs: bool
    monitor: float
    before: tuple[Operation, ...]
    after: tuple[Operation, ...]
    cleanup: tuple[Operation, ...]


def replace_container(
    observed: StandaloneTarget,
    container: InspectedContainer,
    *,
    image: str,
    follows_image: bool,
    cause: str,
    successors: Successors,
) -> Replacement:
    """`follows_image`: the new container can have another image than the old one, which Compose's label has to name."""
    old, new = refer_to(container), Ref(str(names.TemporaryName(container.name, "new", container.short_id, container.running)))
    parked = str(names.TemporaryName(container.name, "old", container.short_id, container.running))
    order, reason = choose_order(container) if container.running else ("stop-first", "it is stopped and stays stopped")
    cause = f"{cause}; {order}: {reason}"
    made = make_create_config(container, observed.image_of(container), image=image, api_version=observed.api_version)
    joins = successors.find_joins(container)
    successors.add(container, new)
    is_auto_removed = container.auto_remove and container.running

    create, connects = create_with_networks(new, made, cause)
    create = replace(
        create,
        joins=joins,
        follows_image=follows_image and names.COMPOSE_IMAGE_LABEL in container.labels,
        undo=(Remove(container=new, volumes=container.owns_anonymous_volumes, cause=NOT_HEALTHY),),
    )
    spare = create_spare(observed, container, parked) if is_auto_removed else ()
    start = [Start(container=new, cause=cause, undo=(Stop(container=new, grace=container.grace, cause=NOT_HEALTHY),))]
    release = release_old(container, old, Ref(parked) if is_auto_removed else None, cause)
    swap = [] if is_auto_removed else [park_old(old, parked)]
    swap.append(take_name(container, new, cause))
    if not container.running:
        before, after = [create, *connects, *release], swap
    elif order == "start-first":
        before, after = [*spare, create, *connects, *start], [*release, *swap]
    else:
        before, after = [*spare, create, *connects, *release, *start], swap
    leftover = Ref(parked) if is_auto_removed else Ref(parked, container.id)
    return Replacement(
        new=new,
        runs=container.running,
        monitor=read_monitor(container),
        before=tuple(before),
        after=tuple(after),
        cleanup=(Remove(container=leftover, cause="its replacement is healthy"),),
    )


def create_with_networks(new: Ref, made: CreateConfig, cause: str) -> tuple[Create, list[Operation]]:
    """Return the creation, without a rollback yet, and the operations that complete the container's networks."""
    leaves = [Disconnect(container=new, network=network, cause="the old container left it too") for network in made.disconnects]
    connects = [Connect(container=new, network=name, endpoint=endpoint, cause=cause) for name, endpoint in made.connects]
    return Create(name=new.name, config=made.body, cause=cause), [*leaves, *connects]


def create_spare(observed: StandaloneTarget, container: InspectedContainer, parked: str) -> list[Operation]:
    """Create a copy of a container that the engine removes when it stops. Only a rollback starts it.

    It joins its parents and not their replacements: a rollback starts it after those were rolled back.
    """
    spare, cause = Ref(parked), "for a rollback: the engine removes the old container when it stops"
    image = find_unchanged_image(observed, container)
    made = make_create_config(container, observed.image_of(container), image=image, api_version=observed.api_version)
    undo = (Remove(container=spare, unless_running=True, cause="it was not needed"),)
    create, connects = create_with_networks(spare, made, cause)
    return [replace(create, undo=undo), *connects]


def release_old(container: InspectedContainer, old: Ref, spare: Ref | None, cause: str) -> list[Operation]:
    """Stop the old container, and disable its restart policy so that it stays stopped when the engine restarts.

    The stop comes first: the engine refuses to update a container that is crashing.
    """
    operations: list[Operation] = []
    if container.running:
        back: tuple[Operation, ...] = (Start(container=old, cause=RESTORED),)
        if spare:  # rename it last: until then its name shows what remains to be done
            back = (Start(container=spare, cause=RESTORED), Rename(container=spare, name=container.name, cause=RESTORED))
        operations.append(make_stop(container, old, cause, undo=back))
    # Podman starts nothing again that was stopped, and cannot change the policy of a container.
    if (container.restart_policy.get("Name") or "no") != "no" and not container.is_podman:
        undo = (SetRestartPolicy(container=old, policy=container.restart_policy, cause=RESTORED),)
        operations.append(SetRestartPolicy(container=old, policy=NO_RESTART, cause="so that it stays stopped", undo=undo))
    return operations


def park_old(old: Ref, parked: str) -> Operation:
    unpark = Rename(container=old, name=old.name, cause=RESTORED)
    return Rename(container=old, name=parked, cause="kept until all containers are healthy", undo=(unpark,))


def take_name(container: InspectedContainer, new: Ref, cause: str) -> Operation:
    give_back = Rename(container=new, name=new.name, cause=RESTORED)
    return Rename(container=new, name=container.name, cause=cause, undo=(give_back,))


def find_unchanged_image(observed: StandaloneTarget, container: InspectedContainer) -> str:
    """Return the reference if it still means the image that the container runs, else that image's id."""
    known = observed.images.get(container.image)
    return container.image if known and known["Id"] == container.image_id else container.image_id


def make_step(replacements: Sequence[Replacement], cause: str) -> Step:
    """Put the replacements side by side: start all of them, watch them together, then let them take over."""
    watched = [replacement for replacement in replacements if replacement.runs]
    operations = list(put_together([replacement.before for replacement in replacements], cause))
    if watched:
        monitor = max(replacement.monitor for replacement in watched)
        operations.append(Watch(containers=tuple(item.new for item in watched), monitor=monitor, cause=cause))
    operations += put_together([replacement.after for replacement in replacements], cause)
    return Step(tuple(operations))


def collect_cleanup(replacements: Iterable[Replacement]) -> tuple[Operation, ...]:
    return tuple(operation for replacement in replacements for operation in replacement.cleanup)
