"""The driver of the sources `stack` and `service`: Swarm stacks and lone services, through a manager.

This module implements clusters.engine.driver.EngineDriver.
"""

from clusters.engine.swarm.execute import execute_plan as execute
from clusters.engine.swarm.lifecycle import plan_act, read_losses
from clusters.engine.swarm.observed import observe_remains
from clusters.engine.swarm.observed import observe_target as observe
from clusters.engine.swarm.redeploy import plan_redeploy, plan_repair
from clusters.engine.swarm.scale import plan_scale

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

minimum_replicas = 0
takes_back_earlier = True
