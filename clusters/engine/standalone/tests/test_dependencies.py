import pytest

from clusters.engine.standalone.dependencies import parse_conditions, parse_depends_on, sort_containers, sort_waves
from clusters.engine.tests.recording import load_container, observed_container, web


def test_depends_on_labels_are_read_in_every_form():
    assert parse_depends_on("db:service_healthy:true,cache:service_started:false,old") == {
        "db": True,
        "cache": False,
        "old": False,
    }
    assert parse_depends_on("") == {}


def test_conditions_are_read_from_the_same_labels():
    assert parse_conditions("db:service_healthy:true,cache:service_started:false,old") == {
        "db": "service_healthy",
        "cache": "service_started",
    }


@pytest.mark.parametrize(("depends", "first"), [("", "hello_web_1"), ("worker:service_started:false", "hello_worker_1")])
def test_containers_come_after_those_that_they_depend_on(depends, first):
    labels = {"com.docker.compose.depends_on": depends}
    found = [observed_container(details) for details in (web(1, labels=labels), load_container("hello_worker_1"))]
    assert sort_containers(found)[0].name == first


def test_containers_of_one_wave_do_not_depend_on_each_other():
    labels = {"com.docker.compose.depends_on": "worker:service_started:false"}
    found = [web(1, labels=labels), web(2, labels=labels), load_container("hello_worker_1")]
    waves = sort_waves(observed_container(details) for details in found)
    assert [[container.name for container in wave] for wave in waves] == [["hello_worker_1"], ["hello_web_1", "hello_web_2"]]
