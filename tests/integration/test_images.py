"""Images on a real engine: what a prune previews and removes, and what it keeps when something changed in between."""

from collections.abc import Callable, Iterator

import docker
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.inspection.image_removal import Removal, Scope, choose_images, choose_one, remove_images
from clusters.engine.inspection.images import EngineImage, ImageNeed, read_images
from clusters.engine.inspection.replaced_images import choose_replaced, remove_replaced
from tests.harness.engine import PrivateEngine
from tests.harness.images import BASE, make_image
from tests.harness.registry import PrivateRegistry

PREFIX = "windlass-prune/"


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[EngineClient]:
    with EngineClient(engine.endpoint) as made:
        yield made


@pytest.fixture
def build(api: docker.APIClient) -> Iterator[Callable[[str, str], str]]:
    """Build an image by `build(reference, label)`. Those that remain are removed after the test."""
    made: list[str] = []

    def make(reference: str, label: str) -> str:
        made.append(make_image(api, PREFIX + reference, Labels={"prune": label}))
        return made[-1]

    yield make
    for container in api.containers(all=True):
        api.remove_container(container["Id"], force=True)
    for image in made:
        if api.images(filters={"label": "prune"}, quiet=True, all=True) and image in {one["Id"] for one in api.images()}:
            api.remove_image(image, force=True)


def read_own(client: EngineClient, *needs: ImageNeed) -> list[EngineImage]:
    """Return the images of these tests and the base that they are built on: other tests leave images behind."""
    return [one for one in read_images(client, needs) if one.name.startswith((PREFIX, BASE)) or not one.tags]


def preview(images: list[EngineImage], made: set[str]) -> dict[str, str]:
    choice = choose_images(images, Scope.UNUSED)
    return {image.image_id: image.fingerprint for image in choice.going if image.image_id in made}


def test_exactly_the_previewed_images_are_removed_and_those_in_use_by_then_are_kept(
    client: EngineClient, api: docker.APIClient, build: Callable[[str, str], str]
) -> None:
    dangling, tagged = build("web:1", "old"), build("web:1", "new")
    idle, late, gone = build("idle:1", "idle"), build("late:1", "late"), build("gone:1", "gone")
    used, stopped = build("used:1", "used"), build("stopped:1", "stopped")
    api.start(api.create_container(used, name="used"))
    api.create_container(stopped, name="stopped")
    api.tag(idle, f"{PREFIX}idle", "stable")
    api.tag(idle, f"{PREFIX}elsewhere", "1")
    made = {dangling, tagged, idle, late, gone, used, stopped}
    previewed = preview(read_own(client), made)
    assert previewed.keys() == {dangling, tagged, idle, late, gone}

    api.create_container(late, name="late")
    api.remove_image(gone)
    after = build("after:1", "after")  # unused too, but not in the preview
    present = read_own(client)
    removal: Removal = remove_images(client, previewed, present, choose_images(present, Scope.UNUSED))

    assert {image.image_id for image in removal.removed} == {dangling, tagged, idle}
    assert [(one.image.image_id, one.reason) for one in removal.kept] == [(late, "it is used by the stopped container late")]
    assert removal.gone == (gone,)
    left = {image["Id"] for image in api.images()}
    assert left & {*made, after} == {late, used, stopped, after}
    assert api.images(name=BASE), "an image that others are built on is kept"


def test_a_container_created_in_between_keeps_its_image_and_all_tags(
    client: EngineClient, api: docker.APIClient, build: Callable[[str, str], str]
) -> None:
    """The container comes after the images were read: the engine itself refuses, and tags removed by then are restored."""
    image = build("raced:1", "raced")
    api.tag(image, f"{PREFIX}raced", "2")
    present = read_own(client)
    (shown,) = [one for one in present if one.image_id == image]
    api.create_container(image, name="raced")
    removal = remove_images(client, {image: shown.fingerprint}, present, choose_one(present, image))
    assert "is being used by stopped container" in removal.kept[0].reason
    assert sorted(api.inspect_image(image)["RepoTags"]) == [f"{PREFIX}raced:1", f"{PREFIX}raced:2"]


def test_a_tag_that_moved_since_the_preview_removes_no_other_image(
    client: EngineClient, api: docker.APIClient, build: Callable[[str, str], str]
) -> None:
    previous = build("moving:1", "previous")
    previewed = preview(read_own(client), {previous})
    newer = build("moving:1", "newer")
    present = read_own(client)
    removal = remove_images(client, previewed, present, choose_images(present, Scope.UNUSED))
    assert removal.kept[0].reason == "its tags have changed since the preview"
    assert {previous, newer} <= {image["Id"] for image in api.images()}


def test_a_pulled_image_is_known_by_its_digest_and_removed_with_it(
    client: EngineClient, api: docker.APIClient, build: Callable[[str, str], str], registry: PrivateRegistry
) -> None:
    built = build("published:1", "published")
    reference = registry.push(api, "pruned", f"{PREFIX}published:1", "1")
    client.pull_image(reference)
    digest = f"{registry.host}/pruned@{registry.read_digest('pruned', '1')}"
    images = read_images(client, [ImageNeed(digest, "the service pinned refers to it")])
    (found,) = [one for one in images if one.image_id == built]
    assert digest in found.digests
    assert reference in found.tags
    assert choose_images([found], Scope.UNUSED).kept[0].reason == "the service pinned refers to it"
    choice = choose_one(images, built)
    assert remove_images(client, {built: found.fingerprint}, images, choice).removed == (found,)
    assert built not in {image["Id"] for image in api.images()}


def test_replaced_images_of_a_repository_are_removed_but_for_the_last(
    client: EngineClient, api: docker.APIClient, build: Callable[[str, str], str], registry: PrivateRegistry
) -> None:
    found, reference = [], ""
    for version in ("one", "two", "three", "four"):
        built = build("replaced:1", version)
        reference = registry.push(api, "replaced", f"{PREFIX}replaced:1", "1")
        api.remove_image(f"{PREFIX}replaced:1")
        client.pull_image(reference)
        found.append(built)
    api.create_container(found[0], name="old")
    images, repository = read_images(client), reference.rpartition(":")[0]
    chosen = choose_replaced(images, {repository: 1}, {found[1]})
    assert [image.image_id for image in chosen] == [found[2]]
    removal = remove_replaced(client, images, chosen)
    assert (removal.removed, removal.kept) == (chosen, ())
    assert set(found) & {image["Id"] for image in api.images()} == {found[0], found[1], found[3]}
