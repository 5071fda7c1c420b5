"""Which driver an application's source has."""

from clusters.engine.driver import Driver
from clusters.engine.standalone.driver import StandaloneDriver
from clusters.engine.swarm.driver import SwarmDriver


def driver_for(source: str) -> Driver:
    """`source` as Application.Source."""
    return SwarmDriver() if source in {"stack", "service"} else StandaloneDriver()
