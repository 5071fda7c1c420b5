"""A worker can die between any two requests: the next one observes, plans and executes again, and completes the call.

Every boundary on FakeEngine, and a handful on the real engine.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest

from clusters.engine.connection.file_requests import StoredFile
from clusters.engine.driver import Driver, Plan
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_engine import CRASHES, FakeEngine
from clusters.engine.standalone.copied_files import parse_time
from tests.harness.driving import Drive, no_check, observe, redeploy_with, scale_with
from tests.harness.engine import PrivateEngine
from tests.harness.interruption import Countdown, Killed, MortalClient, kill_after, revive
from tests.harness.projects import Project, list_names, list_running

IMAGE = "app:1"
ALWAYS = {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}
BOUNDARIES = 400  # more than any plan here has
SECOND_DEATHS = 3  # of so many boundaries, one is tried as the second; the first ones are tried all, so each has its turn


@dataclass
class Case:
    """A service `web` of the project `shop` on a FakeEngine, and its expected state at the end."""

    host_config: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    count: int = 2
    running: bool = True
    sidecar: bool = False
    static: bool = False
    is_started: bool = False  # by a redeploy, which it does not run before
    files: bool = False
    named: bool = False  # the network resolves its name by an alias, so a rename changes nothing

    def expect(self) -> set[str]:
        """Return the picture after a redeploy that succeeded."""
        fake = self.arrange()
        for container in fake.containers.values() if self.is_started else ():
            fake._start(container)
        return picture(fake)

    def arrange(self) -> FakeEngine:
        fake = FakeEngine()
        fake.add_network("shop_default", "10.9.8.0/24")
        volumes = {"/anonymous": {}} if self.host_config.get("Binds") else {}
        fake.add_image(IMAGE, Env=["VERSION=1"], Volumes=volumes)
        for number in range(1, self.count + 1):
            self._run(fake, "web", number)
        if self.sidecar:
            web = next(c for c in fake.containers.values() if c["Name"] == "/shop-web-1")
            fake.run("shop-agent-1", IMAGE, Labels=labels("agent", 1), HostConfig={"NetworkMode": f"container:{web['Id']}"})
        fake.add_image(IMAGE, Env=["VERSION=2"], Volumes=volumes)
        return fake

    def _run(self, fake: FakeEngine, service: str, number: int) -> None:
        name = f"shop-{service}-{number}"
        aliases = [service, name] if self.named else [service]
        address = {"IPAMConfig": {"IPv4Address": f"10.9.8.{100 + number}"}} if self.static else {}
        fake.run(
            name,
            IMAGE,
            start=False,
            Labels=labels(service, number) | self.labels,
            HostConfig={"NetworkMode": "shop_default", **copy_of(self.host_config)},
            NetworkingConfig={"EndpointsConfig": {"shop_default": {"Aliases": aliases, **address}}},
            **self.config,
        )
        if self.files:
            moment = int(parse_time(fake.inspect_container(name)["Created"]))
            fake.write_files(name, [StoredFile("/etc/app.conf", "file", 0o444, (0, 0), content=name.encode())], moment)
        if self.running:
            fake.start_container(name)
        if self.files:
            fake.write_file(name, "/var/log/app.log")


def labels(service: str, number: int) -> dict[str, str]:
    return {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "windlass.update.monitor": "0s",
    }


CASES = {
    "start-first": Case(),
    "start-first, restarted always": Case(host_config=ALWAYS),
    "start-first, named": Case(named=True, host_config=ALWAYS),
    "stop-first": Case(host_config={"Binds": ["shop_data:/data"], **ALWAYS}),
    "stop-first, static address": Case(static=True),
    "removes itself": Case(host_config={"AutoRemove": True, "Binds": ["shop_data:/data"]}),
    "removes itself, start-first": Case(host_config={"AutoRemove": True}),
    "stopped": Case(
        running=False,
        host_config={"Binds": ["shop_data:/data"], **ALWAYS},
        labels={"windlass.update.stopped": "keep"},
    ),
    "never started": Case(running=False, is_started=True, host_config={"Binds": ["shop_data:/data"], **ALWAYS}),
    "with a sidecar": Case(count=1, sidecar=True),
    "with a sidecar, stop-first": Case(count=1, sidecar=True, host_config={"Binds": ["shop_data:/data"], **ALWAYS}),
    "with copied files": Case(files=True),
    "with copied files, stop-first": Case(files=True, host_config={"Binds": ["shop_data:/data"], **ALWAYS}),
    "with copied files, removes itself": Case(files=True, host_config={"AutoRemove": True, "Binds": ["shop_data:/data"]}),
    "side by side": Case(count=3, labels={"windlass.update.parallelism": "2"}),
}


def picture(fake: FakeEngine) -> set[str]:
    """List what a redeploy must not change, by container name: everything but the image, its variables and ids."""
    names = {container["Id"]: container["Name"] for container in fake.containers.values()}
    lines = {f"volume {volume}" for volume in fake.volumes}
    for container in fake.containers.values():
        name, host_config = container["Name"], container["HostConfig"]
        files = fake.files.get(container["Id"], {}).values()
        lines |= {f"{name} has {file.stored}" for file in files if not file.stored.path.startswith("/var/log")}
        kind, _, parent = host_config["NetworkMode"].partition(":")
        lines.add(f"{name} is {container['State']['Status']}")
        lines.add(f"{name} network {kind}:{names.get(parent, parent)}")
        lines.add(f"{name} restart {sorted(host_config['RestartPolicy'].items())} remove {host_config['AutoRemove']}")
        # A container that is restored from an image whose tag has moved keeps its reference in a label of ours.
        labels = {key: value for key, value in container["Config"]["Labels"].items() if key != "windlass.image"}
        lines.add(f"{name} labels {sorted(labels.items())}")
        lines |= {f"{name} mount {mount['Destination']} {mount.get('Name')}" for mount in container["Mounts"]}
        for network, endpoint in container["NetworkSettings"]["Networks"].items():
            aliases = sorted(set(endpoint["Aliases"] or []) - {container["Id"][:12]})
            lines.add(f"{name} on {network} as {aliases} at {(endpoint['IPAMConfig'] or {}).get('IPv4Address')}")
    return lines


def compare(fake: FakeEngine, expected: set[str]) -> list[str]:
    """Return the differences as sorted lines, `+` for what is surplus, and the engine's operations so far."""
    seen = picture(fake)
    differences = [f"+ {line}" for line in seen - expected] + [f"- {line}" for line in expected - seen]
    return [*sorted(differences), *fake.operations] if differences else []


