import pytest

from clusters.engine.references import came_from_registry, is_image_id, repository_of, share_digest, shorten_image_id

IMAGE_ID = "sha256:" + "cafe12" + "0" * 58


@pytest.mark.parametrize("reference", ["", IMAGE_ID, IMAGE_ID[7:], "cafe12", "sha256:cafe12", "cafe12000000"])
def test_ids_in_any_length_are_ids(reference):
    assert is_image_id(reference, IMAGE_ID)


@pytest.mark.parametrize("reference", ["app", "app:1", "beef12", "cafe12:1", f"app@{IMAGE_ID}", "localhost:5000/cafe12"])
def test_names_are_no_ids(reference):
    assert not is_image_id(reference, IMAGE_ID)


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("app", "app"),
        ("app:1", "app"),
        ("docker.io/library/app:1", "app"),
        ("library/app", "app"),
        ("docker.io/team/app:1", "team/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("localhost:5000/team/app:1.2", "localhost:5000/team/app"),
        ("app:1@sha256:abc", "app"),
    ],
)
def test_repositories_are_written_as_the_engine_does(reference, repository):
    assert repository_of(reference) == repository


def test_only_a_digest_of_the_same_repository_shows_that_a_registry_knows_it():
    image = {"Id": IMAGE_ID, "RepoDigests": ["base@sha256:1", f"app@{IMAGE_ID}"]}
    assert not came_from_registry(image, "app:1")
    assert came_from_registry(image, "docker.io/library/base:2")


def test_images_of_one_index_share_a_digest_whatever_the_repository():
    assert share_digest(["a@sha256:1"], ["mirror/a@sha256:1", "x@sha256:2"])
    assert not share_digest(["a@sha256:1"], ["a@sha256:2"])
    assert not share_digest([], [])


def test_short_ids_keep_their_kind():
    assert shorten_image_id(IMAGE_ID) == "sha256:cafe12000000"
    assert shorten_image_id("0123456789abcdef") == "0123456789ab"
