"""Judge looks at a service, one after the other, without waiting."""

from clusters.engine.swarm.goals import JobGoal, RollbackGoal, ScaleGoal, UpdateGoal
from clusters.engine.swarm.observed import ServiceLook
from clusters.engine.swarm.progress import Seen, judge
from clusters.engine.swarm.rules import FollowLimits
from clusters.engine.tests.swarm_recording import PINNED, task

LIMITS = FollowLimits(monitor=2.0, unplaced=60.0, silent=300.0)
UPDATE = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED)
SCALE = ScaleGoal(service="web", limits=LIMITS, replicas=2)
ROLLBACK = RollbackGoal(service="web", limits=LIMITS, force_update=0)
JOB = JobGoal(service="web", limits=LIMITS, force_update=1)


def update_of(first: ServiceLook) -> UpdateGoal:
    assert first.service
    return UpdateGoal(service="web", limits=LIMITS, force_update=first.service.force_update, image=first.service.image)


def play(goal, looks, until=600.0):
    """Return the first judgement that is not `moving`, and when. The last look is repeated until the end."""
    seen, judgement, at = Seen(), None, 0.0
    looks = list(looks)
    following = [at for at, _ in looks[1:]] + [until]
    for (start, current), end in zip(looks, following, strict=True):
        at = start
        while at < end:
            judgement = judge(goal, seen, current, at)
            if judgement.state != "moving":
                return judgement, at
            at += 0.25
    return judgement, at


def judge_once(goal, current, seen=None, now=0.0):
    return judge(goal, seen or Seen(), current, now)


def hold(goal, seen, current, begin, end):
    """Return the judgement at the end if all looks since `begin` show the same."""
    while begin < end:
        judge(goal, seen, current, begin)
        begin += 0.25
    return judge(goal, seen, current, end)


def updated(*slots, state="running", desired="running", **rest):
    return [task(slot, state, desired=desired, force_update=1, **rest) for slot in slots]


def update_status(state, started_at="2026-01-01T00:00:01Z", message=""):
    return {"State": state, "StartedAt": started_at, "Message": message}
