"""Fixtures of the tests that need real parts. One engine and one registry a session (and pytest-xdist worker); one
Swarm a module, since also an idle one is work for the machine."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import docker
import pytest

from tests.harness.console import PREPARED_FOLDER
from tests.harness.engine import EngineMissing, PrivateEngine, remove_everything, require_engine_programs, run_engine
from tests.harness.images import create_base_image
from tests.harness.podman import (
    PrivatePodman,
    create_podman_base_image,
    keep_log,
    remove_everything_from_podman,
    require_podman_programs,
    run_podman,
)
from tests.harness.registry import PrivateRegistry, run_registry
from tests.harness.swarm import PrivateSwarm, require_swarm_programs, run_swarm

# Each file's tests run in one process, one after the other; so do those of all files that look at one lasting console.
CONSOLE = "console"
# What takes longest, in about this order: begun first, none of it is left for the end, when other processes have nothing to
# do. Swarms mostly wait, consoles and browsers mostly work: they take turns, so that there is always something to do.
LONGEST = (
    "test_swarm_redeploy",
    "test_every_page",
    "test_swarm_nodes",
    "test_many_processes",
    "test_swarm_contract",
    CONSOLE,
    "test_swarm_discovery",
    "test_trusted_jobs",
    "test_chaos",
    "test_up",
    "test_one_time_links",
    "test_calls_by_link",
    "test_counterparts",
    "test_recreate_recovery",
    "test_swarm_calls_by_link",
    "test_sign_in_by_provider",
    "test_database_role",
    "test_hostile_names",
    "test_second_factor",
    "test_swarm_harness",
    "test_help",
    "test_recreate_safety",
    "test_recreate_compose",
    "test_proof_pages",
    "test_ways",
    "test_trigger_page",
    "test_sign_in",
    "test_storm",
    "test_swarm_scale",
    "test_discovery",
    "test_registry_pushes",
    "test_screenshots",
    "test_recreate_config",
    "test_recreate_networks",
    "test_engine_contract",
    "test_podman",
    "test_proxies",
    "test_watch",
    "test_recreate_references",
    "test_recreate_stopped",
    "test_recreate_files",
    "test_graceful_stop",
    "test_swarm_pages",
)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # its processes inherit the variable
        folder = os.environ[PREPARED_FOLDER] = tempfile.mkdtemp(prefix="windlass-prepared-")
        config.add_cleanup(lambda: shutil.rmtree(folder))


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(find_group(item)))
    yield
    if config.getoption("loadgroup", False) and not all(item.nodeid.endswith(f"@{find_group(item)}") for item in items):
        raise pytest.UsageError("pytest-xdist takes no notice of the groups: which versions of it and of pytest are these?")
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(find_group(item), len(LONGEST)))


def find_group(item: pytest.Item) -> str:
    return CONSOLE if "lasting_console" in getattr(item, "fixturenames", ()) else item.path.stem


@pytest.fixture(scope="session")
def session_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    """The session's engine with the base image. Tests take `engine`, which is empty for each."""
    try:
        require_engine_programs()
    except EngineMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    with run_engine() as private_engine:
        with private_engine.connect() as api:
            create_base_image(api)
        yield private_engine
        if request.session.testsfailed:
            shutil.copy(private_engine.log_file, tmp_path_factory.getbasetemp() / "dockerd.log")


@pytest.fixture
def engine(session_engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """A real engine without containers, networks or volumes of others; `engine.endpoint_url` is its address."""
    yield session_engine
    with session_engine.connect() as api:
        remove_everything(api)


@pytest.fixture
def api(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    """The SDK's own client of `engine`: the tests' hands and eyes."""
    with engine.connect() as client:
        yield client


@pytest.fixture(scope="session")
def session_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with run_registry(tmp_path_factory.mktemp("registry")) as private_registry:
        yield private_registry


@pytest.fixture
def registry(session_registry: PrivateRegistry) -> Iterator[PrivateRegistry]:
    """A real registry without authentication. A test may stop it; it runs again for the next."""
    yield session_registry
    if session_registry.process is None:
        session_registry.start()


@pytest.fixture(scope="module")
def module_podman(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivatePodman]:
    try:
        require_podman_programs()
    except EngineMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    with run_podman() as private_podman:
        with private_podman.connect() as api:
            create_podman_base_image(api)
        yield private_podman
        if request.session.testsfailed:
            keep_log(private_podman, tmp_path_factory.getbasetemp())


@pytest.fixture
def podman(module_podman: PrivatePodman) -> Iterator[PrivatePodman]:
    """A real Podman without containers, pods, networks or volumes of others, one a test module."""
    yield module_podman
    with module_podman.connect() as api:
        remove_everything_from_podman(api)


def provide_swarm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, nodes: int
) -> Iterator[PrivateSwarm]:
    try:
        require_swarm_programs()
    except EngineMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    with run_swarm(nodes) as private_swarm:
        yield private_swarm
        if request.session.testsfailed:
            logs = tmp_path_factory.mktemp("swarm")
            for node in private_swarm.nodes:
                shutil.copy(node.log_file, logs / f"{node.name}.log")


@pytest.fixture(scope="module")
def small_swarm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSwarm]:
    yield from provide_swarm(request, tmp_path_factory, 1)


@pytest.fixture
def swarm(small_swarm: PrivateSwarm) -> Iterator[PrivateSwarm]:
    """A real Swarm of one node, empty for each test."""
    yield small_swarm
    small_swarm.reset()


@pytest.fixture(scope="module")
def module_swarm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSwarm]:
    yield from provide_swarm(request, tmp_path_factory, 3)


@pytest.fixture
def three_nodes(module_swarm: PrivateSwarm) -> Iterator[PrivateSwarm]:
    """A real Swarm of a manager and two workers, one a test module. A test may kill or cut them; the next finds all well."""
    yield module_swarm
    module_swarm.reset()


_names = itertools.count(1)


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    """`unique_name("shop")` -> "shop7": a name that no other test of the session has."""
    return lambda word: f"{word}{next(_names)}"
