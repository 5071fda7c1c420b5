from dataclasses import replace

import pytest

from clusters.engine.swarm.goals import JobGoal, Patience, RollbackGoal, ScaleGoal, UpdateGoal
from clusters.engine.swarm.observed import ServiceLook
from clusters.engine.swarm.progress import LONGEST_GAP_SECONDS, Seen, judge
from clusters.engine.swarm.rules import FollowLimits, read_limits
from clusters.engine.tests.swarm_recording import MONITOR, PINNED, look, replay, service, task

LIMITS = FollowLimits(monitor=2.0, unplaced=60.0, silent=300.0)
UPDATE = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED)
SCALE = ScaleGoal(service="web", limits=LIMITS, replicas=2)
ROLLBACK = RollbackGoal(service="web", limits=LIMITS, force_update=0)
JOB = JobGoal(service="web", limits=LIMITS, force_update=1)
JOB_MODE = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 2}}


def update_of(first: ServiceLook) -> UpdateGoal:
    assert first.service
    return UpdateGoal(service="web", limits=LIMITS, force_update=first.service.force_update, image=first.service.image)


def play(goal, looks, until=600.0):
    """The first verdict that is no `moving`, and when; the last look is held until the end."""
    seen, verdict, at = Seen(), None, 0.0
    looks = list(looks)
    following = [at for at, _ in looks[1:]] + [until]
    for (start, current), end in zip(looks, following, strict=True):
        at = start
        while at < end:
            verdict = judge(goal, seen, current, at)
            if verdict.state != "moving":
                return verdict, at
            at += 0.25
    return verdict, at


def judge_once(goal, current, seen=None, now=0.0):
    return judge(goal, seen or Seen(), current, now)


def hold(goal, seen, current, begin, end):
    """The verdict at the end, when all looks since have shown the same."""
    while begin < end:
        judge(goal, seen, current, begin)
        begin += 0.25
    return judge(goal, seen, current, end)


def updated(*slots, state="running", desired="running", **rest):
    return [task(slot, state, desired=desired, force_update=1, **rest) for slot in slots]


def update_status(state, started_at="2026-01-01T00:00:01Z", message=""):
    return {"State": state, "StartedAt": started_at, "Message": message}


# Recorded from a real Swarm


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("good", "done", ""),
        ("crash_pause", "failed", "update_paused"),
        ("crash_continue", "failed", "tasks_failed"),
        ("crash_no_restart", "failed", "tasks_failed"),
        ("no_image", "failed", "update_paused"),
        ("ends_by_itself", "failed", "update_paused"),
        ("no_room", "failed", "stuck"),
        ("no_replicas", "done", ""),
        ("global", "done", ""),
    ],
)
def test_a_recorded_update_ends_as_it_did(name, state, code):
    looks = list(replay(name))
    verdict, _ = play(update_of(looks[0][1]), looks)
    assert (verdict.state, verdict.code) == (state, code)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash_pause", "Swarm paused the update of web: crash-pause.1 on node1 failed: task: non-zero exit (1)."),
        (
            "no_image",
            "Swarm paused the update of web: missing-pause.2 on node1 was rejected: No such image: registry:5000/nothere:1.",
        ),
        ("ends_by_itself", "Swarm paused the update of web: sick-pause.2 on node1 ended by itself (exit code 0)."),
        ("no_room", "web has been stuck for 60 s: 1 task pending: no suitable node (insufficient resources on 1 node)."),
    ],
)
def test_a_recorded_failure_is_told_with_the_tasks_own_error(name, reason):
    looks = list(replay(name))
    verdict, _ = play(update_of(looks[0][1]), looks)
    assert verdict.reason == reason


def test_swarms_own_way_back_is_noticed_and_followed_to_its_end():
    looks = list(replay("crash_rollback"))
    first = update_of(looks[0][1])
    verdict, at = play(first, looks)
    assert (verdict.state, verdict.code) == ("rolling_back", "update_failed")
    assert "non-zero exit (1)" in verdict.reason
    rest = [(when, current) for when, current in looks if when >= at]
    verdict, at = play(RollbackGoal(service="web", limits=LIMITS, force_update=first.force_update - 1), rest)
    assert verdict.state == "done"
    assert {task.force_update for task in rest[-1][1].running} == {first.force_update - 1}


def test_a_way_back_that_was_asked_for_ends_when_swarm_says_so_and_the_old_tasks_run():
    looks = list(replay("back_after_pause"))
    verdict, at = play(replace(ROLLBACK, limits=replace(LIMITS, monitor=0.5)), looks)
    assert verdict.state == "done"
    assert at == looks[-1][0]  # when rollback_completed shows, not before


