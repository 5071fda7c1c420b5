from datetime import UTC, datetime

import pytest

from clusters.engine.fakes.fake_engine import HEALTHY, FakeEngine
from clusters.engine.inspection import listing
from clusters.engine.inspection.listing import observe_engine
from clusters.engine.inspection.tests.recorded import IMAGE, RecordedEngine, compose_entry, entry


def observe(*containers, **options):
    return observe_engine(RecordedEngine(*containers, **options)).applications


def outline(applications):
    """source/application/service: names of its containers."""
    return {
        f"{application.source}/{application.name}/{service.name}": [container.name for container in service.containers]
        for application in applications
        for service in application.services
    }


def test_compose_projects_and_lone_containers_become_applications():
    found = observe(
        entry("redis"), compose_entry("shop", "web", 1), compose_entry("shop", "web", 2), compose_entry("shop", "db")
    )
    assert outline(found) == {
        "compose/shop/db": ["shop_db_1"],
        "compose/shop/web": ["shop_web_1", "shop_web_2"],
        "container/redis/redis": ["redis"],
    }


def test_a_project_and_a_container_of_one_name_stay_apart():
    assert outline(observe(entry("shop"), compose_entry("shop", "web"))) == {
        "compose/shop/web": ["shop_web_1"],
        "container/shop/shop": ["shop"],
    }


def test_clones_belong_to_the_lone_container_they_scale():
    clone = entry("redis-2", Labels={"windlass.application": "redis", "windlass.service": "redis", "windlass.number": "2"})
    assert outline(observe(entry("redis"), clone)) == {"container/redis/redis": ["redis", "redis-2"]}


@pytest.mark.parametrize(
    "labels",
    [
        {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "com.docker.compose.oneoff": "True"},
        {"com.docker.swarm.task.id": "t1", "com.docker.swarm.service.id": "s1"},
        {"com.docker.swarm.service.id": "s1"},
    ],
)
def test_one_off_containers_and_swarm_tasks_are_left_out(labels):
    assert observe(entry("x", Labels=labels)) == ()


@pytest.mark.parametrize("changes", [{"State": "removing"}, {"Names": None}, {"Names": []}])
def test_containers_that_are_being_removed_are_left_out(changes):
    assert observe(entry("x", **changes)) == ()


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        ([("web", "running"), ("web.windlass-new.0123456789ab.r", "running")], "web"),
        ([("web", "running"), ("web.windlass-new.0123456789ab.r", "created")], "web"),
        ([("web", "exited"), ("web.windlass-new.0123456789ab.r", "running")], "web.windlass-new.0123456789ab.r"),
        ([("web.windlass-old.0123456789ab.r", "exited"), ("web", "running")], "web"),
        ([("web.windlass-old.0123456789ab.r", "running"), ("web", "created")], "web.windlass-old.0123456789ab.r"),
        ([("web.windlass-old.0123456789ab.s", "exited"), ("web", "created")], "web"),
    ],
)
def test_an_unfinished_recreate_shows_as_one_container(pair, shown):
    entries = [entry(name, State=state, Status=name) for name, state in pair]
    (application,) = observe(*entries)
    assert (application.name, application.wanted) == ("web", 1)
    (container,) = application.containers
    assert container.name == "web"
    assert container.status_text == shown


def test_an_unfinished_recreate_in_a_project_counts_once():
    old = compose_entry("shop", "web", 1, State="exited", Names=["/shop_web_1.windlass-old.0123456789ab.r"], Id="a" * 64)
    (application,) = observe(old, compose_entry("shop", "web", 1), compose_entry("shop", "web", 2))
    assert (application.wanted, application.running, application.status) == (2, 2, "running")


@pytest.mark.parametrize(
    ("states", "status", "running"),
    [
        (["running", "running"], "running", 2),
        (["running", "exited"], "degraded", 1),
        (["running", "paused"], "degraded", 1),
        (["running", "restarting"], "degraded", 1),
        (["exited", "created"], "stopped", 0),
    ],
)
def test_status_follows_from_the_running_containers(states, status, running):
    entries = [compose_entry("shop", "web", n, State=state) for n, state in enumerate(states)]
    (application,) = observe(*entries)
    assert (application.status, application.wanted, application.running) == (status, 2, running)


def test_a_project_with_a_stopped_service_is_degraded():
    (application,) = observe(compose_entry("shop", "web"), compose_entry("shop", "job", State="exited", Status="Exited (0)"))
    assert application.status == "degraded"
    assert [service.status for service in application.services] == ["stopped", "running"]


