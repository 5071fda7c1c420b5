"""A redeploy pulls the new image first, and touches nothing if it cannot."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from clusters.engine.connection import image_requests
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.registry.tests.scripted import Reply, serve
from tests.harness.driving import Drive, observe, redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.images import CRASH, make_image
from tests.harness.projects import Project, create_container, list_names, read_ids
from tests.harness.registry import LOGIN, MANIFEST, PrivateRegistry, run_registry

ImageMaker = Callable[..., str]


def push_versions(
    api: docker.APIClient, registry: PrivateRegistry, image: ImageMaker, name: str = "shop", **new: object
) -> tuple[str, str]:
    """Put version 1 on the engine and version 2 in the registry, under one tag. Return it and version 2's image id."""
    first = image(Env=["VERSION=1"])
    reference = registry.push(api, name, first)
    api.pull(reference)
    second = make_image(api, "windlass-test/next:1", Env=["VERSION=2"], **new)
    registry.push(api, name, second)
    api.remove_image("windlass-test/next:1")
    return reference, second


def assert_nothing_touched(api: docker.APIClient, before: dict[str, str], drive: Drive) -> None:
    assert drive.state == "failed"
    assert read_ids(api) == before
    assert all(container["State"] == "running" for container in api.containers(all=True))
    assert not {operation for _, operation, _ in drive.events} & {"create", "stop", "rename", "remove", "start"}