@pytest.mark.parametrize(("name", "replicas", "is_out"), [("scale_out", 4, True), ("scale_in", 1, False)])
def test_a_recorded_scaling_is_done_though_it_has_no_update_status(name, replicas, is_out):
    looks = list(replay(name))
    assert all(current.service.update_state == "" for _, current in looks)
    verdict, _ = play(ScaleGoal(service="web", limits=LIMITS, replicas=replicas, is_out=is_out), looks)
    assert (verdict.state, verdict.done) == ("done", replicas)


@pytest.mark.parametrize(
    ("name", "state", "code"), [("job", "done", ""), ("global_job", "done", ""), ("job_fails", "failed", "tasks_failed")]
)
def test_a_recorded_job_is_followed_until_it_has_completed(name, state, code):
    looks = list(replay(name))
    verdict, _ = play(JobGoal(service="web", limits=LIMITS, force_update=looks[0][1].service.force_update), looks)
    assert (verdict.state, verdict.code) == (state, code)


def test_a_global_service_that_no_node_takes_has_nothing_to_run():
    looks = list(replay("global_nowhere"))
    verdict, at = play(update_of(looks[0][1]), looks)
    assert (verdict.state, verdict.wanted) == ("done", 0)
    assert at >= LIMITS.monitor


# Converged


def test_the_monitor_period_begins_when_the_last_task_runs():
    current = look(service(force_update=1), *updated(1, 2))
    seen = Seen()
    assert judge(UPDATE, seen, current, 10.0).settles_in == 2.0
    assert hold(UPDATE, seen, current, 10.0, 11.9).state == "moving"
    assert judge(UPDATE, seen, current, 12.0).state == "done"


def test_the_monitor_period_begins_again_when_a_task_is_replaced():
    details = service(force_update=1)
    seen = Seen()
    hold(UPDATE, seen, look(details, *updated(1, 2)), 10.0, 11.5)
    assert hold(UPDATE, seen, look(details, *updated(1), *updated(2, number=1)), 12.5, 14.25).state == "moving"
    assert judge(UPDATE, seen, look(details, *updated(1), *updated(2, number=1)), 14.5).state == "done"


def test_a_long_gap_between_looks_counts_for_little():
    current, seen = look(service(force_update=1), *updated(1, 2)), Seen()
    judge(UPDATE, seen, current, 10.0)
    verdict = judge(UPDATE, seen, current, 100.0)
    assert (verdict.state, verdict.settles_in) == ("moving", 2.0 - LONGEST_GAP_SECONDS)
    assert hold(UPDATE, seen, current, 100.0, 101.0).state == "moving"
    assert hold(UPDATE, seen, current, 101.0, 101.5).state == "done"


def test_the_time_that_an_answer_takes_does_not_count():
    current, seen = look(service(force_update=1), *updated(1, 2)), Seen()
    for asked_at in range(4):  # each is answered half a second later
        judge(UPDATE, seen, replace(current, asked_at=asked_at * 0.75), asked_at * 0.75 + 0.5)
    assert seen.steady_seconds == 3 * 0.75 - 0.5 - (0.75 - LONGEST_GAP_SECONDS) * 2


def test_an_update_that_swarm_has_not_ended_yet_is_not_done():
    seen = Seen()
    details = service(force_update=1, UpdateStatus=update_status("updating"))
    judge(UPDATE, seen, look(details, *updated(1, 2)), 0.0)
    assert judge(UPDATE, seen, look(details, *updated(1, 2)), 30.0).state == "moving"


def test_an_old_task_that_still_stops_is_waited_for():
    seen = Seen()
    tasks = [*updated(1, 2), task(1, "running", desired="shutdown")]
    assert hold(UPDATE, seen, look(service(force_update=1), *tasks), 0.0, 9.0).state == "moving"
    assert judge(UPDATE, seen, look(service(force_update=1), *updated(1, 2)), 9.5).state == "done"


def test_tasks_on_a_node_that_is_down_count_for_nothing():
    tasks = [*updated(1), *updated(2, node="node2")]
    verdict = judge_once(UPDATE, look(service(force_update=1), *tasks, down=("node2",)))
    assert (verdict.state, verdict.done) == ("moving", 1)


def test_an_old_task_on_a_lost_node_does_not_hold_the_end_up():
    seen = Seen()
    tasks = [*updated(1, 2), task(2, "running", desired="shutdown", node="node2")]
    assert hold(UPDATE, seen, look(service(force_update=1), *tasks, down=("node2",)), 0.0, 2.0).state == "done"


