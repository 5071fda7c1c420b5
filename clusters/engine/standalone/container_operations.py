"""The operations on an observed container that several plans have in common."""

from collections.abc import Iterable, Sequence

from clusters.engine.operation import Operation
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.plan import Ref, Stop, Watch
from clusters.engine.standalone.rules import read_monitor


def refer_to(container: InspectedContainer) -> Ref:
    """Refer to the container by the name that it has after the plan's recovery."""
    return Ref(container.name, container.id)


def refer_to_current(container: InspectedContainer) -> Ref:
    """Refer to the container by the name that it has on the engine now."""
    return Ref(container.engine_name, container.id)


def make_stop(container: InspectedContainer, ref: Ref, cause: str, undo: tuple[Operation, ...] = ()) -> Stop:
    """Stop `ref`: the container itself, or a clone with its settings."""
    return Stop(container=ref, grace=container.grace, auto_remove=container.auto_remove, cause=cause, undo=undo)


def make_watch(
    refs: Sequence[Ref], containers: Iterable[InspectedContainer], cause: str, may_end: bool = False, must_end: bool = False
) -> Watch:
    """Watch `refs` for the longest monitor period of `containers`. `may_end`, `must_end`: see Watch."""
    monitor = max(read_monitor(container) for container in containers)
    return Watch(containers=tuple(refs), monitor=monitor, may_end=may_end, must_end=must_end, cause=cause)
