import pytest

from clusters.engine.driver import FIRST_ATTEMPT
from clusters.engine.swarm.scale import plan_scale
from clusters.engine.swarm.tests.planning import PAUSE, before, refusal, running, status
from clusters.engine.tests.swarm_recording import observe, service


def test_scaling_sets_the_count_and_follows():
    text = plan_scale(observe(service(), tasks=running(2)), "web", 5, FIRST_ATTEMPT).as_text()
    assert (
        text
        == """\
scale web from 2 to 5
1. set the replicas of web to 5 (scale web from 2 to 5)
2. follow web until 5 tasks run and stay up for 2 s; on failure set the replicas back to 2 (scale web from 2 to 5)
"""
    )


def test_scaling_in_can_go_to_0_and_can_be_left_on_failure():
    text = plan_scale(observe(service(stack="shop")), "web", 0, PAUSE).as_text()
    assert (
        text
        == """\
scale shop/web from 2 to 0
1. set the replicas of shop_web to 0 (scale web from 2 to 0)
2. follow shop_web until 0 tasks run and the others have ended; on failure leave it as it is (scale web from 2 to 0)
"""
    )


def test_a_count_that_is_there_already_is_an_empty_plan():
    assert plan_scale(observe(service(), tasks=running(2)), "web", 2, FIRST_ATTEMPT).is_empty()


def test_a_count_that_is_already_set_but_does_not_run_is_followed():
    plan = plan_scale(observe(service(), tasks=running(1)), "web", 2, FIRST_ATTEMPT)
    assert [operation.word for operation in plan.operations] == ["follow"]


def test_a_scaling_that_was_sent_is_only_followed_and_still_knows_the_previous_count():
    plan = plan_scale(observe(service(replicas=5), tasks=running(5)), "web", 5, before("web"))
    assert [operation.word for operation in plan.operations] == ["follow"]
    assert "on failure set the replicas back to 2" in plan.as_text()


def test_a_scaling_whose_count_was_set_back_is_not_tried_again():
    previous = service(replicas=5)["Spec"]
    put_back = observe(service(version=12, PreviousSpec=previous), tasks=running(2))
    text = plan_scale(put_back, "web", 5, before("web")).as_text()
    assert "set the replicas" not in text
    assert "until 2 tasks run again (the replicas were set back)" in text
    from_before = observe(service(version=10, PreviousSpec=previous), tasks=running(2))
    assert "set the replicas" in plan_scale(from_before, "web", 5, before("web")).as_text()


@pytest.mark.parametrize(
    ("mode", "code"), [("Global", "global_mode"), ("ReplicatedJob", "job_mode"), ("GlobalJob", "job_mode")]
)
def test_what_has_no_count_is_refused(mode, code):
    assert refusal(plan_scale, observe(service(mode={mode: {}})), "web", 2, FIRST_ATTEMPT) == code


def test_a_service_that_is_not_there_is_refused():
    assert refusal(plan_scale, observe(service()), "api", 2, FIRST_ATTEMPT) == "not_found"


def test_a_paused_update_does_not_prevent_a_scaling_but_causes_a_warning():
    plan = plan_scale(observe(service(UpdateStatus=status("paused"))), "web", 3, FIRST_ATTEMPT)
    assert "set the replicas" in plan.as_text()
    assert plan.warnings == ("an earlier update of web is paused: Swarm resumes it when anything about the service changes",)
