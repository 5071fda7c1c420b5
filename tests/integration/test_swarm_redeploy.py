"""Redeploys of stacks and lone services of a real Swarm: the driver must report what the Swarm reports."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.driver import Intent
from clusters.engine.errors import NotManager, PlanRefused, TargetMissing
from clusters.engine.fakes.fake_engine import SERVES
from tests.harness.driving import Drive, observe, redeploy, redeploy_with
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.images import BASE, CRASH, HEALTHY, SERVE, UNHEALTHY
from tests.harness.interruption import Killed
from tests.harness.registry import LOGIN
from tests.harness.swarm import ON_THE_HOST, PrivateSwarm
from tests.harness.swarm_clients import DyingClient, MeddledClient

QUICK = (
    "--stop-grace-period=1s",
    "--update-monitor=1s",
    "--rollback-monitor=1s",
    "--restart-delay=0s",
)
# For services whose tasks will fail: by then, even a busy machine has reported it.
WATCHED = ("--update-monitor=20s", "--rollback-monitor=20s")
LEAVE = Intent("pause")


def create(swarm: PrivateSwarm, reference: str, *options: str, name: str = "web", replicas: int = 2) -> None:
    swarm.create_service(name, reference, f"--replicas={replicas}", *QUICK, *options)
    if replicas:
        swarm.wait_for_tasks(name, replicas)


def redeploy_service(swarm: PrivateSwarm, name: str = "web", intent: Intent | None = None) -> Drive:
    return redeploy(swarm, name, source="service", intent=intent or Intent())


def images_of(swarm: PrivateSwarm, service: str = "web") -> set[str]:
    return {str(task["Spec"]["ContainerSpec"]["Image"]) for task in swarm.running_tasks(service)}


def digest(swarm: PrivateSwarm, name: str, tag: str = "1") -> str:
    return swarm.registry.read_digest(name, tag)


def status(swarm: PrivateSwarm, service: str = "web") -> dict[str, Any]:
    return swarm.inspect_service(service).get("UpdateStatus") or {}


def force_update(swarm: PrivateSwarm, service: str = "web") -> int:
    return int(swarm.inspect_service(service)["Spec"]["TaskTemplate"].get("ForceUpdate", 0))


def replicas_of(swarm: PrivateSwarm, service: str = "web") -> int:
    return int(swarm.inspect_service(service)["Spec"]["Mode"]["Replicated"]["Replicas"])


# The image


def test_a_new_image_under_the_same_tag_runs_everywhere_and_the_count_is_kept(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app")
    create(swarm, reference, replicas=3)
    swarm.docker("service", "scale", "--detach", "web=2")  # as someone else has scaled it since
    swarm.wait_for_tasks("web", 2)
    before = swarm.inspect_service("web")["Spec"]
    swarm.publish("app")
    drive = redeploy_service(swarm)
    assert drive.state == "succeeded", drive.outcome
    pinned = f"{reference}@{digest(swarm, 'app')}"
    assert images_of(swarm) == {pinned}
    assert len(swarm.running_tasks("web")) == replicas_of(swarm) == 2
    after = swarm.inspect_service("web")["Spec"]
    after["TaskTemplate"]["ContainerSpec"]["Image"] = before["TaskTemplate"]["ContainerSpec"]["Image"]
    after["TaskTemplate"]["ForceUpdate"] -= 1
    assert after == before
    assert drive.progress[-1] == ("web", 2, 2)
    assert drive.outcome
    assert drive.outcome.message == f"2 tasks of web now run {reference}@{digest(swarm, 'app')[:19]}."


def test_a_step_and_a_check_are_jobs_around_the_update(swarm: PrivateSwarm) -> None:
    swarm.docker("network", "create", "--driver=overlay", "back")
    labels = [
        "windlass.predeploy=/bin/sh -c 'echo \"error: step $KEY\"; exit $CODE'",
        "windlass.check=http://:8080/index.html",
        "windlass.check.timeout=20s",
    ]
    reference = swarm.publish("app", Cmd=SERVES)
    options = [f"--label={label}" for label in labels]
    create(swarm, reference, "--network=back", "--env=KEY=k", *options, replicas=1)
    swarm.publish("app", Cmd=SERVES, Env=["CODE=0"])
    drive = redeploy_service(swarm, intent=Intent(call="one"))
    assert drive.state == "succeeded", drive.outcome
    assert "web passed its check: http://:8080/index.html answered 200 OK" in drive.texts("info")
    updated = force_update(swarm)
    swarm.publish("app", Cmd=SERVES, Env=["CODE=4"])
    drive = redeploy_service(swarm, intent=Intent(call="two"))
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "predeploy_failed")
    assert drive.outcome.message.startswith("The pre-deploy step of web failed (exit code 4)")
    assert [item.first_error for item in drive.evidence] == ["error: step k"]
    assert force_update(swarm) == updated
    with swarm.connect() as api:
        assert [service["Spec"]["Name"] for service in api.services()] == ["web"]


def test_the_same_digest_creates_new_tasks_anyway(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), replicas=1)
    before = {task["ID"] for task in swarm.running_tasks("web")}
    assert redeploy_service(swarm).state == "succeeded"
    after = {task["ID"] for task in swarm.running_tasks("web")}
    assert len(after) == 1
    assert not after & before


def test_a_tag_that_the_registry_lost_touches_nothing(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), replicas=1)
    swarm.registry.delete_tag("app", "1")
    version = swarm.inspect_service("web")["Version"]
    drive = redeploy_service(swarm)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "pull_not_found")
    assert "Nothing was touched." in drive.outcome.message
    assert swarm.inspect_service("web")["Version"] == version


def test_an_image_that_is_only_on_the_nodes_is_updated_with_a_warning(swarm: PrivateSwarm) -> None:
    command = tuple(SERVE)
    swarm.create_service("web", BASE, "--no-resolve-image", *QUICK, command=command)
    swarm.wait_for_tasks("web", 1)
    drive = redeploy_service(swarm)
    assert drive.state == "succeeded", drive.outcome
    assert images_of(swarm) == {BASE}
    assert drive.outcome
    assert "each node resolves it itself" in drive.outcome.message


def test_a_registry_that_does_not_answer_is_reported_and_the_old_tasks_come_back(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app")
    create(swarm, reference)
    before = images_of(swarm)
    swarm.registry.stop()
    try:
        drive = redeploy_service(swarm)
    finally:
        swarm.registry.start()
    assert drive.state == "rolled_back", drive.outcome
    assert images_of(swarm) == before
    assert drive.outcome
    assert "No such image" in drive.outcome.message
    assert "could not be resolved" in drive.outcome.message


# Credentials


def test_credentials_that_swarm_has_survive_an_update_without_any(swarm: PrivateSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    private = swarm.run_registry(**LOGIN)
    swarm.log_in(private)
    reference = swarm.publish("app", registry=private)
    create(swarm, reference, "--with-registry-auth", replicas=1)
    for _ in range(2):
        swarm.publish("app", registry=private)
        drive = redeploy_service(swarm)
        assert drive.state == "succeeded", drive.outcome
        assert any("could not be resolved" in text for text in drive.texts("warning"))
        assert images_of(swarm) == {reference}
    latest = swarm.publish("app", registry=private)
    monkeypatch.setenv("DOCKER_CONFIG", str(swarm.folder / "cli"))
    drive = redeploy_service(swarm)
    assert drive.state == "succeeded", drive.outcome
    assert images_of(swarm) == {f"{latest}@{private.read_digest('app', '1')}"}


def test_stored_credentials_are_sent_and_a_change_of_them_counts_at_once(swarm: PrivateSwarm) -> None:
    private = swarm.run_registry(**LOGIN)
    reference = swarm.publish("app", registry=private)
    swarm.log_in(private)
    create(swarm, reference, "--with-registry-auth", replicas=1)
    swarm.publish("app", registry=private)
    stored = {"username": LOGIN["user"], "password": "outdated", "serveraddress": private.host}
    version = swarm.inspect_service("web")["Version"]
    drive = redeploy(swarm, "web", source="service", credentials=lambda asked, endpoint: PullCredentials(stored))
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "pull_unauthorized")
    assert "Nothing was touched." in drive.outcome.message
    assert swarm.inspect_service("web")["Version"] == version
    stored["password"] = LOGIN["password"]
    drive = redeploy(swarm, "web", source="service", credentials=lambda asked, endpoint: PullCredentials(stored))
    assert drive.state == "succeeded", drive.outcome
    assert images_of(swarm) == {f"{reference}@{private.read_digest('app', '1')}"}


def test_another_tag_stays_for_plain_redeploys_and_a_tag_that_fails_does_not_replace_it(swarm: PrivateSwarm) -> None:
    first = swarm.publish("app", tag="1")
    by_digest = f"{first.rpartition(':')[0]}@{digest(swarm, 'app')}"
    create(swarm, by_digest, replicas=1)
    second = swarm.publish("app", tag="2")
    swarm.publish("app", tag="3", Cmd=CRASH)
    drive = redeploy_service(swarm, intent=Intent(tag="2"))
    assert drive.state == "succeeded", drive.outcome
    assert images_of(swarm) == {f"{second}@{digest(swarm, 'app', '2')}"}
    swarm.publish("app", tag="2")
    assert redeploy_service(swarm).state == "succeeded"
    pinned = f"{second}@{digest(swarm, 'app', '2')}"
    assert images_of(swarm) == {pinned}
    assert redeploy_service(swarm, intent=Intent(tag="3")).state == "rolled_back"
    assert images_of(swarm) == {pinned}
    version = swarm.inspect_service("web")["Version"]
    drive = redeploy_service(swarm, intent=Intent(tag="nowhere"))
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "pull_not_found")
    assert swarm.inspect_service("web")["Version"] == version


def test_a_rollback_keeps_the_credentials(swarm: PrivateSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    private = swarm.run_registry(**LOGIN)
    swarm.log_in(private)
    monkeypatch.setenv("DOCKER_CONFIG", str(swarm.folder / "cli"))
    create(swarm, swarm.publish("app", registry=private), "--with-registry-auth", *WATCHED[:1], replicas=1)
    swarm.publish("app", registry=private, Cmd=CRASH)
    assert redeploy_service(swarm).state == "rolled_back"
    with swarm.connect() as api:  # the node has to pull again
        for reference in [name for image in api.images() for name in image["RepoDigests"] or [] if private.host in name]:
            api.remove_image(reference, force=True)
    swarm.docker("service", "scale", "--detach", "web=2")
    swarm.wait_for_tasks("web", 2)


# Failures, under the policies of Swarm and of the trigger


@pytest.mark.parametrize("action", ["pause", "rollback", "continue"])
@pytest.mark.parametrize("left", [False, True], ids=["roll-back", "leave"])
def test_a_crashing_image_ends_truthfully(swarm: PrivateSwarm, action: str, left: bool) -> None:
    watched = WATCHED[:1] if action != "continue" else ()  # Swarm stops watching only where it must continue
    create(swarm, swarm.publish("app"), f"--update-failure-action={action}", *watched)
    before = images_of(swarm)
    swarm.publish("app", Cmd=["/bin/sh", "-c", "exit 7"])
    drive = redeploy_service(swarm, intent=LEAVE if left else None)
    assert drive.outcome
    assert "web." in drive.outcome.message
    assert "non-zero exit (7)" in drive.outcome.message
    if left and action != "rollback":
        assert drive.state == "failed", drive.outcome
        assert status(swarm)["State"] == ("paused" if action == "pause" else "completed")
        assert drive.outcome.reason == ("update_paused" if action == "pause" else "tasks_failed")
    else:
        assert drive.state == "rolled_back", drive.outcome
        assert status(swarm)["State"] == "rollback_completed"
        assert images_of(swarm) == before
        assert len(swarm.running_tasks("web")) == 2


@pytest.mark.parametrize("action", ["pause", "rollback", "continue"])
def test_an_image_that_never_becomes_healthy_is_rolled_back(swarm: PrivateSwarm, action: str) -> None:
    create(swarm, swarm.publish("app", Healthcheck=HEALTHY), f"--update-failure-action={action}")
    before = images_of(swarm)
    swarm.publish("app", Healthcheck=UNHEALTHY, Cmd=["/bin/sh", "-c", "sleep 100000"])
    drive = redeploy_service(swarm)
    assert drive.state == "rolled_back", drive.outcome
    assert drive.outcome
    assert "unhealthy container" in drive.outcome.message
    assert images_of(swarm) == before


def test_a_service_that_is_never_restarted_is_not_waited_for(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), "--update-failure-action=continue", "--restart-condition=none")
    swarm.publish("app", Cmd=CRASH)
    drive = redeploy_service(swarm, intent=LEAVE)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "tasks_failed")
    assert "Swarm does not start it again" in drive.outcome.message
    assert "0 of 2 tasks of web run" in drive.outcome.message


def test_a_rollback_that_fails_too_is_a_failure(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app", tag="good")
    crashing = swarm.publish("app", Cmd=CRASH)
    # The delay keeps Swarm from starting a task again during the rollback, which it would take for the end of the rollback.
    create(swarm, reference, *WATCHED, "--restart-delay=10s", replicas=1)
    swarm.docker("service", "update", "--detach", "--image", crashing, "web")
    drive = redeploy_service(swarm)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "rollback_paused"), drive.outcome
    assert status(swarm)["State"] == "rollback_paused"


def test_a_rollback_that_swarm_completes_unwatched_is_not_a_success_when_the_old_version_ends(
    swarm: PrivateSwarm,
) -> None:
    """A failed task is not started again here, so Swarm finds none to replace during the rollback."""
    reference = swarm.publish("app", tag="good")
    ends_soon = swarm.publish("app", Cmd=["/bin/sh", "-c", "sleep 2; exit 4"])
    create(swarm, reference, "--restart-condition=none", *WATCHED, replicas=1)
    swarm.docker("service", "update", "--detach", "--image", ends_soon, "web")
    eventually(lambda: status(swarm).get("State") == "paused", within=60)
    swarm.publish("app", Cmd=CRASH)
    drive = redeploy_service(swarm)
    assert status(swarm)["State"] == "rollback_completed"
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "tasks_failed"), drive.outcome
    assert "Swarm does not start it again: web.1 on node1 failed: task: non-zero exit (4)" in drive.outcome.message
    assert "Now: 0 of 1 task of web runs." in drive.outcome.message


def test_a_paused_earlier_update_does_not_prevent_the_next(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"))
    swarm.publish("app", Cmd=CRASH)
    assert redeploy_service(swarm, intent=LEAVE).state == "failed"
    assert status(swarm)["State"] == "paused"
    reference = swarm.publish("app")
    drive = redeploy_service(swarm)
    assert drive.state == "succeeded", drive.outcome
    assert images_of(swarm) == {f"{reference}@{digest(swarm, 'app')}"}


def test_tasks_that_no_node_takes_are_stuck_and_rolled_back(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), "--update-order=start-first", "--label=windlass.update.timeout=2s")
    before = images_of(swarm)
    running = {task["ID"] for task in swarm.running_tasks("web")}
    swarm.docker("node", "update", "--availability=pause", swarm.manager.name)
    swarm.publish("app")
    drive = redeploy_service(swarm)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("rolled_back", "stuck"), drive.outcome
    assert "1 task pending: no suitable node (1 node not available for new tasks)" in drive.outcome.message
    assert images_of(swarm) == before
    assert {task["ID"] for task in swarm.running_tasks("web")} == running


@contextlib.contextmanager
def silent_server(address: str) -> Iterator[int]:
    """Run a server that accepts connections and never answers. Yield its port."""
    with socket.create_server((address, 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("room", [["--publish=mode=host,target=80,published=8080"], ["--replicas-max-per-node=1"]], ids=str)
def test_start_first_without_room_for_a_second_task_is_refused_untouched(swarm: PrivateSwarm, room: list[str]) -> None:
    reference = swarm.publish("app")
    create(swarm, reference, "--update-order=start-first", *room, replicas=1)
    before = swarm.inspect_service("web")["Version"]
    swarm.publish("app")
    with pytest.raises(PlanRefused, match="no node has room for its next task") as refused:
        redeploy_service(swarm)
    assert refused.value.code == "no_room"
    assert swarm.inspect_service("web")["Version"] == before
    # The reverse: where the old task ends first, there is room.
    swarm.docker("service", "update", "--detach", "--update-order=stop-first", "web")
    assert redeploy_service(swarm).state == "succeeded"


def test_an_image_that_never_arrives_ends_at_the_deadline(swarm: PrivateSwarm) -> None:
    with silent_server(swarm.host_address) as port:
        image = f"{swarm.host_address}:{port}/app:1"
        swarm.create_service("web", image, *QUICK, "--no-resolve-image", "--label=windlass.update.timeout=3s")
        with EngineClient(swarm.endpoint, timeout=2) as client:
            drive = redeploy_with(client, "web", source="service", intent=LEAVE)
        swarm.docker("service", "rm", "web")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "stuck"), drive.outcome
    assert "Nothing has happened to web for 3 s: web.1 " in drive.outcome.message
    assert any("could not be resolved" in text for text in drive.texts("warning"))


# Modes


def test_a_service_of_no_replicas_succeeds_at_once(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app")
    create(swarm, reference, replicas=0)
    swarm.publish("app")
    drive = redeploy_service(swarm)
    assert drive.state == "succeeded"
    assert drive.outcome
    assert "no tasks to run" in drive.outcome.message
    assert (
        swarm.inspect_service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == f"{reference}@{digest(swarm, 'app')}"
    )
    assert replicas_of(swarm) == 0


def test_a_global_service_is_followed_on_every_node(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app")
    swarm.create_service("web", reference, "--mode=global", *QUICK)
    swarm.wait_for_tasks("web", 1)
    swarm.publish("app")
    drive = redeploy_service(swarm)
    assert drive.state == "succeeded", drive.outcome
    assert images_of(swarm) == {f"{reference}@{digest(swarm, 'app')}"}


@pytest.mark.parametrize("mode", ["replicated-job", "global-job"])
def test_a_job_runs_once_more_and_is_followed_until_it_has_completed(swarm: PrivateSwarm, mode: str) -> None:
    reference = swarm.publish("app", Cmd=["/bin/true"])
    swarm.create_service("job", reference, f"--mode={mode}")
    assert redeploy_service(swarm, "job").state == "succeeded"
    completed = [task for task in swarm.list_tasks("job") if task["Status"]["State"] == "complete"]
    assert [task["Spec"]["ForceUpdate"] for task in completed if task.get("JobIteration", {}).get("Index")] == [1]


def test_a_job_that_fails_is_never_rolled_back(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("app", Cmd=["/bin/true"])
    swarm.create_service("job", reference, "--mode=replicated-job", "--restart-max-attempts=1", "--restart-delay=0s")
    swarm.publish("app", Cmd=["/bin/sh", "-c", "exit 3"])
    drive = redeploy_service(swarm, "job")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "tasks_failed"), drive.outcome
    assert "non-zero exit (3)" in drive.outcome.message
    assert force_update(swarm, "job") == 1


# Races


def test_a_change_at_the_same_moment_is_read_and_kept(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), replicas=1)
    with MeddledClient(swarm.endpoint) as client:
        client.meddle = lambda: swarm.docker("service", "update", "--detach", "--label-add", "by=them", "web") and None  # type: ignore[method-assign]
        drive = redeploy_with(client, "web", source="service")
    assert drive.state == "succeeded", drive.outcome
    assert swarm.inspect_service("web")["Spec"]["Labels"] == {"by": "them"}
    assert force_update(swarm) == 1


def test_a_service_that_others_keep_changing_is_given_up(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), replicas=1)
    numbers = iter(range(100))
    with MeddledClient(swarm.endpoint) as client:
        client.times = 100
        client.meddle = lambda: (
            swarm.docker("service", "update", "--detach", "--label-add", f"n={next(numbers)}", "web") and None
        )  # type: ignore[method-assign]
        drive = redeploy_with(client, "web", source="service")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "out_of_sequence")
    assert "Nothing was touched." in drive.outcome.message
    assert force_update(swarm) == 0
    assert next(numbers) == 5


def test_a_service_that_got_another_image_in_the_meantime_is_left_alone(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), replicas=1)
    other = swarm.publish("app", "2")
    with MeddledClient(swarm.endpoint) as client:
        client.meddle = lambda: swarm.docker("service", "update", "--detach", "--image", other, "web") and None  # type: ignore[method-assign]
        drive = redeploy_with(client, "web", source="service")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "superseded")
    assert force_update(swarm) == 0


def once_it_moves(swarm: PrivateSwarm, act: Callable[[], Any]) -> Callable[[], None]:
    """Return a `check` that calls `act` once, as soon as the update was sent."""
    done: list[bool] = []

    def check() -> None:
        if not done and force_update(swarm) == 1:
            done.append(True)
            act()

    return check


def test_an_update_by_someone_else_in_between_is_reported_and_not_undone(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"))
    other = swarm.publish("app", "2")
    check = once_it_moves(swarm, lambda: swarm.docker("service", "update", "--detach", "--image", other, "web"))
    with EngineClient(swarm.endpoint) as client:
        drive = redeploy_with(client, "web", source="service", check=check)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "superseded")
    assert swarm.inspect_service("web")["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].startswith(other)


def test_a_service_that_is_removed_in_between_is_reported(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), replicas=1)
    check = once_it_moves_or_gone(swarm, lambda: swarm.docker("service", "rm", "web"))
    with EngineClient(swarm.endpoint) as client:
        drive = redeploy_with(client, "web", source="service", check=check)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "not_found")


def once_it_moves_or_gone(swarm: PrivateSwarm, act: Callable[[], Any]) -> Callable[[], None]:
    check = once_it_moves(swarm, act)

    def wrapped() -> None:
        with contextlib.suppress(docker.errors.NotFound):
            check()

    return wrapped


def test_consecutive_redeploys_leave_no_task_behind(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), "--update-order=start-first")
    for _ in range(3):
        swarm.publish("app")
        assert redeploy_service(swarm).state == "succeeded"
        assert len(swarm.running_tasks("web")) == 2
    with swarm.connect() as api:
        assert len(api.containers(filters={"label": "com.docker.swarm.service.name=web"})) == 2


# Stacks


def make_stack(swarm: PrivateSwarm, bad: str = "", **labels: dict[str, str]) -> None:
    """Deploy the services `api`, `db` and `web`, with one task each and images of the same names.

    The update of `bad` will fail, so Swarm can watch it for longer than a busy machine needs to report a task's end.
    """

    def describe(name: str) -> dict[str, Any]:
        update, rollback = {"monitor": "20s" if name == bad else "1s"}, {"monitor": "1s"}
        deploy = {"update_config": update, "rollback_config": rollback, "labels": labels.get(name, {})}
        return {"image": swarm.publish(name), "stop_grace_period": "1s", "deploy": deploy}

    swarm.deploy_stack("shop", {**ON_THE_HOST, "services": {name: describe(name) for name in ("api", "db", "web")}})
    for name in ("api", "db", "web"):
        swarm.wait_for_tasks(f"shop_{name}", 1)


def redeploy_stack(swarm: PrivateSwarm, intent: Intent | None = None, service: str = "") -> Drive:
    return redeploy(swarm, "shop", service, source="stack", intent=intent or Intent())


def test_services_of_a_stack_are_updated_in_the_order_that_labels_give(swarm: PrivateSwarm) -> None:
    make_stack(swarm, api={"windlass.depends": "db"}, web={"windlass.depends": "shop_api"})
    drive = redeploy_stack(swarm)
    assert drive.state == "succeeded", drive.outcome
    made = {name: swarm.running_tasks(f"shop_{name}")[0]["CreatedAt"] for name in ("api", "db", "web")}
    assert made["db"] < made["api"] < made["web"]


def test_one_service_of_a_stack_is_redeployed_alone(swarm: PrivateSwarm) -> None:
    make_stack(swarm)
    assert redeploy_stack(swarm, service="web").state == "succeeded"
    assert [force_update(swarm, f"shop_{name}") for name in ("api", "db", "web")] == [0, 0, 1]


def test_a_stack_is_rolled_back_as_a_whole(swarm: PrivateSwarm) -> None:
    make_stack(swarm, bad="web", web={"windlass.depends": "db,api"})
    before = {name: images_of(swarm, f"shop_{name}") for name in ("api", "db", "web")}
    for name in ("api", "db"):
        swarm.publish(name)
    swarm.publish("web", Cmd=CRASH)
    drive = redeploy_stack(swarm)
    assert drive.state == "rolled_back", drive.outcome
    assert {name: images_of(swarm, f"shop_{name}") for name in before} == before
    assert all(status(swarm, f"shop_{name}")["State"] == "rollback_completed" for name in before)


def test_a_stack_that_is_left_reports_the_state_of_each_service(swarm: PrivateSwarm) -> None:
    make_stack(swarm, bad="db", web={"windlass.depends": "db"})
    swarm.publish("db", Cmd=CRASH)
    drive = redeploy_stack(swarm, LEAVE)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "update_paused")
    assert "0 of 1 task of db runs (its update is paused)" in drive.outcome.message
    assert "1 of 1 task of api runs" in drive.outcome.message
    assert "web was not updated." in drive.outcome.message
    assert [force_update(swarm, f"shop_{name}") for name in ("api", "db", "web")] == [1, 1, 0]


# Taken over from a dead worker


def die_at(swarm: PrivateSwarm, change: str, is_sent: bool, intent: Intent) -> None:
    with DyingClient(swarm.endpoint) as client:
        client.change, client.is_sent = change, is_sent
        with pytest.raises(Killed):
            redeploy_with(client, "web", source="service", intent=intent)


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "unsent"])
def test_an_update_is_sent_once_whichever_worker_dies(swarm: PrivateSwarm, is_sent: bool) -> None:
    reference = swarm.publish("app")
    create(swarm, reference, replicas=1)
    swarm.publish("app")
    with EngineClient(swarm.endpoint) as client:
        intent = Intent(before=observe(client, "web", source="service").snapshot())
    die_at(swarm, "update_service", is_sent, intent)
    drive = redeploy_service(swarm, intent=intent)
    assert drive.state == "succeeded", drive.outcome
    assert force_update(swarm) == 1
    assert images_of(swarm) == {f"{reference}@{digest(swarm, 'app')}"}


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "unsent"])
def test_a_rollback_is_finished_whichever_worker_dies(swarm: PrivateSwarm, is_sent: bool) -> None:
    create(swarm, swarm.publish("app"), *WATCHED[:1], replicas=1)
    before = images_of(swarm)
    swarm.publish("app", Cmd=CRASH)
    with EngineClient(swarm.endpoint) as client:
        intent = Intent(before=observe(client, "web", source="service").snapshot())
    die_at(swarm, "roll_back_service", is_sent, intent)
    drive = redeploy_service(swarm, intent=intent)
    assert drive.state == "rolled_back", drive.outcome
    assert drive.outcome
    assert "non-zero exit (1)" in drive.outcome.message
    assert images_of(swarm) == before
    assert force_update(swarm) == 0


# Nothing to redeploy


def test_an_engine_that_is_not_a_manager_is_reported(engine: PrivateEngine) -> None:
    with EngineClient(engine.endpoint) as client, pytest.raises(NotManager):
        observe(client, "web", source="service")


def test_a_service_whose_name_only_starts_the_same_is_not_the_target(swarm: PrivateSwarm) -> None:
    create(swarm, swarm.publish("app"), name="web-two", replicas=1)
    with EngineClient(swarm.endpoint) as client, pytest.raises(TargetMissing):
        observe(client, "web", source="service")
