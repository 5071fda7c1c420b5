"""The progress of updates."""

from dataclasses import replace

from clusters.engine.swarm.goals import Patience, UpdateGoal
from clusters.engine.swarm.progress import LONGEST_GAP_SECONDS, Seen, judge
from clusters.engine.swarm.tests.judging import LIMITS, UPDATE, hold, judge_once, update_status, updated
from clusters.engine.tests.swarm_recording import PINNED, look, service, task


def test_the_monitor_period_starts_when_the_last_task_runs():
    current = look(service(force_update=1), *updated(1, 2))
    seen = Seen()
    assert judge(UPDATE, seen, current, 10.0).settles_in == 2.0
    assert hold(UPDATE, seen, current, 10.0, 11.9).state == "moving"
    assert judge(UPDATE, seen, current, 12.0).state == "done"


def test_the_monitor_period_starts_again_when_a_task_is_replaced():
    details = service(force_update=1)
    seen = Seen()
    hold(UPDATE, seen, look(details, *updated(1, 2)), 10.0, 11.5)
    assert hold(UPDATE, seen, look(details, *updated(1), *updated(2, number=1)), 12.5, 14.25).state == "moving"
    assert judge(UPDATE, seen, look(details, *updated(1), *updated(2, number=1)), 14.5).state == "done"


def test_a_long_gap_between_looks_counts_for_little():
    current, seen = look(service(force_update=1), *updated(1, 2)), Seen()
    judge(UPDATE, seen, current, 10.0)
    judgement = judge(UPDATE, seen, current, 100.0)
    assert (judgement.state, judgement.settles_in) == ("moving", 2.0 - LONGEST_GAP_SECONDS)
    assert hold(UPDATE, seen, current, 100.0, 101.0).state == "moving"
    assert hold(UPDATE, seen, current, 101.0, 101.5).state == "done"


def test_the_time_that_an_answer_takes_does_not_count():
    current, seen = look(service(force_update=1), *updated(1, 2)), Seen()
    for asked_at in range(4):  # each is answered half a second later
        judge(UPDATE, seen, replace(current, asked_at=asked_at * 0.75), asked_at * 0.75 + 0.5)
    assert seen.steady_seconds == 3 * 0.75 - 0.5 - (0.75 - LONGEST_GAP_SECONDS) * 2


def test_an_update_that_swarm_has_not_finished_is_not_done():
    seen = Seen()
    details = service(force_update=1, UpdateStatus=update_status("updating"))
    judge(UPDATE, seen, look(details, *updated(1, 2)), 0.0)
    assert judge(UPDATE, seen, look(details, *updated(1, 2)), 30.0).state == "moving"


def test_an_old_task_that_is_still_stopping_is_waited_for():
    seen = Seen()
    tasks = [*updated(1, 2), task(1, "running", desired="shutdown")]
    assert hold(UPDATE, seen, look(service(force_update=1), *tasks), 0.0, 9.0).state == "moving"
    assert judge(UPDATE, seen, look(service(force_update=1), *updated(1, 2)), 9.5).state == "done"


def test_tasks_on_a_node_that_is_down_do_not_count():
    tasks = [*updated(1), *updated(2, node="node2")]
    judgement = judge_once(UPDATE, look(service(force_update=1), *tasks, down=("node2",)))
    assert (judgement.state, judgement.done) == ("moving", 1)


def test_an_old_task_on_a_lost_node_does_not_delay_the_end():
    seen = Seen()
    tasks = [*updated(1, 2), task(2, "running", desired="shutdown", node="node2")]
    assert hold(UPDATE, seen, look(service(force_update=1), *tasks, down=("node2",)), 0.0, 2.0).state == "done"


def test_a_task_of_the_same_image_from_before_the_update_is_not_new():
    judgement = judge_once(UPDATE, look(service(force_update=1), task(1), *updated(2)))
    assert (judgement.done, judgement.wanted) == (1, 2)


def test_a_status_left_from_an_earlier_update_is_not_ours():
    stale = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED, earlier_update="2026-01-01T00:00:01Z")
    paused = service(force_update=1, UpdateStatus=update_status("paused"))
    assert judge_once(stale, look(paused, task(1), task(2))).state == "moving"
    assert judge_once(UPDATE, look(paused, task(1), task(2))).code == "update_paused"