def versions(fake: FakeEngine) -> set[str]:
    return {entry for c in fake.containers.values() for entry in c["Config"]["Env"] if entry.startswith("VERSION=")}


def die_at_each_boundary(
    arrange: Callable[[], FakeEngine], act: Callable[[FakeEngine], Drive], judge: Callable[[FakeEngine, int], None]
) -> None:
    """Run `act` on fresh engines, and die one change later each time, until it completes."""
    for changes in range(BOUNDARIES):
        fake = arrange()
        kill_after(fake, changes)
        try:
            act(fake)
        except Killed:
            revive(fake)
            judge(fake, changes)
            continue
        assert changes > 1, "the plan had too few changes to die in"
        return
    pytest.fail(f"still dying after {BOUNDARIES} changes")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_redeploy_is_finished_after_a_death_at_any_boundary(case: Case) -> None:
    expected = case.expect()

    def judge(fake: FakeEngine, changes: int) -> None:
        assert redeploy_with(fake).state == "succeeded", changes
        assert not compare(fake, expected), changes
        assert versions(fake) == {"VERSION=2"}, changes

    die_at_each_boundary(case.arrange, redeploy_with, judge)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_redeploy_that_dies_twice_is_finished(case: Case) -> None:
    expected = case.expect()

    def judge(fake: FakeEngine, changes: int) -> None:
        for second in range(changes % SECOND_DEATHS, BOUNDARIES, SECOND_DEATHS):
            again = copy_engine(fake)
            kill_after(again, second)
            try:
                redeploy_with(again)
            except Killed:
                revive(again)
                assert redeploy_with(again).state == "succeeded", (changes, second)
                assert not compare(again, expected), (changes, second)
                assert versions(again) == {"VERSION=2"}, (changes, second)
                continue
            return

    die_at_each_boundary(case.arrange, redeploy_with, judge)


