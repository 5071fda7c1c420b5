"""Recover from the leftovers of a worker that died. test_recreate_recovery.py tries every boundary of every plan."""

import pytest

from clusters.engine.standalone.recovery import recover
from clusters.engine.tests.recording import load_container, observed_container

OLD, NEW = "1" * 12, "2" * 12
NAME = "hello_web_1"
NEW_NAME = f"{NAME}.windlass-new.{OLD}.r"
OLD_NAME = f"{NAME}.windlass-old.{OLD}.r"
KEPT_NAME = f"{NAME}.windlass-kept.{OLD}.r"
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}
NEVER = {"Name": "no", "MaximumRetryCount": 0}


def container(name, container_id, state="running", policy=ALWAYS, health="", **host_config):
    details = load_container("hello_web_1", name, container_id, state, RestartPolicy=policy, **host_config)
    details["Created"] = f"2026-01-0{container_id[0]}T00:00:00Z"
    if health:
        details["State"]["Health"] = {"Status": health}
    return observed_container(details)


def recovered(*containers):
    """Return the survivor and the operations' descriptions with short names."""
    found = recover(containers)
    sentences = [operation.describe() for operation in (*found.operations, *found.leftovers)]
    assert len(found.containers) == 1
    return found.containers[0], [
        text.replace(NEW_NAME, "NEW").replace(OLD_NAME, "OLD").replace(NAME, "web") for text in sentences
    ]


def test_finished_containers_are_left_alone():
    found = recover([container(NAME, OLD), container("hello_web_2", NEW)])
    assert len(found.containers) == 2
    assert not found.operations + found.leftovers


def test_a_new_container_that_was_never_proven_is_removed_and_the_old_one_keeps_running():
    survivor, sentences = recovered(container(NAME, OLD), container(NEW_NAME, NEW, "created"))
    assert sentences == [f"rename NEW to web.windlass-gone.{NEW}.r", "remove NEW and its anonymous volumes"]
    assert (survivor.short_id, survivor.name, survivor.running) == (OLD, NAME, True)


def test_an_old_container_that_was_stopped_first_gets_its_policy_back_and_is_started():
    ports = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    survivor, sentences = recovered(container(NAME, OLD, "exited", NEVER, **ports), container(NEW_NAME, NEW, **ports))
    assert sentences[:3] == ["stop NEW", "set the restart policy of web to always", "start web"]
    assert survivor.running
    assert survivor.restart_policy == ALWAYS


def test_a_new_container_that_can_run_beside_the_old_one_is_stopped_only_after_that_runs_again():
    _, sentences = recovered(container(NAME, OLD, "exited", NEVER), container(NEW_NAME, NEW))
    assert sentences[:3] == ["set the restart policy of web to always", "start web", "stop NEW"]


@pytest.mark.parametrize("successor", [NAME, NEW_NAME])
def test_once_the_old_container_is_parked_a_healthy_successor_takes_its_place(successor):
    survivor, sentences = recovered(container(OLD_NAME, OLD, "exited", NEVER), container(successor, NEW))
    assert sentences == [*(["rename NEW to web"] if successor == NEW_NAME else []), "remove OLD"]
    assert (survivor.short_id, survivor.name) == (NEW, NAME)
    assert survivor.previous_ids == {OLD}


@pytest.mark.parametrize(("state", "health"), [("exited", ""), ("restarting", ""), ("running", "unhealthy")])
def test_a_parked_container_is_restored_if_its_successor_is_not_healthy(state, health):
    survivor, sentences = recovered(container(OLD_NAME, OLD, "exited", NEVER), container(NAME, NEW, state, health=health))
    assert [text for text in sentences if not text.startswith("stop")] == [
        f"rename web to web.windlass-gone.{NEW}.r",
        "set the restart policy of OLD to always",
        "start OLD",
        "rename OLD to web",
        "remove web and its anonymous volumes",
    ]
    assert survivor.short_id == OLD


