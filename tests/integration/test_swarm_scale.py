"""Scalings of a service of a real Swarm: one number changes, and only the tasks show the result."""

import threading
from typing import Literal

import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.driver import Intent
from clusters.engine.drivers import driver_for
from clusters.engine.errors import PlanRefused
from tests.harness.driving import Drive, observe, scale, scale_with
from tests.harness.eventually import eventually
from tests.harness.images import BASE, CRASH, HEALTHY, SERVE
from tests.harness.interruption import Killed
from tests.harness.swarm import PrivateSwarm
from tests.harness.swarm_clients import DyingClient, MeddledClient

QUICK = ("--stop-grace-period=1s", "--update-monitor=1s", "--restart-delay=0s", "--no-resolve-image")


def create(swarm: PrivateSwarm, *options: str, replicas: int = 2, command: tuple[str, ...] = tuple(SERVE)) -> None:
    swarm.create_service("web", BASE, f"--replicas={replicas}", *QUICK, *options, command=command)
    swarm.wait_for_tasks("web", replicas)


def scale_service(swarm: PrivateSwarm, replicas: int, on_failure: Literal["rollback", "pause"] = "rollback") -> Drive:
    return scale(swarm, replicas, "web", "web", source="service", intent=Intent(on_failure))


def replicas_of(swarm: PrivateSwarm) -> int:
    return int(swarm.inspect_service("web")["Spec"]["Mode"]["Replicated"]["Replicas"])


def running_ids(swarm: PrivateSwarm) -> set[str]:
    return {task["ID"] for task in swarm.running_tasks("web")}


def test_scaling_out_and_in_changes_nothing_but_the_count(swarm: PrivateSwarm) -> None:
    create(swarm, "--env=A=1", "--limit-memory=64m", "--constraint=node.hostname!=nowhere", "--label=x=y", "--mode=replicated")
    spec, first = swarm.inspect_service("web")["Spec"], running_ids(swarm)
    assert spec["Mode"]["Replicated"].pop("Replicas") == 2
    drive = scale_service(swarm, 5)
    assert drive.outcome
    assert (drive.state, drive.outcome.message) == ("succeeded", "web now runs 5 tasks.")
    out = running_ids(swarm)
    assert len(out) == 5
    assert first < out  # none was restarted
    assert drive.progress[-1] == ("web", 5, 5)
    drive = scale_service(swarm, 1)
    assert drive.state == "succeeded", drive.outcome
    left = running_ids(swarm)
    assert len(left) == 1
    assert left < out
    after = swarm.inspect_service("web")["Spec"]
    assert after["Mode"]["Replicated"].pop("Replicas") == 1
    assert after == spec
    with swarm.connect() as api:
        assert len(api.containers(filters={"label": "com.docker.swarm.service.name=web"})) == 1


def test_scaling_to_0_and_back(swarm: PrivateSwarm) -> None:
    create(swarm)
    drive = scale_service(swarm, 0)
    assert drive.outcome
    assert (drive.state, drive.outcome.message) == ("succeeded", "web now runs 0 tasks.")
    assert running_ids(swarm) == set()
    assert scale_service(swarm, 2).state == "succeeded"
    assert len(running_ids(swarm)) == 2


def test_a_count_that_is_there_already_changes_nothing(swarm: PrivateSwarm) -> None:
    create(swarm)
    with EngineClient(swarm.endpoint) as client:
        observation = observe(client, "web", source="service")
        assert observation.current_count("web") == 2
        assert driver_for("service").plan_scale(observation, "web", 2).is_empty()


def test_new_tasks_are_scaled_out_only_when_they_are_healthy(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app", Healthcheck=HEALTHY)
    swarm.create_service("web", reference, "--stop-grace-period=1s", "--update-monitor=1s")
    swarm.wait_for_tasks("web", 1)
    assert scale_service(swarm, 3).state == "succeeded"
    with swarm.connect() as api:
        containers = api.containers(filters={"label": "com.docker.swarm.service.name=web"})
        assert [api.inspect_container(c["Id"])["State"]["Health"]["Status"] for c in containers] == ["healthy"] * 3


@pytest.mark.parametrize("on_failure", ["rollback", "pause"])
def test_tasks_that_cannot_be_placed_fail_with_swarms_reason(
    swarm: PrivateSwarm, on_failure: Literal["rollback", "pause"]
) -> None:
    with swarm.connect() as api:
        memory = api.info()["MemTotal"]
    create(swarm, f"--reserve-memory={memory * 2 // 5}b", "--label=windlass.update.timeout=2s")
    first = running_ids(swarm)
    drive = scale_service(swarm, 4, on_failure)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "stuck")
    assert "2 tasks pending: no suitable node (insufficient resources on 1 node)" in drive.outcome.message
    if on_failure == "rollback":
        assert drive.outcome.message.endswith("The replicas were set back to 2: 2 of 2 tasks run.")
        assert replicas_of(swarm) == 2
    else:
        assert drive.outcome.message.endswith("The replicas were left at 4: 2 of 4 tasks run.")
        assert replicas_of(swarm) == 4
    assert running_ids(swarm) == first


