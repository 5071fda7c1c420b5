"""Disk use, setup and events of an engine, as its answers are read."""

from clusters.engine.connection.client import read_lines
from clusters.engine.inspection.disk_use import measure_build_cache, measure_containers, measure_images, measure_volumes
from clusters.engine.inspection.engine_setup import describe_setup
from clusters.engine.inspection.past_events import HISTORY_LENGTH, describe_history


def test_images_take_their_layers_and_give_back_what_unused_ones_have_alone():
    images = [
        {"Containers": 1, "Size": 100, "SharedSize": 40},
        {"Containers": 0, "Size": 70, "SharedSize": 40},
        {"Containers": 0, "Size": 5, "SharedSize": -1},
    ]
    share = measure_images(images, 135)
    assert (share.count, share.used, share.size, share.reclaimable, share.at_least) == (3, 1, 135, 35, True)


def test_containers_volumes_and_build_cache():
    containers = measure_containers([{"State": "running", "SizeRw": 3}, {"State": "exited", "SizeRw": 4}, {"State": "created"}])
    assert (containers.count, containers.used, containers.size, containers.reclaimable) == (3, 1, 7, 4)
    volumes = [{"UsageData": {"RefCount": 0, "Size": 8}}, {"UsageData": {"RefCount": 2, "Size": 1}}, {"UsageData": None}]
    assert (measure_volumes(volumes).size, measure_volumes(volumes).reclaimable) == (9, 8)
    cache = [{"InUse": True, "Size": 5}, {"InUse": False, "Size": 6}, {"Shared": True, "Size": 100}]
    assert (measure_build_cache(cache).size, measure_build_cache(cache).reclaimable) == (11, 6)


def test_a_setup_is_read_and_what_is_missing_is_empty():
    info = {
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", "extfs"], ["odd"]],
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
        "DefaultRuntime": "runc",
        "Runtimes": {"runc": {}, "crun": {}},
        "RegistryConfig": {
            "Mirrors": ["https://mirror.example/"],
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "IndexConfigs": {"docker.io": {"Secure": True}, "registry.example:5000": {"Secure": False}},
        },
        "Warnings": ["WARNING: No swap limit support"],
    }
    setup = describe_setup(info)
    assert (setup.storage_driver, setup.file_system, setup.security) == ("overlay2", "extfs", ("seccomp", "rootless"))
    assert (setup.runtime, setup.other_runtimes) == ("runc", ("crun",))
    assert setup.insecure_registries == ("127.0.0.0/8", "registry.example:5000")
    assert setup.warnings == ("No swap limit support",)
    assert describe_setup({}).warnings == ()


def event(number, action="start", **attributes):
    actor = {"ID": f"id-{number}", "Attributes": attributes}
    return {"Type": "container", "Action": action, "Actor": actor, "timeNano": (1_800_000_000 + number) * 10**9}


def test_events_are_the_newest_without_the_noise_of_health_checks():
    events = [event(number, "exec_start: /bin/true" if number % 2 else "start", name=f"c{number}") for number in range(200)]
    found = describe_history(events)
    assert len(found) == HISTORY_LENGTH
    assert (found[0].name, found[0].kind) == ("c198", "container")
    assert all(one.action == "start" for one in found)


def test_an_event_tells_the_exit_code_or_the_image_and_one_without_a_name_its_id():
    died, started, odd = describe_history(
        [{}, event(1, image="web:1", name="web"), event(2, "die", exitCode="137", image="web:1")]
    )
    assert (died.detail, died.name) == ("exit code 137", "id-2")
    assert (started.detail, started.name) == ("web:1", "web")
    assert odd.name == ""


def test_lines_are_read_up_to_a_limit():
    assert read_lines([b'{"a": 1}\n{"b"', b": 2}\n\n"], 1000) == [{"a": 1}, {"b": 2}]
    assert read_lines(iter([b'{"a": 1}\n'] * 100), 20) == [{"a": 1}, {"a": 1}]
