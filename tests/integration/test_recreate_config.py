"""A redeploy applies the new image's defaults and keeps the user's settings."""

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.harness.driving import redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.images import HEALTHY, SERVE
from tests.harness.projects import Project, create_container

ImageMaker = Callable[..., str]
OTHER_SERVE = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 200000 & wait"]
SHELL = ["/bin/sh", "-c"]


def read_config(api: docker.APIClient, container: str) -> dict[str, Any]:
    return dict(api.inspect_container(container)["Config"])


def test_new_image_env_defaults_apply_and_the_users_env_stays(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Env=["VERSION=1", "COLOR=red", "GONE=1", "KEPT=image"])
    web = project.add("web", app, Env=["TOKEN=mine", "COLOR=green", "KEPT=image"])
    image(app, Env=["VERSION=2", "COLOR=blue", "FRESH=1", "KEPT=newer"])
    assert redeploy(engine).state == "succeeded"
    env = dict(entry.split("=", 1) for entry in read_config(api, web)["Env"])
    assert env == {"VERSION": "2", "COLOR": "green", "FRESH": "1", "TOKEN": "mine", "KEPT": "newer"}


def test_all_env_is_kept_with_a_warning_when_the_old_image_no_longer_exists(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Env=["VERSION=1"])
    web = project.add("web", app, Env=["TOKEN=mine"], start=False)
    api.remove_image(app, force=True)
    image(app, Env=["VERSION=2", "FRESH=1"])
    drive = redeploy(engine)
    assert drive.state == "succeeded"
    assert sorted(read_config(api, web)["Env"]) == ["FRESH=1", "TOKEN=mine", "VERSION=1"]
    assert any("image" in text for text in drive.texts("warning")) or "warning" in drive.plan.lower()


def test_default_command_and_entrypoint_become_the_new_images(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Entrypoint=SHELL, Cmd=[SERVE[2]])
    web = project.add("web", app)
    image(app, Entrypoint=["/bin/busybox", "sh", "-c"], Cmd=[OTHER_SERVE[2]])
    assert redeploy(engine).state == "succeeded"
    config = read_config(api, web)
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/busybox", "sh", "-c"], [OTHER_SERVE[2]])


def test_command_is_kept_with_a_custom_entrypoint_even_when_it_equals_the_images(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Entrypoint=["/bin/busybox", "sh", "-c"], Cmd=[SERVE[2]])
    web = project.add("web", app, Entrypoint=SHELL, Cmd=[SERVE[2]])
    image(app, Entrypoint=["/bin/busybox", "sh", "-c"], Cmd=[OTHER_SERVE[2]])
    assert redeploy(engine).state == "succeeded"
    config = read_config(api, web)
    assert (config["Entrypoint"], config["Cmd"]) == (SHELL, [SERVE[2]])


def test_custom_command_stays_while_the_entrypoint_becomes_the_new_images(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Entrypoint=["/bin/busybox", "sh", "-c"], Cmd=[SERVE[2]])
    web = project.add("web", app, Cmd=[OTHER_SERVE[2]])
    image(app, Entrypoint=SHELL, Cmd=["exit 1"])
    assert redeploy(engine).state == "succeeded"
    config = read_config(api, web)
    assert (config["Entrypoint"], config["Cmd"]) == (SHELL, [OTHER_SERVE[2]])


OLD = {
    "Labels": {"tier": "old", "gone": "1", "mine": "image"},
    "ExposedPorts": {"80/tcp": {}},
    "WorkingDir": "/srv",
    "User": "1000",
    "Volumes": {"/data": {}},
    "StopSignal": "SIGTERM",
}
NEW = {
    "Labels": {"tier": "new", "fresh": "1", "mine": "image"},
    "ExposedPorts": {"8080/tcp": {}},
    "WorkingDir": "/tmp",
    "User": "2000",
    "Volumes": {"/data": {}, "/cache": {}},
    "StopSignal": "SIGINT",
}


@pytest.mark.parametrize("field", ["ExposedPorts", "WorkingDir", "User", "StopSignal"])
def test_image_default_is_replaced_by_the_new_images(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, field: str
) -> None:
    app = image(**{field: OLD[field]})
    web = project.add("web", app, StopTimeout=1)
    image(app, **{field: NEW[field]})
    assert redeploy(engine).state == "succeeded"
    assert read_config(api, web)[field] == NEW[field]


