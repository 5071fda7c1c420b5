"""One container in another's place: the operations, and the way back from each of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from clusters.engine import names
from clusters.engine.standalone.create_config import CreateConfig, make_create_config
from clusters.engine.standalone.observed import CONTAINER_MODES, ObservedContainer, ObservedTarget, read_joined, shorten_id
from clusters.engine.standalone.plan import (
    Connect,
    Create,
    Disconnect,
    Operation,
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

COMES_BACK = "the previous one comes back"
NO_RESTART = {"Name": "no", "MaximumRetryCount": 0}


@dataclass
class Successors:
    """The new containers of a plan by the ids and names of those they replace, for what joins their namespaces."""

    found: dict[str, Ref] = field(default_factory=dict)

    def add(self, old: ObservedContainer, new: Ref) -> None:
        self.found.update(dict.fromkeys(old.keys, new))

    def joins_of(self, container: ObservedContainer) -> tuple[tuple[str, Ref], ...]:
        joined = ((mode, read_joined(container.host_config.get(mode))) for mode in CONTAINER_MODES)
        return tuple((mode, self.found[shorten_id(key)]) for mode, key in joined if key and shorten_id(key) in self.found)


@dataclass(frozen=True)
class Replacement:
    """`before`: up to the start of the new one; then it is watched; `after`: the new one takes the name; `cleanup` when all
    is well."""

    new: Ref
    runs: bool
    monitor: float
    before: tuple[Operation, ...]
    after: tuple[Operation, ...]
    cleanup: tuple[Operation, ...]


def replace_container(
    observed: ObservedTarget,
    container: ObservedContainer,
    *,
    image: str,
    follows_image: bool,
    cause: str,
    successors: Successors,
) -> Replacement:
    """`follows_image`: the new one may run another image than the old one, and Compose's label has to tell which."""
    mode = names.TemporaryName(container.name, "new", container.short_id, container.running)
    old, new = Ref(container.name, container.id), Ref(str(mode))
    parked = str(names.TemporaryName(container.name, "old", container.short_id, container.running))
    order, reason = choose_order(container) if container.running else ("stop-first", "it is stopped and stays so")
    cause = f"{cause}; {order}: {reason}"
    made = make_create_config(container, observed.image_of(container), image=image, api_version=observed.api_version)
    joins = successors.joins_of(container)
    successors.add(container, new)
    vanishes = container.auto_remove and container.running

    create, connects = create_with_networks(new, made, cause)
    create = replace(
        create,
        joins=joins,
        follows_image=follows_image and names.COMPOSE_IMAGE_LABEL in container.labels,
        undo=(Remove(container=new, volumes=container.owns_anonymous_volumes, cause="it is not well"),),
    )
    spare = create_spare(observed, container, parked, joins) if vanishes else ()
    start = [Start(container=new, cause=cause, undo=(Stop(container=new, grace=container.grace, cause="it is not well"),))]
    release = release_old(container, old, Ref(parked) if vanishes else None, cause)
    swap = swap_names(container, old, new, parked, vanishes, cause)
    if not container.running:
        before, after = [create, *connects, *release], swap
    elif order == "start-first":
        before, after = [*spare, create, *connects, *start], [*release, *swap]
    else:
        before, after = [*spare, create, *connects, *release, *start], swap
    leftover = Ref(parked) if vanishes else Ref(parked, container.id)
    return Replacement(
        new=new,
        runs=container.running,
        monitor=read_monitor(container),
        before=tuple(before),
        after=tuple(after),
        cleanup=(Remove(container=leftover, cause="its successor is well"),),
    )


def create_with_networks(new: Ref, made: CreateConfig, cause: str) -> tuple[Create, list[Operation]]:
    """The creation, which still has no way back, and what completes its networks."""
    leaves = [Disconnect(container=new, network=network, cause="the old one left it too") for network in made.disconnects]
    connects = [Connect(container=new, network=name, endpoint=endpoint, cause=cause) for name, endpoint in made.connects]
    return Create(name=new.name, config=made.body, cause=cause), [*leaves, *connects]


def create_spare(
    observed: ObservedTarget, container: ObservedContainer, parked: str, joins: tuple[tuple[str, Ref], ...]
) -> list[Operation]:
    """A never-started copy of a container that vanishes when it stops. It does not follow its parents' successors:
    it is started when they are taken back."""
    spare, cause = Ref(parked), "the way back: the old one vanishes when it stops"
    image = unchanged_image(observed, container)
    made = make_create_config(container, observed.image_of(container), image=image, api_version=observed.api_version)
    undo = (Remove(container=spare, unless_running=True, cause="it was not needed"),)
    create, connects = create_with_networks(spare, made, cause)
    return [replace(create, undo=undo), *connects]


def release_old(container: ObservedContainer, old: Ref, spare: Ref | None, cause: str) -> list[Operation]:
    """The old one gives up what it holds, and its restart policy does not raise it again when the engine restarts.

    The stop comes first: the engine refuses to update a container that just crashes.
    """
    operations: list[Operation] = []
    if container.running:
        back: tuple[Operation, ...] = (Start(container=old, cause=COMES_BACK),)
        if spare:  # the name last: until then it tells what is to be done
            back = (Start(container=spare, cause=COMES_BACK), Rename(container=spare, name=container.name, cause=COMES_BACK))
        operations.append(Stop(container=old, grace=container.grace, vanishes=spare is not None, cause=cause, undo=back))
    if (container.restart_policy.get("Name") or "no") != "no":
        undo = (SetRestartPolicy(container=old, policy=container.restart_policy, cause=COMES_BACK),)
        operations.append(SetRestartPolicy(container=old, policy=NO_RESTART, cause="it must not rise again", undo=undo))
    return operations


def swap_names(container: ObservedContainer, old: Ref, new: Ref, parked: str, vanishes: bool, cause: str) -> list[Operation]:
    unpark = Rename(container=old, name=old.name, cause=COMES_BACK)
    park = Rename(container=old, name=parked, cause="kept until all is well", undo=(unpark,))
    untake = Rename(container=new, name=new.name, cause=COMES_BACK)
    take = Rename(container=new, name=container.name, cause=cause, undo=(untake,))
    return [take] if vanishes else [park, take]


def unchanged_image(observed: ObservedTarget, container: ObservedContainer) -> str:
    """The reference while it still means the image the container runs, else that image's id."""
    known = observed.images.get(container.image)
    return container.image if known and known["Id"] == container.image_id else container.image_id


def make_step(replacements: Sequence[Replacement], cause: str) -> Step:
    """The replacements side by side: all are started, watched together, then take over."""
    watched = [replacement for replacement in replacements if replacement.runs]
    operations = list(put_together([replacement.before for replacement in replacements], cause))
    if watched:
        monitor = max(replacement.monitor for replacement in watched)
        operations.append(Watch(containers=tuple(item.new for item in watched), monitor=monitor, cause=cause))
    operations += put_together([replacement.after for replacement in replacements], cause)
    return Step(tuple(operations))


def collect_cleanup(replacements: Iterable[Replacement]) -> tuple[Operation, ...]:
    return tuple(operation for replacement in replacements for operation in replacement.cleanup)