@pytest.mark.parametrize(
    ("status_text", "health", "status"),
    [
        ("Up 2 minutes (healthy)", "healthy", "running"),
        ("Up 2 minutes (unhealthy)", "unhealthy", "degraded"),
        ("Up 1 second (health: starting)", "starting", "running"),
        ("Up 2 minutes", "", "running"),
        ("Up 2 minutes (Paused)", "", "running"),
    ],
)
def test_health_is_read_from_the_status_text(status_text, health, status):
    (application,) = observe(entry("x", Status=status_text))
    assert application.services[0].health == health
    assert application.status == status


def test_a_service_shows_its_newest_containers_image_with_digests():
    newer = "sha256:" + "2" * 64
    images = [
        {"Id": IMAGE, "RepoDigests": ["app@sha256:old"]},
        {"Id": newer, "RepoDigests": ["app@sha256:new", "<none>@<none>"]},
    ]
    entries = [
        compose_entry("shop", "web", 1),
        compose_entry("shop", "web", 2, ImageID=newer, Image="app:2", Created=1_795_390_099),
    ]
    (application,) = observe(*entries, images=images)
    (service,) = application.services
    assert (service.newest.image, service.newest.image_id, service.image_digests) == ("app:2", newer, ["app@sha256:new"])


def test_times_are_those_of_the_oldest_and_newest_container():
    (application,) = observe(compose_entry("shop", "a", Created=100), compose_entry("shop", "b", Created=200))
    assert application.created_at == datetime.fromtimestamp(100, UTC)
    assert application.updated_at == datetime.fromtimestamp(200, UTC)


def test_published_ports_are_listed_once_and_exposed_ones_not():
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8081, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8081, "Type": "tcp"},
        {"PrivatePort": 443, "Type": "tcp"},
    ]
    (application,) = observe(entry("x", Ports=ports))
    assert application.services[0].ports == [{"host": 8081, "container": 80, "protocol": "tcp"}]


def test_addresses_are_those_that_exist():
    networks = {"b": {"IPAddress": "10.0.0.2"}, "a": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}, "c": {"IPAddress": ""}}
    (application,) = observe(entry("x", NetworkSettings={"Networks": networks}))
    assert application.containers[0].addresses == {"a": "fd00::2", "b": "10.0.0.2"}


def test_the_containers_own_name_is_used_and_not_a_link_to_it():
    assert outline(observe(entry("db", Names=["/web/db", "/db"]))) == {"container/db/db": ["db"]}


