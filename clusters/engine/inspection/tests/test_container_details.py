"""The details of containers and services, from real and from hostile answers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clusters.engine.inspection.container_details import (
    Bounded,
    HealthCheck,
    Mount,
    Network,
    Port,
    Probe,
    ResourceLimits,
    Setting,
    read_container_details,
)
from clusters.engine.inspection.swarm_details import read_service_configuration
from clusters.engine.masking import MASK
from clusters.engine.tests.recording import load

RTL = "\u202egnp.exe"
NONSENSE = [None, "text", 7, 1.5, True, [], {}, [None], {"a": None}, [[]], ["x"], {"x": "y"}, float("nan"), -(10**30), RTL]


def facts(configuration):
    return {fact.name: fact.value for fact in configuration.facts}


class TestRecordedContainer:
    details = read_container_details(load("rich"), {"RepoDigests": ["app@sha256:ab"]})

    def test_state_and_health(self):
        assert (self.details.name, self.details.state.word, self.details.state.exit_code) == ("rich", "running", 0)
        assert (self.details.state.is_running, self.details.state.has_ended) == (True, False)
        assert self.details.state.started_at.isoformat() == "2026-11-23T00:00:09.238456+00:00"
        assert self.details.state.finished_at is None
        [probe] = self.details.health.probes
        assert (self.details.health.status, self.details.health.failing_streak) == ("healthy", 0)
        assert probe == replace(probe, took=timedelta(microseconds=165454), exit_code=0, output="")

    def test_what_it_runs(self):
        configuration = self.details.configuration
        assert (configuration.image, configuration.digests) == ("app:2", ("app@sha256:ab",))
        assert facts(configuration) == {
            "Entrypoint": "/bin/busybox",
            "Command": "sleep 50000",
            "User": "0",
            "Working directory": "/srv",
            "Restart": "on-failure, at most 3 times",
            "Stop": "SIGINT, killed after 3 s",
            "Rights": "read-only root file system",
            "Capabilities": "+NET_ADMIN −MKNOD",
            "Log driver": "json-file",
        }
        assert configuration.limits == ResourceLimits(memory=67_108_864, cpus=0.5, pids=50)
        assert configuration.health_check == HealthCheck("true", timedelta(seconds=1), timedelta(seconds=2), None, 2)

    def test_its_places(self):
        configuration = self.details.configuration
        assert configuration.ports.shown == (Port("80/tcp", ("127.0.0.1:8088",)), Port("9/udp", ()))
        assert configuration.networks.shown == (Network("bridge", ("172.31.0.2",), (), "02:42:ac:1f:00:99"),)
        assert Mount("volume", "kept", "/kept", True) in configuration.mounts.shown
        assert Mount("bind", "/etc/hostname", "/h", True) in configuration.mounts.shown
        assert Mount("tmpfs", "", "/t", False) in configuration.mounts.shown

    def test_environment_and_labels(self):
        configuration = self.details.configuration
        assert configuration.environment.shown == (Setting("MODE", "x"), Setting("COLOR", "red"), Setting("PATH", "/bin"))
        assert configuration.labels.shown == (Setting("maker", "me"), Setting("team", "blue"))
        assert (configuration.masked, configuration.revealed) == (0, False)


@pytest.mark.parametrize("name", ["hello_web_1", "hello_worker_1", "joiner", "linked"])
def test_every_recorded_container_can_be_shown(name):
    details = read_container_details(load(name))
    assert details.name
    assert details.configuration.image


def make_secretive() -> dict[str, Any]:
    inspected = load("rich")
    inspected["Config"] |= {
        "Env": ["DB_PASSWORD=s3cret-1", "DATABASE_URL=pg://shop:s3cret-2@db/x", "MODE=x", "ALSO=has s3cret-1 in it"],
        "Cmd": ["serve", "--api-token=s3cret-3", "--secret", "s3cret-4", "-a", "s3cret-1"],
        "Entrypoint": ["sh", "-c", "PASSWORD=s3cret-5 exec \"$@\""],
        "Labels": {"proxy.basicauth": "s3cret-6", "url": "http://u:s3cret-7@h/"},
        "Healthcheck": {"Test": ["CMD-SHELL", "curl -H 'Authorization: Bearer s3cret-8s3cret' localhost"]},
    }  # fmt: skip
    inspected["State"]["Health"]["Log"] = [{"Output": "refused: s3cret-2", "ExitCode": 1, "Start": "", "End": ""}]
    inspected["State"]["Error"] = "cannot start with s3cret-1"
    return inspected


def test_details_that_are_not_revealed_hold_no_secret():
    details = read_container_details(make_secretive())
    assert "s3cret" not in repr(details)
    assert details.configuration.masked == 10
    assert facts(details.configuration)["Command"] == f"serve --api-token={MASK} --secret {MASK} -a {MASK}"
    assert [setting.name for setting in details.configuration.environment.shown if setting.is_secret] == [
        "DB_PASSWORD",
        "DATABASE_URL",
        "ALSO",
    ]


def test_revealed_details_hold_every_secret_and_say_so():
    details = read_container_details(make_secretive(), revealed=True)
    for number in range(1, 9):
        assert f"s3cret-{number}" in repr(details)
    assert details.configuration.revealed
    assert details.configuration.masked == 10


def test_the_newest_probes_come_first_and_their_output_is_cut():
    inspected = load("rich")
    second = "2026-11-23T00:00:{:02}.000000001Z"
    inspected["State"]["Health"] |= {
        "FailingStreak": 3,
        "Log": [
            {"Start": second.format(n), "End": second.format(n + 1), "ExitCode": n, "Output": f"{n}\x1b[0m\n" + "o" * 5000}
            for n in range(8)
        ],
    }
    health = read_container_details(inspected).health
    assert [probe.exit_code for probe in health.probes] == [7, 6, 5, 4, 3]
    assert (health.failing_streak, health.probes[0].took, health.probes[0].is_healthy) == (3, timedelta(seconds=1), False)
    assert health.probes[0].output.startswith("7[0m\nooo")
    assert len(health.probes[0].output) == 2000


def test_a_container_that_ended_says_how():
    inspected = load("rich")
    inspected["State"] |= {
        "Status": "exited",
        "Running": False,
        "ExitCode": 137,
        "OOMKilled": True,
        "FinishedAt": "2026-11-23T00:10:00Z",
    }
    inspected["NetworkSettings"]["Ports"] = {}
    details = read_container_details(inspected)
    assert (details.state.has_ended, details.state.exit_code, details.state.out_of_memory) == (True, 137, True)
    assert details.configuration.ports.shown[0] == Port("80/tcp", ("127.0.0.1:8088",)), "as it was requested"


def test_a_port_on_all_addresses_is_named_once():
    inspected = load("rich")
    both = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "9"}]
    inspected["NetworkSettings"]["Ports"] = {"80/tcp": both, "81/tcp": None}
    assert read_container_details(inspected).configuration.ports.shown[:2] == (
        Port("80/tcp", ("8080", "[::1]:9")),
        Port("81/tcp", ()),
    )


def test_a_disabled_health_check_is_none():
    inspected = load("rich")
    inspected["Config"]["Healthcheck"] = {"Test": ["NONE"]}
    inspected["State"]["Health"] = {"Status": "none", "Log": None}
    details = read_container_details(inspected)
    assert (details.health, details.configuration.health_check) == (None, None)


def test_a_quota_is_a_number_of_cpus():
    inspected = load("rich")
    inspected["HostConfig"] |= {"NanoCpus": 0, "CpuQuota": 25_000, "CpuPeriod": 50_000}
    assert read_container_details(inspected).configuration.limits.cpus == 0.5


def test_an_old_engine_leaves_out_what_it_does_not_know():
    details = read_container_details(
        {"Id": "ab", "Name": "/old", "State": {"Running": True}, "Config": {"Cmd": "serve it", "Env": None}}
    )
    assert (details.name, details.state.word, details.health) == ("old", "running", None)
    assert facts(details.configuration) == {"Command": "'serve it'", "Restart": "never"}
    assert details.configuration.environment == details.configuration.mounts == Bounded()


class TestHostileAnswers:
    def test_everything_is_bounded(self):
        inspected = load("rich")
        inspected["Config"] |= {
            "Env": [f"V{n}=" + "v" * 100_000 for n in range(1000)],
            "Labels": {f"l{n}": "l" * 10_000 for n in range(1000)},
            "Cmd": ["c" * 10_000] * 1000,
            "Image": "i" * 10_000,
            "ExposedPorts": {f"{n}/tcp": {} for n in range(5000)},
        }
        inspected["Mounts"] = [{"Type": "bind", "Source": "s" * 9999, "Destination": "d" * 9999, "RW": True}] * 5000
        inspected["NetworkSettings"]["Networks"] = {f"n{n}": {"Aliases": ["a" * 9999] * 999} for n in range(500)}
        configuration = read_container_details(inspected).configuration
        assert (len(configuration.environment.shown), configuration.environment.left_out) == (200, 800)
        assert (len(configuration.labels.shown), configuration.labels.left_out) == (200, 800)
        assert (len(configuration.mounts.shown), configuration.mounts.left_out) == (200, 4801)  # with one tmpfs
        assert (len(configuration.networks.shown), configuration.networks.left_out) == (200, 300)
        assert len(configuration.ports.shown) == 200
        assert {len(variable.value) for variable in configuration.environment.shown} == {2048}
        assert len(facts(configuration)["Command"]) == 2048
        assert len(configuration.image) == 512

    def test_control_characters_are_left_out(self):
        inspected = load("rich")
        inspected["Config"] |= {"Env": ["A\x1b]0;x\x07=b\x1b[2J\x00"], "Image": "a\x07pp\n", "Labels": {"\x1bl": "\x1bv"}}
        configuration = read_container_details(inspected).configuration
        assert configuration.environment.shown == (Setting("A]0;x", "b[2J"),)
        assert (configuration.image, configuration.labels.shown) == ("app", (Setting("l", "v"),))

    @pytest.mark.parametrize("value", NONSENSE, ids=repr)
    def test_no_value_of_another_type_is_an_error(self, value):
        whole = load("rich")
        for part in (whole, whole["Config"], whole["HostConfig"], whole["State"], whole["NetworkSettings"]):
            for key in list(part):
                kept, part[key] = part[key], value
                read_container_details(whole, {"RepoDigests": value})
                part[key] = kept

    @pytest.mark.parametrize("value", NONSENSE, ids=repr)
    def test_no_entry_of_another_type_is_an_error(self, value):
        whole = load("rich")
        whole["Config"] |= {"Env": [value], "Cmd": [value], "Labels": {"a": value}, "ExposedPorts": {"a": value}}
        whole["Mounts"] = [value, {"Type": value, "Source": value, "Destination": value}]
        whole["State"]["Health"] = {"Status": "healthy", "Log": [value, {"Start": value, "End": value, "Output": value}]}
        whole["NetworkSettings"] = {"Networks": {"a": value, "b": {"Aliases": value}}, "Ports": {"a": value, "b": [value]}}
        read_container_details(whole)


def make_swarm_service() -> dict[str, Any]:
    """As `GET /services/{id}` of an engine 20.10 answers, for a service that uses most of what there is."""
    container = {
        "Image": "registry:5000/shop:2@sha256:" + "a" * 64,
        "Command": ["/entry.sh"],
        "Args": ["serve", "--token=s3cret-1"],
        "Env": ["DB_PASSWORD=s3cret-2", "DB_PASSWORD_FILE=/run/secrets/db", "MODE=x"],
        "Dir": "/srv",
        "User": "app",
        "ReadOnly": True,
        "StopGracePeriod": 30_000_000_000,
        "Labels": {"inner": "1"},
        "Mounts": [
            {"Type": "volume", "Source": "media", "Target": "/media"},
            {"Type": "tmpfs", "Target": "/t", "ReadOnly": True},
        ],
        "Secrets": [{"SecretID": "s1", "SecretName": "db", "File": {"Name": "db", "UID": "0"}}],
        "Configs": [{"ConfigID": "c1", "ConfigName": "site", "File": {"Name": "/etc/site.conf"}}],
        "Healthcheck": {"Test": ["CMD", "curl", "localhost"], "Interval": 5_000_000_000},
    }
    template = {
        "ContainerSpec": container,
        "Resources": {
            "Limits": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 268_435_456, "Pids": 64},
            "Reservations": {"MemoryBytes": 134_217_728},
        },
        "Placement": {
            "Constraints": ["node.role==worker", "node.labels.disk==ssd"],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
            "MaxReplicas": 2,
        },
        "RestartPolicy": {"Condition": "on-failure", "MaxAttempts": 3},
        "Networks": [{"Target": "net1", "Aliases": ["web"]}, {"Target": "net2"}],
        "LogDriver": {"Name": "json-file"},
    }
    ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 30001, "PublishMode": "ingress"}]
    return {
        "ID": "svc",
        "Spec": {
            "Name": "shop_web",
            "Labels": {"outer": "2", "proxy.auth": "s3cret-3"},
            "TaskTemplate": template,
            "Mode": {"Replicated": {"Replicas": 3}},
            "EndpointSpec": {"Ports": [{"Protocol": "tcp", "TargetPort": 80}]},
        },
        "Endpoint": {"Ports": ports},
    }


class TestSwarmService:
    configuration = read_service_configuration(make_swarm_service(), {"net1": "shop_default"})

    def test_what_it_runs(self):
        digest = "registry:5000/shop:2@sha256:" + "a" * 64
        assert (self.configuration.image, self.configuration.digests) == ("registry:5000/shop:2", (digest,))
        assert facts(self.configuration) == {
            "Mode": "3 replicated",
            "Entrypoint": "/entry.sh",
            "Command": f"serve --token={MASK}",
            "User": "app",
            "Working directory": "/srv",
            "Restart": "on-failure, at most 3 times",
            "Stop": "killed after 30 s",
            "Placed on": "node.role==worker and node.labels.disk==ssd",
            "Spread over": "node.labels.zone",
            "On one node": "at most 2",
            "Rights": "read-only root file system",
            "Log driver": "json-file",
        }
        assert self.configuration.limits == ResourceLimits(268_435_456, 1.5, 64)
        assert self.configuration.reserved == ResourceLimits(134_217_728)

    def test_its_places(self):
        assert self.configuration.ports.shown == (Port("80/tcp", ("30001",)),)
        assert self.configuration.networks.shown == (Network("shop_default", (), ("web",), ""), Network("net2", (), (), ""))
        assert self.configuration.mounts.shown == (Mount("volume", "media", "/media", False), Mount("tmpfs", "", "/t", True))
        assert self.configuration.files.shown == (
            Setting("Secret db", "/run/secrets/db"),
            Setting("Config site", "/etc/site.conf"),
        )

    def test_its_secrets_are_masked_until_they_are_revealed(self):
        assert "s3cret" not in repr(self.configuration)
        assert Setting("DB_PASSWORD_FILE", "/run/secrets/db") in self.configuration.environment.shown
        revealed = read_service_configuration(make_swarm_service(), {}, revealed=True)
        assert all(f"s3cret-{number}" in repr(revealed) for number in (1, 2, 3))
        assert revealed.masked == self.configuration.masked == 3

    @pytest.mark.parametrize(
        ("mode", "words"),
        [
            ({"Global": {}}, "a task on each node"),
            ({"GlobalJob": {}}, "a job on each node"),
            ({"ReplicatedJob": {"TotalCompletions": 5, "MaxConcurrent": 2}}, "a job of 5, 2 at a time"),
            ({"Replicated": None}, "1 replicated"),
        ],
    )
    def test_its_mode_in_words(self, mode, words):
        service = make_swarm_service()
        service["Spec"]["Mode"] = mode
        assert facts(read_service_configuration(service, {}))["Mode"] == words

    def test_a_port_that_each_node_publishes_itself_says_so(self):
        service = make_swarm_service()
        service["Endpoint"] = {"Ports": [{"TargetPort": 53, "Protocol": "udp", "PublishedPort": 5300, "PublishMode": "host"}]}
        assert read_service_configuration(service, {}).ports.shown == (Port("53/udp", ("5300 on its node",)),)

    @pytest.mark.parametrize("value", NONSENSE, ids=repr)
    def test_no_value_of_another_type_is_an_error(self, value):
        service = make_swarm_service()
        template = service["Spec"]["TaskTemplate"]
        for part in (
            service,
            service["Spec"],
            template,
            template["ContainerSpec"],
            template["Placement"],
            template["Resources"],
        ):
            for key in list(part):
                kept, part[key] = part[key], value
                read_service_configuration(service, {})
                part[key] = kept


def test_a_probe_without_times_has_no_duration():
    inspected = load("rich")
    inspected["State"]["Health"]["Log"] = [{"ExitCode": -1, "Output": None}]
    assert read_container_details(inspected).health.probes == (Probe(None, None, -1, ""),)
