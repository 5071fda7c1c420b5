from dataclasses import replace

import pytest

from clusters.engine import names
from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.snapshot import Snapshot
from clusters.engine.swarm.lifecycle import plan_act
from clusters.engine.swarm.observed import Belonging
from clusters.engine.swarm.redeploy import plan_redeploy
from clusters.engine.swarm.scale import plan_scale
from clusters.engine.tests.swarm_recording import APP, PINNED, observe, service, task

PAUSE = Intent("pause")


def depends(*others):
    return {"windlass.depends": ",".join(others)}


def refusal(plan, *arguments):
    with pytest.raises(PlanRefused) as caught:
        plan(*arguments)
    return caught.value.code


def before(details, force_update=0, version=10, started_at="", wanted=2, on_failure="rollback"):
    """An intent whose call found this at its first attempt."""
    update = {"force_update": force_update, "version": version, "started_at": started_at}
    return Intent(on_failure, Snapshot.from_json({"services": {details: {"wanted": wanted, "update": update}}}))


def status(state, started_at="later"):
    return {"State": state, "StartedAt": started_at}


# Redeploy


def test_a_lone_service_is_resolved_updated_and_followed():
    text = plan_redeploy(observe(service()), FIRST_ATTEMPT).as_text()
    assert (
        text
        == """\
redeploy web
1. ask for the digest of registry:5000/app:1 (an update runs the digest it is given)
2. update web to registry:5000/app:1 (redeploy)
3. follow web until 2 tasks run the update and stay for 2 s; on failure go back (redeploy)
"""
    )


