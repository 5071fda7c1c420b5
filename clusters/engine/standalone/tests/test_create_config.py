import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.engine.standalone.create_config import make_create_config
from clusters.engine.tests.recording import load, load_container, observed_container

RICH = "rich"
NEW_ENOUGH = (1, 44)


def make(details, image=None, reference="app:2", api_version=(1, 41), **options):
    container = observed_container(details)
    return make_create_config(container, image, image=reference, api_version=api_version, **options)


def body_of(details, **options):
    return make(details, load("app_2"), **options).body


def test_an_image_default_in_the_environment_is_dropped_and_the_users_own_stays():
    body = body_of(load(RICH))
    assert body["Env"] == ["MODE=x", "COLOR=red"]


def test_everything_is_kept_if_the_old_image_no_longer_exists():
    details = load(RICH)
    body = make(details, None).body
    for key in (
        "Env",
        "Cmd",
        "Entrypoint",
        "ExposedPorts",
        "Volumes",
        "WorkingDir",
        "User",
        "Healthcheck",
        "StopSignal",
        "Labels",
    ):
        assert body[key] == details["Config"][key]


def test_defaults_of_the_image_are_left_to_the_next_image():
    body = body_of(load(RICH))
    assert (body["Cmd"], body["Entrypoint"], body["Healthcheck"]) == (None, None, None)
    assert not {"WorkingDir", "User", "StopSignal", "OnBuild"} & body.keys()
    assert body["Volumes"] == {"/cache": {}}
    assert body["Labels"] == {"team": "blue"}


def test_a_published_port_stays_exposed_though_the_image_exposes_it():
    assert body_of(load(RICH))["ExposedPorts"] == {"80/tcp": {}, "9/udp": {}}


def test_an_image_command_stays_under_a_users_entrypoint():
    details = load(RICH)
    details["Config"]["Entrypoint"] = ["/bin/sh"]
    body = body_of(details)
    assert (body["Entrypoint"], body["Cmd"]) == (["/bin/sh"], ["sleep", "50000"])


def test_a_users_command_stays_and_the_image_entrypoint_goes():
    details = load(RICH)
    details["Config"]["Cmd"] = ["sleep", "1"]
    body = body_of(details)
    assert (body["Entrypoint"], body["Cmd"]) == (None, ["sleep", "1"])


def test_a_reset_entrypoint_is_reset_again():
    details = load(RICH)
    details["Config"]["Entrypoint"] = None
    assert body_of(details)["Entrypoint"] == [""]


def test_only_the_users_part_of_a_health_check_stays():
    details = load(RICH)
    details["Config"]["Healthcheck"]["Interval"] = 7_000_000_000
    assert body_of(details)["Healthcheck"] == {"Interval": 7_000_000_000}


@pytest.mark.parametrize("check", [{"Test": ["NONE"]}, {"Test": ["CMD", "mine"]}])
def test_a_users_own_health_check_stays(check):
    details = load(RICH)
    details["Config"]["Healthcheck"] = check
    assert body_of(details)["Healthcheck"] == check


def test_a_hostname_is_kept_unless_it_is_the_old_id():
    details = load(RICH)
    assert "Hostname" not in body_of(details)
    details["Config"]["Hostname"] = "mail"
    assert body_of(details)["Hostname"] == "mail"


def test_the_host_config_is_passed_on_unchanged():
    details = load(RICH)
    passed = body_of(details)["HostConfig"]
    differing = {key for key in details["HostConfig"] if passed.get(key) != details["HostConfig"][key]}
    assert differing == {"Binds", "Mounts"}
    assert passed.keys() == details["HostConfig"].keys()
    assert len(passed) > 50


def test_anonymous_volumes_are_attached_again_by_name_in_either_form():
    host_config = body_of(load(RICH))["HostConfig"]
    anonymous = {mount["Destination"]: mount["Name"] for mount in load(RICH)["Mounts"] if len(mount.get("Name", "")) == 64}
    assert host_config["Binds"][:2] == ["/etc/hostname:/h:ro", "stuff:/stuff:rw"]
    assert set(host_config["Binds"][2:]) == {f"{anonymous['/cache']}:/cache", f"{anonymous['/var/data']}:/var/data"}
    assert [mount.get("Source") for mount in host_config["Mounts"]] == [anonymous["/more"], "kept"]