def test_a_task_of_the_same_image_from_before_the_update_is_not_new():
    verdict = judge_once(UPDATE, look(service(force_update=1), task(1), *updated(2)))
    assert (verdict.done, verdict.wanted) == (1, 2)


def test_a_status_left_from_an_earlier_update_is_not_ours():
    stale = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED, earlier_update="2026-01-01T00:00:01Z")
    paused = service(force_update=1, UpdateStatus=update_status("paused"))
    assert judge_once(stale, look(paused, task(1), task(2))).state == "moving"
    assert judge_once(UPDATE, look(paused, task(1), task(2))).code == "update_paused"


def test_a_service_of_no_replicas_is_done_at_once():
    assert judge_once(UPDATE, look(service(force_update=1, replicas=0))).state == "done"


# Not converged


def failed(slot, number, **rest):
    return updated(
        slot, number=number, state="failed", desired="shutdown", error="task: non-zero exit (7)", exit_code=7, **rest
    )


CONTINUES = {"FailureAction": "continue"}


def test_the_third_failure_in_a_slot_is_the_end_of_waiting():
    details, seen = service(force_update=1, update_config=CONTINUES), Seen()
    crashes = [failed(2, number, at=number)[0] for number in range(3)]
    for count in (1, 2):
        tasks = [task(1), *crashes[:count], *updated(2, number=9, state="starting")]
        assert judge(UPDATE, seen, look(details, *tasks), float(count)).state == "moving"
    verdict = judge(UPDATE, seen, look(details, task(1), *crashes[1:], *updated(2, number=9)), 3.0)  # Swarm forgot the first
    assert (verdict.state, verdict.code) == ("failed", "tasks_failed")
    assert verdict.reason == "web keeps failing, 3 tasks in one slot so far: web.2 on node1 failed: task: non-zero exit (7)."
    assert verdict.news == ("web.2 on node1 failed: task: non-zero exit (7)",)


def test_swarm_that_is_to_continue_is_let_come_to_its_end_first():
    patient = UpdateGoal(service="web", limits=LIMITS, force_update=1, image=PINNED, patience=None)
    crashes = [failed(2, number)[0] for number in range(3)]
    updating = service(force_update=1, update_config=CONTINUES, UpdateStatus=update_status("updating"))
    completed = service(force_update=1, update_config=CONTINUES, UpdateStatus=update_status("completed"))
    seen = Seen()
    assert judge(patient, seen, look(updating, task(1), *crashes), 0.0).state == "moving"
    assert judge(patient, seen, look(completed, *updated(1), *crashes), 1.0).code == "tasks_failed"


def test_swarm_that_is_to_pause_or_go_back_is_given_the_time_to_do_so():
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


def test_a_failed_task_without_a_successor_is_told_after_a_moment():
    details, seen = service(force_update=1, update_config=CONTINUES), Seen()
    current = look(details, task(1), *failed(2, 0))
    assert judge(UPDATE, seen, current, 0.0).state == "moving"
    verdict = judge(UPDATE, seen, current, 1.0)
    assert verdict.reason == "web has failed and Swarm does not start it again: web.2 on node1 failed: task: non-zero exit (7)."


def test_a_task_that_swarm_stopped_itself_has_not_failed():
    seen = Seen()
    details = service(force_update=1)
    judge(UPDATE, seen, look(details, *updated(1), *updated(2, desired="shutdown")), 0.0)
    verdict = judge(
        UPDATE, seen, look(details, *updated(1), *updated(2, state="failed", desired="shutdown", exit_code=143)), 1.0
    )
    assert (verdict.state, verdict.news, seen.failures) == ("moving", (), {})


def test_failures_from_before_a_scaling_do_not_count_against_it():
    details, seen = service(UpdatedAt="2026-01-01T00:00:01Z"), Seen()
    old = [task(1, "failed", desired="shutdown", number=number) for number in range(1, 5)]
    assert judge(SCALE, seen, look(details, *old, task(1)), 0.0).state == "moving"
    assert seen.failures == {}


def test_a_task_that_a_scaling_made_and_that_failed_before_the_first_look_counts_against_it():
    details, seen = service(UpdatedAt="2026-01-01T00:00:01Z"), Seen()
    added = task(2, "failed", desired="shutdown", exit_code=7, made_at="2026-01-01T00:00:01.5Z")
    assert judge(SCALE, seen, look(details, task(1), added), 0.0).state == "moving"
    verdict = judge(SCALE, seen, look(details, task(1), added), 1.0)  # and Swarm starts no other
    assert (verdict.state, verdict.code) == ("failed", "tasks_failed")


