"""The driver of the sources `compose` and `container`: Compose projects and lone containers on a plain engine.

This module implements clusters.engine.driver.EngineDriver.
"""

from clusters.engine.standalone.execute import execute_plan as execute
from clusters.engine.standalone.lifecycle import plan_act, read_losses
from clusters.engine.standalone.observed import observe_remains
from clusters.engine.standalone.redeploy import plan_redeploy, plan_repair
from clusters.engine.standalone.scale import plan_scale
from clusters.engine.standalone.surroundings import observe

__all__ = [
    "execute",
    "minimum_replicas",
    "observe",
    "observe_remains",
    "plan_act",
    "plan_redeploy",
    "plan_repair",
    "plan_scale",
    "read_losses",
    "takes_back_earlier",
]

minimum_replicas = 1
takes_back_earlier = False
