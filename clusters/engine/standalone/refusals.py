"""The reasons to refuse a plan that several plans have in common."""

from collections.abc import Iterable

from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.observed import InspectedContainer
from clusters.engine.wording import explain_protection


def refuse_untouchable(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a protected or paused container."""
    for container in containers:
        refuse_protected([container])
        refuse_paused([container])


def refuse_protected(containers: Iterable[InspectedContainer], subject: str = "") -> None:
    """Raise PlanRefused for a protected container, in the name of `subject` or else of the container."""
    if protected := next((container for container in containers if container.is_protected), None):
        raise PlanRefused(explain_protection(subject or protected.name, protected.purpose), code="protected")


def refuse_paused(containers: Iterable[InspectedContainer]) -> None:
    """Raise PlanRefused for a paused container."""
    if paused := next((container for container in containers if container.state == "paused"), None):
        raise PlanRefused(f"{paused.name} is paused: resume or stop it first.", code="paused")