def test_a_service_of_no_replicas_is_done_at_once():
    assert judge_once(UPDATE, look(service(force_update=1, replicas=0))).state == "done"


def failed(slot, number, **rest):
    return updated(
        slot, number=number, state="failed", desired="shutdown", error="task: non-zero exit (7)", exit_code=7, **rest
    )


CONTINUES = {"FailureAction": "continue"}


def test_the_third_failure_in_a_slot_ends_the_wait():
    details, seen = service(force_update=1, update_config=CONTINUES), Seen()
    crashes = [failed(2, number, at=number)[0] for number in range(3)]
    for count in (1, 2):
        tasks = [task(1), *crashes[:count], *updated(2, number=9, state="starting")]
        assert judge(UPDATE, seen, look(details, *tasks), float(count)).state == "moving"
    judgement = judge(UPDATE, seen, look(details, task(1), *crashes[1:], *updated(2, number=9)), 3.0)  # Swarm forgot the first
    assert (judgement.state, judgement.code) == ("failed", "tasks_failed")
    assert judgement.reason == "web keeps failing, 3 tasks in one slot so far: web.2 on node1 failed: task: non-zero exit (7)."
    assert judgement.news == ("web.2 on node1 failed: task: non-zero exit (7)",)


def test_swarm_that_must_continue_finishes_first():
    patient = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED, patience=None)
    crashes = [failed(2, number)[0] for number in range(3)]
    updating = service(force_update=1, update_config=CONTINUES, UpdateStatus=update_status("updating"))
    completed = service(force_update=1, update_config=CONTINUES, UpdateStatus=update_status("completed"))
    seen = Seen()
    assert judge(patient, seen, look(updating, task(1), *crashes), 0.0).state == "moving"
    assert judge(patient, seen, look(completed, *updated(1), *crashes), 1.0).code == "tasks_failed"


def test_swarm_that_can_pause_or_roll_back_gets_the_time_to_do_so():
    waiting = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED, patience=Patience(10, 30.0))
    updating = service(force_update=1, UpdateStatus=update_status("updating"))
    paused = service(force_update=1, UpdateStatus=update_status("paused"))
    crashes = [failed(2, number, at=number)[0] for number in range(10)]
    seen = Seen()
    assert judge(waiting, seen, look(updating, task(1), *crashes[:9]), 0.0).state == "moving"
    assert judge(waiting, seen, look(paused, task(1), *crashes[:9]), 1.0).code == "update_paused"
    assert judge(waiting, seen, look(updating, task(1), *crashes), 29.9).state == "moving"
    assert judge(waiting, seen, look(updating, task(1), *crashes), 30.0).code == "tasks_failed"
    slow = Seen()
    assert judge(waiting, slow, look(updating, task(1), *crashes[:9]), 0.0).state == "moving"
    assert judge(waiting, slow, look(updating, task(1), *crashes[:9]), 100.0).state == "moving"
    assert judge(waiting, slow, look(updating, task(1), *crashes), 101.0).code == "tasks_failed"


def test_a_failed_task_without_a_successor_is_reported_after_a_moment():
    details, seen = service(force_update=1, update_config=CONTINUES), Seen()
    current = look(details, task(1), *failed(2, 0))
    assert judge(UPDATE, seen, current, 0.0).state == "moving"
    judgement = judge(UPDATE, seen, current, 1.0)
    assert (
        judgement.reason == "web has failed and Swarm does not start it again: web.2 on node1 failed: task: non-zero exit (7)."
    )


def test_a_task_that_swarm_stopped_itself_has_not_failed():
    seen = Seen()
    details = service(force_update=1)
    judge(UPDATE, seen, look(details, *updated(1), *updated(2, desired="shutdown")), 0.0)
    judgement = judge(
        UPDATE, seen, look(details, *updated(1), *updated(2, state="failed", desired="shutdown", exit_code=143)), 1.0
    )
    assert (judgement.state, judgement.news, seen.failures) == ("moving", (), {})


def test_tasks_that_no_node_takes_are_stuck_after_a_minute():
    details, seen = service(force_update=1), Seen()
    error = "no suitable node (insufficient memory on 2 nodes)"
    current = look(details, *updated(1, 2, state="pending", node="", error=error), down=("node3",))
    judge(UPDATE, seen, current, 100.0)
    assert judge(UPDATE, seen, current, 159.0).state == "moving"
    judgement = judge(UPDATE, seen, current, 160.0)
    assert judgement.code == "stuck"
    assert judgement.reason == f"web has been stuck for 60 s: 2 tasks pending: {error}. node3 is down."


