import pytest

from clusters.engine import names
from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.snapshot import Snapshot
from clusters.engine.swarm.redeploy import plan_redeploy
from clusters.engine.swarm.scale import plan_scale
from clusters.engine.swarm.tests.planning import PAUSE, before, depends, refusal, status
from clusters.engine.tests.swarm_recording import PINNED, observe, service, task


def test_a_lone_service_is_resolved_updated_and_followed():
    text = plan_redeploy(observe(service()), FIRST_ATTEMPT).as_text()
    assert (
        text
        == """\
redeploy web
1. resolve the digest of registry:5000/app:1 (an update pins its image to a digest)
2. update web to registry:5000/app:1 (redeploy)
3. follow web until 2 tasks run the update and stay up for 2 s; on failure roll back (redeploy)
"""
    )


def test_services_of_a_stack_are_updated_side_by_side_each_with_its_own_remedy():
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
1. resolve the digest of registry:5000/app:1 (an update pins its image to a digest)
2. update shop_agent to registry:5000/app:1 (redeploy)
3. update shop_api to registry:5000/app:1 (redeploy)
4. update shop_idle to registry:5000/app:1 (redeploy)
5. update shop_job to registry:5000/app:1 (redeploy)
6. update shop_web to registry:5000/app:1 (redeploy)
7. follow 5 services side by side (redeploy)
   - shop_agent until its tasks run the update and stay up for 2 s; on failure leave it as it is
   - shop_api until 1 task runs the update and stay up for 2 s; on failure leave it as it is
   - shop_idle, which has no replicas
   - shop_job until 3 tasks have completed; on failure leave it as it is
   - shop_web until 2 tasks run the update and stay up for 2 s; on failure Swarm rolls back by itself
"""
    )


def test_services_that_others_depend_on_are_in_an_earlier_wave():
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
warning: web depends on nosuch, which is not a service of this application: the dependency is ignored
1. resolve the digest of registry:5000/app:1 (an update pins its image to a digest)
2. update shop_db to registry:5000/app:1 (redeploy, wave 1 of 3)
3. follow shop_db until 2 tasks run the update and stay up for 2 s; on failure roll back (redeploy, wave 1 of 3)
4. update shop_api to registry:5000/app:1 (redeploy, wave 2 of 3)
5. follow shop_api until 2 tasks run the update and stay up for 2 s; on failure roll back (redeploy, wave 2 of 3)
6. update shop_web to registry:5000/app:1 (redeploy, wave 3 of 3)
7. follow shop_web until 2 tasks run the update and stay up for 2 s; on failure roll back (redeploy, wave 3 of 3)
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


def test_one_chosen_service_is_updated_alone():
    stack = [service("api", stack="shop"), service("web", stack="shop", labels=depends("api"))]
    text = plan_redeploy(observe(*stack, service="web"), FIRST_ATTEMPT).as_text()
    assert text.startswith("redeploy shop/web\n")
    assert "api" not in text


def test_a_digest_that_a_person_wrote_is_not_resolved():
    by_digest = f"registry:5000/app@sha256:{'c' * 64}"
    text = plan_redeploy(observe(service(image=by_digest)), FIRST_ATTEMPT).as_text()
    assert "resolve" not in text
    assert f"update web to {by_digest}" in text
    stack = service(stack="shop", labels={"com.docker.stack.image": PINNED})
    assert f"update shop_web to {PINNED}" in plan_redeploy(observe(stack), FIRST_ATTEMPT).as_text()


def test_a_tag_must_be_resolved_and_replaces_a_pin():
    text = plan_redeploy(observe(service()), Intent(tag="2")).as_text()
    assert (
        text
        == """\
redeploy web with the tag 2
1. resolve the digest of registry:5000/app:2 (an update pins its image to a digest)
2. update web to registry:5000/app:2 (redeploy)
3. follow web until 2 tasks run the update and stay up for 2 s; on failure roll back (redeploy)
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


def test_a_protected_service_is_refused(monkeypatch):
    label = {names.PROTECTED_LABEL: "true"}
    assert refusal(plan_redeploy, observe(service(labels=label)), FIRST_ATTEMPT) == "protected"
    assert refusal(plan_redeploy, observe(service(container_labels=label)), FIRST_ATTEMPT) == "protected"
    assert refusal(plan_scale, observe(service(labels=label)), "web", 3, FIRST_ATTEMPT) == "protected"
    monkeypatch.setattr(names, "find_own_container_id", lambda: "ourselves")
    ours = observe(service(), tasks=(task(container_id="ourselves"),))
    assert refusal(plan_redeploy, ours, FIRST_ATTEMPT) == "protected"


def test_a_protected_service_does_not_prevent_a_redeploy_of_its_neighbours():
    stack = [service("console", stack="shop", labels={names.PROTECTED_LABEL: "true"}), service("web", stack="shop")]
    assert "shop_web" in plan_redeploy(observe(*stack, service="web"), FIRST_ATTEMPT).as_text()


def test_an_update_that_was_not_sent_yet_is_sent():
    text = plan_redeploy(observe(service(force_update=3)), before("web", 3)).as_text()
    assert "update web" in text


def test_an_update_that_was_sent_is_only_followed():
    text = plan_redeploy(observe(service(force_update=4)), before("web", 3)).as_text()
    assert (
        text
        == """\
redeploy web
note: the update of web was already sent
1. follow web until 2 tasks run the update and stay up for 2 s; on failure roll back (redeploy)
"""
    )


def test_an_update_that_was_rolled_back_is_not_sent_again():
    details = service(force_update=3, UpdateStatus=status("rollback_completed"))
    text = plan_redeploy(observe(details), before("web", 3, started_at="earlier")).as_text()
    assert "update web" not in text
    assert "1. finish the rollback of web (an update failed, so all services roll back)" in text


def test_a_rollback_before_the_call_is_not_ours():
    details = service(force_update=3, UpdateStatus=status("rollback_completed", "earlier"))
    assert "update web" in plan_redeploy(observe(details), before("web", 3, started_at="earlier")).as_text()


def test_someone_elses_update_in_between_makes_a_new_plan():
    assert "update web" in plan_redeploy(observe(service(force_update=9)), before("web", 3)).as_text()


def test_one_service_that_rolls_back_takes_the_updated_ones_along():
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
note: the update of api was already sent
note: the rollback of db has already started
1. finish the rollback of shop_db, shop_api (an update failed, so all services roll back)
"""
    )
    left = plan_redeploy(observe(*stack), Intent("pause", saved))
    assert "update shop_web" not in left.as_text()
    assert left.not_started == ("web",)