def test_tasks_that_no_node_takes_are_stuck_after_a_minute():
    details, seen = service(force_update=1), Seen()
    error = "no suitable node (insufficient memory on 2 nodes)"
    current = look(details, *updated(1, 2, state="pending", node="", error=error), down=("node3",))
    judge(UPDATE, seen, current, 100.0)
    assert judge(UPDATE, seen, current, 159.0).state == "moving"
    verdict = judge(UPDATE, seen, current, 160.0)
    assert verdict.code == "stuck"
    assert verdict.reason == f"web has been stuck for 60 s: 2 tasks pending: {error}. node3 is down."


def test_the_wait_for_a_node_begins_again_when_one_takes_the_task():
    details, seen = service(force_update=1), Seen()
    pending = look(details, *updated(1, state="pending", error="no suitable node"), *updated(2))
    judge(UPDATE, seen, pending, 0.0)
    judge(UPDATE, seen, look(details, *updated(1, state="preparing"), *updated(2)), 50.0)
    judge(UPDATE, seen, pending, 55.0)
    assert judge(UPDATE, seen, pending, 70.0).state == "moving"


def test_an_image_that_is_never_there_is_stuck_where_it_waits():
    details, seen = service(force_update=1), Seen()
    current = look(details, *updated(1, state="preparing", node="node2"), task(2))
    judge(UPDATE, seen, current, 0.0)
    assert judge(UPDATE, seen, current, 299.0).state == "moving"
    verdict = judge(UPDATE, seen, current, 300.0)
    assert (verdict.code, verdict.reason) == ("stuck", "Nothing has happened to web for 300 s: web.1 preparing on node2.")


def test_any_movement_begins_the_wait_again():
    details, seen = service(force_update=1), Seen()
    judge(UPDATE, seen, look(details, *updated(1, state="preparing"), task(2)), 0.0)
    current = look(details, *updated(1, state="starting"), task(2))
    judge(UPDATE, seen, current, 299.0)
    assert judge(UPDATE, seen, current, 400.0).state == "moving"


def test_a_rollback_that_swarm_pauses_is_a_failure():
    details = service(UpdateStatus=update_status("rollback_paused", message="rollback paused due to failure of task x"))
    verdict = judge_once(ROLLBACK, look(details, task(1)))
    assert (verdict.state, verdict.code) == ("failed", "rollback_paused")
    assert "rollback paused due to failure" in verdict.reason


def test_a_way_back_is_not_over_before_the_old_tasks_run():
    details = service(UpdateStatus=update_status("rollback_completed"))
    seen = Seen()
    assert hold(ROLLBACK, seen, look(details, task(1), task(2, "starting")), 0.0, 5.0).state == "moving"
    assert hold(ROLLBACK, seen, look(details, task(1), task(2)), 6.0, 7.75).state == "moving"
    assert judge(ROLLBACK, seen, look(details, task(1), task(2)), 8.0).state == "done"


def test_a_way_back_without_tasks_is_over_at_once():
    assert judge_once(ROLLBACK, look(service(replicas=0, UpdateStatus=update_status("rollback_completed")))).state == "done"


AT_ONCE = service(replicas=1, UpdateStatus=update_status("rollback_completed"))


def test_a_way_back_that_swarm_completes_at_once_is_no_success_while_the_old_tasks_crash():
    seen = Seen()
    crashes = [task(1, "failed", desired="shutdown", exit_code=7, number=number) for number in range(3)]
    for count in range(3):
        assert judge(ROLLBACK, seen, look(AT_ONCE, *crashes[:count], task(1, number=count)), float(count)).state == "moving"
    verdict = judge(ROLLBACK, seen, look(AT_ONCE, *crashes, task(1, number=3)), 3.0)
    assert verdict.state == "moving"  # the fourth may stay
    verdict = judge(ROLLBACK, seen, look(AT_ONCE, *crashes, task(1, "starting", number=3)), 3.5)
    assert (verdict.state, verdict.code) == ("failed", "tasks_failed")


@pytest.mark.parametrize(("made_at", "ends"), [("2026-01-01T00:00:01.5Z", "failed"), ("2026-01-01T00:00:00.9Z", "moving")])
def test_an_old_task_that_crashed_before_the_first_look_at_the_way_back_counts_if_it_was_made_for_it(made_at, ends):
    crashed = task(1, "failed", desired="shutdown", exit_code=7, made_at=made_at)
    seen = Seen()
    judge(ROLLBACK, seen, look(AT_ONCE, crashed), 0.0)
    assert judge(ROLLBACK, seen, look(AT_ONCE, crashed), 1.0).state == ends


