"""Images of an engine: what uses and needs each, how they are found, which a prune takes and in which order."""

import pytest

from clusters.engine.inspection.image_removal import Scope, choose_images, choose_one, explain_hold, explain_stay
from clusters.engine.inspection.images import (
    EngineImage,
    ImageNeed,
    ImageUser,
    attach_needs,
    link_children,
    list_keys,
    map_users,
    read_image,
    search_images,
    sort_images,
    total_images,
)

RUNNING = ImageUser("c1", "web", True)
STOPPED = ImageUser("c2", "job", False)


def image(number, *tags, **values):
    return EngineImage(f"sha256:{number:064x}", tags, **values)


def names(found):
    return [one.name for one in found]


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
def test_a_reference_is_met_by_id_tag_or_digest(reference, keys):
    assert list_keys(reference) == keys


def test_needs_find_their_images_the_firm_ones_first():
    needs = [
        ImageNeed("docker.io/library/app:1", "by tag"),
        ImageNeed("app:9@sha256:abc", "by digest", firm=True),
        ImageNeed(f"sha256:{2:064x}", "by id"),
        ImageNeed("other:1", "of another"),
    ]
    first, second = attach_needs([image(1, "app:1", digests=("app@sha256:abc",)), image(2)], needs)
    assert [need.reason for need in first.needs] == ["by digest", "by tag"]
    assert [need.reason for need in second.needs] == ["by id"]


def test_totals_tell_unused_from_dangling():
    found = [image(1, "a:1", size=5), image(2, size=7), image(3, users=(STOPPED,), size=1)]
    totals = total_images(found)
    assert (totals.count, totals.size, totals.unused, totals.dangling) == (3, 13, 2, 1)


def test_they_are_found_by_tag_digest_id_and_container():
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
def test_they_are_sorted_and_those_without_a_tag_come_last_by_name(sort, order):
    found = [image(1, "c:1", size=1), image(2, "B:1", size=4), image(3, "a:1", size=2), image(4, digests=("job@x",), size=3)]
    assert names(sort_images(found, sort)) == order


def test_a_dangling_image_goes_by_either_choice_and_a_used_one_by_none():
    found = [image(1), image(2, "idle:1"), image(3, "web:1", users=(RUNNING,)), image(4, users=(STOPPED,))]
    assert choose_images(found, Scope.DANGLING).going == (found[0],)
    choice = choose_images(found, Scope.UNUSED)
    assert set(choice.going) == {found[0], found[1]}
    assert (choice.used, choice.kept) == (2, ())


@pytest.mark.parametrize(("named", "firm", "goes"), [(False, False, False), (True, False, True), (True, True, False)])
def test_what_is_referred_to_goes_only_if_chosen_and_never_if_firm(named, firm, goes):
    found = image(1, "app:1", needs=(ImageNeed("app:1", "the application app refers to it", firm),))
    choice = choose_images([found], Scope.UNUSED, named)
    assert (choice.going == (found,)) is goes
    assert bool(explain_hold(found, named)) is not goes
    assert (explain_stay(found, [found]) == "") is not firm


def test_what_was_built_on_an_image_goes_before_it_or_holds_it():
    base, middle, top = image(1, "base:1"), image(2, "middle:1"), image(3, "top:1")
    base, middle, top = link_children(
        [base, image(2, "middle:1", parent_id=base.image_id), image(3, "top:1", parent_id=middle.image_id)]
    )
    assert names(choose_images([base, middle, top], Scope.UNUSED).going) == ["top:1", "middle:1", "base:1"]
    used = link_children([base, middle, image(3, "top:1", parent_id=middle.image_id, users=(RUNNING,))])
    choice = choose_images(used, Scope.UNUSED)
    assert choice.going == ()
    assert {one.image.name: one.reason for one in choice.kept} == {
        "base:1": "middle:1 was built on it",
        "middle:1": "top:1 was built on it",
    }
    assert choose_one(used, base.image_id).going == ()


def test_the_space_is_the_most_and_where_the_engine_tells_the_least():
    found = [image(1, size=100, shared=80), image(2, size=50, shared=0)]
    choice = choose_images(found, Scope.DANGLING)
    assert (choice.space, choice.sure_space) == (150, 70)
    assert choose_images([*found, image(3, size=1)], Scope.DANGLING).sure_space is None


def test_users_are_named_and_the_rest_counted():
    users = tuple(ImageUser(f"c{number}", f"web-{number}", True) for number in range(5))
    assert explain_hold(image(1, users=users), named=True) == (
        "it is used by the running container web-0, the running container web-1, the running container web-2 and 2 more"
    )
    assert explain_hold(image(1, users=(STOPPED,)), named=True) == "it is used by the stopped container job"