@pytest.mark.parametrize("name", ["start-first", "start-first, restarted always", "start-first, named", "side by side"])
def test_start_first_redeploy_never_runs_fewer_containers_even_after_a_death(name: str) -> None:
    case = CASES[name]

    def judge(fake: FakeEngine, changes: int) -> None:
        counts: set[int] = set()
        fake.before_request = lambda method: counts.add(len(fake.running()))
        assert redeploy_with(fake).state == "succeeded"
        assert min(counts) >= case.count, changes

    die_at_each_boundary(case.arrange, redeploy_with, judge)


def copy_engine(fake: FakeEngine) -> FakeEngine:
    other = FakeEngine()
    for name in ("containers", "images", "networks", "volumes", "registry", "files"):
        setattr(other, name, copy_of(getattr(fake, name)))
    other._serial = fake._serial
    return other


@pytest.mark.parametrize("case", [c for n, c in CASES.items() if n != "stopped"], ids=[n for n in CASES if n != "stopped"])
def test_redeploy_to_a_crashing_image_ends_with_the_old_one_after_a_death_at_any_boundary(case: Case) -> None:
    expected = picture(case.arrange())

    def arrange() -> FakeEngine:
        fake = case.arrange()
        fake.add_image(IMAGE, Env=["VERSION=3"], Cmd=CRASHES)
        return fake

    def judge(fake: FakeEngine, changes: int) -> None:
        assert redeploy_with(fake).state == "rolled_back", changes
        assert not compare(fake, expected), changes
        assert versions(fake) == {"VERSION=1"}, changes

    die_at_each_boundary(arrange, redeploy_with, judge)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_current_count_is_right_at_any_boundary_of_a_start_first_redeploy(case: Case) -> None:
    def judge(fake: FakeEngine, changes: int) -> None:
        observation = observe(fake)
        described = observation.snapshot().services["web"]
        assert observation.current_count("web") <= case.count, changes
        if "start-first" in str(redeploy_plan(case.arrange()).as_text()):
            assert observation.current_count("web") == (case.count if case.running else 0), changes
        assert described.wanted == case.count, changes
        assert {container.name for container in described.containers} == {
            f"shop-web-{number}" for number in range(1, case.count + 1)
        }, changes

    die_at_each_boundary(case.arrange, redeploy_with, judge)


def redeploy_plan(fake: FakeEngine) -> Plan:
    driver: Driver = driver_for("compose")
    return driver.plan_redeploy(observe(fake))


