"""Updates, rollbacks, scalings and jobs recorded from a real Swarm."""

from dataclasses import replace

import pytest

from clusters.engine.swarm.goals import JobGoal, RollbackGoal, ScaleGoal
from clusters.engine.swarm.tests.judging import LIMITS, ROLLBACK, play, update_of
from clusters.engine.tests.swarm_recording import replay


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
    judgement, _ = play(update_of(looks[0][1]), looks)
    assert (judgement.state, judgement.code) == (state, code)


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
def test_a_recorded_failure_is_explained_by_the_tasks_own_error(name, reason):
    looks = list(replay(name))
    judgement, _ = play(update_of(looks[0][1]), looks)
    assert judgement.reason == reason


def test_swarms_own_rollback_is_noticed_and_followed_to_its_end():
    looks = list(replay("crash_rollback"))
    first = update_of(looks[0][1])
    judgement, at = play(first, looks)
    assert (judgement.state, judgement.code) == ("rolling_back", "update_failed")
    assert "non-zero exit (1)" in judgement.reason
    rest = [(when, current) for when, current in looks if when >= at]
    judgement, at = play(RollbackGoal(service="web", limits=LIMITS, force_update=first.force_update - 1), rest)
    assert judgement.state == "done"
    assert {task.force_update for task in rest[-1][1].running} == {first.force_update - 1}


def test_a_requested_rollback_ends_when_swarm_says_so_and_the_old_tasks_run():
    looks = list(replay("back_after_pause"))
    judgement, at = play(replace(ROLLBACK, limits=replace(LIMITS, monitor=0.5)), looks)
    assert judgement.state == "done"
    assert at == looks[-1][0]  # when rollback_completed shows, not before


@pytest.mark.parametrize(("name", "replicas", "is_out"), [("scale_out", 4, True), ("scale_in", 1, False)])
def test_a_recorded_scaling_is_done_though_it_has_no_update_status(name, replicas, is_out):
    looks = list(replay(name))
    assert all(current.service.update_state == "" for _, current in looks)
    judgement, _ = play(ScaleGoal(service="web", limits=LIMITS, replicas=replicas, is_out=is_out), looks)
    assert (judgement.state, judgement.done) == ("done", replicas)


@pytest.mark.parametrize(
    ("name", "state", "code"), [("job", "done", ""), ("global_job", "done", ""), ("job_fails", "failed", "tasks_failed")]
)
def test_a_recorded_job_is_followed_until_it_has_completed(name, state, code):
    looks = list(replay(name))
    judgement, _ = play(JobGoal(service="web", limits=LIMITS, force_update=looks[0][1].service.force_update), looks)
    assert (judgement.state, judgement.code) == (state, code)


def test_a_global_service_that_no_node_takes_has_nothing_to_run():
    looks = list(replay("global_nowhere"))
    judgement, at = play(update_of(looks[0][1]), looks)
    assert (judgement.state, judgement.wanted) == ("done", 0)
    assert at >= LIMITS.monitor
