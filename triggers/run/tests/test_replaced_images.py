import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.run.replaced_images import remove_replaced_images

LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "windlass.update.monitor": "0s",
}


class Shop:
    """An application on an engine in memory, and what its redeploys report about images."""

    def __init__(self, keep):
        self.fake, self.events = FakeEngine(), []
        self.application = ApplicationFactory(name="shop", source="compose")
        self.publish(1)
        self.fake.pull_image("shop/web:1")
        self.fake.run("shop-web-1", "shop/web:1", Labels={**LABELS, **({"windlass.keep-images": keep} if keep else {})})

    def publish(self, version):
        return self.fake.publish("shop/web:1", Env=[f"VERSION={version}"])

    def report(self, *event):
        self.events.append(event)

    def redeploy(self, version):
        self.publish(version)
        driver = driver_for("compose")
        before = driver.observe(self.fake, Target("shop", "compose"))
        assert (
            driver.execute(self.fake, driver.plan_redeploy(before, Intent()), lambda *e: None, lambda: None).state
            == "succeeded"
        )
        remove_replaced_images(self.fake, self.application, before, self.report)

    def versions(self):
        """Return the versions whose images the engine has."""
        pulled = [item for item in self.fake.images.values() if item["RepoDigests"] or item["RepoTags"]]
        return sorted(int(item["Config"]["Env"][0].partition("=")[2]) for item in pulled)


@pytest.mark.django_db
def test_the_last_replaced_image_is_kept_and_the_timeline_names_what_is_removed():
    shop = Shop(keep="1")
    for version in (2, 3, 4):
        shop.redeploy(version)
    assert shop.versions() == [3, 4]
    assert [word for _, word, _ in shop.events] == ["remove", "remove"]
    assert "removed the replaced image shop/web" in shop.events[0][2]


@pytest.mark.django_db
def test_without_the_label_the_engine_is_asked_nothing(django_assert_num_queries):
    shop = Shop(keep="")
    shop.redeploy(2)
    before = driver_for("compose").observe(shop.fake, Target("shop", "compose"))
    shop.fake.requests.clear()
    with django_assert_num_queries(0):
        remove_replaced_images(shop.fake, shop.application, before, shop.report)
    assert shop.fake.requests == []
    assert shop.versions() == [1, 2]


@pytest.mark.django_db
def test_an_image_that_another_application_refers_to_is_kept():
    shop = Shop(keep="0")
    first = shop.fake._find_image("shop/web:1")["Id"]
    ServiceFactory(application=ApplicationFactory(cluster=shop.application.cluster), image_id=first)
    shop.redeploy(2)
    assert shop.versions() == [1, 2]


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["remove_image", "list_images"])
def test_what_goes_wrong_is_noted_and_fails_nothing(method):
    shop = Shop(keep="0")

    def refuse(called):
        if called == method:
            raise EngineRefused("it is in the way")

    shop.fake.before_request = refuse
    shop.redeploy(2)
    assert [level for level, _, _ in shop.events] == ["warning"]
    assert "it is in the way" in shop.events[0][2]


@pytest.mark.django_db
def test_an_odd_answer_is_noted_too(monkeypatch):
    shop = Shop(keep="0")
    monkeypatch.setattr(shop.fake, "list_images", lambda sizes=False: [{"Id": f"sha256:{1:064x}", "Created": "soon"}])
    shop.redeploy(2)
    assert shop.events == [
        ("warning", "remove", "The engine did not say which images can be removed: its answer is odd (ValueError).")
    ]


@pytest.mark.django_db
def test_a_label_that_is_no_number_is_noted_and_removes_nothing():
    shop = Shop(keep="few")
    shop.redeploy(2)
    assert shop.versions() == [1, 2]
    assert shop.events[0][2].startswith("The label windlass.keep-images of web is no number up to 1000: few.")