def test_the_count_is_set_back_when_new_tasks_crash(swarm: PrivateSwarm) -> None:
    script = "mkdir /data/taken || exit 9; trap 'exit 0' TERM; sleep 100000 & wait"  # one task can have the volume
    create(swarm, "--mount=type=volume,source=only,target=/data", replicas=1, command=("/bin/sh", "-c", script))
    first = running_ids(swarm)
    drive = scale_service(swarm, 2)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "tasks_failed"), drive.outcome
    assert "web.2 on node1 failed: task: non-zero exit (9)" in drive.outcome.message
    assert "set back to 1: 1 of 1 task runs." in drive.outcome.message
    assert running_ids(swarm) == first


def test_a_paused_update_does_not_hinder_a_scaling(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app", "good")
    swarm.create_service("web", reference, "--stop-grace-period=1s", "--update-monitor=1s", "--restart-delay=0s")
    swarm.wait_for_tasks("web", 1)
    crashing = swarm.publish("app", "bad", Cmd=CRASH)
    swarm.docker("service", "update", "--detach", "--image", crashing, "web")
    wait_for_status(swarm, "paused")
    drive = scale_service(swarm, 0)
    assert drive.state == "succeeded", drive.outcome
    assert running_ids(swarm) == set()


def wait_for_status(swarm: PrivateSwarm, state: str) -> None:
    eventually(lambda: (swarm.inspect_service("web").get("UpdateStatus") or {}).get("State") == state, within=30, what=state)


@pytest.mark.parametrize(
    ("mode", "code"), [("global", "global_mode"), ("replicated-job", "job_mode"), ("global-job", "job_mode")]
)
def test_what_has_no_count_is_refused(swarm: PrivateSwarm, mode: str, code: str) -> None:
    swarm.create_service("web", BASE, f"--mode={mode}", "--no-resolve-image", command=("/bin/true",))
    version = swarm.inspect_service("web")["Version"]
    with pytest.raises(PlanRefused) as caught:
        scale_service(swarm, 3)
    assert caught.value.code == code
    assert swarm.inspect_service("web")["Version"] == version


def test_a_change_at_the_same_moment_is_read_and_kept(swarm: PrivateSwarm) -> None:
    create(swarm)
    with MeddledClient(swarm.endpoint) as client:
        client.meddle = lambda: swarm.docker("service", "update", "--detach", "--label-add", "by=them", "web")  # type: ignore[method-assign]
        drive = scale_with(client, 3, "web", "web", source="service")
    assert drive.state == "succeeded", drive.outcome
    assert swarm.inspect_service("web")["Spec"]["Labels"] == {"by": "them"}


def test_another_count_in_between_is_reported_and_not_undone(swarm: PrivateSwarm) -> None:
    create(swarm)
    done = threading.Event()

    def check() -> None:
        if not done.is_set() and replicas_of(swarm) == 3:
            done.set()
            swarm.docker("service", "scale", "--detach", "web=1")

    with EngineClient(swarm.endpoint) as client:
        drive = scale_with(client, 3, "web", "web", source="service", check=check)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "superseded")
    assert replicas_of(swarm) == 1


@pytest.mark.parametrize("changes", [1, 2], ids=["sent", "set-back"])
def test_a_scaling_is_finished_whichever_worker_dies(swarm: PrivateSwarm, changes: int) -> None:
    with swarm.connect() as api:
        memory = api.info()["MemTotal"]
    create(swarm, f"--reserve-memory={memory * 2 // 5}b", "--label=windlass.update.timeout=2s")
    with EngineClient(swarm.endpoint) as client:
        intent = Intent(before=observe(client, "web", source="service").snapshot())
    with DyingClient(swarm.endpoint) as client:
        client.number = changes
        with pytest.raises(Killed):
            scale_with(client, 4, "web", "web", source="service", intent=intent)
    drive = scale(swarm, 4, "web", "web", source="service", intent=intent)
    assert drive.state == "failed", drive.outcome
    assert drive.outcome
    assert "set back to 2: 2 of 2 tasks run." in drive.outcome.message
    assert replicas_of(swarm) == 2
