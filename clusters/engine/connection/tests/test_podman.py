"""Answers recorded from Podman 4.3.1, in Docker's words."""

import json

import pytest

from clusters.engine.connection.podman import (
    PODMAN_KEY,
    find_libpod_version,
    name_signal,
    read_stats,
    translate_details,
    translate_disk_usage,
    translate_entries,
    translate_images,
    write_create_body,
)
from clusters.engine.connection.sdk_errors import classify_refusal
from clusters.engine.tests.recording import FOLDER


def load(name):
    return json.loads((FOLDER / "podman" / f"{name}.json").read_text())


def translated(name="shop_web_1", by="shop-web-1", **changes):
    return translate_details({**load(name), **changes}, load(f"{name}_libpod"), by)


def test_podman_is_known_by_the_component_that_it_names():
    assert find_libpod_version(load("version")) == "4.3.1"
    docker = {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Engine", "Version": "4.3.1"}]}
    assert find_libpod_version(docker) == find_libpod_version({}) == ""


def test_limits_have_the_names_that_a_creation_takes():
    assert {limit["Name"] for limit in load("shop_web_1")["HostConfig"]["Ulimits"]} == {"RLIMIT_NOFILE", "RLIMIT_NPROC"}
    limits = translated()["HostConfig"]["Ulimits"]
    assert [(limit["Name"], limit["Soft"], limit["Hard"]) for limit in limits] == [
        ("nofile", 2048, 2048),
        ("nproc", 4096, 4096),
    ]


def test_variables_of_podman_itself_are_left_out():
    config = load("shop_web_1")["Config"]
    config["Env"] += ["MINE=1"]
    assert f"HOSTNAME={config['Hostname']}" in config["Env"]
    assert translated(Config=config)["Config"]["Env"] == ["MINE=1"]


def test_a_host_name_that_a_person_set_as_a_variable_stays():
    config = {**load("shop_web_1")["Config"], "Env": ["HOSTNAME=else", "TERM=dumb"]}
    assert translated(Config=config)["Config"]["Env"] == ["HOSTNAME=else", "TERM=dumb"]


def test_the_network_mode_names_a_network_of_the_container():
    assert load("shop_web_1")["HostConfig"]["NetworkMode"] == "bridge"
    details = translated()
    assert set(details["NetworkSettings"]["Networks"]) == {"shop_back", "shop_default"}
    assert details["HostConfig"]["NetworkMode"] in details["NetworkSettings"]["Networks"]


def test_the_default_network_has_dockers_name_and_no_aliases():
    endpoint = {"Aliases": ["0123456789ab"], "IPAddress": "10.88.0.2"}
    details = translated(NetworkSettings={"Networks": {"podman": endpoint}})
    assert details["HostConfig"]["NetworkMode"] == "bridge"
    assert details["NetworkSettings"]["Networks"] == {"bridge": {"Aliases": None, "IPAddress": "10.88.0.2"}}


def test_a_container_is_found_under_its_name_after_it_was_renamed():
    for endpoint in translated(by="the-name")["NetworkSettings"]["Networks"].values():
        assert endpoint["Aliases"] == ["web", "shop-web-1", "the-name"]


@pytest.mark.parametrize(
    ("words", "named"), [("15", "SIGTERM"), (3, "SIGQUIT"), ("TERM", "SIGTERM"), ("SIGHUP", "SIGHUP"), ("odd", "odd"), ("", "")]
)
def test_signals_have_names(words, named):
    assert name_signal(words) == named


@pytest.mark.parametrize(
    ("swappiness", "memory", "sent"), [(0, 0, None), (-1, 1 << 20, None), (0, 1 << 20, 0), (60, 1 << 20, 60), (None, 0, None)]
)
def test_a_swappiness_that_nobody_set_is_not_sent(swappiness, memory, sent):
    host_config = {**load("shop_web_1")["HostConfig"], "MemorySwappiness": swappiness, "Memory": memory}
    assert translated(HostConfig=host_config)["HostConfig"]["MemorySwappiness"] == sent


@pytest.mark.parametrize(
    ("word", "known"), [("stopped", "exited"), ("initialized", "created"), ("stopping", "running"), ("paused", "paused")]
)
def test_states_are_dockers(word, known):
    assert translated(State={"Status": word})["State"]["Status"] == known


def test_a_container_without_a_health_check_has_no_health():
    assert "Health" not in translated(State={"Status": "running", "Health": {"Status": ""}})["State"]
    assert translated(State={"Status": "running", "Health": {"Status": "healthy"}})["State"]["Health"]["Status"] == "healthy"


def test_a_container_of_a_pod_says_so():
    details = translated("inpod", "inpod")
    assert details[PODMAN_KEY]["Pod"] == load("inpod_libpod")["Pod"] != ""
    assert details["HostConfig"]["NetworkMode"].startswith("container:")
    assert details["NetworkSettings"]["Networks"] == {}, "these are the pod's"
    assert translated()[PODMAN_KEY]["Pod"] == ""


def test_the_list_tells_infra_containers_pods_and_health():
    entries = {entry["Names"][0]: entry for entry in translate_entries(load("list"), load("list_libpod"))}
    infra = next(entry for name, entry in entries.items() if name.endswith("-infra"))
    assert infra[PODMAN_KEY] == {"Pod": "pod1", "IsInfra": True}
    assert entries["/inpod"][PODMAN_KEY] == {"Pod": "pod1", "IsInfra": False}
    assert entries["/checked"]["Status"].endswith("(healthy)")
    assert set(entries["/lone"]["NetworkSettings"]["Networks"]) == {"bridge"}


def test_the_list_can_be_read_without_podmans_own_api():
    entries = translate_entries(load("list"), [])
    assert {entry[PODMAN_KEY]["IsInfra"] for entry in entries} == {False}


@pytest.mark.parametrize("body", ["", '{"message":"runtime error: nil pointer","response":500}', "null", "[]", "{"])
def test_figures_that_are_none_are_empty(body):
    assert read_stats(body) == {}


def test_figures_are_read():
    assert read_stats('{"cpu_stats": {"system_cpu_usage": 5}}') == {"cpu_stats": {"system_cpu_usage": 5}}


def test_images_have_whole_ids_of_their_parents_and_no_shared_size():
    listed = [{"Id": "sha256:b", "ParentId": "a", "SharedSize": 0}, {"Id": "sha256:a", "ParentId": "", "SharedSize": 0}]
    assert [(image["ParentId"], image["SharedSize"]) for image in translate_images(listed)] == [("sha256:a", -1), ("", -1)]


def test_images_count_once_and_have_a_size():
    usage = load("disk_usage")
    ids = [image["Id"] for image in usage["Images"]]
    assert (len(ids) > len(set(ids)), usage["LayersSize"]) == (True, 0)
    read = translate_disk_usage(usage)
    assert [image["Id"] for image in read["Images"]] == [f"sha256:{one}" for one in dict.fromkeys(ids)]
    largest = max(image["Size"] for image in usage["Images"])
    assert largest <= read["LayersSize"] < sum(image["Size"] for image in read["Images"])


def test_a_creation_names_the_default_network_as_podman_does():
    body = {"Image": "a", "NetworkingConfig": {"EndpointsConfig": {"bridge": {}, "back": {"Aliases": ["x"]}}}}
    assert write_create_body(body)["NetworkingConfig"]["EndpointsConfig"] == {"podman": {}, "back": {"Aliases": ["x"]}}


@pytest.mark.parametrize(
    ("given", "sent"), [({}, 10), ({"StopTimeout": None}, 10), ({"StopTimeout": 0}, 0), ({"StopTimeout": 3}, 3)]
)
def test_a_creation_always_has_a_stop_timeout_since_podmans_own_is_none(given, sent):
    assert write_create_body({"Image": "a", **given})["StopTimeout"] == sent


@pytest.mark.parametrize(("told", "known"), [(0, None), (None, None), (10, 10)])
def test_no_stop_timeout_is_told_as_zero(told, known):
    config = {**load("shop_web_1")["Config"], "StopTimeout": told}
    assert translated(Config=config)["Config"].get("StopTimeout") == known


@pytest.mark.parametrize(
    "message",
    [
        'creating container storage: the container name "web" is already in use by 8ae4. You have to remove that container to '
        "be able to reuse that name: that name is already in use",
        "cannot remove container 8ae4 as it is running - running or paused containers cannot be removed without force: "
        "container state improper",
    ],
)
def test_conflicts_are_told_by_their_words_since_their_status_is_500(message):
    assert classify_refusal(500, message).code == "conflict"
    assert classify_refusal(500, "out of disk").code == "engine_refused"