def test_services_of_a_stack_go_side_by_side_each_with_its_own_remedy():
    stack = [
        service("api", stack="shop", replicas=1),
        service("web", stack="shop", update_config={"FailureAction": "rollback"}),
        service("agent", stack="shop", mode={"Global": {}}),
        service("job", stack="shop", mode={"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 3}}),
        service("idle", stack="shop", replicas=0),
    ]
    text = plan_redeploy(observe(*stack), PAUSE).as_text()
    assert (
        text
        == """\
redeploy shop
1. ask for the digest of registry:5000/app:1 (an update runs the digest it is given)
2. update shop_agent to registry:5000/app:1 (redeploy)
3. update shop_api to registry:5000/app:1 (redeploy)
4. update shop_idle to registry:5000/app:1 (redeploy)
5. update shop_job to registry:5000/app:1 (redeploy)
6. update shop_web to registry:5000/app:1 (redeploy)
7. follow 5 services side by side (redeploy)
   - shop_agent until its tasks run the update and stay for 2 s; on failure leave it as it is
   - shop_api until 1 task runs the update and stay for 2 s; on failure leave it as it is
   - shop_idle which has no replicas
   - shop_job until 3 tasks have completed; on failure leave it as it is
   - shop_web until 2 tasks run the update and stay for 2 s; on failure Swarm goes back by itself
"""
    )


def test_what_others_depend_on_goes_in_an_earlier_wave():
    stack = [
        service("api", stack="shop", labels=depends("db")),
        service("db", stack="shop"),
        service("web", stack="shop", labels=depends("shop_api", "nosuch")),
    ]
    text = plan_redeploy(observe(*stack), FIRST_ATTEMPT).as_text()
    assert (
        text
        == """\
redeploy shop
warning: web depends on nosuch, which is no service of it: this is ignored
1. ask for the digest of registry:5000/app:1 (an update runs the digest it is given)
2. update shop_db to registry:5000/app:1 (redeploy, wave 1 of 3)
3. follow shop_db until 2 tasks run the update and stay for 2 s; on failure go back (redeploy, wave 1 of 3)
4. update shop_api to registry:5000/app:1 (redeploy, wave 2 of 3)
5. follow shop_api until 2 tasks run the update and stay for 2 s; on failure go back (redeploy, wave 2 of 3)
6. update shop_web to registry:5000/app:1 (redeploy, wave 3 of 3)
7. follow shop_web until 2 tasks run the update and stay for 2 s; on failure go back (redeploy, wave 3 of 3)
"""
    )


def test_a_circle_of_dependencies_is_refused_and_named():
    stack = [
        service("api", stack="shop", labels=depends("db")),
        service("db", stack="shop", labels=depends("cache")),
        service("cache", stack="shop", labels=depends("db")),
    ]
    with pytest.raises(PlanRefused, match=r"in a circle: (cache, db|db, cache)\.") as caught:
        plan_redeploy(observe(*stack), FIRST_ATTEMPT)
    assert caught.value.code == "dependency_cycle"


def test_one_chosen_service_goes_alone():
    stack = [service("api", stack="shop"), service("web", stack="shop", labels=depends("api"))]
    text = plan_redeploy(observe(*stack, service="web"), FIRST_ATTEMPT).as_text()
    assert text.startswith("redeploy shop/web\n")
    assert "api" not in text


def test_a_digest_that_a_person_wrote_is_not_asked_for():
    by_digest = f"registry:5000/app@sha256:{'c' * 64}"
    text = plan_redeploy(observe(service(image=by_digest)), FIRST_ATTEMPT).as_text()
    assert "ask for" not in text
    assert f"update web to {by_digest}" in text
    stack = service(stack="shop", labels={"com.docker.stack.image": PINNED})
    assert f"update shop_web to {PINNED}" in plan_redeploy(observe(stack), FIRST_ATTEMPT).as_text()


def test_a_tag_is_resolved_without_excuse_and_replaces_a_pin():
    text = plan_redeploy(observe(service()), Intent(tag="2")).as_text()
    assert (
        text
        == """\
redeploy web with the tag 2
1. ask for the digest of registry:5000/app:2 (an update runs the digest it is given)
2. update web to registry:5000/app:2 (redeploy)
3. follow web until 2 tasks run the update and stay for 2 s; on failure go back (redeploy)
"""
    )
    by_digest = service("api", image=f"registry:5000/app@sha256:{'c' * 64}", stack="shop")
    written = service(stack="shop", labels={"com.docker.stack.image": PINNED})
    [resolve, *_] = plan_redeploy(observe(by_digest, written), Intent(tag="2")).operations
    assert (resolve.reference, resolve.required) == ("registry:5000/app:2", True)


def test_a_tag_is_refused_where_the_services_have_several_repositories():
    stack = [service("api", stack="shop", image="registry:5000/api:1"), service("web", stack="shop")]
    assert refusal(plan_redeploy, observe(*stack), Intent(tag="2")) == "several_repositories"
    assert "update shop_web" in plan_redeploy(observe(*stack, service="web"), Intent(tag="2")).as_text()


def test_what_is_protected_is_refused(monkeypatch):
    label = {names.PROTECTED_LABEL: "true"}
    assert refusal(plan_redeploy, observe(service(labels=label)), FIRST_ATTEMPT) == "protected"
    assert refusal(plan_redeploy, observe(service(container_labels=label)), FIRST_ATTEMPT) == "protected"
    assert refusal(plan_scale, observe(service(labels=label)), "web", 3, FIRST_ATTEMPT) == "protected"
    monkeypatch.setattr(names, "find_own_container_id", lambda: "ourselves")
    ours = observe(service(), tasks=(task(container_id="ourselves"),))
    assert refusal(plan_redeploy, ours, FIRST_ATTEMPT) == "protected"


def test_a_protected_service_does_not_keep_its_neighbours_from_a_redeploy():
    stack = [service("console", stack="shop", labels={names.PROTECTED_LABEL: "true"}), service("web", stack="shop")]
    assert "shop_web" in plan_redeploy(observe(*stack, service="web"), FIRST_ATTEMPT).as_text()


# A redeploy that goes on with an earlier attempt


def test_an_update_that_was_not_sent_yet_is_sent():
    text = plan_redeploy(observe(service(force_update=3)), before("web", 3)).as_text()
    assert "update web" in text


def test_an_update_that_was_sent_is_only_followed():
    text = plan_redeploy(observe(service(force_update=4)), before("web", 3)).as_text()
    assert (
        text
        == """\
redeploy web
note: the update of web was sent already
1. follow web until 2 tasks run the update and stay for 2 s; on failure go back (redeploy)
"""
    )


def test_an_update_that_has_gone_back_is_not_sent_again():
    details = service(force_update=3, UpdateStatus=status("rollback_completed"))
    text = plan_redeploy(observe(details), before("web", 3, started_at="earlier")).as_text()
    assert "update web" not in text
    assert "1. finish going back with web (an update failed, and all go back together)" in text


def test_a_way_back_from_before_the_call_is_none_of_ours():
    details = service(force_update=3, UpdateStatus=status("rollback_completed", "earlier"))
    assert "update web" in plan_redeploy(observe(details), before("web", 3, started_at="earlier")).as_text()


def test_somebody_elses_update_in_between_makes_a_new_plan():
    assert "update web" in plan_redeploy(observe(service(force_update=9)), before("web", 3)).as_text()


def test_one_service_on_its_way_back_takes_those_along_that_were_updated():
    stack = [
        service("api", stack="shop", force_update=1),
        service("db", stack="shop", UpdateStatus=status("rollback_started")),
        service("web", stack="shop"),
    ]
    update = {"force_update": 0, "version": 1, "started_at": ""}
    saved = Snapshot.from_json({"services": {name: {"update": update} for name in ("api", "db", "web")}})
    text = plan_redeploy(observe(*stack), Intent("rollback", saved)).as_text()
    assert (
        text
        == """\
redeploy shop
note: the update of api was sent already
note: db is going back, or has gone back, already
1. finish going back with shop_db, shop_api (an update failed, and all go back together)
"""
    )
    left = plan_redeploy(observe(*stack), Intent("pause", saved))
    assert "update shop_web" not in left.as_text()
    assert left.unbegun == ("web",)


# Scale


def running(count):
    return tuple(task(slot) for slot in range(1, count + 1))


def test_scaling_sets_the_count_and_follows():
    text = plan_scale(observe(service(), tasks=running(2)), "web", 5, FIRST_ATTEMPT).as_text()
    assert (
        text
        == """\
scale web from 2 to 5
1. set the wanted tasks of web to 5 (scale web from 2 to 5)
2. follow web until 5 tasks run and stay for 2 s; on failure put back 2 (scale web from 2 to 5)
"""
    )


def test_scaling_in_may_go_to_nothing_and_be_left_on_failure():
    text = plan_scale(observe(service(stack="shop")), "web", 0, PAUSE).as_text()
    assert (
        text
        == """\
scale shop/web from 2 to 0
1. set the wanted tasks of shop_web to 0 (scale web from 2 to 0)
2. follow shop_web until 0 tasks run and the others have ended; on failure leave it as it is (scale web from 2 to 0)
"""
    )


def test_a_count_that_is_there_already_is_an_empty_plan():
    assert plan_scale(observe(service(), tasks=running(2)), "web", 2, FIRST_ATTEMPT).is_empty()


def test_a_count_that_is_asked_for_already_but_does_not_run_is_followed():
    plan = plan_scale(observe(service(), tasks=running(1)), "web", 2, FIRST_ATTEMPT)
    assert [operation.word for operation in plan.operations] == ["follow"]


def test_a_scaling_that_was_sent_is_only_followed_and_still_knows_the_way_back():
    plan = plan_scale(observe(service(replicas=5), tasks=running(5)), "web", 5, before("web"))
    assert [operation.word for operation in plan.operations] == ["follow"]
    assert "on failure put back 2" in plan.as_text()


def test_a_scaling_that_was_put_back_is_not_tried_again():
    previous = service(replicas=5)["Spec"]
    put_back = observe(service(version=12, PreviousSpec=previous), tasks=running(2))
    text = plan_scale(put_back, "web", 5, before("web")).as_text()
    assert "set the wanted" not in text
    assert "until 2 tasks run again (it was put back)" in text
    from_before = observe(service(version=10, PreviousSpec=previous), tasks=running(2))
    assert "set the wanted" in plan_scale(from_before, "web", 5, before("web")).as_text()


@pytest.mark.parametrize(
    ("mode", "code"), [("Global", "global_mode"), ("ReplicatedJob", "job_mode"), ("GlobalJob", "job_mode")]
)
def test_what_has_no_count_is_refused(mode, code):
    assert refusal(plan_scale, observe(service(mode={mode: {}})), "web", 2, FIRST_ATTEMPT) == code


def test_a_service_that_is_not_there_is_refused():
    assert refusal(plan_scale, observe(service()), "api", 2, FIRST_ATTEMPT) == "not_found"


def test_a_paused_update_does_not_hinder_a_scaling_but_is_told():
    plan = plan_scale(observe(service(UpdateStatus=status("paused"))), "web", 3, FIRST_ATTEMPT)
    assert "set the wanted" in plan.as_text()
    assert plan.warnings == ("an earlier update of web is paused: Swarm goes on with it when anything about it is changed",)


def test_the_count_that_a_step_starts_from_is_the_wanted_one():
    assert observe(service(replicas=5), tasks=running(2)).current_count("web") == 5
    spread = observe(service(mode={"Global": {}}), tasks=(task(0, node="node1"), task(0, node="node2")))
    assert spread.current_count("web") == 2


def test_a_snapshot_tells_tasks_images_and_how_far_updates_have_come():
    tasks = (task(1), task(2, node="node2"), task(2, "failed", desired="shutdown", number=1))
    details = service(stack="shop", force_update=3, UpdateStatus=status("completed", "then"))
    for item in tasks:
        item.details["ServiceID"] = details["ID"]
    digest = f"sha256:{'a' * 64}"
    assert observe(details, tasks=tasks).snapshot().to_json() == {
        "version": 1,
        "services": {
            "web": {
                "id": details["ID"],
                "running": 2,
                "wanted": 2,
                "mode": "replicated",
                "image": APP,
                "images": {digest: 2},
                "digests": [PINNED],
                "containers": [
                    {"name": "web.1", "id": tasks[0].id, "image_id": digest, "state": "running", "node": "node1"},
                    {"name": "web.2", "id": tasks[1].id, "image_id": digest, "state": "running", "node": "node2"},
                ],
                "update": {"force_update": 3, "version": 10, "started_at": "then"},
            }
        },
    }


# Restart and delete


def whole(observed, **options):
    return plan_act(observed, options.pop("act"), options.pop("container", ""), options.pop("intent", FIRST_ATTEMPT)).as_text()


def test_a_restart_keeps_the_very_image_asks_no_registry_and_goes_nowhere_back():
    stack = [service("api", stack="shop", replicas=1, labels=depends("web")), service("web", stack="shop")]
    assert (
        whole(observe(*stack), act="restart")
        == """\
restart shop
1. start the tasks of shop_web anew (restart, wave 1 of 2)
2. follow shop_web until 2 tasks run the update and stay for 2 s; on failure leave it as it is (restart, wave 1 of 2)
3. start the tasks of shop_api anew (restart, wave 2 of 2)
4. follow shop_api until 1 task runs the update and stay for 2 s; on failure leave it as it is (restart, wave 2 of 2)
"""
    )


def test_a_restart_that_was_sent_already_is_followed():
    sent = service(force_update=1)
    assert (
        whole(observe(sent), act="restart", intent=before("web"))
        == """\
restart web
note: the update of web was sent already
1. follow web until 2 tasks run the update and stay for 2 s; on failure leave it as it is (restart)
"""
    )


def test_a_delete_removes_the_services_awaits_their_tasks_and_then_removes_what_the_stack_had():
    belongings = (Belonging("network", "n1", "shop_default"), Belonging("config", "c1", "shop_settings"))
    observed = replace(observe(service("api", stack="shop"), service("web", stack="shop")), belongings=belongings)
    assert (
        whole(observed, act="delete")
        == """\
delete shop
1. remove the service shop_api (delete of shop)
2. remove the service shop_web (delete of shop)
3. follow the tasks of shop until all have ended (delete of shop)
4. remove the network shop_default unless it is used elsewhere (it was made for the stack)
5. remove the config shop_settings unless it is used elsewhere (it was made for the stack)
"""
    )


@pytest.mark.parametrize(("act", "container"), [("stop", ""), ("start", ""), ("restart", "web.1.abc"), ("delete", "web.1.abc")])
def test_what_a_swarm_does_not_do_is_refused(act, container):
    assert refusal(plan_act, observe(service()), act, container, FIRST_ATTEMPT) == "swarm"


@pytest.mark.parametrize("act", ["restart", "delete"])
def test_a_protected_service_is_neither_restarted_nor_deleted(act):
    protected = service("web", stack="shop", labels={"windlass.protected": "true"})
    assert refusal(plan_act, observe(service("api", stack="shop"), protected), act, "", FIRST_ATTEMPT) == "protected"