def test_users_settings_override_the_new_images_defaults(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(**OLD)
    own = {"WorkingDir": "/bin", "User": "0", "StopSignal": "SIGUSR1", "ExposedPorts": {"9000/tcp": {}}}
    web = project.add("web", app, StopTimeout=1, **own)
    image(app, **NEW)
    assert redeploy(engine).state == "succeeded"
    config = read_config(api, web)
    assert {name: config[name] for name in ("WorkingDir", "User", "StopSignal")} == {
        name: own[name] for name in ("WorkingDir", "User", "StopSignal")
    }
    assert set(config["ExposedPorts"]) == {"8080/tcp", "9000/tcp"}


def test_labels_of_the_image_are_replaced_and_the_users_stay(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Labels=OLD["Labels"])
    web = project.add("web", app, labels={"team": "blue", "mine": "user"})
    image(app, Labels=NEW["Labels"])
    assert redeploy(engine).state == "succeeded"
    labels = read_config(api, web)["Labels"]
    assert "gone" not in labels
    assert (labels["tier"], labels["fresh"], labels["team"], labels["mine"]) == ("new", "1", "blue", "user")


def test_image_health_check_becomes_the_new_images(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Healthcheck=HEALTHY)
    web = project.add("web", app)
    newer = {**HEALTHY, "Retries": 7}
    image(app, Healthcheck=newer)
    assert redeploy(engine).state == "succeeded"
    assert read_config(api, web)["Healthcheck"] == newer


def test_health_check_that_only_the_new_image_has_is_used(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    image(app, Healthcheck=HEALTHY)
    assert redeploy(engine).state == "succeeded"
    assert api.inspect_container(web)["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("own", [{**HEALTHY, "Test": ["CMD", "/bin/echo", "well"]}, {"Test": ["NONE"]}], ids=["custom", "none"])
def test_users_health_check_is_kept(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, own: dict[str, Any]
) -> None:
    app = image(Healthcheck=HEALTHY)
    web = project.add("web", app, Healthcheck=own)
    image(app, Healthcheck={**HEALTHY, "Test": ["CMD", "/bin/false"]})
    assert redeploy(engine).state == "succeeded"
    assert read_config(api, web)["Healthcheck"]["Test"] == own["Test"]


HOST_CONFIG: dict[str, Any] = {
    "CapAdd": ["NET_ADMIN"],
    "CapDrop": ["MKNOD"],
    "CgroupnsMode": "private",
    "CpuPeriod": 100000,
    "CpuQuota": 50000,
    "CpuShares": 512,
    "CpusetCpus": "0",
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rwm"}],
    "DeviceCgroupRules": ["c 1:3 mr"],
    "Dns": ["192.0.2.53"],
    "DnsOptions": ["ndots:2"],
    "DnsSearch": ["example.org"],
    "ExtraHosts": ["db:192.0.2.7"],
    "GroupAdd": ["29"],
    "Init": True,
    "IpcMode": "private",
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
    "Memory": 64 * 1024 * 1024,
    "MemoryReservation": 32 * 1024 * 1024,
    "OomScoreAdj": 100,
    "PidsLimit": 50,
    "Privileged": False,
    "ReadonlyRootfs": True,
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    "Runtime": "runc",
    "SecurityOpt": ["no-new-privileges"],
    "ShmSize": 16 * 1024 * 1024,
    "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"},
    "Tmpfs": {"/tmp": "size=1m"},
    "Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}],
    "VolumeDriver": "",
}


def test_every_host_option_survives(engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker) -> None:
    app = image()
    web = project.add("web", app, HostConfig=HOST_CONFIG)
    before = api.inspect_container(web)["HostConfig"]
    assert {name: before[name] for name in HOST_CONFIG} == HOST_CONFIG
    image(app)
    assert redeploy(engine).state == "succeeded"
    assert api.inspect_container(web)["HostConfig"] == before


def test_device_requests_and_devices_survive_on_a_stopped_container(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker
) -> None:
    request = {"Driver": "nvidia", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {"visible": "all"}}
    app = image()
    keep = {"windlass.update.stopped": "keep"}  # this machine does not have the device
    gpu = create_container(api, "gpu", app, HostConfig={"DeviceRequests": [request]}, labels=keep, start=False)
    before = api.inspect_container(gpu)
    image(app)
    assert redeploy(engine, "gpu", source="container").state == "succeeded"
    after = api.inspect_container(gpu)
    assert after["Id"] != before["Id"]
    assert after["HostConfig"] == before["HostConfig"]


def test_other_settings_of_the_container_survive(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    own = {"Hostname": "shopfront", "Domainname": "example.org", "Tty": True, "OpenStdin": True, "StopTimeout": 3}
    web = project.add("web", app, **own)
    image(app)
    assert redeploy(engine).state == "succeeded"
    config = read_config(api, web)
    assert {name: config[name] for name in own} == own


def test_generated_host_name_is_not_frozen(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    image(app)
    assert redeploy(engine).state == "succeeded"
    inspected = api.inspect_container(web)
    assert inspected["Config"]["Hostname"] == inspected["Id"][:12]
