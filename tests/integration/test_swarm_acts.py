"""Restart and delete of stacks and services on a real Swarm."""

import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.driver import Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import PlanRefused
from tests.harness.driving import act
from tests.harness.eventually import eventually
from tests.harness.swarm import PrivateSwarm
from tests.integration.test_swarm_redeploy import QUICK


def deploy(swarm: PrivateSwarm, reference: str) -> None:
    """Deploy the stack `shop` of web (two tasks) and worker, with a network, a config and a secret of its own."""
    settings = {"stop_grace_period": "1s"}
    policy = {"update_config": {"monitor": "1s"}, "restart_policy": {"delay": "0s"}}
    own = swarm.folder / "settings.txt"
    own.write_text("x")
    swarm.deploy_stack(
        "shop",
        {
            "version": "3.8",
            "services": {
                "web": {"image": reference, "configs": ["settings"], "deploy": {"replicas": 2, **policy}, **settings},
                "worker": {"image": reference, "secrets": ["key"], "deploy": policy, **settings},
            },
            "configs": {"settings": {"file": str(own)}},
            "secrets": {"key": {"file": str(own)}},
        },
    )
    swarm.wait_for_tasks("shop_web", 2)
    swarm.wait_for_tasks("shop_worker", 1)


def task_ids(swarm: PrivateSwarm, *services: str) -> set[str]:
    return {str(task["ID"]) for service in services for task in swarm.running_tasks(service)}


def service_ids(swarm: PrivateSwarm, *services: str) -> set[str]:
    return {str(swarm.inspect_service(service)["ID"]) for service in services}


def wait_until_forgotten(swarm: PrivateSwarm, services: set[str]) -> None:
    """Wait until Swarm has forgotten the tasks of these services (ids). It keeps those of other jobs forever."""
    with swarm.connect() as api:
        eventually(lambda: not services & {task["ServiceID"] for task in api.tasks()}, within=60)


def test_a_stack_is_restarted_with_its_exact_images_and_deleted_with_all_its_objects(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("acts", Env=["VERSION=1"])
    deploy(swarm, reference)
    swarm.create_service("other", reference, "--replicas=1", *QUICK)
    swarm.wait_for_tasks("other", 1)
    before = task_ids(swarm, "shop_web", "shop_worker")
    images = {task["Spec"]["ContainerSpec"]["Image"] for task in swarm.running_tasks("shop_web")}
    swarm.publish("acts", Env=["VERSION=2"])

    drive = act(swarm, "restart", source="stack")
    assert drive.state == "succeeded", drive
    after = task_ids(swarm, "shop_web", "shop_worker")
    assert (len(after), after & before) == (3, set())
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in swarm.running_tasks("shop_web")} == images

    with EngineClient(swarm.endpoint) as client:
        losses = driver_for("stack").read_losses(client, Target("shop", "stack"))
    assert (losses.parts, losses.networks) == (("shop_web", "shop_worker"), ("shop_default",))
    assert (losses.configs, losses.secrets) == (("shop_settings",), ("shop_key",))

    own = service_ids(swarm, "shop_web", "shop_worker")
    drive = act(swarm, "delete", source="stack")
    assert drive.state == "succeeded", drive
    assert drive.outcome
    assert drive.outcome.message == "shop was deleted. Volumes and images are kept."
    with swarm.connect() as api:
        [other] = api.services()
        assert {task["ServiceID"] for task in api.tasks() if task["Status"]["State"] == "running"} == {other["ID"]}
        wait_until_forgotten(swarm, own)
        eventually(lambda: "shop" not in str([*api.networks(), *api.configs(), *api.secrets()]), within=60)
    assert task_ids(swarm, "other")


def test_a_lone_service_is_restarted_and_deleted_and_never_stopped(swarm: PrivateSwarm) -> None:
    swarm.create_service("lone", swarm.publish("acts"), "--replicas=1", *QUICK)
    swarm.wait_for_tasks("lone", 1)
    before = task_ids(swarm, "lone")
    for word in ("stop", "start"):
        with pytest.raises(PlanRefused, match="A Swarm has no stopped services"):
            act(swarm, word, "lone", source="service")  # type: ignore[arg-type]
    assert task_ids(swarm, "lone") == before
    assert act(swarm, "restart", "lone", source="service").state == "succeeded"
    assert not task_ids(swarm, "lone") & before
    own = service_ids(swarm, "lone")
    assert act(swarm, "delete", "lone", source="service").state == "succeeded"
    with swarm.connect() as api:
        assert api.services() == []
    wait_until_forgotten(swarm, own)
