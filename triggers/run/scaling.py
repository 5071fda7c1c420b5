"""The arithmetic of scaling calls: steps in order, each within the bounds of its own trigger."""

from collections.abc import Iterable
from dataclasses import dataclass

from triggers.models import TriggerCall


@dataclass(frozen=True)
class ScalingStep:
    """One call's part of a change: from `base` to `count`, where the call wanted `wanted`."""

    call: TriggerCall
    base: int
    wanted: int
    count: int

    @property
    def is_clamped(self) -> bool:
        return self.count != self.wanted


def apply_steps(members: Iterable[TriggerCall], base: int, minimum: int) -> list[ScalingStep]:
    """Apply the calls in the order in which they were queued. `base` is the count to start from, `minimum` the least that any
    service can have."""
    steps: list[ScalingStep] = []
    count = base
    for member in members:
        step = apply_step(member, count, minimum)
        steps.append(step)
        count = step.count
    return steps


def apply_step(call: TriggerCall, base: int, minimum: int) -> ScalingStep:
    """Apply one call. A bound never moves the count against the wanted direction: a scale_out that starts above the maximum
    keeps the count."""
    wanted = call.replicas if call.replicas is not None else max(base + (call.step or 0), 0)
    lower, upper = minimum, None
    if call.trigger:
        lower = max(minimum, call.trigger.min_replicas or 0)
        upper = call.trigger.max_replicas
    count = max(wanted, min(lower, base)) if wanted < base else wanted
    if upper is not None and wanted > base:
        count = min(count, max(upper, base))
    return ScalingStep(call, base, wanted, count)


def describe_step(step: ScalingStep) -> str:
    """Return one sentence: "Scaling out from 3 to 8." or "Scaling out by 5 from 3 to 8 is limited to 6."."""
    number = step.call.step or 0
    scaling, by = "Scaling", ""
    if step.call.replicas is None:
        scaling, by = f"Scaling {'out' if number > 0 else 'in'}", f" by {abs(number)}"
    if not step.is_clamped:
        return f"{scaling} from {step.base} to {step.count}."
    return f"{scaling}{by} from {step.base} to {step.wanted} is limited to {step.count}."
