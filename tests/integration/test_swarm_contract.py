"""One suite for a real Swarm, through EngineClient, and for FakeEngine's: the driver can rely on it with both."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.errors import EngineError, EngineRefused, NotManager, PullFailed, TargetMissing
from clusters.engine.fakes.fake_engine import CANNOT_START, COMPLETES, CRASHES, HEALTHY, UNHEALTHY, FakeEngine
from tests.harness.eventually import eventually
from tests.harness.registry import LOGIN
from tests.harness.swarm import PrivateSwarm

Json = dict[str, Any]
SECOND = 1_000_000_000  # nanoseconds
FAST_RESTART: Json = {"Condition": "any", "Delay": SECOND // 10}
FAST_UPDATE: Json = {"Parallelism": 1, "Monitor": SECOND}
TOO_MUCH: Json = {"Reservations": {"MemoryBytes": 1 << 50}}
AUTH = {"username": LOGIN["user"], "password": LOGIN["password"]}


@dataclass
class Bench:
    """A Swarm under contract: the client, and ways to arrange what the client cannot."""

    client: Any
    create_service: Callable[[Json], str]
    create_private: Callable[[Json], str]  # the same, with credentials
    publish: Callable[..., str]  # publish(name, **config) -> reference; a second call moves the tag
    publish_private: Callable[..., str]
    digest_of: Callable[[str], str]  # of a published reference
    silent_host: str  # of a registry that does not answer
    add_network: Callable[[str, Json], str] = str  # name, labels -> id
    add_config: Callable[[str, Json], str] = str
    add_secret: Callable[[str, Json], str] = str
    pause: float = 0.05  # seconds between looks
    created: list[str] = field(default_factory=list)

    def run(self, name: str, image: str = "", *, replicas: int = 2, settled: bool = True, **spec: Any) -> str:
        """Create a service, wait until all its tasks run, and return its id.

        `spec` is the rest of the spec; `container` and `template` are its deeper parts.
        """
        image = image or self.publish("app")
        create = self.create_private if spec.pop("private", False) else self.create_service
        service = create(make_spec(name, image, replicas=replicas, **spec))
        if settled:
            self.until(lambda: len(self.running(service)) == replicas)
        return service

    def inspect(self, service: str) -> Json:
        return dict(self.client.inspect_service(service))

    def tasks(self, service: str) -> list[Json]:
        return list(self.client.list_tasks({"service": [service]}))

    def running(self, service: str) -> list[Json]:
        return [t for t in self.tasks(service) if (t["DesiredState"], t["Status"]["State"]) == ("running", "running")]

    def status(self, service: str) -> str:
        return str((self.inspect(service).get("UpdateStatus") or {}).get("State", ""))

    def update(self, service: str, change: Callable[[Json], Any], auth: Json | None = None) -> None:
        """Change the current spec, with the version that was read along with it."""
        found = self.inspect(service)
        change(found["Spec"])
        self.client.update_service(service, found["Version"]["Index"], found["Spec"], auth)

    def until(self, probe: Callable[[], Any]) -> Any:
        return eventually(probe, within=60.0 if self.pause else 2.0, every=self.pause)

    def until_status(self, service: str, state: str) -> Json:
        def probe() -> bool:
            found = self.inspect(service).get("UpdateStatus")
            assert (found or {}).get("State") == state, found
            return True

        self.until(probe)
        return self.inspect(service)


def make_spec(
    name: str, image: str, *, replicas: int = 2, container: Json | None = None, template: Json | None = None, **more: Any
) -> Json:
    return {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {"Image": image, **(container or {})},
            "RestartPolicy": FAST_RESTART,
            **(template or {}),
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": FAST_UPDATE,
        **more,
    }


def force(spec: Json) -> None:
    spec["TaskTemplate"]["ForceUpdate"] += 1


def scale_to(replicas: int) -> Callable[[Json], None]:
    return lambda spec: spec["Mode"]["Replicated"].update(Replicas=replicas)


def set_command(*words: str) -> Callable[[Json], None]:
    return lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Command=list(words))


def set_image(image: str) -> Callable[[Json], None]:
    return lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Image=image)


def ids(tasks: list[Json]) -> set[str]:
    return {task["ID"] for task in tasks}


def create_raw(client: EngineClient, spec: Json, auth: Json | None = None) -> str:
    headers = client._choose_pull_headers("", auth).headers if auth else {}
    if "EndpointSpec" not in spec:
        spec["TaskTemplate"].setdefault("Networks", [{"Target": "host"}])  # half the work of a network for each task
    answer = client._raw._post_json(client._raw._url("/services/create"), data=spec, headers=headers)
    client._raw._raise_for_status(answer)
    return str(answer.json()["ID"])


@contextlib.contextmanager
def real_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    swarm: PrivateSwarm = request.getfixturevalue("swarm")

    def publish_private(name: str, **config: Any) -> str:
        return swarm.publish(name, registry=request.getfixturevalue("private_registry"), **config)

    with EngineClient(swarm.endpoint) as client:
        yield Bench(
            client,
            lambda spec: create_raw(client, spec),
            lambda spec: create_raw(client, spec, AUTH),
            swarm.publish,
            publish_private,
            lambda reference: swarm.registry.read_digest(*reference.partition("/")[2].split(":")),
            f"{swarm.host_address}:9",
            lambda name, labels: str(client.api.create_network(name, driver="overlay", labels=labels)["Id"]),
            lambda name, labels: str(client.api.create_config(name, b"x", labels)["ID"]),
            lambda name, labels: str(client.api.create_secret(name, b"x", labels)["ID"]),
        )


@contextlib.contextmanager
def fake_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    fake = FakeEngine()
    swarm = fake.init_swarm()
    fake.private["10.0.0.1:5001"] = f"{LOGIN['user']}:{LOGIN['password']}"

    def publish(name: str, host: str = "10.0.0.1:5000", **config: Any) -> str:
        reference = f"{host}/{name}:1"
        fake.publish(reference, **config)
        return reference

    fake.fail_pull("10.0.0.1:9/app:1")
    yield Bench(
        fake,
        swarm.create_service,
        lambda spec: swarm.create_service(spec, fake.private["10.0.0.1:5001"]),
        publish,
        lambda name, **config: publish(name, "10.0.0.1:5001", **config),
        lambda reference: fake.digest_of(str(fake.registry[reference])),
        "10.0.0.1:9",
        lambda name, labels: str(fake.networks[fake.add_network(name, labels=labels)]["Id"]),
        lambda name, labels: swarm.add_object("config", name, labels),
        lambda name, labels: swarm.add_object("secret", name, labels),
        pause=0.0,
    )


@pytest.fixture(scope="module")
def private_registry(small_swarm: PrivateSwarm) -> Any:
    return small_swarm.run_registry(**LOGIN)


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with {"fake": fake_bench, "real": real_bench}[request.param](request) as made:
        yield made


@contextlib.contextmanager
def raises(kind: type[EngineError], code: str) -> Iterator[None]:
    with pytest.raises(EngineError) as caught:
        yield
    assert (type(caught.value), caught.value.code) == (kind, code), caught.value


# Reading


def test_info_identifies_a_manager(bench: Bench) -> None:
    info = bench.client.info()["Swarm"]
    assert (info["LocalNodeState"], info["ControlAvailable"], info["Nodes"], info["Managers"]) == ("active", True, 1, 1)
    assert info["NodeID"] == bench.client.list_nodes()[0]["ID"]
    assert info["Cluster"]["ID"]


def test_node_has_what_the_inventory_reads(bench: Bench) -> None:
    [node] = bench.client.list_nodes()
    assert node["Spec"] == {"Labels": {}, "Role": "manager", "Availability": "active"}
    assert node["Status"].keys() >= {"State", "Addr"}
    assert node["Status"]["State"] == "ready"
    assert node["Description"]["Hostname"]
    assert node["Description"]["Engine"]["EngineVersion"].startswith("20.10")
    assert node["Description"]["Resources"]["MemoryBytes"] > 0
    assert node["ManagerStatus"]["Leader"] is True
    assert node["ManagerStatus"]["Reachability"] == "reachable"
    assert isinstance(node["Version"]["Index"], int)


def test_service_is_as_it_was_written(bench: Bench) -> None:
    image = bench.publish("app")
    service = bench.run("web", image, Labels={"com.docker.stack.namespace": "shop"})
    found = bench.inspect(service)
    assert found["ID"] == service == bench.inspect("web")["ID"]
    assert found["Spec"]["Labels"] == {"com.docker.stack.namespace": "shop"}
    assert found["Spec"]["Mode"] == {"Replicated": {"Replicas": 2}}
    assert found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == image
    assert found["Spec"]["TaskTemplate"]["ForceUpdate"] == 0
    assert "UpdateStatus" not in found
    assert "PreviousSpec" not in found
    assert "RollbackConfig" not in found["Spec"]
    assert bench.client.list_services() == [found]


def test_services_are_found_by_id_name_and_label(bench: Bench) -> None:
    web = bench.run("web", replicas=0, Labels={"com.docker.stack.namespace": "shop"})
    bench.run("database", replicas=0, Labels={"com.docker.stack.namespace": "other"})

    def names(**filters: Any) -> set[str]:
        return {service["Spec"]["Name"] for service in bench.client.list_services(filters)}

    assert names(id=[web]) == names(name="web") == names(label="com.docker.stack.namespace=shop") == {"web"}
    assert names(label=["com.docker.stack.namespace"]) == {"web", "database"}
    assert names(id=["missing"]) == set()


def test_task_has_its_place_and_its_spec(bench: Bench) -> None:
    service = bench.run("web")
    [node] = bench.client.list_nodes()
    tasks = bench.running(service)
    assert sorted(task["Slot"] for task in tasks) == [1, 2]
    for task in tasks:
        assert (task["ServiceID"], task["NodeID"]) == (service, node["ID"])
        assert (task["Status"]["State"], task["Status"]["Message"]) == ("running", "started")
        assert len(task["Status"]["ContainerStatus"]["ContainerID"]) == 64
        assert "Err" not in task["Status"]
        spec = bench.inspect(service)["Spec"]["TaskTemplate"]
        assert task["Spec"]["ContainerSpec"] == spec["ContainerSpec"]
        assert task["Spec"]["ForceUpdate"] == 0
        assert isinstance(task["Version"]["Index"], int)


def test_tasks_are_found_by_service_and_desired_state(bench: Bench) -> None:
    web, database = bench.run("web"), bench.run("database", replicas=1)
    both = ids(bench.tasks(web)) | ids(bench.tasks(database))
    assert ids(bench.client.list_tasks()) >= both
    assert ids(bench.client.list_tasks({"service": [web, database]})) == both
    assert len(bench.client.list_tasks({"service": [web], "desired-state": ["running"]})) == 2
    assert bench.client.list_tasks({"service": [web], "desired-state": ["shutdown"]}) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.inspect_service("missing"),
        lambda c: c.list_tasks({"service": ["missing"]}),
        lambda c: c.update_service("missing", 1, make_spec("missing", "app:1")),
        lambda c: c.roll_back_service("missing", 1, make_spec("missing", "app:1")),
    ],
)
def test_missing_service_is_a_missing_target(bench: Bench, ask: Callable[[Any], Any]) -> None:
    with raises(TargetMissing, "not_found"):
        ask(bench.client)


def test_a_job_is_created_with_its_whole_spec_and_completes(bench: Bench) -> None:
    spec = make_spec(
        "job", bench.publish("app"), container={"Command": COMPLETES}, template={"RestartPolicy": {"Condition": "none"}}
    )
    spec |= {"Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}, "Labels": {"mine": "job"}}
    del spec["UpdateConfig"]
    service = bench.client.create_service(spec)
    assert bench.inspect("job")["ID"] == service
    bench.until(lambda: [task["Status"]["State"] for task in bench.tasks(service)] == ["complete"])
    assert bench.inspect(service)["Spec"]["Labels"] == {"mine": "job"}
    with pytest.raises(EngineRefused):
        bench.client.create_service(spec)
    bench.client.remove_service(service)
    assert bench.client.create_service(spec) != service


# Updates


def test_forced_update_replaces_every_task_and_is_completed(bench: Bench) -> None:
    service = bench.run("web")
    before, old = bench.inspect(service), ids(bench.tasks(service))
    bench.update(service, force)
    found = bench.until_status(service, "completed")
    assert found["UpdateStatus"].keys() == {"State", "StartedAt", "CompletedAt", "Message"}
    assert found["UpdateStatus"]["Message"] == "update completed"
    assert found["Spec"]["TaskTemplate"]["ForceUpdate"] == 1
    assert found["PreviousSpec"] == before["Spec"]
    assert found["Version"]["Index"] > before["Version"]["Index"]
    assert {task["Spec"]["ForceUpdate"] for task in bench.running(service)} == {1}
    assert not ids(bench.running(service)) & old
    assert len(bench.running(service)) == 2
    assert {t["Status"]["State"] for t in bench.tasks(service) if t["ID"] in old} == {"shutdown"}


def test_update_counts_up_the_version_also_by_itself(bench: Bench) -> None:
    service = bench.run("web")
    bench.update(service, force)
    versions = set()
    bench.until(lambda: versions.add(bench.inspect(service)["Version"]["Index"]) or bench.status(service) == "completed")
    versions.add(bench.inspect(service)["Version"]["Index"])
    assert len(versions) >= 2


def test_spec_of_an_older_version_is_out_of_sequence(bench: Bench) -> None:
    service = bench.run("web", replicas=0)
    found = bench.inspect(service)
    version, spec = found["Version"]["Index"], found["Spec"]
    bench.client.update_service(service, version, spec)
    with raises(EngineRefused, "out_of_sequence"):
        bench.client.update_service(service, version, spec)
    with raises(EngineRefused, "out_of_sequence"):
        bench.client.roll_back_service(service, version, spec)


def test_changed_image_replaces_every_task(bench: Bench) -> None:
    image = bench.publish("app")
    service = bench.run("web", image)
    bench.publish("app", Env=["VERSION=2"])
    pinned = f"{image}@{bench.client.resolve_digest(image)}"
    bench.update(service, set_image(pinned))
    bench.until_status(service, "completed")
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in bench.running(service)} == {pinned}


def test_update_goes_one_task_after_the_other(bench: Bench) -> None:
    service = bench.run("web", replicas=3)
    bench.update(service, force)
    fewest = 3

    def look() -> bool:
        nonlocal fewest
        fewest = min(fewest, len(bench.running(service)))
        return bench.status(service) == "completed"

    bench.until(look)
    assert fewest == 2


def test_start_first_keeps_the_old_task_until_the_new_one_runs(bench: Bench) -> None:
    service = bench.run("web", replicas=1, UpdateConfig={**FAST_UPDATE, "Order": "start-first"})
    bench.update(service, force)

    counts = set()
    bench.until(lambda: counts.add(len(bench.running(service))) or bench.status(service) == "completed")
    assert counts <= {1, 2}
    bench.until(lambda: [task["Spec"]["ForceUpdate"] for task in bench.running(service)] == [1])


def test_unchanged_spec_moves_nothing(bench: Bench) -> None:
    service = bench.run("web")
    before = ids(bench.tasks(service))
    bench.update(service, lambda spec: None)
    assert "UpdateStatus" not in bench.inspect(service)
    assert ids(bench.tasks(service)) == before


def test_service_without_tasks_is_updated_without_a_status(bench: Bench) -> None:
    service = bench.run("web", replicas=0)
    bench.update(service, force)
    found = bench.inspect(service)
    assert found["Spec"]["TaskTemplate"]["ForceUpdate"] == 1
    assert "UpdateStatus" not in found
    assert bench.tasks(service) == []


# Scaling


def test_more_replicas_add_tasks_and_touch_no_other(bench: Bench) -> None:
    service = bench.run("web")
    before = ids(bench.running(service))
    bench.update(service, scale_to(4))
    bench.until(lambda: len(bench.running(service)) == 4)
    assert before < ids(bench.running(service))
    assert "UpdateStatus" not in bench.inspect(service)


def test_fewer_replicas_end_tasks_and_touch_no_other(bench: Bench) -> None:
    service = bench.run("web", replicas=3)
    before = ids(bench.running(service))
    bench.update(service, scale_to(1))
    bench.until(lambda: len(bench.tasks(service)) == 1)
    assert ids(bench.running(service)) < before
    assert "UpdateStatus" not in bench.inspect(service)


def test_scaling_clears_the_status_of_the_update_before(bench: Bench) -> None:
    service = bench.run("web", replicas=1)
    bench.update(service, force)
    bench.until_status(service, "completed")
    bench.update(service, scale_to(2))
    bench.until(lambda: len(bench.running(service)) == 2)
    assert "UpdateStatus" not in bench.inspect(service)


def test_service_is_scaled_to_0_and_back(bench: Bench) -> None:
    service = bench.run("web")
    bench.update(service, scale_to(0))
    bench.until(lambda: not bench.running(service))
    bench.update(service, scale_to(1))
    bench.until(lambda: len(bench.running(service)) == 1)


# Failures


def test_crashing_task_pauses_the_update(bench: Bench) -> None:
    service = bench.run("web", replicas=3)
    old = ids(bench.running(service))
    bench.update(service, set_command(*CRASHES))
    found = bench.until_status(service, "paused")
    assert found["UpdateStatus"]["Message"].startswith("update paused due to failure or early termination of task ")
    assert "CompletedAt" not in found["UpdateStatus"]
    failed = [task for task in bench.tasks(service) if task["Status"]["State"] == "failed"]
    assert found["UpdateStatus"]["Message"].rpartition(" ")[2] in ids(failed)
    assert {task["Status"]["Err"] for task in failed} == {"task: non-zero exit (1)"}
    assert {task["Status"]["ContainerStatus"]["ExitCode"] for task in failed} == {1}
    assert old & ids(bench.running(service))


def test_crashing_task_is_started_again_under_another_id(bench: Bench) -> None:
    service = bench.run("web", replicas=1, container={"Command": CRASHES}, settled=False)

    def list_failed() -> list[Json]:
        failed = [task for task in bench.tasks(service) if task["Status"]["State"] == "failed"]
        return [task for task in failed if (task["DesiredState"], task["Slot"]) == ("shutdown", 1)]

    assert bench.until(lambda: list_failed()[1:])


def test_scaling_resumes_a_paused_update(bench: Bench) -> None:
    service = bench.run("web", replicas=3)
    bench.update(service, set_command(*CRASHES))
    bench.until_status(service, "paused")
    bench.update(service, scale_to(4))
    bench.until_status(service, "updating")


def test_swarm_rolls_a_failed_update_back_if_its_policy_says_so(bench: Bench) -> None:
    config = {**FAST_UPDATE, "FailureAction": "rollback"}
    service = bench.run("web", UpdateConfig=config, RollbackConfig=FAST_UPDATE)
    before = bench.inspect(service)["Spec"]
    bench.update(service, lambda spec: (set_command(*CRASHES)(spec), force(spec)))
    started = set()

    def look() -> bool:
        status = bench.inspect(service).get("UpdateStatus") or {}
        started.add(status.get("StartedAt"))
        return bool(status.get("State") == "rollback_completed")

    bench.until(look)
    found = bench.inspect(service)
    assert found["Spec"] == before
    assert "PreviousSpec" not in found
    assert len(started - {None}) == 1
    bench.until(lambda: len(bench.running(service)) == 2)
    assert "Command" not in bench.running(service)[0]["Spec"]["ContainerSpec"]


def roll_back_to_what_crashes(bench: Bench, name: str) -> Json:
    """Return the service after its rollback has ended."""
    config = {**FAST_UPDATE, "FailureAction": "rollback"}
    rollback = {**FAST_UPDATE, "Monitor": 8 * SECOND}  # a busy machine reports a task's end late
    service = bench.run(name, replicas=1, UpdateConfig=config, RollbackConfig=rollback)
    bench.update(service, lambda spec: (set_command(*CRASHES)(spec), spec["UpdateConfig"].update(FailureAction="continue")))
    bench.until_status(service, "completed")
    bench.update(
        service, lambda spec: (set_command(*CANNOT_START)(spec), spec["UpdateConfig"].update(FailureAction="rollback"))
    )
    bench.until(lambda: bench.status(service) in {"rollback_paused", "rollback_completed"})
    return bench.inspect(service)


def test_rollback_that_fails_is_paused(bench: Bench) -> None:
    # A real Swarm sometimes completes the rollback at once and watches nothing, so it can take several attempts: the failed
    # task was started again just after the spec was rolled back, so that Swarm's updater finds no task to replace.
    found = [roll_back_to_what_crashes(bench, "web0")]
    while found[-1]["UpdateStatus"]["State"] != "rollback_paused" and len(found) < 6:
        found.append(roll_back_to_what_crashes(bench, f"web{len(found)}"))
    assert found[-1]["UpdateStatus"]["State"] == "rollback_paused"
    assert found[-1]["UpdateStatus"]["Message"].startswith("update paused due to failure or early termination of task ")


def test_update_that_carries_on_is_completed_although_its_tasks_crash(bench: Bench) -> None:
    service = bench.run("web", UpdateConfig={**FAST_UPDATE, "FailureAction": "continue"})
    bench.update(service, set_command(*CRASHES))
    bench.until_status(service, "completed")
    assert [task for task in bench.tasks(service) if task["Status"]["State"] == "failed"]


def test_failures_within_the_allowed_ratio_are_ignored(bench: Bench) -> None:
    service = bench.run("web", UpdateConfig={**FAST_UPDATE, "MaxFailureRatio": 1})
    bench.update(service, set_command(*CRASHES))
    bench.until_status(service, "completed")


def test_task_that_ends_without_restart_stays_ended(bench: Bench) -> None:
    service = bench.run("web", replicas=1, template={"RestartPolicy": {"Condition": "none"}})
    bench.update(service, set_command(*CRASHES))
    bench.until_status(service, "paused")
    ended = {(task["DesiredState"], task["Status"]["State"]) for task in bench.tasks(service)}
    assert ended == {("shutdown", "failed"), ("shutdown", "shutdown")}


def test_task_that_has_used_up_its_attempts_stays_ended(bench: Bench) -> None:
    policy = {**FAST_RESTART, "MaxAttempts": 1}
    service = bench.run("web", replicas=1, container={"Command": CRASHES}, template={"RestartPolicy": policy}, settled=False)
    bench.until(lambda: [t["Status"]["State"] for t in bench.tasks(service)] == ["failed", "failed"])
    assert {task["DesiredState"] for task in bench.tasks(service)} == {"shutdown"}


def test_task_that_finishes_by_itself_fails_the_update(bench: Bench) -> None:
    service = bench.run("web", replicas=1)
    bench.update(service, set_command(*COMPLETES))
    bench.until_status(service, "paused")
    assert "complete" in {task["Status"]["State"] for task in bench.tasks(service)}


def test_missing_command_is_reported(bench: Bench) -> None:
    service = bench.run("web", replicas=1)
    bench.update(service, set_command(*CANNOT_START))
    bench.until_status(service, "paused")
    [failed, *_] = [task["Status"] for task in bench.tasks(service) if task["Status"]["State"] == "failed"]
    assert failed["Err"].startswith("starting container failed: ")
    assert "/bin/not-there" in failed["Err"]


def test_healthy_task_runs(bench: Bench) -> None:
    bench.run("web", bench.publish("app", Healthcheck=HEALTHY))


@pytest.mark.parametrize(
    ("config", "state", "error", "code"),
    [
        ({}, "complete", None, 0),
        ({"StopSignal": "SIGKILL"}, "failed", "task: non-zero exit (137): dockerexec: unhealthy container", 137),
    ],
    ids=["stops by itself", "has to be killed"],
)
def test_task_that_never_becomes_healthy_fails_the_update(
    bench: Bench, config: Json, state: str, error: str | None, code: int
) -> None:
    image = bench.publish("app", **config)
    service = bench.run("web", image, replicas=1)
    bench.update(service, lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Healthcheck=UNHEALTHY))
    bench.until_status(service, "paused")
    [failed, *_] = [task["Status"] for task in bench.tasks(service) if task["Status"]["State"] == state]
    assert failed.get("Err") == error
    assert failed["ContainerStatus"]["ExitCode"] == code


def test_missing_image_is_rejected(bench: Bench) -> None:
    image = bench.publish("app")
    service = bench.run("web", image, replicas=1)
    missing = image.replace("/app:", "/missing:")
    bench.update(service, set_image(missing))
    bench.until_status(service, "paused")
    [rejected, *_] = [task["Status"] for task in bench.tasks(service) if task["Status"]["State"] == "rejected"]
    assert rejected["Err"] == f"No such image: {missing}"


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ({"Resources": TOO_MUCH}, "no suitable node (insufficient resources on 1 node)"),
        (
            {"Placement": {"Constraints": ["node.hostname==nowhere"]}},
            "no suitable node (scheduling constraints not satisfied on 1 node)",
        ),
    ],
    ids=["memory", "constraint"],
)
def test_task_that_fits_nowhere_says_why(bench: Bench, template: Json, error: str) -> None:
    service = bench.run("web", replicas=1, template=template, settled=False)
    bench.until(lambda: [task for task in bench.tasks(service) if task["Status"].get("Err")])
    [task] = bench.tasks(service)
    assert (task["DesiredState"], task["Status"]["State"], task["Status"]["Err"]) == ("running", "pending", error)
    assert "NodeID" not in task


# Rollback


def test_requested_rollback_restores_the_previous_spec(bench: Bench) -> None:
    service = bench.run("web")
    before = bench.inspect(service)["Spec"]
    bench.update(service, lambda spec: (set_command(*CRASHES)(spec), force(spec)))
    paused = bench.until_status(service, "paused")
    failing = paused["Spec"]
    bench.client.roll_back_service(service, bench.inspect(service)["Version"]["Index"], failing)
    found = bench.until_status(service, "rollback_completed")
    assert found["Spec"] == before
    assert found["PreviousSpec"] == failing
    assert found["UpdateStatus"]["StartedAt"] > paused["UpdateStatus"]["StartedAt"]
    assert found["UpdateStatus"]["Message"] == "rollback completed"
    bench.until(lambda: len(bench.running(service)) == 2)
    assert {task["Spec"]["ForceUpdate"] for task in bench.running(service)} == {0}


def test_rollback_without_a_previous_spec_is_refused(bench: Bench) -> None:
    service = bench.run("web", replicas=0)
    found = bench.inspect(service)
    with raises(EngineRefused, "engine_refused"):
        bench.client.roll_back_service(service, found["Version"]["Index"], found["Spec"])


# Modes


def test_global_service_has_one_task_a_node(bench: Bench) -> None:
    service = bench.run("agent", replicas=1, Mode={"Global": {}})
    [task] = bench.running(service)
    assert "Slot" not in task
    bench.update(service, force)
    bench.until_status(service, "completed")
    assert [task["Spec"]["ForceUpdate"] for task in bench.running(service)] == [1]


def run_job(bench: Bench, **spec: Any) -> str:
    image = bench.publish("job", Cmd=COMPLETES)
    made = make_spec("job", image, template={"RestartPolicy": {**FAST_RESTART, "Condition": "on-failure"}}, **spec)
    del made["UpdateConfig"]
    return bench.create_service(made)


@pytest.mark.parametrize(
    ("mode", "count"),
    [({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 2}}, 2), ({"GlobalJob": {}}, 1)],
    ids=["replicated", "global"],
)
def test_forced_update_starts_a_job_again(bench: Bench, mode: Json, count: int) -> None:
    service = run_job(bench, Mode=mode)

    def completed(iteration: int) -> list[Json]:
        own = [task for task in bench.tasks(service) if task["JobIteration"].get("Index", 0) == iteration]
        return [t for t in own if (t["DesiredState"], t["Status"]["State"]) == ("complete", "complete")]

    bench.until(lambda: len(completed(0)) == count)
    assert bench.inspect(service)["JobStatus"]["JobIteration"] == {}
    bench.update(service, force)
    bench.until(lambda: len(completed(1)) == count)
    assert bench.inspect(service)["JobStatus"]["JobIteration"] == {"Index": 1}
    assert "UpdateStatus" not in bench.inspect(service)


def test_failing_job_is_tried_again(bench: Bench) -> None:
    mode = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    service = run_job(bench, Mode=mode, container={"Command": CRASHES})
    failed = bench.until(lambda: [t for t in bench.tasks(service) if t["Status"]["State"] == "failed"][1:])
    assert {(task["DesiredState"], task["Status"]["Err"]) for task in failed} == {("shutdown", "task: non-zero exit (1)")}


# Registries


def test_digest_is_what_the_registry_has_now(bench: Bench) -> None:
    image = bench.publish("app")
    first = bench.client.resolve_digest(image)
    assert first == bench.digest_of(image)
    bench.publish("app", Env=["VERSION=2"])
    assert bench.client.resolve_digest(image) == bench.digest_of(image) != first


@pytest.mark.parametrize("name", ["app:unknown", "unknown:1", "app"])
def test_unknown_reference_has_no_digest(bench: Bench, name: str) -> None:
    host = bench.publish("app").partition("/")[0]
    with raises(PullFailed, "pull_not_found"):
        bench.client.resolve_digest(f"{host}/{name}")


def test_registry_that_does_not_answer_is_a_failed_pull(bench: Bench) -> None:
    with raises(PullFailed, "pull_failed"):
        bench.client.resolve_digest(f"{bench.silent_host}/app:1")


@pytest.mark.parametrize("auth", [None, {**AUTH, "password": "wrong"}], ids=["none", "wrong"])
def test_private_registry_gives_no_digest_without_its_credentials(bench: Bench, auth: Json | None) -> None:
    image = bench.publish_private("app")
    with pytest.raises(PullFailed) as refusal:
        bench.client.resolve_digest(image, auth)
    assert (refusal.value.code, refusal.value.had_credentials) == ("pull_unauthorized", auth is not None)
    assert bench.client.resolve_digest(image, AUTH).startswith("sha256:")
    bench.client.credentials = lambda reference, endpoint: PullCredentials(auth)
    with raises(PullFailed, "pull_unauthorized"):
        bench.client.resolve_digest(image)
    bench.client.credentials = lambda reference, endpoint: PullCredentials(AUTH)
    assert bench.client.resolve_digest(image).startswith("sha256:")


def test_update_without_credentials_keeps_those_that_swarm_has(bench: Bench) -> None:
    image = bench.publish_private("kept", Env=["VERSION=1"])
    service = bench.run("web", image, replicas=1, private=True)
    bench.publish_private("kept", Env=["VERSION=2"])
    pinned = f"{image}@{bench.client.resolve_digest(image, AUTH)}"
    bench.update(service, lambda spec: (set_image(pinned)(spec), force(spec)))
    bench.until_status(service, "completed")
    assert [task["Spec"]["ContainerSpec"]["Image"] for task in bench.running(service)] == [pinned]


def test_rollback_keeps_the_credentials_for_what_comes_after(bench: Bench) -> None:
    image = bench.publish_private("back", Env=["VERSION=1"])
    service = bench.run("web", image, replicas=1, private=True)
    bench.update(service, lambda spec: (set_command(*CRASHES)(spec), force(spec)))
    bench.until_status(service, "paused")
    found = bench.inspect(service)
    bench.client.roll_back_service(service, found["Version"]["Index"], found["Spec"])
    bench.until_status(service, "rollback_completed")
    bench.publish_private("back", Env=["VERSION=2"])
    bench.update(service, lambda spec: (set_image(f"{image}@{bench.client.resolve_digest(image, AUTH)}")(spec), force(spec)))
    bench.until_status(service, "completed")
    assert len(bench.running(service)) == 1


def test_task_is_rejected_by_a_private_registry_until_an_update_brings_stored_credentials(bench: Bench) -> None:
    image = bench.publish_private("secret")
    service = bench.run("web", image, replicas=1, settled=False)
    bench.until(lambda: any(task["Status"]["State"] == "rejected" for task in bench.tasks(service)))
    bench.client.credentials = lambda reference, endpoint: PullCredentials(AUTH if reference == image else None)
    bench.update(service, force)
    bench.until(lambda: len(bench.running(service)) == 1)


# Engines that are not managers


REQUESTS: list[Callable[[Any], Any]] = [
    lambda c: c.list_services(),
    lambda c: c.inspect_service("web"),
    lambda c: c.list_tasks(),
    lambda c: c.list_nodes(),
    lambda c: c.update_service("web", 1, make_spec("web", "app:1")),
    lambda c: c.roll_back_service("web", 1, make_spec("web", "app:1")),
]


def check_is_not_a_manager(client: Any) -> None:
    assert client.info()["Swarm"]["ControlAvailable"] is False
    for request in REQUESTS:
        with raises(NotManager, "not_a_manager"):
            request(client)


def test_fake_plain_engine_and_worker_are_not_managers() -> None:
    fake = FakeEngine()
    check_is_not_a_manager(fake)
    fake.init_swarm().is_manager = False
    check_is_not_a_manager(fake)


def test_plain_engine_is_not_a_manager(engine: Any) -> None:
    with EngineClient(engine.endpoint) as client:
        check_is_not_a_manager(client)


def test_worker_is_not_a_manager(three_nodes: PrivateSwarm) -> None:
    with EngineClient(three_nodes.workers[0].endpoint) as client:
        check_is_not_a_manager(client)


# Several nodes


@dataclass
class Cluster:
    """Three nodes under contract: `lose` and `drain` take a worker out of service."""

    bench: Bench
    lose: Callable[[str], None]
    restore: Callable[[str], None]
    drain: Callable[[str], None]
    workers: list[str]

    def places(self, service: str) -> list[str]:
        """Return the host names of the service's tasks that are wanted and run."""
        names = {node["ID"]: node["Description"]["Hostname"] for node in self.bench.client.list_nodes()}
        return sorted(names[task["NodeID"]] for task in self.bench.running(service))

    def node(self, hostname: str) -> Json:
        nodes: list[Json] = self.bench.client.list_nodes()
        return next(node for node in nodes if node["Description"]["Hostname"] == hostname)


