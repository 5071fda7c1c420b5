"""The dialog of a delete says what will be lost and what stays."""

from contextlib import nullcontext

import pytest

from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import Container
from console.pages.calls.tests.test_lifecycle_views import address, words_of

PROJECT = "com.docker.compose.project"


@pytest.fixture
def engine(monkeypatch):
    """The engine that a delete's dialog reads."""
    fake = FakeEngine()
    monkeypatch.setattr("console.pages.shared.live.EngineClient", lambda endpoint, timeout: nullcontext(fake))
    return fake


def run_project(engine, name):
    engine.add_image("app:1", Volumes={"/cache": {}})
    engine.add_network(f"{name}_default", labels={PROJECT: name})
    for number in (1, 2):
        labels = {PROJECT: name, "com.docker.compose.service": "web", "com.docker.compose.container-number": str(number)}
        engine.run(f"{name}-web-{number}", "app:1", Labels=labels, HostConfig={"Binds": ["data:/srv"]})


class TestWhatIsLost:
    def test_a_delete_says_exactly_what_is_lost_and_what_stays(self, reader, fleet, engine):
        name = fleet.application.name
        run_project(engine, name)
        words = words_of(reader.get(address(fleet.application, "delete")))
        assert f"2 containers with the data written in them {name}-web-1 {name}-web-2" in words
        assert "2 anonymous volumes with their data" in words
        assert f"1 network {name}_default" in words
        assert "Images stay, and so does the named volume data ." in words
        assert "Triggers stay bound to the name" in words

    def test_the_removal_of_a_container_says_what_is_lost_with_it_alone(self, reader, fleet, engine):
        run_project(engine, fleet.application.name)
        Container.objects.filter(pk=fleet.container.pk).update(name=f"{fleet.application.name}-web-2")
        words = words_of(reader.get(address(fleet.container, "delete")))
        assert "1 container with the data written in it" in words
        assert "1 anonymous volume with its data" in words
        assert "web-1" not in words
        assert "_default" not in words

    def test_of_a_stack_networks_configs_and_secrets_are_named(self, reader, swarm_fleet, engine):
        name = swarm_fleet.application.name
        swarm = engine.init_swarm()
        own = {"com.docker.stack.namespace": name}
        engine.add_network(f"{name}_back", labels=own)
        swarm.add_object("config", f"{name}_settings", own)
        swarm.add_object("secret", f"{name}_key", own)
        swarm.create_service({"Name": f"{name}_web", "Labels": own, "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}}})
        words = words_of(reader.get(address(swarm_fleet.application, "delete")))
        for part in ("1 service with all tasks", f"{name}_web", f"{name}_back", f"{name}_settings", f"{name}_key"):
            assert part in words
        assert "Volumes and images stay." in words

    def test_if_the_engine_does_not_answer_the_dialog_shows_what_was_last_seen(self, reader, fleet):
        words = words_of(reader.get(address(fleet.application, "delete")))
        assert "The engine does not answer" in words
        assert "2 containers with the data written in them" in words
        assert fleet.container.name in words
