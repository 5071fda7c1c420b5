from dataclasses import replace

import pytest

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.plan import Create, Pull
from clusters.engine.standalone.redeploy import plan_redeploy
from clusters.engine.tests.recording import hello, load, load_container, observe, web


def worker(**changes):
    return load_container("hello_worker_1", container_id="e" * 12, **changes)


def words(plan):
    return [operation.word for operation in plan.operations()]


def created(plan):
    return {operation.name: operation for operation in plan.operations() if isinstance(operation, Create)}


def image(name="app_1", **changes):
    return {**load(name), **changes}


def test_a_container_with_nothing_exclusive_is_started_beside_the_old_one():
    text = plan_redeploy(hello(web())).as_text()
    assert (
        text
        == """\
redeploy hello
note: app:1 is not pulled: it exists only on this engine
1. create hello_web_1.windlass-new.111111111111.r from app:1 (redeploy of web; start-first: it has no exclusive resource)
2. connect hello_web_1.windlass-new.111111111111.r to hello_default (redeploy of web; start-first: it has no exclusive resource)
3. start hello_web_1.windlass-new.111111111111.r (redeploy of web; start-first: it has no exclusive resource)
4. watch hello_web_1.windlass-new.111111111111.r until healthy, or for 5 s (redeploy of web)
5. stop hello_web_1 (redeploy of web; start-first: it has no exclusive resource)
6. rename hello_web_1 to hello_web_1.windlass-old.111111111111.r (kept until all containers are healthy)
7. rename hello_web_1.windlass-new.111111111111.r to hello_web_1 (redeploy of web; start-first: it has no exclusive resource)
8. remove hello_web_1.windlass-old.111111111111.r (its replacement is healthy)
"""
    )


def test_a_container_that_writes_to_a_volume_is_stopped_first_and_stays_stopped():
    text = plan_redeploy(hello(worker())).as_text()
    assert (
        text
        == """\
redeploy hello
note: app:1 is not pulled: it exists only on this engine
1. create hello_worker_1.windlass-new.eeeeeeeeeeee.r from app:1 (redeploy of worker; stop-first: it writes to /data)
2. stop hello_worker_1 (redeploy of worker; stop-first: it writes to /data)
3. disable the restart policy of hello_worker_1 (so that it stays stopped)
4. rename hello_worker_1 to hello_worker_1.windlass-kept.eeeeeeeeeeee.r (kept until all containers are healthy)
5. rename hello_worker_1.windlass-new.eeeeeeeeeeee.r to hello_worker_1 (redeploy of worker; stop-first: it writes to /data)
6. start hello_worker_1.windlass-new.eeeeeeeeeeee.r (redeploy of worker; stop-first: it writes to /data)
7. watch hello_worker_1.windlass-new.eeeeeeeeeeee.r until healthy, or for 5 s (redeploy of worker)
8. rename hello_worker_1.windlass-kept.eeeeeeeeeeee.r to hello_worker_1.windlass-old.eeeeeeeeeeee.r (its replacement is healthy)
9. remove hello_worker_1.windlass-old.eeeeeeeeeeee.r (its replacement is healthy)
"""
    )


def test_a_container_that_crashes_again_and_again_is_not_renamed_while_it_does():
    details = web()
    details["NetworkSettings"]["Networks"], details["HostConfig"]["NetworkMode"] = {"bridge": {}}, "bridge"
    details["RestartCount"] = 3
    found = [word for word in words(plan_redeploy(hello(details))) if word in {"rename", "start", "stop"}]
    assert found == ["start", "stop", "rename", "rename"]


@pytest.mark.parametrize(
    ("networks", "is_early"),
    [
        ({"bridge": {"Aliases": None}}, True),  # resolves no names
        ({"hello_default": {"Aliases": ["web", "hello_web_1"]}}, True),  # resolves it by an alias, which both have
        ({"hello_default": {"Aliases": ["web"]}}, False),  # would resolve it to a container that has not proved healthy
        ({"bridge": {}, "hello_default": {"Aliases": ["web"]}}, False),
    ],
)
def test_a_container_is_started_under_its_true_name_unless_others_reach_the_old_one_by_it(networks, is_early):
    details = web()
    details["NetworkSettings"]["Networks"] = networks
    details["HostConfig"]["NetworkMode"] = next(iter(networks))
    found = [word for word in words(plan_redeploy(hello(details))) if word in {"rename", "start", "stop"}]
    early, late = ["rename", "rename", "start", "stop", "rename"], ["start", "stop", "rename", "rename"]
    assert found == (early if is_early else late)


