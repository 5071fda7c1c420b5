import pytest

from clusters.tests.factories import ClusterFactory


@pytest.fixture
def cluster():
    return ClusterFactory(name="harbour")


@pytest.fixture
def images(live_engine):
    """Image ids by kind: the engine has one of each, and `shop:1`, which nothing uses."""
    found = {"shop": live_engine.images[next(iter(live_engine.images))]["Id"]}
    found["dangling"] = live_engine.add_image("job:1", size=10_000_000)
    found["job"] = live_engine.add_image("job:1", size=11_000_000)
    found["web"] = live_engine.add_image("web:1", size=30_000_000)
    live_engine.run("web-1", "web:1")
    live_engine.run("web-2", "web:1", start=False)
    return found
