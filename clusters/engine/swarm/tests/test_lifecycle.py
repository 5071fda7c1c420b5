from dataclasses import replace

import pytest

from clusters.engine.driver import FIRST_ATTEMPT
from clusters.engine.swarm.lifecycle import plan_act
from clusters.engine.swarm.observed import StackObject
from clusters.engine.swarm.tests.planning import before, depends, refusal
from clusters.engine.tests.swarm_recording import observe, service


def whole(observed, **options):
    return plan_act(observed, options.pop("act"), options.pop("container", ""), options.pop("intent", FIRST_ATTEMPT)).as_text()


def test_a_restart_keeps_the_exact_image_asks_no_registry_and_is_never_rolled_back():
    stack = [service("api", stack="shop", replicas=1, labels=depends("web")), service("web", stack="shop")]
    assert (
        whole(observe(*stack), act="restart")
        == """\
restart shop
1. restart the tasks of shop_web (restart, wave 1 of 2)
2. follow shop_web until 2 tasks run the update and stay up for 2 s; on failure leave it as it is (restart, wave 1 of 2)
3. restart the tasks of shop_api (restart, wave 2 of 2)
4. follow shop_api until 1 task runs the update and stay up for 2 s; on failure leave it as it is (restart, wave 2 of 2)
"""
    )


def test_a_restart_that_was_sent_already_is_followed():
    sent = service(force_update=1)
    assert (
        whole(observe(sent), act="restart", intent=before("web"))
        == """\
restart web
note: the update of web was already sent
1. follow web until 2 tasks run the update and stay up for 2 s; on failure leave it as it is (restart)
"""
    )


def test_a_delete_removes_the_services_awaits_their_tasks_and_then_removes_the_stacks_objects():
    stack_objects = (StackObject("network", "n1", "shop_default"), StackObject("config", "c1", "shop_settings"))
    observed = replace(observe(service("api", stack="shop"), service("web", stack="shop")), stack_objects=stack_objects)
    assert (
        whole(observed, act="delete")
        == """\
delete shop
1. remove the service shop_api (delete of shop)
2. remove the service shop_web (delete of shop)
3. follow the tasks of shop until all have ended (delete of shop)
4. remove the network shop_default unless it is used elsewhere (it was created for the stack)
5. remove the config shop_settings unless it is used elsewhere (it was created for the stack)
"""
    )


@pytest.mark.parametrize(("act", "container"), [("stop", ""), ("start", ""), ("restart", "web.1.abc"), ("delete", "web.1.abc")])
def test_acts_that_a_swarm_does_not_have_are_refused(act, container):
    assert refusal(plan_act, observe(service()), act, container, FIRST_ATTEMPT) == "swarm"


@pytest.mark.parametrize("act", ["restart", "delete"])
def test_a_protected_service_is_neither_restarted_nor_deleted(act):
    protected = service("web", stack="shop", labels={"windlass.protected": "true"})
    assert refusal(plan_act, observe(service("api", stack="shop"), protected), act, "", FIRST_ATTEMPT) == "protected"