def test_a_stopped_container_is_recreated_and_not_started():
    plan = plan_redeploy(hello(web(state="exited")))
    assert words(plan) == ["create", "connect", "rename", "rename", "remove"]
    assert list(created(plan)) == ["hello_web_1.windlass-new.111111111111.s"]


def test_a_crash_looping_container_counts_as_running():
    plan = plan_redeploy(hello(web(state="restarting")))
    assert "start" in words(plan)


def test_an_auto_removed_container_has_a_spare_before_anything_else_happens():
    plan = plan_redeploy(observe("cleaning", "container", load_container("cleaning", container_id="c" * 12)))
    assert list(created(plan)) == ["cleaning.windlass-old.cccccccccccc.r", "cleaning.windlass-new.cccccccccccc.r"]
    assert words(plan) == ["create", "create", "start", "watch", "stop", "rename", "remove"]
    assert "stop cleaning, which removes it" in plan.as_text()


def test_the_new_container_is_created_with_the_restart_policy_that_the_old_one_loses():
    config = created(plan_redeploy(hello(worker())))["hello_worker_1.windlass-new.eeeeeeeeeeee.r"].config
    assert config["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_only_the_chosen_service_is_touched():
    plan = plan_redeploy(hello(web(), worker(), service="web"))
    assert all("web" in name for name in created(plan))


def test_parallelism_puts_containers_side_by_side():
    label = {"windlass.update.parallelism": "2"}
    containers = [web(number, labels=label) for number in (1, 2, 3)]
    lines = plan_redeploy(hello(*containers)).as_text().splitlines()
    watched = [line for line in lines if "watch" in line]
    assert [line.count("windlass-new") for line in watched] == [2, 1]


def test_services_are_redeployed_in_the_order_of_their_dependencies():
    depends = {"com.docker.compose.depends_on": "worker:service_started:false"}
    plan = plan_redeploy(hello(web(labels=depends), worker()))
    assert [name.split(".")[0] for name in created(plan)] == ["hello_worker_1", "hello_web_1"]


def test_a_circle_of_dependencies_is_cut():
    plan = plan_redeploy(
        hello(
            web(labels={"com.docker.compose.depends_on": "worker:service_started:false"}),
            worker(labels={"com.docker.compose.depends_on": "web:service_started:false"}),
        )
    )
    assert len(created(plan)) == 2


def test_a_container_whose_depends_on_says_so_is_restarted_with_its_dependency():
    depends = {"com.docker.compose.depends_on": "web:service_started:true"}
    text = plan_redeploy(hello(web(), worker(labels=depends), service="web")).as_text()
    assert "stop hello_worker_1 (its depends_on restarts it" in text
    assert "start hello_worker_1 (its depends_on restarts it" in text


def test_a_container_that_joins_its_network_is_recreated_after_it_with_its_own_image():
    parent = load_container("rich", container_id="a" * 12)
    child = load_container("joiner", container_id="b" * 12, NetworkMode=f"container:{parent['Id']}")
    linked = load_container("linked", container_id="d" * 12)
    newer = {**load("app_1"), "Id": "sha256:" + "9" * 64}
    older = load("app_1")
    known = {"app:2": load("app_2"), "app:1": newer, older["Id"]: older}
    plan = plan_redeploy(observe("rich", "container", child, linked, parent, images=known))
    made = created(plan)
    assert list(made) == [
        "rich.windlass-new.aaaaaaaaaaaa.r",
        "joiner.windlass-new.bbbbbbbbbbbb.r",
        "linked.windlass-new.dddddddddddd.r",
    ]
    joiner = made["joiner.windlass-new.bbbbbbbbbbbb.r"]
    assert [(mode, ref.name) for mode, ref in joiner.joins] == [("NetworkMode", "rich.windlass-new.aaaaaaaaaaaa.r")]
    assert joiner.config["Image"] == older["Id"]
    assert joiner.config["Labels"]["windlass.image"] == "app:1"


# Refusals


def test_a_protected_container_is_refused():
    with pytest.raises(PlanRefused) as caught:
        plan_redeploy(hello(web(labels={"windlass.protected": "true"})))
    assert caught.value.code == "protected"


def test_the_consoles_own_container_is_refused(monkeypatch):
    monkeypatch.setattr("clusters.engine.names.find_own_container_id", lambda: web()["Id"])
    with pytest.raises(PlanRefused) as caught:
        plan_redeploy(hello(web()))
    assert caught.value.code == "protected"


def test_a_protected_dependant_is_refused_too():
    parent = load_container("rich", container_id="a" * 12)
    child = load_container("joiner", NetworkMode=f"container:{parent['Id']}", labels={"windlass.protected": "1"})
    with pytest.raises(PlanRefused):
        plan_redeploy(observe("rich", "container", child, parent))


def test_a_paused_container_is_refused():
    with pytest.raises(PlanRefused) as caught:
        plan_redeploy(hello(web(state="paused")))
    assert caught.value.code == "paused"


# Which image, and whether it is pulled


def by_id(details, **labels):
    details["Config"]["Image"] = details["Image"]
    details["Config"]["Labels"] |= labels
    return details


def test_an_image_id_is_replaced_by_the_reference_of_its_siblings():
    plan = plan_redeploy(hello(by_id(web(1)), web(2)))
    assert {operation.config["Image"] for operation in created(plan).values()} == {"app:1"}


def test_an_image_id_is_replaced_by_the_reference_in_our_own_label():
    plan = plan_redeploy(hello(by_id(web(), **{"windlass.image": "app:7"}), images={}))
    assert [operation.config["Image"] for operation in created(plan).values()] == ["app:7"]


@pytest.mark.parametrize("tags", [[], ["app:1"]])
def test_an_image_id_that_nothing_explains_is_refused(tags):
    """The image's only tag does not help: a user who chose an id may not want what the tag means later."""
    with pytest.raises(PlanRefused) as caught:
        plan_redeploy(hello(by_id(web()), images={"x": image(RepoTags=tags)}))
    assert caught.value.code == "no_image_reference"


def pulls(*containers, **known):
    plan = plan_redeploy(hello(*containers, images=known.get("images")))
    return [(pull.reference, pull.optional) for pull in plan.pulls], plan.notes


def test_each_image_of_a_registry_is_pulled_once_before_anything_is_touched():
    known = {"app:1": image(RepoDigests=["app@sha256:1"])}
    plan = plan_redeploy(hello(web(1), web(2), worker(), images=known))
    assert [operation.word for operation in plan.operations()][:2] == ["pull", "create"]
    assert [pull.reference for pull in plan.pulls] == ["app:1"]
    assert isinstance(next(plan.operations()), Pull)


def test_a_local_image_is_not_pulled_and_the_plan_says_so():
    assert pulls(web()) == ([], ("app:1 is not pulled: it exists only on this engine",))


def test_an_image_with_digests_of_other_repositories_may_be_unknown_to_a_registry():
    assert pulls(web(), images={"app:1": image(RepoDigests=["base@sha256:1"])})[0] == [("app:1", True)]


def test_a_pull_of_a_missing_image_must_succeed():
    assert pulls(web(), images={})[0] == [("app:1", False)]


def test_a_pinned_image_that_the_engine_has_is_not_pulled():
    reference = "app@sha256:" + "1" * 64
    details = web()
    details["Config"]["Image"] = reference
    assert pulls(details, images={reference: image(RepoDigests=[reference])})[0] == []
    assert pulls(details, images={})[0] == [(reference, False)]


@pytest.mark.parametrize(("policy", "expected"), [("always", [("app:1", False)]), ("missing", []), ("never", [])])
def test_a_label_decides_whether_to_pull(policy, expected):
    known = {"app:1": image(RepoDigests=["app@sha256:1"])}
    assert pulls(web(labels={"windlass.update.pull": policy}), images=known)[0] == expected


def test_a_missing_old_image_gives_a_warning():
    assert plan_redeploy(hello(web(), images={})).warnings


def test_an_unchanged_observation_gives_the_same_text():
    containers = [web(1), web(2), worker()]
    assert plan_redeploy(hello(*containers)).as_text() == plan_redeploy(hello(*reversed(containers))).as_text()


# Another tag


def images_of(plan):
    return {operation.config["Image"] for operation in created(plan).values()}


def test_a_tag_changes_every_reference_of_the_repository_and_its_pull_must_succeed():
    plan = plan_redeploy(hello(web(), worker()), Intent(tag="2.0"))
    assert images_of(plan) == {"app:2.0"}
    assert [(pull.reference, pull.optional) for pull in plan.pulls] == [("app:2.0", False)]
    assert plan.as_text().startswith("redeploy hello with the tag 2.0\n1. pull app:2.0 (its tag was requested)\n")


def test_a_tag_replaces_a_digest_that_was_pinned():
    pinned = web()
    pinned["Config"]["Image"] = "app@sha256:" + "a" * 64
    assert images_of(plan_redeploy(hello(pinned), Intent(tag="2"))) == {"app:2"}


def test_a_tag_is_refused_where_the_services_have_several_repositories_and_taken_for_one_of_them():
    other = worker()
    other["Config"]["Image"] = "other:1"
    with pytest.raises(PlanRefused, match=r"docker\.io/library/app, docker\.io/library/other") as refusal:
        plan_redeploy(hello(web(), other), Intent(tag="2"))
    assert refusal.value.code == "several_repositories"
    assert images_of(plan_redeploy(hello(web(), other, service="web"), Intent(tag="2"))) == {"app:2"}


# Platforms


FOREIGN = {**load("app_1"), "Id": "sha256:" + "3" * 64, "Architecture": "386", "RepoDigests": ["app@sha256:1"]}


def on_platforms(*containers, known=FOREIGN, labels=None):
    """Observe containers on an engine of amd64. Those of the service `worker` run an image for 386."""
    workers = [item for item in containers if "worker" in item["Name"]]
    for item in workers:
        item["Image"] = FOREIGN["Id"]
        item["Config"]["Labels"] |= labels or {}
    images = {"app:1": known, "foreign": FOREIGN, "own": {**load("app_1"), "RepoDigests": ["app@sha256:2"]}}
    return replace(hello(*containers, images=images), platform="linux/amd64")


def read_pulls(observed):
    return [(pull.platform, pull.expected, pull.optional) for pull in plan_redeploy(observed).pulls]


def test_a_container_of_another_platform_is_pulled_for_that_one():
    assert read_pulls(on_platforms(worker())) == [("linux/386", "linux/386", False)]


def test_a_container_of_the_engines_platform_is_pulled_without_one():
    own = {**load("app_1"), "RepoDigests": ["app@sha256:2"]}
    assert read_pulls(on_platforms(web(), known=own)) == [("", "linux/amd64", False)]


def test_nothing_is_requested_while_the_engines_platform_is_not_known():
    assert read_pulls(replace(on_platforms(worker()), platform="")) == [("", "linux/386", False)]


def test_a_tag_with_two_platforms_is_pulled_for_each():
    plan = plan_redeploy(on_platforms(web(), worker()))
    assert sorted((pull.platform, pull.expected) for pull in plan.pulls) == [
        ("", "linux/amd64"),
        ("linux/386", "linux/386"),
    ]
    assert {name.split(".")[0]: operation.platform for name, operation in created(plan).items()} == {
        "hello_web_1": "linux/amd64",
        "hello_worker_1": "linux/386",
    }


@pytest.mark.parametrize("policy", ["missing", "never"])
def test_an_image_that_is_there_for_another_platform_only_is_not_used(policy):
    own = {**load("app_1"), "RepoDigests": ["app@sha256:2"]}
    observed = on_platforms(worker(), known=own, labels={"windlass.update.pull": policy})
    if policy == "missing":
        assert read_pulls(observed) == [("linux/386", "linux/386", False)]
        return
    with pytest.raises(PlanRefused, match="is on this engine for linux/amd64 only, and the container runs linux/386"):
        plan_redeploy(observed)


# What could not be started again


def test_a_missing_bind_of_what_is_restarted_along_is_refused():
    depends = {"com.docker.compose.depends_on": "web:service_started:true"}
    observed = hello(web(), worker(labels=depends), service="web")
    restarted = next(item for item in observed.containers if item.place.service == "worker")
    with pytest.raises(PlanRefused, match="hello_worker_1 uses /srv of the host, which no longer exists"):
        plan_redeploy(replace(observed, missing_binds={restarted.id: ("/srv",)}))


def test_a_dependant_whose_image_no_longer_exists_is_refused():
    child = worker(NetworkMode="container:hello_web_1")
    child["Image"] = "sha256:" + "4" * 64
    with pytest.raises(PlanRefused, match="The image of hello_worker_1 no longer exists") as refusal:
        plan_redeploy(hello(web(), child, service="web"))
    assert refusal.value.code == "missing_image"