@pytest.mark.parametrize(("state", "is_stopped"), [("running", True), ("created", False)])
def test_a_kept_container_is_restored_even_if_its_successor_runs_since_that_is_not_proven(state, is_stopped):
    ports = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    old, new = container(KEPT_NAME, OLD, "exited", NEVER, **ports), container(NAME, NEW, state, **ports)
    survivor, sentences = recovered(old, new)
    assert sentences == [
        *(["stop web"] if is_stopped else []),
        "rename web to NEW",
        f"set the restart policy of web.windlass-kept.{OLD}.r to always",
        f"start web.windlass-kept.{OLD}.r",
        f"rename web.windlass-kept.{OLD}.r to web",
        f"rename web to web.windlass-gone.{NEW}.r",
        "remove web and its anonymous volumes",
    ]
    assert (survivor.short_id, survivor.running, survivor.restart_policy) == (OLD, True, ALWAYS)


def test_a_kept_container_that_still_runs_gets_its_name_back_before_its_successor_is_stopped():
    _, sentences = recovered(container(KEPT_NAME, OLD), container(NAME, NEW))
    assert sentences[:3] == ["rename web to NEW", f"rename web.windlass-kept.{OLD}.r to web", "stop web"]


def test_a_kept_spare_is_restored_even_if_the_successor_runs():
    third = "3" * 12
    survivor, sentences = recovered(container(KEPT_NAME, NEW, "created"), container(NAME, third))
    assert (survivor.short_id, survivor.running) == (NEW, True)
    assert f"start web.windlass-kept.{OLD}.r" in sentences


def test_a_parked_container_without_a_successor_is_restored():
    survivor, sentences = recovered(container(OLD_NAME, OLD, "exited"))
    assert sentences == ["start OLD", "rename OLD to web"]
    assert survivor.name == NAME


def test_a_stopped_container_is_not_started():
    stopped = f"{NAME}.windlass-old.{OLD}.s"
    survivor, sentences = recovered(container(stopped, OLD, "exited"), container(NAME, NEW, "created"))
    assert not any(text.startswith("start") for text in sentences)
    assert (survivor.short_id, survivor.running) == (NEW, False)


def test_a_new_container_is_kept_if_somebody_removed_the_old_one():
    survivor, sentences = recovered(container(NEW_NAME, NEW))
    assert sentences == ["rename NEW to web"]
    assert survivor.short_id == NEW


def test_a_spare_is_removed_while_the_original_exists():
    survivor, sentences = recovered(container(NAME, OLD, AutoRemove=True), container(OLD_NAME, NEW, "created"))
    assert survivor.short_id == OLD
    assert sentences[-1].startswith("remove OLD")


def test_a_spare_replaces_an_auto_removed_container_whose_successor_was_not_proven():
    third = "3" * 12
    survivor, sentences = recovered(container(OLD_NAME, NEW, "created"), container(NEW_NAME, third, "created"))
    assert sentences[:2] == ["start OLD", "rename OLD to web"]
    assert (survivor.short_id, survivor.running) == (NEW, True)


def test_a_container_that_a_scaling_marked_for_removal_is_removed():
    found = recover([container(NAME, OLD), container(f"hello_web_2.windlass-gone.{NEW}.r", NEW)])
    assert [operation.word for operation in found.leftovers] == ["stop", "remove"]
    assert [survivor.short_id for survivor in found.containers] == [OLD]


def test_the_newest_recreate_takes_precedence_over_an_earlier_unfinished_recovery():
    third = "3" * 12
    survivor, sentences = recovered(
        container(OLD_NAME, OLD, "exited", NEVER),
        container(NAME, NEW, "exited", NEVER),
        container(f"{NAME}.windlass-new.{NEW}.r", third, "created"),
    )
    assert (survivor.short_id, survivor.running) == (NEW, True)
    assert "start web" in sentences
    assert survivor.restart_policy == ALWAYS


def test_a_container_that_joined_one_that_is_not_restored_is_left_to_the_redeploy():
    parked = container(OLD_NAME, OLD, "exited", NEVER)
    successor = container(NAME, NEW)
    third = "3" * 12
    details = load_container("joiner", container_id=third, state="exited", NetworkMode=f"container:{parked.id}")
    agent = observed_container(details)
    new_agent = observed_container(load_container("joiner", f"joiner.windlass-new.{third}.r", "4" * 12, "created"))
    found = recover([agent, new_agent, parked, successor])
    assert not any(operation.word == "start" for operation in found.operations)
    assert next(item for item in found.containers if item.name == "joiner").running
