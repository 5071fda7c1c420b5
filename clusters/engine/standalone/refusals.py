"""The reasons to refuse a plan that several plans have in common."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.joined import refuse_lost
from clusters.engine.standalone.observed import StandaloneTarget
from clusters.engine.standalone.plan import Refuse, StandalonePlan
from clusters.engine.wording import explain_missing_path, explain_protection


def refuse_untouchable(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a protected or paused container."""
    for container in containers:
        refuse_protected([container])
        refuse_paused([container])


def refuse_after_recovery(refusal: PlanRefused, plan: StandalonePlan) -> StandalonePlan:
    """Raise the refusal; but if the plan has to repair something first, let it do that and then end with the refusal."""
    if not plan.recovery:
        raise refusal
    return replace(plan, pulls=(Refuse(cause=refusal.message, code=refusal.code),))


def refuse_unrepeatable(
    observed: StandaloneTarget, containers: Iterable[InspectedContainer], replaced: Collection[str] = ()
) -> None:
    """Raise PlanRefused for a container that cannot be made again as it is, or of which that cannot be known.

    `replaced`: the names and short ids of the containers that the same plan replaces.
    """
    containers = list(containers)
    refuse_missing_binds(observed, containers)
    for container in containers:
        copied = observed.copied.get(container.id)
        if copied and copied.doubt:
            raise PlanRefused(copied.doubt, code="copied_files")
    refuse_lost(observed, [container for container in containers if container.running], replaced)


def refuse_missing_binds(observed: StandaloneTarget, containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a running container that needs a path of the host that no longer exists."""
    for container in containers:
        missing = observed.missing_binds.get(container.id)
        if missing and container.running:
            raise PlanRefused(explain_missing_path(container.name, missing[0]), code="bind_source")


def refuse_missing_images(observed: StandaloneTarget, containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a container that is to be created again from an image that no longer exists."""
    for container in containers:
        if observed.images and observed.image_of(container) is None:
            what = f"The image of {container.name} no longer exists, so it could not be created again"
            raise PlanRefused(f"{what}. Redeploy or remove {container.name} first.", code="missing_image")


def refuse_protected(containers: Iterable[InspectedContainer], subject: str = "") -> None:
    """Raise PlanRefused for a protected container, in the name of `subject` or else of the container."""
    if protected := next((container for container in containers if container.is_protected), None):
        raise PlanRefused(explain_protection(subject or protected.name, protected.purpose), code="protected")


def refuse_paused(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a paused container."""
    if paused := next((container for container in containers if container.state == "paused"), None):
        raise PlanRefused(f"{paused.name} is paused: resume or stop it first.", code="paused")
