"""The choice of a driver by an application's source."""

from typing import Any

from clusters.engine.driver import Driver, EngineDriver
from clusters.engine.standalone import driver as standalone
from clusters.engine.standalone.observed import StandaloneTarget
from clusters.engine.standalone.plan import StandalonePlan
from clusters.engine.swarm import driver as swarm
from clusters.engine.swarm.observed import SwarmTarget
from clusters.engine.swarm.plan import SwarmPlan

STANDALONE_DRIVER: EngineDriver[StandaloneTarget, StandalonePlan] = standalone
SWARM_DRIVER: EngineDriver[SwarmTarget, SwarmPlan] = swarm


def driver_for(source: str) -> Driver:
    """Return the driver for an Application.Source."""
    driver: EngineDriver[Any, Any] = SWARM_DRIVER if source in {"stack", "service"} else STANDALONE_DRIVER
    return driver
