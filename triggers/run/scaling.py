"""What scaling calls mean, as pure arithmetic: steps in order, each within its own trigger's bounds."""

from collections.abc import Iterable
from dataclasses import dataclass

from triggers.models import TriggerCall


@dataclass(frozen=True)
class Step:
    """One call's part of a change: it found `base`, asked for `asked`, and brought the count to `count`."""

    call: TriggerCall
    base: int
    asked: int
    count: int

    @property
    def clamped(self) -> bool:
        return self.count != self.asked


def apply_steps(members: Iterable[TriggerCall], base: int, minimum: int) -> list[Step]:
    """`members` in the order they were queued, `base` running containers, `minimum` the least any service may have."""
    steps: list[Step] = []
    count = base
    for member in members:
        step = apply_step(member, count, minimum)
        steps.append(step)
        count = step.count
    return steps


def apply_step(call: TriggerCall, base: int, minimum: int) -> Step:
    """A bound never moves the count against the direction asked for: scale_out above the maximum already keeps the count."""
    asked = call.replicas if call.replicas is not None else max(base + (call.step or 0), 0)
    lower, upper = minimum, None
    if call.trigger:
        lower = max(minimum, call.trigger.min_replicas or 0)
        upper = call.trigger.max_replicas
    count = max(asked, min(lower, base)) if asked < base else asked
    if upper is not None and asked > base:
        count = min(count, max(upper, base))
    return Step(call, base, asked, count)


def describe_step(step: Step) -> str:
    """One sentence: "scale_out by 5 asked for 8; the maximum of 6 allows 6"."""
    wish = f"A wanted count of {step.asked}"
    if step.call.replicas is None:
        wish = f"scale_{'out' if (step.call.step or 0) > 0 else 'in'} by {abs(step.call.step or 0)} from {step.base}"
    if not step.clamped:
        return f"{wish} makes {step.count}."
    bound = "least" if step.count > step.asked else "most"
    return f"{wish} would make {step.asked}; {step.count} is the {bound} allowed."
