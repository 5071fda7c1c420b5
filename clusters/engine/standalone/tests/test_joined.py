"""What a container refers to: what no longer exists is found, replaced by what Compose means, or refused."""

from dataclasses import replace

import pytest

from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.findings import Neighbour
from clusters.engine.standalone.joined import find_neighbour, find_stand_in, list_detached, refuse_lost, refuse_restart
from clusters.engine.standalone.redeploy import plan_redeploy
from clusters.engine.tests.recording import hello, load_container, web

GONE = "9" * 64
DEPENDS = "com.docker.compose.depends_on"


def joiner(label="", **host_config):
    labels = {DEPENDS: label} if label else {}
    return load_container("hello_worker_1", container_id="e" * 12, labels=labels, **host_config)


def observe(*containers, **options):
    observed = hello(*containers, **options)
    known = [Neighbour(item.id, item.engine_name, item.runs_now) for item in observed.containers]
    return replace(observed, neighbours=(*known, Neighbour("7" * 64, "vpn", True), Neighbour("8" * 64, "stopped", False)))


def container(observed):
    return next(item for item in observed.containers if item.place.service == "worker")


@pytest.mark.parametrize("key", ["7" * 64, "vpn", "7" * 12, "7" * 20])
def test_a_container_is_found_by_its_name_its_id_and_the_beginning_of_its_id(key):
    assert find_neighbour(observe(), key).name == "vpn"


@pytest.mark.parametrize("key", ["7", "77", "vp", "other", GONE])
def test_other_words_find_none(key):
    assert find_neighbour(observe(), key) is None


@pytest.mark.parametrize("mode", ["NetworkMode", "IpcMode", "PidMode"])
def test_what_no_longer_exists_is_lost(mode):
    observed = observe(joiner(**{mode: f"container:{GONE}"}))
    assert list_detached(observed) == {container(observed).id}
    with pytest.raises(PlanRefused, match=f"of the container {GONE[:12]}, which no longer exists"):
        refuse_lost(observed, observed.containers, ())
    refuse_lost(observed, observed.containers, {GONE[:12]})


def test_nothing_is_lost_where_the_engines_containers_are_not_known():
    observed = replace(observe(joiner(NetworkMode=f"container:{GONE}")), neighbours=None)
    assert not list_detached(observed)
    refuse_lost(observed, observed.containers, ())


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("web:service_started:true", "hello_web_1"),
        ("web:service_started:true,db:service_healthy:false", "hello_web_1"),
        ("web:service_healthy:false", "hello_web_1"),
        ("web:service_started:true,db:service_started:true", None),
        ("web:service_healthy:true,db:service_healthy:true", None),
        ("db:service_started:true", None),
        ("", None),
    ],
)
def test_compose_names_the_joined_service_if_there_is_only_one_that_it_can_be(label, name):
    observed = observe(web(2), web(1), joiner(label))
    found = find_stand_in(observed, container(observed))
    assert (found and found.name) == name


def test_a_container_that_could_not_return_is_refused():
    observed = observe(web(), joiner("web:service_started:true", NetworkMode=f"container:{GONE}"))
    item = container(observed)
    item.details["Mounts"].append({"Type": "bind", "RW": True, "Source": "/x", "Destination": "/x"})
    item.host_config["NetworkMode"] = "default"
    item.host_config["IpcMode"] = f"container:{GONE}"
    with pytest.raises(PlanRefused, match="so it must be stopped first"):
        refuse_lost(observed, [item], item.keys)
    refuse_lost(observed, [item], ())  # a scaling leaves it running


@pytest.mark.parametrize("mode", ["container:stopped", f"container:{'8' * 64}"])
def test_a_joined_container_that_does_not_run_is_refused_unless_the_plan_replaces_it(mode):
    observed = observe(joiner(NetworkMode=mode))
    with pytest.raises(PlanRefused, match="uses the network of stopped, which does not run"):
        refuse_restart(observed, observed.containers)
    refuse_restart(observed, observed.containers, {"stopped", "8" * 12})


def test_a_link_to_a_container_that_was_replaced_is_lost_although_the_name_exists():
    observed = observe(joiner(Links=["/vpn:/hello_worker_1/tunnel"]))
    refuse_restart(observed, observed.containers)
    item = container(observed)
    item.details["Mounts"].clear()
    observed = replace(observed, lost_links={item.id: frozenset({"vpn"})})
    refuse_lost(observed, [item], ())
    assert "start-first: a container that it uses no longer exists" in plan_redeploy(observed).as_text()
    with pytest.raises(PlanRefused, match="is linked to the container vpn, which no longer exists: .* Redeploy hello_worker_1"):
        refuse_restart(observed, [item])


def test_a_container_that_stays_stopped_is_not_refused():
    stopped = joiner(NetworkMode=f"container:{GONE}", state="exited")
    assert plan_redeploy(observe(web(), stopped)).steps


def test_a_refusal_of_what_is_restarted_along_refuses_the_redeploy():
    detached = joiner("web:service_started:true", NetworkMode=f"container:{GONE}")
    with pytest.raises(PlanRefused, match="Redeploy hello_worker_1 first"):
        plan_redeploy(observe(web(), detached, service="web"))


def test_volumes_of_a_container_that_no_longer_exists_are_mounted_by_themselves():
    borrower = web(VolumesFrom=[f"{GONE}:ro", "vpn"])
    borrower["Mounts"] = [
        {"Type": "volume", "Name": "a" * 64, "Destination": "/data", "RW": False},
        {"Type": "bind", "Source": "/srv", "Destination": "/srv", "RW": True},
    ]
    [made] = [item for item in plan_redeploy(observe(borrower)).operations() if item.word == "create"]
    assert made.config["HostConfig"]["VolumesFrom"] is None
    assert sorted(made.config["HostConfig"]["Binds"]) == ["/srv:/srv", f"{'a' * 64}:/data:ro"]
