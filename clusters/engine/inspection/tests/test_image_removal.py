"""Which images a prune removes, and in which order."""

import pytest

from clusters.engine.inspection.image_removal import Scope, choose_images, choose_one, explain_hold, explain_stay
from clusters.engine.inspection.images import (
    ImageNeed,
    ImageUser,
    link_children,
)
from clusters.engine.inspection.tests.image_lists import RUNNING, STOPPED, image, names


def test_either_prune_removes_a_dangling_image_and_neither_a_used_one():
    found = [image(1), image(2, "idle:1"), image(3, "web:1", users=(RUNNING,)), image(4, users=(STOPPED,))]
    assert choose_images(found, Scope.DANGLING).going == (found[0],)
    choice = choose_images(found, Scope.UNUSED)
    assert set(choice.going) == {found[0], found[1]}
    assert (choice.used, choice.kept) == (2, ())


@pytest.mark.parametrize(("named", "firm", "goes"), [(False, False, False), (True, False, True), (True, True, False)])
def test_an_image_that_is_referred_to_is_removed_only_if_chosen_and_never_if_firm(named, firm, goes):
    found = image(1, "app:1", needs=(ImageNeed("app:1", "the application app refers to it", firm),))
    choice = choose_images([found], Scope.UNUSED, named)
    assert (choice.going == (found,)) is goes
    assert bool(explain_hold(found, named)) is not goes
    assert (explain_stay(found, [found]) == "") is not firm


def test_an_image_is_removed_after_those_built_on_it_or_kept_with_them():
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


def test_the_space_is_an_upper_limit_and_a_lower_one_where_sharing_is_measured():
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
