"""What an observation adds for a recreate or a clone."""

from dataclasses import replace

import pytest

from clusters.engine.connection.file_requests import StoredFile
from clusters.engine.driver import Target
from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.standalone.surroundings import observe

SHOP = Target("shop", "compose")


@pytest.fixture
def fake():
    engine = FakeEngine()
    engine.add_image("app:1", digest="sha256:1")
    return engine


def run(fake, service, **host_config):
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": service}
    container = fake.run(f"shop-{service}-1", "app:1", start=False, Labels=labels, HostConfig=host_config)
    fake.write_files(container, [StoredFile("/etc/app.conf", "file", 0o444, (0, 0))], 0)
    fake.start_container(container)
    return container


def test_containers_of_the_service_and_those_that_are_recreated_with_them_are_looked_at(fake):
    web = run(fake, "web")
    joined, other = run(fake, "joined", NetworkMode=f"container:{web}"), run(fake, "other", Binds=["/srv:/srv", "data:/data"])
    fake.missing_paths = {"/srv", "data"}
    observed = observe(fake, replace(SHOP, service="web"))
    assert observed.copied.keys() == {web, joined}
    assert observed.missing_binds == {other: ("/srv",)}
    assert observed.platform == "linux/amd64"


def test_a_look_at_the_state_asks_for_nothing_more(fake):
    run(fake, "web")
    fake.requests.clear()
    observed = observe(fake, replace(SHOP, state_only=True))
    assert set(fake.requests) == {"list_containers", "inspect_container", "inspect_image"}
    assert not observed.copied


def test_a_proxy_that_refuses_what_is_seldom_needed_does_not_matter(fake):
    run(fake, "web")

    def refuse(method):
        if method in {"list_networks", "list_images", "version"}:
            raise EngineRefused("403 Forbidden")

    fake.before_request = refuse
    fake.images[next(iter(fake.images))]["RepoDigests"] = []
    observed = observe(fake, SHOP)
    assert (observed.platform, observed.ambiguous_networks, observed.shared_tags) == ("", frozenset(), frozenset())


@pytest.mark.parametrize(("architecture", "is_shared"), [("386", True), ("amd64", False)])
def test_a_tag_without_a_digest_is_shared_if_an_image_of_another_platform_has_the_digest(fake, architecture, is_shared):
    fake.add_image("app:1", Architecture=architecture)
    run(fake, "web")
    assert observe(fake, SHOP).shared_tags == ({"app:1"} if is_shared else set())
