"""A redeploy that returns to previous images: what it plans, and what runs after it."""

import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import PlanRefused
from clusters.engine.fakes.fake_engine import CRASHES, FakeEngine
from clusters.engine.names import COMPOSE_IMAGE_LABEL, REFERENCE_LABEL
from clusters.engine.previous_images import PreviousImage, find_main_image
from clusters.engine.standalone.tests.test_execute import LABELS, execute

REFERENCE = "registry.example/app:1"


class Shop:
    """A service whose first image was replaced by a second one of the same tag, and a database beside it."""

    def __init__(self):
        self.fake = FakeEngine()
        self.first = self.fake.publish(REFERENCE, Env=["VERSION=1"])
        self.fake.pull_image(REFERENCE)
        self.fake.add_image("db:1")
        self.fake.run("shop-web-1", REFERENCE, Labels={**LABELS, COMPOSE_IMAGE_LABEL: self.first, "kept": "as it is"})
        self.fake.run("shop-db-1", "db:1", Labels={**LABELS, "com.docker.compose.service": "db"})
        self.previous = find_main_image(self.observe().snapshot().services["web"])
        self.second = self.fake.publish(REFERENCE, Env=["VERSION=2"])
        assert self.redeploy(Intent())[0].state == "succeeded"
        self.fake.operations.clear()

    def observe(self, images=()):
        return driver_for("compose").observe(self.fake, Target("shop", "compose", images=tuple(images)))

    def plan(self, intent):
        images = [source for image in intent.returns_to.values() for source in image.sources]
        return driver_for("compose").plan_redeploy(self.observe(images), intent)

    def redeploy(self, intent):
        return execute(self.fake, self.plan(intent))

    def web(self):
        return self.fake.inspect_container("shop-web-1")


@pytest.fixture
def shop():
    return Shop()


def back(image):
    return Intent(returns_to={"web": image})


def test_the_plan_is_about_the_named_services_alone_and_pulls_nothing_that_the_engine_has_kept(shop):
    short = shop.first[:19]
    lines = shop.plan(back(shop.previous)).as_text().splitlines()
    assert lines[0] == "redeploy shop with the previous image"
    assert lines[1] == f"note: {short} is not pulled: it is the image that web ran before, and the engine has it"
    assert f"from {REFERENCE} ({short}) (redeploy of web; " in lines[2]
    assert not [line for line in lines if "shop-db-1" in line or "pull " in line]


def test_the_previous_image_runs_and_the_reference_stays_the_tag(shop):
    outcome, _ = shop.redeploy(back(shop.previous))
    assert (outcome.state, outcome.message) == (
        "succeeded",
        f"1 container of shop now runs {shop.first[:19]} ({REFERENCE}).",
    )
    web = shop.web()
    assert (web["Image"], web["Config"]["Image"]) == (shop.first, shop.first)
    labels = web["Config"]["Labels"]
    assert (labels[REFERENCE_LABEL], labels[COMPOSE_IMAGE_LABEL], labels["kept"]) == (REFERENCE, shop.first, "as it is")
    assert "VERSION=1" in web["Config"]["Env"]
    assert "VERSION=2" not in web["Config"]["Env"]
    assert shop.observe().snapshot().services["web"].image == REFERENCE


def test_the_next_redeploy_pulls_the_tag_again(shop):
    shop.redeploy(back(shop.previous))
    third = shop.fake.publish(REFERENCE, Env=["VERSION=3"])
    assert shop.redeploy(Intent())[0].state == "succeeded"
    assert (shop.web()["Image"], shop.web()["Config"]["Image"]) == (third, REFERENCE)
    assert REFERENCE_LABEL not in shop.web()["Config"]["Labels"]


def test_a_second_redeploy_of_an_image_that_the_tag_means_keeps_the_tag_in_the_configuration(shop):
    now = find_main_image(shop.observe().snapshot().services["web"])
    assert shop.redeploy(back(now))[0].state == "succeeded"
    assert (shop.web()["Image"], shop.web()["Config"]["Image"]) == (shop.second, REFERENCE)


def test_an_image_that_the_engine_has_removed_is_pulled_by_its_digest(shop):
    shop.fake.remove_image(shop.first)
    digest = f"registry.example/app@{shop.fake.digest_of(shop.first)}"
    outcome, events = shop.redeploy(back(shop.previous))
    assert outcome.state == "succeeded"
    assert shop.web()["Image"] == shop.first
    assert [text for _, operation, text in events if operation == "pull"] == [
        f"pull {digest}",
        f"{digest} was pulled: {shop.first[:19]}",
    ]
    assert shop.fake.inspect_image(REFERENCE)["Id"] == shop.second  # the tag is left where it is


def test_an_image_that_is_nowhere_is_refused_before_anything_is_touched(shop):
    shop.fake.remove_image(shop.first)
    with pytest.raises(PlanRefused) as refused:
        shop.plan(back(PreviousImage(REFERENCE, shop.first)))
    assert refused.value.code == "missing_image"
    assert "is no longer on the engine, and no registry ever had it" in refused.value.message
    del shop.fake.published[shop.first]
    outcome, _ = shop.redeploy(back(shop.previous))
    assert (outcome.state, outcome.reason) == ("failed", "pull_not_found")
    assert shop.web()["Image"] == shop.second


def test_a_previous_image_that_does_not_become_healthy_is_rolled_back(shop):
    crashing = shop.fake.add_image("crashing:1", Cmd=CRASHES)
    outcome, _ = shop.redeploy(back(PreviousImage(REFERENCE, crashing)))
    assert outcome.state == "rolled_back"
    assert shop.web()["Image"] == shop.second


def test_the_tag_of_then_is_configured_again(shop):
    second = shop.fake.publish("registry.example/app:2")
    only = driver_for("compose")
    observed = only.observe(shop.fake, Target("shop", "compose", "web"))
    assert execute(shop.fake, only.plan_redeploy(observed, Intent(tag="2")))[0].state == "succeeded"
    assert shop.web()["Image"] == second
    shop.redeploy(back(shop.previous))
    assert shop.observe().snapshot().services["web"].image == REFERENCE


def test_services_that_no_longer_exist_are_refused(shop):
    with pytest.raises(PlanRefused) as refused:
        shop.plan(Intent(returns_to={"other": shop.previous}))
    assert refused.value.code == "not_found"
