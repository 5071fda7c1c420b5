"""The reasons to refuse a plan that several plans have in common."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.joined import refuse_lost
from clusters.engine.standalone.observed import InspectedContainer, StandaloneTarget
from clusters.engine.standalone.plan import Refuse, StandalonePlan
from clusters.engine.wording import explain_protection


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
    for container in containers:
        if missing := observed.missing_binds.get(container.id):
            what = f"{container.name} mounts {missing[0]} of the host, which no longer exists: it could not be started again"
            raise PlanRefused(f"{what}. Create {missing[0]} first.", code="bind_source")
        copied = observed.copied.get(container.id)
        if copied and copied.doubt:
            raise PlanRefused(copied.doubt, code="copied_files")
    refuse_lost(observed, containers, replaced)


def refuse_protected(containers: Iterable[InspectedContainer], subject: str = "") -> None:
    """Raise PlanRefused for a protected container, in the name of `subject` or else of the container."""
    if protected := next((container for container in containers if container.is_protected), None):
        raise PlanRefused(explain_protection(subject or protected.name), code="protected")


def refuse_paused(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a paused container."""
    if paused := next((container for container in containers if container.state == "paused"), None):
        raise PlanRefused(f"{paused.name} is paused: resume or stop it first.", code="paused")
