import pytest

from clusters.engine.previous_images import PreviousImage, find_main_image, read_previous_images
from clusters.engine.snapshot import ServiceSnapshot

FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (ServiceSnapshot(), None),
        (ServiceSnapshot(image="app:1", images={"app:1": 2}, mode="replicated"), None),  # a Swarm without a digest
        (
            ServiceSnapshot(image="app:1", images={FIRST: 2}, digests=(f"app@{SECOND}",)),
            PreviousImage("app:1", FIRST, (f"app@{SECOND}",)),
        ),
        (
            ServiceSnapshot(image="app:1", images={FIRST: 1, SECOND: 2}, digests=("app@x", "app@y")),
            PreviousImage("app:1", SECOND),
        ),
        (
            ServiceSnapshot(image="app:1", images={FIRST: 2}, digests=(f"app:1@{FIRST}",), mode="replicated"),
            PreviousImage("app:1", digests=(f"app:1@{FIRST}",)),
        ),
    ],
    ids=["nothing", "no digest", "one image", "a mixture", "Swarm"],
)
def test_the_image_that_most_of_a_service_ran(service, expected):
    assert find_main_image(service) == expected


def test_images_are_the_same_by_id_or_by_digest():
    image = PreviousImage("app:1", FIRST, (f"app@{SECOND}",))
    assert image.keys == {FIRST, SECOND}
    assert image.sources == (FIRST, f"app@{SECOND}")
    assert image.short == "sha256:111111111111"
    assert PreviousImage("app:1", digests=(f"app:1@{SECOND}",)).short == "sha256:222222222222"


def test_what_is_kept_with_a_call_is_read_whatever_it_holds():
    image = PreviousImage("app:1", FIRST, (f"app@{SECOND}",))
    assert read_previous_images({"web": image.to_json()}) == {"web": image}
    assert read_previous_images({"web": {"digests": "x"}, "db": 1}) == {"web": PreviousImage("")}
    assert read_previous_images(None) == {}
