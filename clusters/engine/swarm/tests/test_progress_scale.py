"""The progress of scalings and of jobs."""

from clusters.engine.swarm.goals import ScaleGoal
from clusters.engine.swarm.progress import Seen, judge
from clusters.engine.swarm.tests.judging import JOB, LIMITS, SCALE, hold, judge_once, update_status
from clusters.engine.tests.swarm_recording import look, service, task


def test_scaling_out_is_done_after_the_monitor_period():
    seen = Seen()
    assert hold(SCALE, seen, look(service(), task(1), task(2)), 0.0, 1.9).state == "moving"
    assert judge(SCALE, seen, look(service(), task(1), task(2)), 2.0).state == "done"


def test_scaling_in_is_done_when_the_extra_tasks_have_ended():
    goal = ScaleGoal(service="web", limits=LIMITS, replicas=1, is_out=False)
    details = service(replicas=1)
    assert judge_once(goal, look(details, task(1), task(2, desired="remove"))).state == "moving"
    assert judge_once(goal, look(details, task(1))).state == "done"


def test_a_scaling_ignores_what_the_update_status_says():
    for state in ("paused", "rollback_paused", "updating", "completed"):
        seen = Seen()
        current = look(service(UpdateStatus=update_status(state)), task(1), task(2))
        assert hold(SCALE, seen, current, 0.0, 2.0).state == "done"


def test_another_count_supersedes_a_scaling():
    judgement = judge_once(SCALE, look(service(replicas=7), task(1)))
    assert (judgement.code, judgement.reason) == (
        "superseded",
        "web was scaled by someone else in the meantime: its replica count is now 7.",
    )


def test_failures_from_before_a_scaling_do_not_count_against_it():
    details, seen = service(UpdatedAt="2026-01-01T00:00:01Z"), Seen()
    old = [task(1, "failed", desired="shutdown", number=number) for number in range(1, 5)]
    assert judge(SCALE, seen, look(details, *old, task(1)), 0.0).state == "moving"
    assert seen.failures == {}


def test_a_task_of_a_scaling_that_failed_before_the_first_look_counts_against_it():
    details, seen = service(UpdatedAt="2026-01-01T00:00:01Z"), Seen()
    added = task(2, "failed", desired="shutdown", exit_code=7, made_at="2026-01-01T00:00:01.5Z")
    assert judge(SCALE, seen, look(details, task(1), added), 0.0).state == "moving"
    judgement = judge(SCALE, seen, look(details, task(1), added), 1.0)  # and Swarm starts no other
    assert (judgement.state, judgement.code) == ("failed", "tasks_failed")


JOB_MODE = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 2}}


def test_a_job_counts_only_the_tasks_of_its_current_iteration():
    details = service(force_update=1, mode=JOB_MODE, JobStatus={"JobIteration": {"Index": 1}})
    old = [task(slot, "complete", desired="complete", iteration=0) for slot in (0, 1)]
    new = [task(slot, "complete", desired="complete", force_update=1, iteration=1) for slot in (0, 1)]
    assert judge_once(JOB, look(details, *old, new[0])).done == 1
    assert judge_once(JOB, look(details, *old, *new)).state == "done"
