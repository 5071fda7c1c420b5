"""Which driver an application's source has."""

from clusters.engine.driver import Driver
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone import StandaloneDriver


def driver_for(source: str) -> Driver:
    """`source` as Application.Source. Raises PlanRefused (`unsupported`) where there is none yet."""
    if source in {"compose", "container"}:
        return StandaloneDriver()
    raise PlanRefused("Swarm stacks and services cannot be redeployed or scaled yet.", code="unsupported")