@pytest.mark.parametrize(
    "case", [CASES["start-first"], CASES["stop-first"], CASES["removes itself"]], ids=["start", "stop", "rm"]
)
def test_scaling_after_a_redeploy_that_died_gives_the_requested_count(case: Case) -> None:
    def judge(fake: FakeEngine, changes: int) -> None:
        if case.host_config.get("AutoRemove") and changes == 0:
            return
        assert scale_with(fake, 3).state == "succeeded", changes
        assert fake.names() == fake.running() == {"shop-web-1", "shop-web-2", "shop-web-3"}, changes
        policies = {c["HostConfig"]["RestartPolicy"]["Name"] for c in fake.containers.values()}
        assert policies == {case.host_config.get("RestartPolicy", {}).get("Name", "no")}, changes

    die_at_each_boundary(case.arrange, redeploy_with, judge)


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("bind", [False, True], ids=["plain", "volumes"])
def test_scaling_is_finished_after_a_death_at_any_boundary(before: int, after: int, bind: bool) -> None:
    case = Case(count=before, host_config={"Binds": ["shop_data:/data"], **ALWAYS} if bind else {})

    def judge(fake: FakeEngine, changes: int) -> None:
        assert scale_with(fake, after).state == "succeeded", changes
        assert fake.names() == fake.running(), changes
        assert len(fake.names()) == after, changes  # clones are created side by side, so a death can leave a gap in the numbers
        assert "shop-web-1" in fake.names(), changes
        assert versions(fake) == {"VERSION=1"}, changes
        if after > before:
            used = {mount["Name"] for c in fake.containers.values() for mount in c["Mounts"]}
            assert fake.volumes == used, changes

    die_at_each_boundary(case.arrange, lambda fake: scale_with(fake, after), judge)


def test_clones_have_all_networks_after_a_death_at_any_boundary() -> None:
    networks = {"shop_default", "shop_back"}

    def arrange() -> FakeEngine:
        fake = Case(count=1).arrange()
        fake.add_network("shop_back")
        fake.connect_network("shop_back", "shop-web-1", {"Aliases": ["web"]})
        return fake

    def judge(fake: FakeEngine, changes: int) -> None:
        assert scale_with(fake, 3).state == "succeeded", changes
        assert [set(c["NetworkSettings"]["Networks"]) for c in fake.containers.values()] == [networks] * 3, changes

    die_at_each_boundary(arrange, lambda fake: scale_with(fake, 3), judge)


def test_clones_have_all_files_after_a_death_at_any_boundary() -> None:
    def judge(fake: FakeEngine, changes: int) -> None:
        assert scale_with(fake, 3).state == "succeeded", changes
        contents = [fake.read_file(container, "/etc/app.conf", 100).content for container in fake.containers]
        assert contents == [b"shop-web-1"] * 3, changes

    die_at_each_boundary(Case(count=1, files=True).arrange, lambda fake: scale_with(fake, 3), judge)


@pytest.mark.parametrize("crashes", [False, True])
def test_container_in_the_network_of_one_that_somebody_replaced_runs_after_a_death_at_any_boundary(crashes: bool) -> None:
    """Once it is stopped, it can never be started again: the container whose network it uses no longer exists."""

    def arrange() -> FakeEngine:
        fake = Case(count=1).arrange()
        gone = fake.run("gone", IMAGE)
        joined = {"HostConfig": {"NetworkMode": f"container:{gone}"}}
        after_web = {"com.docker.compose.depends_on": "web:service_started:true"}
        fake.run("shop-agent-1", IMAGE, Labels=labels("agent", 1) | after_web, **joined)
        fake.stop_container("gone")
        fake.remove_container("gone")
        fake.add_image(IMAGE, Env=["VERSION=3"], Cmd=CRASHES if crashes else None)
        return fake

    def act(fake: FakeEngine) -> Drive:
        return redeploy_with(fake, service="agent")

    def judge(fake: FakeEngine, changes: int) -> None:
        assert act(fake).state == ("rolled_back" if crashes else "succeeded"), changes
        assert fake.names() == fake.running() == {"shop-agent-1", "shop-web-1"}, changes
        agent, web = fake.inspect_container("shop-agent-1"), fake.inspect_container("shop-web-1")
        assert crashes or agent["HostConfig"]["NetworkMode"] == f"container:{web['Id']}", changes

    die_at_each_boundary(arrange, act, judge)


