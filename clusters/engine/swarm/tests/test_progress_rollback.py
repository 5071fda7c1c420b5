import pytest

from clusters.engine.swarm.progress import Seen, judge
from clusters.engine.swarm.tests.judging import ROLLBACK, hold, judge_once, update_status
from clusters.engine.tests.swarm_recording import look, service, task


def test_a_rollback_that_swarm_pauses_is_a_failure():
    details = service(UpdateStatus=update_status("rollback_paused", message="rollback paused due to failure of task x"))
    judgement = judge_once(ROLLBACK, look(details, task(1)))
    assert (judgement.state, judgement.code) == ("failed", "rollback_paused")
    assert "rollback paused due to failure" in judgement.reason


def test_a_rollback_is_not_over_before_the_old_tasks_run():
    details = service(UpdateStatus=update_status("rollback_completed"))
    seen = Seen()
    assert hold(ROLLBACK, seen, look(details, task(1), task(2, "starting")), 0.0, 5.0).state == "moving"
    assert hold(ROLLBACK, seen, look(details, task(1), task(2)), 6.0, 7.75).state == "moving"
    assert judge(ROLLBACK, seen, look(details, task(1), task(2)), 8.0).state == "done"


def test_a_rollback_without_tasks_is_over_at_once():
    assert judge_once(ROLLBACK, look(service(replicas=0, UpdateStatus=update_status("rollback_completed")))).state == "done"


AT_ONCE = service(replicas=1, UpdateStatus=update_status("rollback_completed"))


def test_a_rollback_that_swarm_completes_at_once_is_not_a_success_while_the_old_tasks_crash():
    seen = Seen()
    crashes = [task(1, "failed", desired="shutdown", exit_code=7, number=number) for number in range(3)]
    for count in range(3):
        assert judge(ROLLBACK, seen, look(AT_ONCE, *crashes[:count], task(1, number=count)), float(count)).state == "moving"
    judgement = judge(ROLLBACK, seen, look(AT_ONCE, *crashes, task(1, number=3)), 3.0)
    assert judgement.state == "moving"  # the fourth can still stay up
    judgement = judge(ROLLBACK, seen, look(AT_ONCE, *crashes, task(1, "starting", number=3)), 3.5)
    assert (judgement.state, judgement.code) == ("failed", "tasks_failed")


@pytest.mark.parametrize(("made_at", "ends"), [("2026-01-01T00:00:01.5Z", "failed"), ("2026-01-01T00:00:00.9Z", "moving")])
def test_an_old_task_that_crashed_before_the_first_look_counts_if_the_rollback_created_it(made_at, ends):
    crashed = task(1, "failed", desired="shutdown", exit_code=7, made_at=made_at)
    seen = Seen()
    judge(ROLLBACK, seen, look(AT_ONCE, crashed), 0.0)
    assert judge(ROLLBACK, seen, look(AT_ONCE, crashed), 1.0).state == ends


def test_an_update_during_a_rollback_supersedes_it():
    assert judge_once(ROLLBACK, look(service(force_update=5), task(1))).code == "superseded"
