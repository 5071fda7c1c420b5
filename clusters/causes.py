"""The exceptions behind an exception."""

from collections.abc import Iterator


def walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and every exception that it wraps, the outermost first.

    Libraries keep a cause in `reason`, in `args`, or as Python does.
    """
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        waiting += [each for each in inner if isinstance(each, BaseException)]
