"""What a service has to reach: an update, a rollback, a count, or a completed job."""

from dataclasses import dataclass

from clusters.engine.swarm.objects import SwarmService, SwarmTask
from clusters.engine.swarm.rules import FollowLimits

FAILURES_OF_A_PLACE = 3  # after as many failed tasks in one slot, Swarm's further attempts are hopeless


@dataclass(frozen=True)
class Patience:
    """How long to wait for Swarm's own verdict while it is still updating.

    The wait ends once `failures` tasks of one place have failed and `seconds` have passed since the first failure.
    """

    failures: int
    seconds: float = 0.0


# For a Swarm that can pause or roll back: where tasks crash at once, it learns of that only after it has finished the places
# that it is updating at the moment. A tolerated failure ratio keeps it from doing either.
LEFT_TO_SWARM = Patience(10, 30.0)


@dataclass(frozen=True, kw_only=True)
class Goal:
    service: str  # its name, for sentences
    limits: FollowLimits = FollowLimits()

    def covers(self, task: SwarmTask, service: SwarmService) -> bool:
        """Return whether the task is one of those that the goal needs."""
        return True

    def is_made_for(self, task: SwarmTask, service: SwarmService) -> bool:
        """Return whether a covered task was created for the goal. If it has already failed at the first look, that counts."""
        return True


@dataclass(frozen=True, kw_only=True)
class UpdateGoal(Goal):
    """Every task is of this update.

    `earlier_update` is UpdateStatus.StartedAt before the update. A `patience` of None never ends.
    """

    force_update: int
    image: str
    earlier_update: str = ""
    patience: Patience | None = Patience(FAILURES_OF_A_PLACE)

    def covers(self, task: SwarmTask, service: SwarmService) -> bool:
        return task.force_update == self.force_update and task.image == self.image


@dataclass(frozen=True, kw_only=True)
class RollbackGoal(Goal):
    """Every task is of the version before the update again."""

    force_update: int

    def covers(self, task: SwarmTask, service: SwarmService) -> bool:
        return task.force_update == self.force_update

    def is_made_for(self, task: SwarmTask, service: SwarmService) -> bool:
        return is_created_since(service.update_started_at, task)


@dataclass(frozen=True, kw_only=True)
class ScaleGoal(Goal):
    replicas: int
    is_out: bool = True

    def is_made_for(self, task: SwarmTask, service: SwarmService) -> bool:
        return is_created_since(service.updated_at, task)


@dataclass(frozen=True, kw_only=True)
class JobGoal(Goal):
    """The job's iteration that this update started has completed."""

    force_update: int

    def covers(self, task: SwarmTask, service: SwarmService) -> bool:
        return task.force_update == self.force_update and task.iteration == service.iteration


AnyGoal = UpdateGoal | RollbackGoal | ScaleGoal | JobGoal


def is_created_since(moment: str, task: SwarmTask) -> bool:
    """Compare by the manager's clock. Without their Z, such times sort as text."""
    return bool(moment) and task.created_at.rstrip("Z") >= moment.rstrip("Z")