class Stopped(Exception):
    """A runner's check raises it: the lease is lost, or the call took too long."""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_exception_of_check_is_raised_and_the_next_call_finishes(case: Case) -> None:
    expected = case.expect()
    for checks in range(BOUNDARIES):
        fake = case.arrange()
        left = iter(range(checks))

        def check(left: Any = left) -> None:
            if next(left, None) is None:
                raise Stopped

        try:
            redeploy_with(fake, check=check)
        except Stopped:
            assert redeploy_with(fake, check=no_check).state == "succeeded", checks
            assert not compare(fake, expected), checks
            assert versions(fake) == {"VERSION=2"}, checks
            continue
        assert checks > 2
        return


def test_engine_that_is_lost_halfway_is_reported_and_the_next_call_finishes() -> None:
    case = CASES["stop-first"]
    expected = picture(case.arrange())
    fake = case.arrange()

    def lose(method: str) -> None:
        if fake.operations and any(operation.startswith("stop ") for operation in fake.operations):
            fake.unreachable = "The engine does not answer: connection refused."

    fake.before_request = lose
    with pytest.raises(Exception, match="does not answer"):
        redeploy_with(fake)
    revive(fake)
    fake.unreachable = ""
    assert redeploy_with(fake).state == "succeeded"
    assert not compare(fake, expected)


def test_container_that_refuses_while_it_exits_is_retried() -> None:
    case = CASES["start-first, restarted always"]
    expected = picture(case.arrange())
    fake = case.arrange()
    refusals = iter(["cannot update a stopped container", "cannot update a stopped container"])

    def refuse_twice(method: str) -> None:
        if method == "update_restart_policy" and (message := next(refusals, "")):
            raise EngineRefused(message)

    fake.before_request = refuse_twice
    assert redeploy_with(fake).state == "succeeded"
    assert not compare(fake, expected)


# The same on the real engine, at a few boundaries.

REAL = {
    "start-first": {},
    "stop-first": {"Binds": ["shop_data:/data"], **ALWAYS},
    "removes itself": {"AutoRemove": True, "Binds": ["shop_data:/data"]},
}


@pytest.mark.parametrize("changes", [2, 4, 5])
@pytest.mark.parametrize("host_config", REAL.values(), ids=REAL.keys())
def test_redeploy_is_finished_on_the_real_engine(
    engine: PrivateEngine,
    api: docker.APIClient,
    project: Project,
    image: Callable[..., str],
    changes: int,
    host_config: dict[str, Any],
) -> None:
    app = image(Volumes={"/anonymous": {}})
    front = project.add_network()
    web = project.add("web", app, networks={front: {"Aliases": ["web"]}}, HostConfig=host_config)
    before = api.inspect_container(web)
    image(app, Volumes={"/anonymous": {}})
    with MortalClient(engine.endpoint) as client:
        client.countdown = Countdown(changes)
        with pytest.raises(Killed):
            redeploy_with(client)
    with MortalClient(engine.endpoint) as client:
        assert redeploy_with(client).state == "succeeded"
    after = api.inspect_container(web)
    assert list_names(api) == list_running(api) == {web}
    assert after["Image"] == api.inspect_image(app)["Id"]
    assert after["HostConfig"]["RestartPolicy"] == before["HostConfig"]["RestartPolicy"]
    assert "web" in after["NetworkSettings"]["Networks"][front]["Aliases"]
    assert {mount["Name"] for mount in after["Mounts"]} == {mount["Name"] for mount in before["Mounts"]}
    assert {volume["Name"] for volume in api.volumes()["Volumes"]} == {mount["Name"] for mount in before["Mounts"]}


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_scaling_is_finished_on_the_real_engine(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: Callable[..., str], changes: int
) -> None:
    project.add("web", image())
    with MortalClient(engine.endpoint) as client:
        client.countdown = Countdown(changes)
        with pytest.raises(Killed):
            scale_with(client, 3)
    with MortalClient(engine.endpoint) as client:
        assert scale_with(client, 3).state == "succeeded"
    assert list_names(api) == list_running(api) == {"shop-web-1", "shop-web-2", "shop-web-3"}
