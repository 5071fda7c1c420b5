import copy

import pytest

from clusters.engine.connection.podman import PODMAN_KEY, translate_details
from clusters.engine.driver import Target
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.create_config import make_create_config
from clusters.engine.standalone.inspected import make_container
from clusters.engine.standalone.observed import StandaloneTarget
from clusters.engine.standalone.plan import SetRestartPolicy
from clusters.engine.standalone.podman import find_lost_option
from clusters.engine.standalone.redeploy import plan_redeploy
from clusters.engine.standalone.scale import plan_scale
from clusters.engine.tests.recording import load

IMAGE = {"Id": "sha256:076c", "Config": {}, "RepoDigests": ["localhost/app@sha256:1"]}


def podman(labels=None, config=None, host_config=None, name="shop_web_1", **known):
    """Return an inspected container of Podman, with changes to what Podman answered."""
    details = copy.deepcopy(load(f"podman/{name}"))
    details["Config"]["Labels"].update(labels or {})
    details["Config"].update(config or {})
    details["HostConfig"].update(host_config or {})
    translated = translate_details(details, load(f"podman/{name}_libpod"), details["Name"].lstrip("/"))
    translated[PODMAN_KEY].update(known)
    container = make_container(translated)
    assert container is not None
    return container


def shop(container, source="compose"):
    image = {**IMAGE, "Id": container.image_id}
    return StandaloneTarget(
        target=Target(container.place.application, source, ""),
        api_version=(1, 41),
        containers=(container,),
        images={container.image_id: image, container.image: image},
    )


def create_body(container, image=None):
    return make_create_config(container, {"Config": image or {}}, image="app:2", api_version=(1, 41)).body


def test_a_redeploy_leaves_the_restart_policy_alone_which_podman_cannot_change():
    container = podman(host_config={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}})
    plan = plan_redeploy(shop(container))
    assert not [operation for operation in plan.operations() if isinstance(operation, SetRestartPolicy)]
    [create] = [operation for operation in plan.operations() if operation.word == "create"]
    assert create.config["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}


def test_an_image_that_podman_built_is_not_pulled():
    container = podman()
    assert container.image == "localhost/app:1"
    plan = plan_redeploy(shop(container))
    assert (plan.pulls, plan.notes) == ((), ("localhost/app:1 is not pulled: it exists only on this engine",))


def test_what_podman_fills_in_gives_way_to_the_new_images_settings():
    body = create_body(podman(config={"StopSignal": "15", "WorkingDir": "/"}))
    assert {"StopSignal", "WorkingDir", "Hostname"}.isdisjoint(body)
    assert body["Env"] == []


def test_what_a_person_set_stays():
    body = create_body(podman(config={"StopSignal": "2", "WorkingDir": "/srv"}))
    assert (body["StopSignal"], body["WorkingDir"]) == ("SIGINT", "/srv")
    body = create_body(podman(config={"StopSignal": "15", "WorkingDir": "/"}), {"StopSignal": "SIGQUIT", "WorkingDir": "/srv"})
    assert (body["StopSignal"], body["WorkingDir"]) == ("SIGTERM", "/")


def test_the_images_stop_signal_is_recognized_by_its_number():
    assert "StopSignal" not in create_body(podman(config={"StopSignal": "3"}), {"StopSignal": "SIGQUIT"})


@pytest.mark.parametrize("mode", ["slirp4netns", "pasta", "slirp4netns:mtu=1500"])
def test_a_network_of_podman_without_root_is_not_left(mode):
    container = podman()
    container.details["HostConfig"]["NetworkMode"] = mode
    container.details["NetworkSettings"]["Networks"] = {}
    assert make_create_config(container, None, image="app:2", api_version=(1, 41)).disconnects == ()


REFUSED = [
    ({"name": "inpod"}, "inpod cannot be recreated: it belongs to a pod"),
    ({"labels": {"PODMAN_SYSTEMD_UNIT": "web.service"}}, "systemd runs it as web.service"),
    ({"Secrets": ["token"]}, "it has Podman's secrets"),
    ({"CreateCommand": ["podman", "run", "-d", "--ip", "10.88.0.7", "app"]}, "created with --ip,"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
def test_what_podmans_api_cannot_recreate_is_refused_in_the_plan(changes, reason):
    container = podman(**changes)
    for plan in (
        lambda: plan_redeploy(shop(container, container.place.source)),
        lambda: plan_scale(shop(container, container.place.source), container.place.service, 2),
    ):
        with pytest.raises(PlanRefused) as refused:
            plan()
        assert reason in refused.value.message
        assert refused.value.code == "podman"


def test_podman_compose_names_a_unit_that_runs_nothing():
    plan_redeploy(shop(podman(labels={"PODMAN_SYSTEMD_UNIT": "podman-compose@shop.service"})))


def test_scaling_in_needs_no_new_container():
    original = podman(labels={"PODMAN_SYSTEMD_UNIT": "web.service"})
    assert plan_scale(shop(original), "web", 1).is_empty()


@pytest.mark.parametrize(
    ("line", "command", "option"),
    [
        ("podman run -d --umask=077 app", "", "--umask"),
        ("podman create --network web:ip=10.89.0.7,mac=1 app", "", "a fixed address"),
        ("podman create --network=web:alias=a --net back:interface_name=x app", "", ""),
        ("podman run app serve --ip 0.0.0.0", "serve --ip 0.0.0.0", ""),
        ("podman run --ip 10.88.0.7 app serve --ip 0.0.0.0", "serve --ip 0.0.0.0", "--ip"),
        ("podman run --ip6 fd00::7 app", "serve", "--ip6"),
        ("podman --tmpdir /x system service --timeout 0", "", ""),
        ("", "", ""),
    ],
)
def test_options_that_would_be_lost_are_found_on_the_command_line(line, command, option):
    assert find_lost_option(line.split(), command.split()) == option


def test_a_pods_own_container_belongs_to_no_application():
    details = translate_details(load("podman/inpod"), {"IsInfra": True}, "infra")
    assert make_container(details) is None
