"""Associated with Image Update, with all real parts: docker push → notification of the registry → call → worker → engine."""

from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from tests.harness.console import RunningConsole, call_link, run_console
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port
from tests.harness.projects import Project, list_running, read_ids
from tests.harness.registry import LOGIN, PrivateRegistry, run_registry

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}


@pytest.fixture(scope="module")
def console(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with run_console(tmp_path_factory.mktemp("console") / "data", session_engine.endpoint_url) as running:
        yield running


@pytest.fixture(scope="module")
def pushing(console: RunningConsole, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry with a password: the console has its credentials, and it reports its pushes to the console."""
    port = find_free_port()
    account = {"username": LOGIN["user"], "password": LOGIN["password"]}
    registry = {"host": f"127.0.0.1:{port}", "kind": "distribution", "plain_http": True, **account}
    status, stored = console.request("POST", "/api/v1/registries/", registry)
    assert status == 201, stored
    endpoint = {"name": "windlass", "url": stored["hook_link"], "timeout": "5s", "threshold": 3, "backoff": "1s"}
    with run_registry(tmp_path_factory.mktemp("registry"), **LOGIN, port=port, notify=[endpoint]) as running:
        yield running


class Shop:
    """An application `<name>` with two containers of an image in the registry, and a trigger associated with it."""

    def __init__(
        self, console: RunningConsole, registry: PrivateRegistry, api: docker.APIClient, name: str, image: Callable[..., str]
    ) -> None:
        self.console, self.registry, self.api, self.name, self.image = console, registry, api, name, image
        self.reference = self.push("0")
        api.pull(*self.reference.rsplit(":", 1), auth_config=registry.auth)
        project = Project(api, name)
        for number in (1, 2):
            project.add("web", self.reference, number)
        repository = self.reference.rsplit(":", 1)[0]
        self.trigger = console.create_trigger(name, "redeploy", subscriptions=[{"repository": repository}])

    def push(self, version: str) -> str:
        """Push a new image under the same tag and return its reference."""
        return self.registry.push(self.api, self.name, self.image(Env=[f"VERSION={version}"], **SLEEP), "1")

    def versions(self) -> set[str]:
        """Return the versions of the running images; none while a container is being removed."""
        try:
            variables = [self.api.inspect_container(name)["Config"]["Env"] for name in list_running(self.api)]
        except docker.errors.NotFound:
            return set()
        return {next(text for text in texts if text.startswith("VERSION=")) for texts in variables}

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Request a call through the API and return it when it has ended."""
        status, call = self.console.request("POST", f"/api/v1/applications/{self.trigger['application']}/{path}/", body or {})
        assert status == 202, call
        read = lambda: self.console.request("GET", f"/api/v1/calls/{call['id']}/")[1]  # noqa: E731
        return dict(eventually(lambda: found if (found := read())["state"] not in {"queued", "running"} else None, within=60))

    def calls(self) -> list[dict[str, Any]]:
        return list(self.console.request("GET", f"/api/v1/calls/?trigger={self.trigger['id']}&limit=100")[1]["results"])


@pytest.fixture
def shop(
    console: RunningConsole,
    pushing: PrivateRegistry,
    api: docker.APIClient,
    unique_name: Callable[[str], str],
    image: Callable[..., str],
) -> Shop:
    return Shop(console, pushing, api, unique_name("shop"), image)


def test_a_push_is_deployed_and_the_same_image_again_is_not(shop: Shop, api: docker.APIClient) -> None:
    before = read_ids(api)
    shop.push("1")
    [call] = eventually(lambda: [call for call in shop.calls() if call["state"] == "succeeded"], within=60)
    assert call["source"] == "registry"
    assert shop.versions() == {"VERSION=1"}
    after = read_ids(api)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    digest = shop.registry.read_digest(shop.name, "1")
    running = api.inspect_image(api.inspect_container(next(iter(after)))["Image"])["RepoDigests"]
    assert f"{shop.reference.rsplit(':', 1)[0]}@{digest}" in running


def test_the_previous_image_is_redeployed_by_hand_and_the_one_that_was_left_is_not_taken_by_itself(
    shop: Shop, api: docker.APIClient
) -> None:
    shop.push("1")
    eventually(lambda: [call for call in shop.calls() if call["state"] == "succeeded"], within=60)
    before = read_ids(api)
    first = shop.calls()[0]["before"]["services"]["web"]
    api.remove_image(next(iter(first["images"])), force=True)  # so that it is pulled by its digest

    ended = shop.ask("redeploy-previous")
    assert ended["state"] == "succeeded", ended["message"]
    assert shop.versions() == {"VERSION=0"}
    now = read_ids(api)
    assert not set(now.values()) & set(before.values())
    digests = {
        digest for found in now.values() for digest in api.inspect_image(api.inspect_container(found)["Image"])["RepoDigests"]
    }
    assert digests == set(first["digests"])
    row = shop.console.request("GET", f"/api/v1/services/?application={shop.trigger['application']}")[1]["results"][0]
    assert row["image"] == shop.reference

    shop.registry.push(api, shop.name, shop.reference, "1")
    decided = f"/api/v1/deliveries/?trigger={shop.trigger['id']}&decision=left"
    eventually(lambda: shop.console.request("GET", decided)[1]["results"], what="the image that was left is recognized")
    assert shop.ask("redeploy")["state"] == "succeeded"
    assert shop.versions() == {"VERSION=1"}


def test_many_pushes_end_on_the_last_one_with_few_redeploys(shop: Shop) -> None:
    images = [shop.image(Env=[f"VERSION={number}"], **SLEEP) for number in range(1, 21)]
    for made in images:
        shop.registry.push(shop.api, shop.name, made, "1")
    eventually(lambda: shop.versions() == {"VERSION=20"}, within=120, what="the last image runs")
    eventually(lambda: all(call["state"] in {"succeeded", "coalesced"} for call in shop.calls()), within=60)
    ran = [call for call in shop.calls() if call["state"] == "succeeded"]
    assert 1 <= len(ran) <= 10, [call["state"] for call in shop.calls()]


def test_a_registry_that_is_down_leaves_what_runs_alone(shop: Shop, api: docker.APIClient) -> None:
    before = read_ids(api)
    shop.registry.stop()
    try:
        status, answer = call_link(shop.trigger)
        assert status == 200, answer
        [ended] = eventually(lambda: [ended for ended in shop.calls() if ended["state"] not in {"queued", "running"}])
    finally:
        shop.registry.start()
    assert (ended["state"], ended["reason"]) == ("failed", "pull_failed"), ended["message"]
    assert read_ids(api) == before
