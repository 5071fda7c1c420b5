"""The sentence at the end of a plan: what happened, and what the target is like now."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from clusters.engine.plan import EnginePlan
from clusters.engine.references import shorten


def describe_success(plan: EnginePlan, image_ids: Mapping[str, str]) -> str:
    """`image_ids`: what the changed containers run, by the names they were created under."""
    if plan.action == "scale":
        return f"{plan.subject} now runs {count_containers(plan.replicas)}."
    if not plan.changes:
        return f"What an unfinished redeploy of {plan.subject} had left was put right."
    images: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for change in plan.changes:
        images[change.service][f"{shorten(image_ids.get(change.container.name, '')) or 'an image'} ({change.reference})"] += 1
    distinct = {image for found in images.values() for image in found}
    total = len(plan.changes)
    if len(distinct) == 1:
        return f"{count_containers(total)} of {plan.subject} now run{'s' if total == 1 else ''} {distinct.pop()}."
    parts = [f"{number} of {service} with {image}" for service, found in images.items() for image, number in found.items()]
    return f"{count_containers(total)} of {plan.subject} {'was' if total == 1 else 'were'} replaced: {', '.join(parts)}."


def describe_failure(plan: EnginePlan, reason: str, touched: bool = False) -> str:
    """Nothing was touched, or what was done stays done: a scale-in that met an error half way."""
    if touched:
        return f"{sentence(reason)} It stopped there: what was already removed stays removed."
    if plan.recovery:
        return f"{sentence(reason)} Nothing was replaced; what an earlier redeploy had left unfinished was dealt with first."
    return f"{sentence(reason)} Nothing was touched."


def describe_rollback(plan: EnginePlan, reason: str, problems: Sequence[str], created: int) -> str:
    """`created`: the number of new containers that had been begun."""
    if problems:
        return f"{sentence(reason)} Going back met problems: {'; '.join(problems)[:1000]}."
    if plan.action == "scale":
        return f"{sentence(reason)} The containers that were added are gone again; the others run as before."
    if created > 1:
        return f"{sentence(reason)} The previous containers are running again."
    return f"{sentence(reason)} The previous container is running again."


def count_containers(number: int) -> str:
    return f"{number} container{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    return text if text.endswith((".", "…", "!", "?")) else f"{text}."
