"""The observation of a target on an engine."""

import pytest

from clusters.engine.driver import Target
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.standalone.observed import observe_target

SHOP, BLOG = Target("shop", "compose"), Target("blog", "compose")


@pytest.fixture
def fake():
    engine = FakeEngine()
    engine.add_image("app:1")
    for project in ("shop", "blog"):
        add(engine, project)
    return engine


def add(engine, project, **host_config):
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "web"}
    number = len(engine.containers) + 1
    config = {"Image": "app:1", "Labels": labels, "HostConfig": host_config}
    return engine.create_container(f"{project}-web-{number}", config)


def observe(engine, target):
    """Return the names of the target's containers and of the others, and the number of inspect requests."""
    asked = []
    engine.before_request = asked.append
    found = observe_target(engine, target)
    return [item.name for item in found.containers], [item.name for item in found.others], asked.count("inspect_container")


def test_others_that_share_nothing_are_inspected_once(fake):
    assert observe(fake, SHOP) == (["shop-web-1"], ["blog-web-2"], 2)
    assert observe(fake, SHOP) == (["shop-web-1"], [], 1)
    assert observe(fake, BLOG) == (["blog-web-2"], [], 1)


@pytest.mark.parametrize("mode", ["NetworkMode", "PidMode", "IpcMode"])
def test_others_that_share_something_are_inspected_each_time(fake, mode):
    observe(fake, SHOP)
    add(fake, "blog", **{mode: "container:shop-web-1"})
    for _ in range(2):
        assert observe(fake, SHOP)[1:] == (["blog-web-3"], 2)


def test_removed_containers_are_forgotten(fake):
    blog = add(fake, "blog")
    observe(fake, SHOP)
    assert blog in fake.loners
    fake.remove_container(blog)
    observe(fake, SHOP)
    assert blog not in fake.loners