@pytest.mark.parametrize(("value", "protected"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_the_label_protects(value, protected):
    (application,) = observe(entry("x", Labels={"windlass.protected": value}))
    assert application.protected is protected


def test_the_system_label_marks_the_platforms_own():
    (application,) = observe(entry("x", Labels={"windlass.system": "true"}))
    assert (application.system, application.protected) == (True, False)


def test_labels_of_freezes_and_ages_are_read():
    labels = {"windlass.freeze": "daily 01:00-02:00\n", "windlass.least-age": "24h"}
    (application,) = observe(
        compose_entry("shop", "web", Id="a" * 64, Labels=labels),
        compose_entry("shop", "db", Id="b" * 64, Labels=labels | {"windlass.freeze": "Fri 18:00-19:00"}),
        compose_entry("shop", "cache", Id="c" * 64),
    )
    assert application.freeze_label == "Fri 18:00-19:00; daily 01:00-02:00"
    assert {service.name: service.least_age_label for service in application.services} == {
        "web": "24h",
        "db": "24h",
        "cache": "",
    }


def test_the_consoles_own_project_is_protected_and_part_of_the_platform(monkeypatch):
    monkeypatch.setattr(listing, "find_own_container_id", lambda: "a" * 64)
    (application,) = observe(compose_entry("windlass", "web", Id="a" * 64), compose_entry("windlass", "db", Id="b" * 64))
    assert (application.system, application.protected) == (True, True)


def test_outside_of_a_container_nothing_is_the_consoles_own(monkeypatch):
    monkeypatch.setattr(listing, "find_own_container_id", lambda: "")
    (application,) = observe(entry("x"))
    assert (application.system, application.protected) == (False, False)


# Requests


def test_three_hundred_containers_take_four_requests():
    engine = RecordedEngine(*(compose_entry(f"p{n % 30}", "web", n) for n in range(300)))
    assert sum(application.wanted for application in observe_engine(engine).applications) == 300
    assert engine.requests == ["version", "info", "containers", "images"]


def test_a_reference_hidden_by_a_moved_tag_is_inspected_once_in_a_containers_life():
    engine = RecordedEngine(entry("x", Id="a" * 64, Image=IMAGE))
    engine.references["a" * 64] = "app:1"
    (application,) = observe_engine(engine).applications
    assert application.containers[0].image == "app:1"
    assert engine.requests[-1] == "inspect aaaaaaaaaaaa"

    engine.requests.clear()
    (application,) = observe_engine(engine, {"a" * 64: "app:1"}).applications
    assert application.containers[0].image == "app:1"
    assert not [request for request in engine.requests if request.startswith("inspect")]


def test_a_container_removed_while_it_is_observed_does_no_harm():
    (application,) = observe(entry("x", Image=IMAGE))
    assert application.containers[0].image == ""


def test_the_number_of_inspects_is_limited_and_the_rest_follow_later(monkeypatch):
    monkeypatch.setattr(listing, "INSPECT_LIMIT", 2)
    engine = RecordedEngine(*(entry(f"x{n}", Id=f"{n}" * 64, Image=IMAGE) for n in range(3)))
    engine.references = {f"{n}" * 64: f"app:{n}" for n in range(3)}

    def observed(known):
        return {c.container_id: c.image for a in observe_engine(engine, known).applications for c in a.containers if c.image}

    first = observed({})
    assert len(first) == 2
    assert observed(first) == engine.references


def test_a_container_made_from_an_image_id_keeps_its_reference_in_a_label():
    (application,) = observe(entry("x", Image=IMAGE, Labels={"windlass.image": "app:1"}))
    assert application.containers[0].image == "app:1"


# What an engine says is hostile


@pytest.mark.parametrize("label", ["x" * 256, "a\x00b", "a\nb"])
def test_a_label_that_cannot_be_a_name_is_ignored(label):
    labels = {"com.docker.compose.project": label, "com.docker.compose.service": "web"}
    assert outline(observe(entry("x", Labels=labels))) == {"container/x/x": ["x"]}


def test_texts_are_cut_to_what_a_column_holds_and_lose_control_characters():
    long = entry("n" * 300, Image="i" * 600, Status="s\x00" * 300, State="running" + "x" * 20)
    (application,) = observe(long)
    (container,) = application.containers
    assert (len(container.name), len(container.image), len(container.status_text)) == (255, 512, 255)
    assert "\x00" not in container.status_text
    assert len(container.state) == 16


def test_missing_parts_of_an_entry_are_not_an_error():
    bare = {
        "Image": "app:1",
        "Id": "a" * 64,
        "Names": ["/x"],
        "Labels": None,
        "Ports": None,
        "NetworkSettings": None,
        "Created": None,
    }
    (application,) = observe(bare)
    assert application.status == "stopped"


# Facts


@pytest.mark.parametrize(
    ("swarm", "role"),
    [
        ({"LocalNodeState": "inactive"}, ""),
        ({"LocalNodeState": "active", "ControlAvailable": True}, "manager"),
        ({"LocalNodeState": "active", "ControlAvailable": False}, "worker"),
        (None, ""),
    ],
)
def test_the_swarm_role_is_found_out(swarm, role):
    engine = RecordedEngine()
    engine.info_changes = {"Swarm": swarm}
    assert observe_engine(engine).facts.swarm_role == role


def test_facts_are_the_engines():
    facts = observe_engine(RecordedEngine()).facts
    assert (facts.engine_version, facts.api_version, facts.hostname, facts.cpus) == ("20.10.24", "1.41", "build-7", 2)
    assert facts.time == datetime(2026, 11, 22, 23, 27, 23, 186256, UTC).timestamp()


def test_podman_is_called_podman_and_its_pods_own_containers_are_hidden():
    engine = RecordedEngine(entry("web"), {**entry("5f1c-infra"), "Podman": {"Pod": "p", "IsInfra": True}})
    assert observe_engine(engine).facts.engine_name == "Docker"
    engine.version_changes = {"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}
    found = observe_engine(engine)
    assert (found.facts.engine_name, outline(found.applications)) == ("Podman", {"container/web/web": ["web"]})


def test_an_unreadable_clock_is_zero():
    engine = RecordedEngine()
    engine.info_changes = {"SystemTime": "soon"}
    assert observe_engine(engine).facts.time == 0


def test_the_fake_engine_is_observed_as_a_real_one():
    engine = FakeEngine()
    engine.add_image("app:1", digest="sha256:" + "a" * 64)
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    engine.run("shop-web-1", "app:1", Labels=labels, Healthcheck=HEALTHY)
    engine.run("shop-web-2", "app:1", Labels=labels, start=False)
    engine.run("redis", "app:1")
    found = observe_engine(engine).applications
    assert outline(found) == {"compose/shop/web": ["shop-web-1", "shop-web-2"], "container/redis/redis": ["redis"]}
    (web,) = found[0].services
    assert (web.replicas, web.running, web.health, web.newest.image) == (2, 1, "healthy", "app:1")
    assert [method for method in engine.requests if method.startswith(("list", "inspect"))] == [
        "list_containers",
        "list_images",
    ]