def test_new_image_under_the_same_tag_is_pulled_and_runs(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference, second = push_versions(api, registry, image)
    names = {project.add("web", reference, number) for number in (1, 2)}
    assert redeploy(engine).state == "succeeded"
    assert list_names(api) == names
    assert {container["ImageID"] for container in api.containers()} == {second}
    labels = api.inspect_container("shop-web-1")["Config"]["Labels"]
    assert labels["com.docker.compose.image"] == second


def test_local_image_is_redeployed_without_a_pull(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    before = read_ids(api)
    image(app)
    assert redeploy(engine).state == "succeeded"
    assert read_ids(api)[web] != before[web]
    assert api.inspect_container(web)["Image"] == api.inspect_image(app)["Id"]


def test_nothing_is_touched_when_the_registry_is_down(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference, _ = push_versions(api, registry, image)
    project.add("web", reference)
    before = read_ids(api)
    registry.stop()
    drive = redeploy(engine)
    assert_nothing_touched(api, before, drive)
    assert drive.outcome
    assert drive.outcome.reason == "pull_failed"


def test_nothing_is_touched_when_the_registry_no_longer_has_the_tag(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference, _ = push_versions(api, registry, image, "gone")
    project.add("web", reference)
    before = read_ids(api)
    registry.delete_tag("gone", "latest")
    drive = redeploy(engine)
    assert_nothing_touched(api, before, drive)
    assert drive.outcome
    assert drive.outcome.reason == "pull_not_found"


MANIFEST_PATH = "/v2/shop/manifests/latest"
PAGE = Reply(headers={"Content-Type": "text/html"}, body=b"<!doctype html><title>Sign in</title>")


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        (Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}), "pull_unauthorized", ""),
        (Reply(429, body=b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}'), "pull_rate_limited", ""),
        (Reply(500, body=b"no disk left"), "pull_failed", ""),
        (PAGE, "pull_failed", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n", "pull_failed", "no progress for 1 s"),  # slowly, byte by byte
    ],
    ids=["401", "429", "500", "a page", "slow"],
)
def test_nothing_is_touched_whatever_the_registry_answers(
    engine: PrivateEngine,
    api: docker.APIClient,
    project: Project,
    registry: PrivateRegistry,
    image: ImageMaker,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply | bytes,
    reason: str,
    words: str,
) -> None:
    monkeypatch.setattr(image_requests, "PULL_SILENCE", 1.0)
    reference, _ = push_versions(api, registry, image)
    project.add("web", reference)
    before = read_ids(api)
    registry.stop()
    with serve(lambda asked: reply if asked.path == MANIFEST_PATH else Reply(), port=registry.port):
        drive = redeploy(engine)
    assert_nothing_touched(api, before, drive)
    assert drive.outcome
    assert drive.outcome.reason == reason, drive.outcome
    assert words in drive.outcome.message


def test_one_failing_pull_of_several_touches_no_service(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    good, _ = push_versions(api, registry, image, "good")
    bad, _ = push_versions(api, registry, image, "bad")
    project.add("api", good)
    project.add("web", bad)
    before = read_ids(api)
    registry.delete_tag("bad", "latest")
    assert_nothing_touched(api, before, redeploy(engine))


@pytest.fixture
def private_registry(tmp_path: Path) -> Iterator[PrivateRegistry]:
    with run_registry(tmp_path, **LOGIN) as registry:
        yield registry


def test_nothing_is_touched_when_the_registry_wants_a_login(
    engine: PrivateEngine, api: docker.APIClient, project: Project, private_registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference = private_registry.push(api, "secret", image())
    api.pull(reference, auth_config=private_registry.auth)
    project.add("web", reference)
    before = read_ids(api)
    drive = redeploy(engine)
    assert_nothing_touched(api, before, drive)
    assert drive.outcome
    assert drive.outcome.reason == "pull_unauthorized"


def test_stored_credentials_pull_and_a_change_of_them_counts_at_once(
    engine: PrivateEngine, api: docker.APIClient, project: Project, private_registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference = private_registry.push(api, "secret", image())
    api.pull(reference, auth_config=private_registry.auth)
    project.add("web", reference)
    newer = image(Env=["VERSION=2"])
    private_registry.push(api, "secret", newer)
    before = read_ids(api)
    stored = {"username": LOGIN["user"], "password": "outdated", "serveraddress": private_registry.host}
    drive = redeploy(engine, credentials=lambda asked, endpoint: PullCredentials(stored))
    assert_nothing_touched(api, before, drive)
    assert drive.outcome
    assert drive.outcome.reason == "pull_unauthorized"
    assert "outdated" not in str(drive)
    stored["password"] = LOGIN["password"]
    assert redeploy(engine, credentials=lambda asked, endpoint: PullCredentials(stored)).state == "succeeded"
    assert api.inspect_container("shop-web-1")["Image"] == api.inspect_image(newer)["Id"]


def test_another_tag_is_kept_by_later_redeploys_and_a_failed_change_leaves_the_old_tag(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    first = registry.push(api, "tagged", image(), "1")
    api.pull(first)
    project.add("web", first)
    second = registry.push(api, "tagged", image(), "2")
    registry.push(api, "tagged", image(Cmd=CRASH), "3")

    def look() -> tuple[str, str, str]:
        found = api.inspect_container("shop-web-1")
        return found["Config"]["Image"], found["Image"], found["Config"]["Labels"]["com.docker.compose.image"]

    assert redeploy(engine, intent=Intent(tag="2")).state == "succeeded"
    image_id = api.inspect_image(second)["Id"]
    assert look() == (second, image_id, image_id)
    newer = image()
    registry.push(api, "tagged", newer, "2")
    assert redeploy(engine).state == "succeeded"
    image_id = api.inspect_image(newer)["Id"]
    assert look() == (second, image_id, image_id)
    assert redeploy(engine, intent=Intent(tag="3")).state == "rolled_back"
    assert look() == (second, image_id, image_id)
    before = read_ids(api)
    drive = redeploy(engine, intent=Intent(tag="nowhere"))
    assert_nothing_touched(api, before, drive)
    assert drive.outcome
    assert drive.outcome.reason == "pull_not_found"


def test_image_known_by_id_alone_is_refused(engine: PrivateEngine, api: docker.APIClient, image: ImageMaker) -> None:
    app = image()
    create_container(api, "lone", api.inspect_image(app)["Id"])
    image(app)  # the tag moves, so nothing shows any longer what the container was created from
    before = read_ids(api)
    with pytest.raises(PlanRefused) as refusal:
        redeploy(engine, "lone", source="container")
    assert refusal.value.code == "no_image_reference"
    assert read_ids(api) == before


def test_container_whose_tag_has_moved_away_is_redeployed_to_its_tag(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    image(app)  # the engine now lists the container's image as an id
    assert api.containers()[0]["Image"].startswith("sha256:") or ":" not in api.containers()[0]["Image"]
    assert redeploy(engine).state == "succeeded"
    assert api.inspect_container(web)["Config"]["Image"] == app
    assert api.inspect_container(web)["Image"] == api.inspect_image(app)["Id"]


def test_image_pinned_by_digest_stays_the_same_image(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference, second = push_versions(api, registry, image)
    first = api.inspect_image(reference)
    pinned = first["RepoDigests"][0]
    web = project.add("web", pinned)
    assert redeploy(engine).state == "succeeded"
    after = api.inspect_container(web)
    assert (after["Image"], after["Config"]["Image"]) == (first["Id"], pinned)


def test_old_image_is_kept(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference, _ = push_versions(api, registry, image)
    old = api.inspect_image(reference)["Id"]
    project.add("web", reference)
    create_container(api, "other", reference)
    assert redeploy(engine).state == "succeeded"
    assert api.inspect_image(old)["Id"] == old
    assert api.inspect_container("other")["Image"] == old


def test_digest_of_a_multi_platform_index_is_the_images_digest(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    app = image()
    registry.push(api, "multi", app, "amd64")
    manifest = registry.request("GET", "multi/manifests/amd64", headers={"Accept": MANIFEST}).content
    information = api.version()
    entry = {
        "mediaType": MANIFEST,
        "size": len(manifest),
        "digest": registry.read_digest("multi", "amd64"),
        "platform": {"architecture": information["Arch"], "os": "linux"},
    }
    index_type = "application/vnd.docker.distribution.manifest.list.v2+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": index_type, "manifests": [entry]})
    answer = registry.request("PUT", "multi/manifests/latest", data=index, headers={"Content-Type": index_type})
    answer.raise_for_status()
    reference = f"{registry.host}/multi:latest"
    api.pull(reference)
    project.add("web", reference)
    assert redeploy(engine).state == "succeeded"
    with EngineClient(engine.endpoint) as client:
        digests = observe(client).snapshot().services["web"].digests
    assert f"{registry.host}/multi@{answer.headers['Docker-Content-Digest']}" in digests


def test_crashing_pulled_image_is_rolled_back(
    engine: PrivateEngine, api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker
) -> None:
    reference, _ = push_versions(api, registry, image, Cmd=CRASH)
    old = api.inspect_image(reference)["Id"]
    web = project.add("web", reference)
    assert redeploy(engine).state == "rolled_back"
    assert api.inspect_container(web)["Image"] == old
    assert api.inspect_container(web)["State"]["Running"]
    assert list_names(api) == {web}