def test_volumes_of_another_container_are_not_attached_as_its_own():
    details = load(RICH)
    details["Config"]["Volumes"] = {"/cache": {}}
    details["HostConfig"]["VolumesFrom"] = ["data"]
    binds = body_of(details)["HostConfig"]["Binds"]
    assert [bind.split(":")[1] for bind in binds] == ["/h", "/stuff", "/cache"]


def test_a_clone_gets_anonymous_volumes_of_its_own():
    details = load(RICH)
    details["HostConfig"]["Binds"].append(f"{'ab' * 32}:/cache")
    details["HostConfig"]["Mounts"][0]["Source"] = "cd" * 32
    body = body_of(details, as_clone=True)
    assert body["HostConfig"]["Binds"] == ["/etc/hostname:/h:ro", "stuff:/stuff:rw"]
    assert "/cache" in body["Volumes"]
    assert "Source" not in body["HostConfig"]["Mounts"][0]


def test_links_are_rewritten_to_the_form_a_creation_takes():
    assert body_of(load("linked"))["HostConfig"]["Links"] == ["rich:db"]


def test_a_container_that_joins_another_network_has_no_network_settings_of_its_own():
    body = make(load("joiner"), load("app_1"), reference="app:1").body
    assert not {"Hostname", "ExposedPorts", "MacAddress"} & body.keys()
    assert body["HostConfig"]["PortBindings"] == {}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {}}


def test_compose_labels_stay_even_where_a_compose_built_image_has_the_same():
    image = load("app_1")
    image["Config"]["Labels"] = {"com.docker.compose.project": "hello", "maker": "me"}
    details = load_container("hello_web_1", labels={"com.docker.compose.replace": "abc"})
    labels = make(details, image, reference="app:1").body["Labels"]
    assert labels["com.docker.compose.project"] == "hello"
    assert labels["com.docker.compose.config-hash"] == details["Config"]["Labels"]["com.docker.compose.config-hash"]
    assert not {"maker", "com.docker.compose.replace"} & labels.keys()


def test_the_reference_is_remembered_when_a_container_is_made_from_an_id():
    labels = make(load("hello_web_1"), load("app_1"), reference=load("app_1")["Id"]).body["Labels"]
    assert labels["windlass.image"] == "app:1"
    details = load_container("hello_web_1", labels={"windlass.image": "app:1"})
    details["Config"]["Image"] = load("app_1")["Id"]
    assert "windlass.image" not in make(details, load("app_1"), reference="app:1").body["Labels"]


# Networks


def test_an_old_engine_takes_the_first_network_and_is_connected_to_the_others():
    made = make(load("hello_web_1"), load("app_1"), reference="app:1")
    mode = load("hello_web_1")["HostConfig"]["NetworkMode"]
    assert list(made.body["NetworkingConfig"]["EndpointsConfig"]) == [mode]
    assert [network for network, _ in made.connects] == sorted({"hello_default", "hello_back"} - {mode})


def test_a_new_engine_takes_all_networks_at_once():
    made = make(load("hello_web_1"), load("app_1"), reference="app:1", api_version=NEW_ENOUGH)
    assert set(made.body["NetworkingConfig"]["EndpointsConfig"]) == {"hello_default", "hello_back"}
    assert made.connects == ()


def test_aliases_are_kept_without_the_old_id():
    details = load("hello_web_1")
    assert details["Id"][:12] in details["NetworkSettings"]["Networks"]["hello_default"]["Aliases"]
    made = make(details, load("app_1"), reference="app:1", api_version=NEW_ENOUGH)
    assert set(made.body["NetworkingConfig"]["EndpointsConfig"]["hello_default"]["Aliases"]) == {"web", "www"}


def test_the_default_bridge_gets_no_aliases():
    endpoints = body_of(load(RICH))["NetworkingConfig"]["EndpointsConfig"]
    assert endpoints == {"bridge": {}}


def test_only_requested_addresses_are_kept():
    details = load("hello_web_1")
    details["NetworkSettings"]["Networks"]["hello_default"]["IPAMConfig"] = {"IPv4Address": "10.1.2.3", "IPv6Address": ""}
    made = make(details, load("app_1"), reference="app:1", api_version=NEW_ENOUGH)
    endpoints = made.body["NetworkingConfig"]["EndpointsConfig"]
    assert endpoints["hello_default"]["IPAMConfig"] == {"IPv4Address": "10.1.2.3"}
    assert "IPAMConfig" not in endpoints["hello_back"]
    assert not any("IPAddress" in endpoint for endpoint in endpoints.values())


