import pytest

from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.plan import Create, Together
from clusters.engine.standalone.scale import plan_scale
from clusters.engine.tests import recording
from clusters.engine.tests.recording import hello, load, load_container, observe


def web(number=1, *, clone=False, **changes):
    labels = changes.pop("labels", {}) | ({"windlass.clone": "true"} if clone else {})
    details = recording.web(number, labels=labels, **changes)
    details["Created"] = f"2026-01-{number:02}T00:00:00Z"
    return details


def created(plan):
    found = []
    for operation in plan.operations():
        lanes = operation.lanes if isinstance(operation, Together) else [[operation]]
        found += [inner for lane in lanes for inner in lane if isinstance(inner, Create)]
    return found


def refusal(observed, replicas=2, service="web"):
    with pytest.raises(PlanRefused) as caught:
        plan_scale(observed, service, replicas)
    return caught.value.code


def test_scaling_out_clones_under_the_next_numbers():
    text = plan_scale(hello(web()), "web", 3).as_text()
    assert (
        text
        == """\
scale hello/web from 1 to 3
1. 2 side by side (scale web from 1 to 3)
   - create hello_web_2 from app:1; connect hello_web_2 to hello_default; start hello_web_2
   - create hello_web_3 from app:1; connect hello_web_3 to hello_default; start hello_web_3
2. watch hello_web_2, hello_web_3 until healthy, or for 5 s (scale web from 1 to 3)
"""
    )


def test_a_clone_has_compose_labels_of_its_source_but_for_the_number():
    source = web()
    labels = created(plan_scale(hello(source), "web", 2))[0].config["Labels"]
    expected = source["Config"]["Labels"] | {"com.docker.compose.container-number": "2", "windlass.clone": "true"}
    assert {key: value for key, value in expected.items() if key != "maker"} == labels


def test_a_clone_answers_to_the_service_and_not_to_its_sources_name():
    source = web()
    source["NetworkSettings"]["Networks"]["hello_back"]["Aliases"] = ["web", "hello_web_1", source["Id"][:12]]
    plan = plan_scale(hello(source), "web", 2)
    config = created(plan)[0].config
    assert config["NetworkingConfig"]["EndpointsConfig"]["hello_back"]["Aliases"] == ["web", "hello_web_2"]


def test_numbers_go_up_past_stopped_containers_and_taken_names():
    other = load_container("cleaning", "hello_web_5", "f" * 12)
    plan = plan_scale(hello(web(1), web(4, state="exited"), other), "web", 3)
    assert [operation.name for operation in created(plan)] == ["hello_web_6", "hello_web_7"]


def test_the_newest_healthy_container_is_cloned():
    sick = web(2, labels={"sick": "yes"})
    sick["State"]["Health"] = {"Status": "unhealthy"}
    plan = plan_scale(hello(web(1, labels={"well": "yes"}), sick), "web", 3)
    assert "well" in created(plan)[0].config["Labels"]


def test_a_clone_runs_its_sources_image_though_the_tag_has_moved():
    old = load("app_1")
    moved = {**load("app_1"), "Id": "sha256:" + "9" * 64}
    plan = plan_scale(hello(web(), images={"app:1": moved, "old": old}), "web", 2)
    config = created(plan)[0].config
    assert config["Image"] == old["Id"]
    assert config["Labels"]["windlass.image"] == "app:1"


def test_containers_of_an_unfinished_scaling_are_started_before_any_is_created():
    plan = plan_scale(hello(web(1), web(2, clone=True, state="created")), "web", 3)
    text = plan.as_text()
    assert "start hello_web_2" in text
    assert [operation.name for operation in created(plan)] == ["hello_web_3"]


def test_a_lone_container_gets_clones_that_know_where_they_belong():
    plan = plan_scale(observe("cleaning", "container", load_container("cleaning")), "cleaning", 2)
    clone = created(plan)[0]
    assert clone.name == "cleaning-2"
    labels = {key: value for key, value in clone.config["Labels"].items() if key.startswith("windlass.")}
    assert labels == {
        "windlass.application": "cleaning",
        "windlass.service": "cleaning",
        "windlass.number": "2",
        "windlass.clone": "true",
    }


def test_scaling_in_takes_the_newest_first_and_never_the_original():
    lines = plan_scale(hello(web(1), web(2), web(3, clone=True)), "web", 1).as_text().splitlines()
    three, two = "hello_web_3.windlass-gone.333333333333.r", "hello_web_2.windlass-gone.222222222222.r"
    assert lines == [
        "scale hello/web from 3 to 1",
        "1. 2 side by side (scale web from 3 to 1)",
        f"   - rename hello_web_3 to {three}; stop hello_web_3; remove hello_web_3 and its anonymous volumes",
        f"   - rename hello_web_2 to {two}; stop hello_web_2; remove hello_web_2",
    ]


def test_a_clones_anonymous_volumes_are_removed_with_it_also_those_attached_by_name():
    clone = web(2, clone=True, Binds=[f"{'a' * 64}:/data", "named:/keep"])
    text = plan_scale(hello(web(1), clone), "web", 1).as_text()
    assert "remove the anonymous volume aaaaaaaaaaaa" in text
    assert "named" not in text


def test_the_current_count_gives_an_empty_plan():
    assert plan_scale(hello(web(1), web(2)), "web", 2).is_empty()


def test_a_container_whose_network_is_used_is_not_scaled_in():
    child = load_container("joiner", NetworkMode=f"container:{web(2)['Id']}")
    plan = plan_scale(hello(web(1), web(2), web(3), child), "web", 2)
    assert "hello_web_3" in plan.as_text()
    assert refusal(hello(web(1), web(2), child), 1) == "shared_network"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, "fixed_port"),
        ({"NetworkMode": "host"}, "host_network"),
        ({"NetworkMode": "container:abc"}, "shared_network"),
        ({"labels": {"windlass.protected": "true"}}, "protected"),
        ({"state": "exited"}, "stopped"),
    ],
)
def test_what_cannot_be_scaled_out_is_refused(changes, code):
    assert refusal(hello(web(**changes))) == code


def test_a_static_address_is_refused():
    details = web()
    details["NetworkSettings"]["Networks"]["hello_back"]["IPAMConfig"] = {"IPv4Address": "10.0.0.9"}
    assert refusal(hello(details)) == "static_address"


def test_a_container_name_of_its_own_is_refused():
    details = web()
    details["Name"] = "/frontend"
    assert refusal(hello(details)) == "container_name"
    details["Name"] = "/frontend-7"
    assert refusal(hello(details)) == "container_name"


def test_nothing_below_one():
    assert refusal(hello(web(1), web(2)), 0) == "below_one"


def test_an_unknown_service():
    assert refusal(hello(web()), service="db") == "not_found"


def test_a_port_range_can_be_scaled():
    assert created(plan_scale(hello(web(PortBindings={"80/tcp": [{"HostPort": "8000-8010"}]})), "web", 2))