def test_an_update_during_the_way_back_supersedes_it():
    assert judge_once(ROLLBACK, look(service(force_update=5), task(1))).code == "superseded"


# Scaling


def test_scaling_out_is_done_after_the_monitor_period():
    seen = Seen()
    assert hold(SCALE, seen, look(service(), task(1), task(2)), 0.0, 1.9).state == "moving"
    assert judge(SCALE, seen, look(service(), task(1), task(2)), 2.0).state == "done"


def test_scaling_in_is_done_when_the_surplus_has_ended():
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
    verdict = judge_once(SCALE, look(service(replicas=7), task(1)))
    assert (verdict.code, verdict.reason) == (
        "superseded",
        "web was scaled by someone else in the meantime: its replica count is now 7.",
    )


# Jobs


def test_a_job_counts_the_tasks_of_its_present_iteration_alone():
    details = service(force_update=1, mode=JOB_MODE, JobStatus={"JobIteration": {"Index": 1}})
    old = [task(slot, "complete", desired="complete", iteration=0) for slot in (0, 1)]
    new = [task(slot, "complete", desired="complete", force_update=1, iteration=1) for slot in (0, 1)]
    assert judge_once(JOB, look(details, *old, new[0])).done == 1
    assert judge_once(JOB, look(details, *old, *new)).state == "done"


# Limits


def test_the_label_for_the_monitor_period_comes_before_swarms_own():
    def monitor(labels, config):
        return read_limits(look(service(labels=labels, update_config=config)).service).monitor

    assert monitor({}, {"Monitor": MONITOR}) == 2.0
    assert monitor({}, {"Monitor": 0}) == 5.0
    assert monitor({"windlass.update.monitor": "1m"}, {"Monitor": MONITOR}) == 60.0
    assert monitor({"windlass.update.monitor": "soon"}, {"Monitor": MONITOR}) == 2.0


def test_a_way_back_is_watched_as_long_as_swarms_own():
    def monitor(labels, config):
        details = service(labels=labels, update_config={"Monitor": 9 * 10**9})
        details["Spec"] |= {"RollbackConfig": config} if config else {}
        return read_limits(look(details).service).of_rollback.monitor

    assert monitor({}, {"Monitor": MONITOR}) == 2.0
    assert monitor({}, None) == 5.0
    assert monitor({"windlass.update.monitor": "1m"}, {"Monitor": MONITOR}) == 60.0


def test_what_a_service_may_take_by_its_own_settings_is_no_silence():
    details = service(update_config={"Delay": 20 * 10**9})
    container = details["Spec"]["TaskTemplate"]["ContainerSpec"]
    container["StopGracePeriod"] = 30 * 10**9
    container["Healthcheck"] = {"Interval": 10**9, "Timeout": 10**9, "Retries": 4, "StartPeriod": 40 * 10**9}
    assert read_limits(look(details).service).silent == 300 + 20 + 30 + 40 + 5 * 2


def test_the_timeout_label_replaces_both_limits():
    limits = read_limits(look(service(labels={"windlass.update.timeout": "2m"})).service)
    assert (limits.unplaced, limits.silent) == (120.0, 120.0)
    assert limits.of_rollback.silent == 120.0
    hasty = read_limits(look(service(labels={"windlass.update.timeout": "3s"})).service)
    assert (hasty.unplaced, hasty.of_rollback.silent) == (3.0, 120.0)  # Swarm itself may take a minute on its way back


def test_somebody_elses_update_supersedes_ours():
    other = f"registry:5000/app:2@sha256:{'b' * 64}"
    for details in (service(force_update=2), service(force_update=1, image=other), service(force_update=0)):
        verdict = judge_once(UPDATE, look(details, task(1)))
        assert (verdict.state, verdict.code) == ("failed", "superseded")


def test_a_service_that_is_gone_is_told():
    assert judge_once(UPDATE, look(None)).code == "not_found"


# Swarm's updater waits for a task on a lost node

PATIENCE = 10.0 + LIMITS.monitor


def hangs(seconds, goal=UPDATE, state="updating", down=("node2",)):
    """Slot 1 is new, slot 2 is old, and of a new task of slot 2 nothing is heard any more."""
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


def test_the_services_own_delay_is_no_hanging():
    goal = replace(UPDATE, limits=replace(LIMITS, delay=50.0))
    assert not hangs(60.0, goal)
    assert hangs(50.0 + PATIENCE, goal)