def test_the_wait_for_a_node_starts_again_when_one_takes_the_task():
    details, seen = service(force_update=1), Seen()
    pending = look(details, *updated(1, state="pending", error="no suitable node"), *updated(2))
    judge(UPDATE, seen, pending, 0.0)
    judge(UPDATE, seen, look(details, *updated(1, state="preparing"), *updated(2)), 50.0)
    judge(UPDATE, seen, pending, 55.0)
    assert judge(UPDATE, seen, pending, 70.0).state == "moving"


def test_an_image_that_never_arrives_is_stuck_where_it_waits():
    details, seen = service(force_update=1), Seen()
    current = look(details, *updated(1, state="preparing", node="node2"), task(2))
    judge(UPDATE, seen, current, 0.0)
    assert judge(UPDATE, seen, current, 1799.0).state == "moving"
    judgement = judge(UPDATE, seen, current, 1800.0)
    assert (judgement.code, judgement.reason) == (
        "stuck",
        "Nothing has happened to web for 1800 s: web.1 preparing on node2. "
        "A task is preparing while its node pulls the image; the label windlass.update.timeout gives it more time.",
    )


def test_a_pull_on_a_node_that_is_down_is_not_waited_for():
    details, seen = service(force_update=1), Seen()
    current = look(details, *updated(1, state="preparing", node="node2"), task(2), down=("node2",))
    judge(UPDATE, seen, current, 0.0)
    assert judge(UPDATE, seen, current, 300.0).code == "stuck"


def test_a_task_that_starts_is_not_waited_for_as_long_as_a_pull():
    details, seen = service(force_update=1), Seen()
    current = look(details, *updated(1, state="starting"), task(2))
    judge(UPDATE, seen, current, 0.0)
    assert judge(UPDATE, seen, current, 300.0).reason == "Nothing has happened to web for 300 s: web.1 starting on node1."


def test_tasks_on_a_node_that_was_removed_do_not_count():
    current = look(service(force_update=1), *updated(1), *updated(2, node="node2"))
    judgement = judge_once(UPDATE, replace(current, nodes={"node1id000": current.nodes["node1id000"]}))
    assert (judgement.state, judgement.done) == ("moving", 1)


def test_any_change_starts_the_wait_again():
    details, seen = service(force_update=1), Seen()
    judge(UPDATE, seen, look(details, *updated(1, state="preparing"), task(2)), 0.0)
    current = look(details, *updated(1, state="starting"), task(2))
    judge(UPDATE, seen, current, 299.0)
    assert judge(UPDATE, seen, current, 400.0).state == "moving"


def test_someone_elses_update_supersedes_ours():
    other = f"registry:5000/app:2@sha256:{'b' * 64}"
    for details in (service(force_update=2), service(force_update=1, image=other), service(force_update=0)):
        judgement = judge_once(UPDATE, look(details, task(1)))
        assert (judgement.state, judgement.code) == ("failed", "superseded")


def test_a_service_that_was_removed_is_reported():
    assert judge_once(UPDATE, look(None)).code == "not_found"


PATIENCE = 10.0 + LIMITS.monitor


def hangs(seconds, goal=UPDATE, state="updating", down=("node2",)):
    """Slot 1 is new, slot 2 is old, and a new task of slot 2 is on a lost node."""
    tasks = [*updated(1), *updated(2, state="assigned", desired="shutdown", node="node2"), task(2)]
    current = look(service(force_update=1, UpdateStatus=update_status(state)), *tasks, down=down)
    seen = Seen()
    judge(goal, seen, current, 0.0)
    return judge(goal, seen, current, seconds).hangs


def test_an_update_that_waits_for_a_lost_node_hangs():
    assert not hangs(PATIENCE - 0.1)
    assert hangs(PATIENCE)


def test_without_a_lost_node_no_update_hangs():
    assert not hangs(100.0, down=())


def test_an_update_that_swarm_has_paused_does_not_hang():
    assert not hangs(100.0, state="paused")


def test_the_services_own_delay_does_not_count_as_hanging():
    goal = replace(UPDATE, limits=replace(LIMITS, delay=50.0))
    assert not hangs(60.0, goal)
    assert hangs(50.0 + PATIENCE, goal)
