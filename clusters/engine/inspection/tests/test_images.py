"""The images of an engine, their users and needs, and how they are found and sorted."""

import pytest

from clusters.engine.inspection.images import (
    ImageNeed,
    attach_needs,
    list_keys,
    map_users,
    read_image,
    search_images,
    sort_images,
    total_images,
)
from clusters.engine.inspection.tests.image_lists import RUNNING, STOPPED, image, names


def test_containers_are_users_whether_they_run_or_not():
    entries = [
        {"Id": "b" * 64, "Names": ["/job"], "ImageID": "sha256:1", "State": "exited"},
        {"Id": "a" * 64, "Names": ["/web", "/proxy/web"], "ImageID": "sha256:1", "State": "running"},
        {"Id": "c" * 64, "Names": [], "ImageID": "sha256:2", "State": "created"},
    ]
    users = map_users(entries)
    assert [(user.name, user.is_running) for user in users["sha256:1"]] == [("web", True), ("job", False)]
    assert [user.name for user in users["sha256:2"]] == ["c" * 12]


@pytest.mark.parametrize(
    ("entry", "tags", "digests", "shared"),
    [
        ({"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "SharedSize": -1}, (), (), None),
        ({"RepoTags": None, "RepoDigests": ["app@sha256:1"], "SharedSize": 0}, (), ("app@sha256:1",), 0),
        ({"RepoTags": ["b:1", "a:1"], "RepoDigests": None}, ("a:1", "b:1"), (), None),
        ({"RepoTags": ["a\x00:\x1b[31m1"]}, ("a:[31m1",), (), None),
    ],
)
def test_an_entry_is_read_without_placeholders_and_control_characters(entry, tags, digests, shared):
    found = read_image({"Id": "sha256:" + "1" * 64, **entry}, {})
    assert (found.tags, found.digests, found.shared) == (tags, digests, shared)


@pytest.mark.parametrize(
    ("reference", "keys"),
    [
        ("nginx", ["nginx:latest"]),
        ("docker.io/library/nginx:1", ["nginx:1"]),
        ("host:5000/app", ["host:5000/app:latest"]),
        ("app@sha256:abc", ["app@sha256:abc"]),
        ("app:1@sha256:abc", ["app@sha256:abc", "app:1"]),
        ("f" * 64, ["sha256:" + "f" * 64]),
        ("", []),
    ],
)
def test_a_reference_matches_by_id_tag_or_digest(reference, keys):
    assert list_keys(reference) == keys


def test_needs_find_their_images_firm_ones_first():
    needs = [
        ImageNeed("docker.io/library/app:1", "by tag"),
        ImageNeed("app:9@sha256:abc", "by digest", firm=True),
        ImageNeed(f"sha256:{2:064x}", "by id"),
        ImageNeed("other:1", "of another"),
    ]
    first, second = attach_needs([image(1, "app:1", digests=("app@sha256:abc",)), image(2)], needs)
    assert [need.reason for need in first.needs] == ["by digest", "by tag"]
    assert [need.reason for need in second.needs] == ["by id"]


def test_totals_count_unused_and_dangling_images():
    found = [image(1, "a:1", size=5), image(2, size=7), image(3, users=(STOPPED,), size=1)]
    totals = total_images(found)
    assert (totals.count, totals.size, totals.unused, totals.dangling) == (3, 13, 2, 1)


def test_images_are_found_by_tag_digest_id_and_container():
    found = [image(1, "Shop/web:1"), image(2, digests=("job@sha256:abc",)), image(3, users=(RUNNING,))]
    assert search_images(found, "shop/WEB") == [found[0]]
    assert search_images(found, "sha256:ab") == [found[1]]
    assert search_images(found, f"{3:064x}") == [found[2]]
    assert search_images(found, "web") == [found[0], found[2]]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["a:1", "B:1", "c:1", "job"]),
        ("-name", ["c:1", "B:1", "a:1", "job"]),
        ("size", ["c:1", "a:1", "job", "B:1"]),
        ("-size", ["B:1", "job", "a:1", "c:1"]),
    ],
)
def test_images_are_sorted_and_by_name_the_untagged_come_last(sort, order):
    found = [image(1, "c:1", size=1), image(2, "B:1", size=4), image(3, "a:1", size=2), image(4, digests=("job@x",), size=3)]
    assert names(sort_images(found, sort)) == order
