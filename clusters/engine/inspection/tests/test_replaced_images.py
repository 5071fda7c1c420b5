"""Which replaced images are removed, and which never."""

import pytest

from clusters.engine.driver import KeepLabel
from clusters.engine.inspection.images import EngineImage, ImageNeed, link_children
from clusters.engine.inspection.replaced_images import choose_replaced, read_limits
from clusters.engine.inspection.tests.image_lists import RUNNING, STOPPED, image


def replaced(number, repository="shop/web", **fields):
    """Return an image that has lost its tag; a higher number was built later."""
    return image(number, digests=(f"{repository}@sha256:{number:064x}",), **fields)


def ids(images: tuple[EngineImage, ...]) -> list[int]:
    return sorted(int(found.hexadecimal, 16) for found in images)


def test_the_last_replaced_ones_of_a_repository_stay():
    found = [replaced(number) for number in (1, 2, 3)] + [replaced(4, "shop/other")]
    assert ids(choose_replaced(found, {"shop/web": 1}, ())) == [1, 2]
    assert ids(choose_replaced(found, {"shop/web": 0}, ())) == [1, 2, 3]
    assert ids(choose_replaced(found, {"shop/web": 5}, ())) == []


@pytest.mark.parametrize("key", ["id", "digest"])
def test_what_has_just_been_replaced_is_the_last_whenever_it_was_built(key):
    found = [replaced(number) for number in (1, 2, 3)]
    just = found[0].image_id if key == "id" else found[0].digests[0].partition("@")[2]
    assert ids(choose_replaced(found, {"shop/web": 1}, {just})) == [2, 3]


@pytest.mark.parametrize(
    "fields",
    [
        {"users": (RUNNING,)},
        {"users": (STOPPED,)},
        {"tags": ("shop/web:old",)},
        {"tags": ("else:1",)},
        {"needs": (ImageNeed("x", "a rollback would return to it"),)},
    ],
    ids=["running", "stopped", "tag", "other tag", "need"],
)
def test_what_something_else_has_or_needs_stays(fields):
    tags = fields.pop("tags", ())
    found = image(1, *tags, digests=("shop/web@sha256:1",), **fields)
    assert choose_replaced([found], {"shop/web": 0}, {found.image_id}) == ()


def test_what_another_repository_or_image_shares_stays():
    both = image(1, digests=("shop/web@sha256:1", "mirror/web@sha256:1"))
    parent, child = link_children([replaced(2), image(3, "child:1", parent_id=image(2).image_id)])
    assert choose_replaced([both, parent, child], {"shop/web": 0}, {both.image_id}) == ()


def test_an_image_that_was_built_here_is_known_by_the_call_alone():
    found = [image(1), image(2)]
    assert ids(choose_replaced(found, {"shop/web": 0}, {found[0].image_id})) == [1]
    assert ids(choose_replaced(found, {"shop/web": 0, "shop/api": 0}, {found[0].image_id})) == []


def test_the_largest_number_of_a_repository_counts_and_a_label_that_is_none_removes_nothing():
    labels = [KeepLabel("web", "shop/web:1", "1"), KeepLabel("job", "shop/web:2", "3"), KeepLabel("api", "shop/api", "0")]
    assert read_limits(labels) == ({"shop/web": 3, "shop/api": 0}, [])
    limits, problems = read_limits([*labels, KeepLabel("cron", "shop/web", "all")])
    assert limits == {"shop/api": 0}
    assert problems == ["The label windlass.keep-images of cron is no number up to 1000: all. No image of shop/web is removed."]
    assert read_limits([KeepLabel("web", f"sha256:{1:064x}", "1")]) == ({}, [])