def test_links_driver_options_and_gateway_priority_are_kept():
    details = load("hello_web_1")
    settings = {"Links": ["db:database"], "DriverOpts": {"a": "b"}, "GwPriority": 7}
    details["NetworkSettings"]["Networks"]["hello_default"] |= settings
    endpoint = make(details, load("app_1"), api_version=NEW_ENOUGH).body["NetworkingConfig"]["EndpointsConfig"]["hello_default"]
    assert {key: endpoint[key] for key in settings} == settings


def test_a_configured_mac_address_is_container_wide_on_an_old_engine_and_the_endpoints_on_a_new_one():
    assert body_of(load(RICH))["MacAddress"] == "02:42:ac:1f:00:99"
    body = body_of(load(RICH), api_version=NEW_ENOUGH)
    assert "MacAddress" not in body
    assert body["NetworkingConfig"]["EndpointsConfig"]["bridge"]["MacAddress"] == "02:42:ac:1f:00:99"


@pytest.mark.parametrize("api_version", [(1, 41), (1, 52)])
def test_a_generated_mac_address_is_never_copied(api_version):
    assert "MacAddress" not in str(make(load("hello_web_1"), load("app_1"), api_version=api_version))


def test_a_universal_mac_address_was_configured_even_if_only_the_endpoint_shows_it():
    details = load("hello_web_1")
    details["NetworkSettings"]["Networks"][details["HostConfig"]["NetworkMode"]]["MacAddress"] = "ac:de:48:00:11:22"
    body = make(details, load("app_1"), api_version=(1, 52)).body
    assert (
        body["NetworkingConfig"]["EndpointsConfig"][details["HostConfig"]["NetworkMode"]]["MacAddress"] == "ac:de:48:00:11:22"
    )


def test_a_network_the_container_has_left_is_left_again():
    details = load("hello_web_1")
    del details["NetworkSettings"]["Networks"][details["HostConfig"]["NetworkMode"]]
    made = make(details, load("app_1"))
    assert made.disconnects == (details["HostConfig"]["NetworkMode"],)


@pytest.mark.parametrize("mode", ["host", "none"])
def test_host_and_none_take_no_endpoint(mode):
    details = load("hello_web_1")
    details["HostConfig"]["NetworkMode"] = mode
    details["NetworkSettings"]["Networks"] = {mode: {"Aliases": None}}
    made = make(details, load("app_1"))
    assert made.body["NetworkingConfig"] == {"EndpointsConfig": {}}
    assert (made.connects, made.disconnects) == ((), ())


# What holds for every container

entries = st.lists(st.sampled_from(["A=1", "A=2", "B=1", "PATH=/bin", "C="]), unique_by=lambda entry: entry.split("=")[0])
commands = st.none() | st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2)
checks = st.none() | st.fixed_dictionaries(
    {"Test": st.sampled_from([["CMD", "a"], ["CMD", "b"]]), "Interval": st.sampled_from([1, 2])}
)
image_configs = st.fixed_dictionaries(
    {"Env": entries, "Cmd": commands, "Entrypoint": commands, "Healthcheck": checks, "User": st.sampled_from(["", "web"])}
)


def merge(user, image):
    """Merge a creation's config with its image's, like the engine does."""
    merged = dict(user)
    own = {entry.split("=")[0] for entry in user["Env"]}
    merged["Env"] = user["Env"] + [entry for entry in image["Env"] if entry.split("=")[0] not in own]
    if not user["Entrypoint"]:
        merged["Cmd"] = user["Cmd"] or image["Cmd"]
        merged["Entrypoint"] = image["Entrypoint"]
    merged["Entrypoint"] = None if merged["Entrypoint"] == [""] else merged["Entrypoint"]
    merged["User"] = user.get("User") or image["User"]
    check, base = user["Healthcheck"], image["Healthcheck"]
    merged["Healthcheck"] = {**(base or {}), **check} if check else base
    return merged


@settings(deadline=None, max_examples=60)
@given(user=image_configs, image=image_configs)
def test_recreating_a_container_from_the_same_image_changes_nothing(user, image):
    details = load("hello_web_1")
    config = merge(user, image)
    details["Config"] = {**details["Config"], **copy.deepcopy(config)}
    body = make(details, {"Config": image}).body
    again = merge({key: body.get(key) for key in config} | {"User": body.get("User", "")}, image)
    assert sorted(again.pop("Env")) == sorted(config.pop("Env"))
    assert again == config