@contextlib.contextmanager
def real_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    swarm: PrivateSwarm = request.getfixturevalue("three_nodes")
    with EngineClient(swarm.endpoint) as client:
        bench = Bench(client, lambda spec: create_raw(client, spec), str, swarm.publish, str, str, "")
        yield Cluster(
            bench,
            lambda name: swarm.node(name).kill(),
            lambda name: swarm.node(name).start(),
            lambda name: print(swarm.docker("node", "update", "--availability=drain", name)),
            [node.name for node in swarm.workers],
        )


@contextlib.contextmanager
def fake_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    fake = FakeEngine()
    swarm = fake.init_swarm("worker1", "worker2")

    def publish(name: str, **config: Any) -> str:
        fake.publish(f"10.0.0.1:5000/{name}:1", **config)
        return f"10.0.0.1:5000/{name}:1"

    yield Cluster(
        Bench(fake, swarm.create_service, str, publish, str, str, "", pause=0.0),
        lambda name: swarm.set_node(name, state="down"),
        lambda name: swarm.set_node(name, state="ready"),
        lambda name: swarm.set_node(name, availability="drain"),
        ["worker1", "worker2"],
    )


@pytest.fixture(params=["fake", "real"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with {"fake": fake_cluster, "real": real_cluster}[request.param](request) as made:
        yield made


def test_tasks_are_spread_over_the_nodes(cluster: Cluster) -> None:
    service = cluster.bench.run("web", replicas=3)
    assert len(set(cluster.places(service))) == 3


def test_tasks_of_a_lost_node_move_and_their_last_state_stays(cluster: Cluster) -> None:
    service = cluster.bench.run("web", replicas=3)
    lost = cluster.workers[0]
    cluster.lose(lost)
    cluster.bench.until(lambda: cluster.node(lost)["Status"]["State"] == "down")
    cluster.bench.until(lambda: len([place for place in cluster.places(service) if place != lost]) == 3)
    [left] = [task for task in cluster.bench.tasks(service) if task["NodeID"] == cluster.node(lost)["ID"]]
    assert (left["DesiredState"], left["Status"]["State"]) == ("shutdown", "running")


def test_global_service_follows_the_nodes(cluster: Cluster) -> None:
    service = cluster.bench.run("agent", replicas=3, Mode={"Global": {}})
    lost = cluster.workers[0]
    cluster.lose(lost)
    cluster.bench.until(lambda: lost not in cluster.places(service))
    cluster.restore(lost)
    cluster.bench.until(lambda: len(set(cluster.places(service))) == 3)


def test_tasks_leave_a_drained_node(cluster: Cluster) -> None:
    service = cluster.bench.run("web", replicas=3)
    drained = cluster.workers[0]
    cluster.drain(drained)
    cluster.bench.until(lambda: len(cluster.places(service)) == 3 and drained not in cluster.places(service))
    assert cluster.node(drained)["Spec"]["Availability"] == "drain"


# Removal


STACK: Json = {"com.docker.stack.namespace": "shop"}


def test_tasks_of_a_removed_service_end_and_are_forgotten(bench: Bench) -> None:
    service = bench.run("shop_web", Labels=STACK)
    bench.run("other")
    by_label, by_name = {"label": ["com.docker.stack.namespace=shop"]}, {"name": ["shop_web"]}
    assert {task["ServiceID"] for task in bench.client.list_tasks(by_label)} == {service}
    assert ids(bench.client.list_tasks(by_label)) == ids(bench.client.list_tasks(by_name))
    bench.client.remove_service(service)
    with raises(TargetMissing, "not_found"):
        bench.client.remove_service(service)
    bench.until(lambda: bench.client.list_tasks(by_label) == [] == bench.client.list_tasks(by_name))
    assert len(bench.running("other")) == 2


@pytest.mark.parametrize("kind", ["config", "secret"])
def test_configs_and_secrets_are_found_by_label_and_removed_once_no_service_uses_them(bench: Bench, kind: str) -> None:
    add = {"config": bench.add_config, "secret": bench.add_secret}[kind]
    found, used = add("shop_settings", STACK), add("shop_used", STACK)
    add("other_settings", {"com.docker.stack.namespace": "other"})
    list_them, remove = getattr(bench.client, f"list_{kind}s"), getattr(bench.client, f"remove_{kind}")
    names = {entry["ID"]: entry["Spec"]["Name"] for entry in list_them({"label": ["com.docker.stack.namespace=shop"]})}
    assert names == {found: "shop_settings", used: "shop_used"}
    place = {"Name": "settings", "UID": "0", "GID": "0", "Mode": 0o444}
    word = kind.capitalize()
    reference = {"File": place, f"{word}ID": used, f"{word}Name": "shop_used"}
    service = bench.run("shop_web", container={f"{word}s": [reference]})
    remove(found)
    with raises(TargetMissing, "not_found"):
        remove(found)
    with pytest.raises(EngineRefused):
        remove(used)
    bench.client.remove_service(service)
    remove(used)
    assert [entry["Spec"]["Name"] for entry in list_them()] == ["other_settings"]


def test_network_of_a_stack_is_free_once_its_tasks_have_ended(bench: Bench) -> None:
    network = bench.add_network("shop_back", STACK)
    service = bench.run("shop_web", template={"Networks": [{"Target": network}]}, Labels=STACK)
    with pytest.raises(EngineRefused):
        bench.client.remove_network(network)
    bench.client.remove_service(service)

    def remove() -> bool:
        try:
            bench.client.remove_network(network)
        except EngineRefused:
            return False
        return True

    bench.until(remove)
    bench.until(lambda: bench.client.list_networks({"label": ["com.docker.stack.namespace=shop"]}) == [])
