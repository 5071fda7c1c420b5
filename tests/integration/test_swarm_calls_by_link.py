"""Links of a real Swarm of three nodes: link → web → queue → worker → manager, and the answer to the caller."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.console import RunningConsole, call_link, open_url, run_console
from tests.harness.eventually import eventually
from tests.harness.images import CRASH, UNHEALTHY
from tests.harness.swarm import PrivateSwarm

SECOND = 1_000_000_000  # nanoseconds
FAST = ("--restart-delay=0s", "--update-monitor=2s", "--rollback-monitor=1s", "--label=windlass.update.monitor=1s")

PATIENT = ("--update-monitor=20s",)  # for updates that fail: by then, even a busy machine has reported it


@pytest.fixture(scope="module")
def console(module_swarm: PrivateSwarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with run_console(tmp_path_factory.mktemp("console") / "data", module_swarm.endpoint_url) as running:
        yield running


@pytest.fixture
def name(unique_name: Callable[[str], str]) -> str:
    return unique_name("shop")


def wanted_rows(swarm: PrivateSwarm, service: str) -> list[dict[str, str]]:
    """Return the rows of `docker service ps` for tasks that should run."""
    return [row for row in swarm.service_ps(service) if row["DesiredState"] == "Running"]


def replicas_of(swarm: PrivateSwarm, service: str) -> int:
    return int(swarm.inspect_service(service)["Spec"]["Mode"]["Replicated"]["Replicas"])


def wait_for_end(answer: dict[str, Any]) -> dict[str, Any]:
    return open_url(f"{answer['statusUrl']}&wait=180", timeout=200)[1]


def test_a_link_redeploys_a_stack_to_the_new_image(console, three_nodes, name):
    swarm = three_nodes
    images = {part: swarm.publish(f"{name}-{part}", Env=["VERSION=1"]) for part in ("web", "worker")}
    counts = {"web": 4, "worker": 2}
    update = {"monitor": "1s", "parallelism": 2}
    services = {
        part: {"image": image, "deploy": {"replicas": counts[part], "update_config": update}} for part, image in images.items()
    }
    swarm.deploy_stack(name, {"services": services})
    before = {part: swarm.wait_for_tasks(f"{name}_{part}", count) for part, count in counts.items()}
    trigger = console.create_trigger(name, "redeploy")
    first = {part: f"{image}@{swarm.registry.read_digest(f'{name}-{part}', '1')}" for part, image in images.items()}
    for part in counts:
        swarm.publish(f"{name}-{part}", Env=["VERSION=2"])

    status, answer = call_link(trigger, wait=120)

    assert (status, answer["code"], answer["state"]) == (200, "200", "succeeded"), answer
    call = console.request("GET", f"/api/v1/calls/{answer['requestId']}/")[1]
    assert call["progress"] == {part: [count, count] for part, count in counts.items()}
    for part, count in counts.items():
        rows = wanted_rows(swarm, f"{name}_{part}")
        assert {row["Image"] for row in rows} == {f"{images[part]}@{swarm.registry.read_digest(f'{name}-{part}', '1')}"}
        assert all(row["CurrentState"].startswith("Running ") for row in rows)
        assert not {row["ID"] for row in rows} & {task["ID"] for task in before[part]}
        assert len(rows) == replicas_of(swarm, f"{name}_{part}") == count
        after = call["after"]["services"][part]
        assert (after["running"], after["wanted"]) == (count, count)
        assert Counter(task["node"] for task in after["containers"]) == Counter(row["Node"] for row in rows)

    status, returning = console.request("POST", f"/api/v1/applications/{trigger['application']}/redeploy-previous/", {})
    assert status == 202, returning
    read = lambda: console.request("GET", f"/api/v1/calls/{returning['id']}/")[1]  # noqa: E731
    ended = eventually(lambda: found if (found := read())["completed_at"] else None, within=120, what="it has returned")
    assert ended["state"] == "succeeded", ended["message"]
    for part, image in first.items():
        assert {row["Image"] for row in wanted_rows(swarm, f"{name}_{part}")} == {image}


BAD = {
    "crashes": ({"Cmd": CRASH}, "task: non-zero exit (1)"),
    "never becomes healthy": ({"Healthcheck": UNHEALTHY, "StopSignal": "SIGKILL"}, "unhealthy container"),
}
# Swarm's own policy, the trigger's, and the expected end of the call.
POLICIES = {
    "paused": ("pause", "pause", "failed", "update_paused"),
    "rolled-back": ("pause", "rollback", "rolled_back", "update_paused"),
    "by-swarm": ("rollback", "pause", "rolled_back", "update_failed"),
    "neither": ("continue", "rollback", "rolled_back", "tasks_failed"),
    "neither-left": ("continue", "pause", "failed", "tasks_failed"),
}


@pytest.mark.parametrize(("config", "error"), BAD.values(), ids=BAD.keys())
def test_a_bad_image_ends_as_the_policies_say(console, three_nodes, name, config, error):
    swarm = three_nodes
    image = swarm.publish(name, Env=["VERSION=1"])
    good = f"{image}@{swarm.registry.read_digest(name, '1')}"
    triggers = {}
    for policy, (action, on_failure, *_) in POLICIES.items():
        watched = () if action == "continue" else PATIENT
        swarm.create_service(f"{name}-{policy}", image, *FAST, *watched, "--replicas=2", f"--update-failure-action={action}")
        swarm.wait_for_tasks(f"{name}-{policy}", 2)
        triggers[policy] = console.create_trigger(f"{name}-{policy}", "redeploy", on_failure=on_failure)
    swarm.publish(name, **config)

    answers = {policy: call_link(trigger)[1] for policy, trigger in triggers.items()}
    ended = {policy: wait_for_end(answer) for policy, answer in answers.items()}

    calls = {p: console.request("GET", f"/api/v1/calls/{answer['requestId']}/")[1] for p, answer in answers.items()}
    for policy, (*_, state, reason) in POLICIES.items():
        assert (ended[policy]["state"], calls[policy]["reason"]) == (state, reason), calls[policy]
        assert error in ended[policy]["message"], ended[policy]["message"]
        failure = ended[policy]["failure"]
        assert (failure["image"], failure["failed"] > 0) == (image, True), failure
        assert failure["imageId"] == swarm.registry.read_digest(name, "1")
        evidence = console.request("GET", f"/api/v1/calls/{answers[policy]['requestId']}/evidence/")[1]
        assert {(one["service"], one["image"], one["problem"]) for one in evidence} == {(f"{name}-{policy}", image, "")}
        if state == "rolled_back":
            rows = wanted_rows(swarm, f"{name}-{policy}")
            assert [row["Image"] for row in rows] == [good, good]
            assert all(row["CurrentState"].startswith("Running ") for row in rows)
    assert swarm.inspect_service(f"{name}-paused")["UpdateStatus"]["State"] == "paused"
    assert "PreviousSpec" not in swarm.inspect_service(f"{name}-by-swarm")  # Swarm's own rollback leaves none


def test_a_link_adds_five_tasks_and_removes_three(console, three_nodes, name):
    swarm = three_nodes
    swarm.create_service(name, swarm.publish(name), *FAST, "--replicas=2")
    first = {task["ID"] for task in swarm.wait_for_tasks(name, 2)}
    trigger = console.create_trigger(name, "scaling", name)
    status, answer = call_link(trigger, type="scale_out", step=5, wait=120)
    assert (status, answer["state"]) == (200, "succeeded"), answer
    rows = wanted_rows(swarm, name)
    assert (len(rows), replicas_of(swarm, name), len({row["Node"] for row in rows})) == (7, 7, 3)
    assert first < {row["ID"] for row in rows}
    status, answer = call_link(trigger, type="scale_in", step=3, wait=120)
    assert (status, answer["state"]) == (200, "succeeded"), answer
    assert len(swarm.running_tasks(name)) == replicas_of(swarm, name) == 4
    assert {task["ID"] for task in swarm.running_tasks(name)} < {row["ID"] for row in rows}


def test_twenty_scale_calls_at_once_add_twenty(console, three_nodes, name):
    swarm = three_nodes
    swarm.create_service(name, swarm.publish(name), *FAST)
    swarm.wait_for_tasks(name, 1)
    trigger = console.create_trigger(name, "scaling", name)
    answers: list[tuple[int, dict[str, Any]]] = []
    callers = [threading.Thread(target=lambda: answers.append(call_link(trigger, type="scale_out", step=1))) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert {status for status, _ in answers} == {200}
    assert {wait_for_end(answer)["state"] for _, answer in answers} == {"succeeded"}
    assert len(swarm.running_tasks(name)) == replicas_of(swarm, name) == 21


def test_tasks_without_room_are_set_back_and_the_caller_learns_why(console, three_nodes, name):
    swarm = three_nodes
    swarm.create_service(
        name, swarm.publish(name), *FAST, "--replicas-max-per-node=1", "--label=windlass.update.timeout=3s", "--replicas=2"
    )
    swarm.wait_for_tasks(name, 2)
    trigger = console.create_trigger(name, "scaling", name)
    status, answer = call_link(trigger, type="scale_out", step=3, wait=120)
    assert (status, answer["state"]) == (500, "failed"), answer
    assert "no suitable node (max replicas per node limit exceed" in answer["message"]
    assert len(swarm.wait_for_tasks(name, 2)) == replicas_of(swarm, name) == 2
