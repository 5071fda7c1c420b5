"""A container's page and the Configuration tabs: live settings, with secrets masked until they are revealed."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_engine import CRASHES, HEALTHY, UNHEALTHY
from clusters.engine.masking import MASK
from clusters.models import Application, AuditEntry, Cluster, Container
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, ServiceFactory
from clusters.tests.users import make_user
from console.pages.containers.use_charts import UseHistory
from console.pages.tests.hostile import HOSTILE, IsolationChecker, TagCollector

pytestmark = pytest.mark.django_db

SECRETS = ("s3cret-1", "s3cret-2", "s3cret-3", "s3cret-4")
CONFIG = {
    "Env": ["DB_PASSWORD=s3cret-1", "DATABASE_URL=pg://shop:s3cret-2@db/x", "MODE=bright"],
    "Cmd": ["serve", "--api-token=s3cret-3"],
    "Labels": {"proxy.basicauth": "s3cret-4", "team": "blue"},
    "HostConfig": {"Memory": 64 << 20},
}
HTMX = {"HX-Request": "true"}


def sign_in(role, cluster=None):
    client = Client()
    client.force_login(make_user(f"{role}-{User.objects.count()}", role, cluster))
    return client


def read(client, address, **options):
    response = client.get(address, **options)
    assert response.status_code == 200, address
    return response.content.decode()


@pytest.fixture
def shown(fleet, fake_engine):
    """The row of a container with secrets, which runs on the engine in memory."""
    fake_engine.add_image("shop:1", digest="sha256:" + "d" * 64)
    fleet.container.container_id = fake_engine.run(fleet.container.name, "shop:1", Healthcheck=HEALTHY, **CONFIG)
    fleet.container.save()
    return fleet.container


@pytest.fixture
def swarm_service(swarm_fleet, fake_engine):
    """The row of a service with secrets on the Swarm in memory."""
    swarm = fake_engine.init_swarm()
    fake_engine.publish("shop:1")
    spec = {
        "Name": "shop_web",
        "Labels": {"proxy.basicauth": "s3cret-4"},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "shop:1", "Env": CONFIG["Env"], "Args": CONFIG["Cmd"]},
            "Networks": [{"Target": fake_engine.networks[fake_engine.add_network("shop_default")]["Id"]}],
        },
        "Mode": {"Replicated": {"Replicas": 2}},
    }
    service = swarm_fleet.service
    service.swarm_id = swarm.create_service(spec)
    service.save()
    return service


def addresses(container):
    return f"/containers/{container.pk}/", f"/containers/{container.pk}/?tab=configuration"


class TestPage:
    def test_it_shows_what_the_engine_says_now(self, reader, shown):
        text = read(reader, f"/containers/{shown.pk}/")
        for words in ("Running", "Healthy", "/bin/true", "bridge", "No probe has run yet", shown.name):
            assert words in text, words
        assert f'href="/services/{shown.service.pk}/"' in text
        settings = read(reader, f"/containers/{shown.pk}/?tab=configuration")
        for words in ("serve --api-token=", "bright", "DATABASE_URL", "64.0", "blue", "d" * 12):
            assert words in settings, words

    def test_its_state_is_the_engines_before_the_row_has_followed(self, reader, shown, fake_engine):
        fake_engine.stop_container(shown.container_id)
        text = read(reader, f"/containers/{shown.pk}/")
        assert "Exited" in text
        assert "Exit code" in text
        assert "Healthy" not in text

    def test_a_failing_health_check_says_how_often(self, reader, shown, fake_engine):
        shown.container_id = fake_engine.run("ill", "shop:1", Healthcheck=UNHEALTHY)
        shown.save()
        health = fake_engine.containers[shown.container_id]["State"]["Health"]
        health |= {"FailingStreak": 4, "Log": [{"ExitCode": 1, "Output": "<b>refused</b>\u202e", "Start": None, "End": None}]}
        text = read(reader, f"/containers/{shown.pk}/")
        assert "failed 4 times in a row" in text
        assert "exit code 1" in text
        assert "&lt;b&gt;refused&lt;/b&gt;" in text

    def test_the_tables_of_containers_lead_to_it(self, reader, shown):
        service = shown.service
        for address in (f"/applications/{service.application_id}/?tab=containers", f"/services/{service.pk}/"):
            assert f'href="/containers/{shown.pk}/"' in read(reader, address)

    def test_the_reason_why_it_was_killed_is_shown(self, reader, shown, fake_engine):
        shown.container_id = fake_engine.run("greedy", "shop:1", Cmd=CRASHES)
        shown.save()
        fake_engine.containers[shown.container_id]["State"]["OOMKilled"] = True
        assert "ran out of memory" in read(reader, f"/containers/{shown.pk}/")

    def test_logs_are_for_those_who_may_read_them(self, shown):
        assert sign_in(Role.VIEWER).get(f"/containers/{shown.pk}/?tab=logs").status_code == 403
        assert "?tab=logs" not in read(sign_in(Role.VIEWER), f"/containers/{shown.pk}/")
        assert "?tab=logs" in read(sign_in(Role.OPERATOR), f"/containers/{shown.pk}/?tab=logs")


class TestEngineThatSaysNothing:
    @pytest.mark.parametrize("tab", ["overview", "configuration"])
    def test_the_page_shows_the_stored_row_with_a_note(self, reader, fleet, tab):
        text = read(reader, f"/containers/{fleet.container.pk}/?tab={tab}")
        assert "Its engine does not answer:" in text
        assert "No engine answers in this test." in text
        assert "shop:1" in text
        assert "which cannot report them now" in text

    def test_an_engine_known_to_be_unreachable_is_not_waited_for(self, reader, shown, fake_engine):
        Cluster.objects.update(status="unreachable", status_reason="Connection refused.")
        for address in (*addresses(shown), f"/containers/{shown.pk}/use/", f"/services/{shown.service.pk}/?tab=configuration"):
            assert "Connection refused." in read(reader, address)
        assert fake_engine.requests == []

    @pytest.mark.parametrize("kind", ["applications", "services"])
    def test_the_configuration_tab_says_so(self, reader, fleet, kind):
        row = fleet.application if kind == "applications" else fleet.service
        text = read(reader, f"/{kind}/{row.pk}/?tab=configuration")
        assert "The settings are read from the engine, which does not answer:" in text

    def test_a_refusal_is_a_note_too(self, reader, shown, fake_engine):
        def refuse(method):
            raise EngineRefused("<i>no</i>")

        fake_engine.before_request = refuse
        assert "&lt;i&gt;no&lt;/i&gt;" in read(reader, f"/containers/{shown.pk}/")

    def test_a_container_that_no_longer_exists_says_so_and_links_back(self, reader, shown, fake_engine):
        fake_engine.remove_container(shown.container_id, force=True)
        text = read(reader, f"/containers/{shown.pk}/")
        assert "no longer exists on the engine" in text
        assert f'href="/applications/{shown.service.application_id}/?tab=containers"' in text
        assert "no longer exists on the engine" in read(reader, f"/services/{shown.service.pk}/?tab=configuration")
        assert "no longer exists on the engine" in read(reader, f"/containers/{shown.pk}/use/")

    def test_a_removed_container_is_a_404_and_on_an_open_page_a_note(self, reader, shown):
        address = f"/containers/{shown.pk}/"
        shown.delete()
        assert reader.get(address).status_code == 404
        text = read(reader, address, headers=HTMX | {"HX-Target": "container-about"})
        assert "no longer exists on the engine" in text
        assert "data-poll" not in text


class TestPolling:
    def ask(self, client, container, piece, state=""):
        headers = HTMX | {"HX-Target": piece, "Windlass-State": state}
        return client.get(f"/containers/{container.pk}/", headers=headers)

    @pytest.mark.parametrize("piece", ["container-about", "container-details"])
    def test_nothing_is_sent_while_nothing_changed(self, reader, shown, fake_engine, piece):
        first = self.ask(reader, shown, piece)
        again = self.ask(reader, shown, piece, first["Windlass-State"])
        assert (again.status_code, again.content) == (204, b"")
        fake_engine.remove_container(shown.container_id, force=True)
        changed = self.ask(reader, shown, piece, first["Windlass-State"])
        assert changed.status_code == 200
        assert f'id="{piece}"' in changed.content.decode()

    def test_the_head_stays_when_a_probe_ends(self, reader, shown, fake_engine):
        """A new probe does not close an open menu in the head."""
        pieces = ("container-about", "container-details")
        states = [self.ask(reader, shown, piece)["Windlass-State"] for piece in pieces]
        health = fake_engine.containers[shown.container_id]["State"]["Health"]
        health["Log"] = [{"ExitCode": 0, "Output": "new", "Start": None, "End": None}]
        answers = [self.ask(reader, shown, piece, state) for piece, state in zip(pieces, states, strict=True)]
        assert [answer.status_code for answer in answers] == [204, 200]
        health["Status"] = "unhealthy"
        assert "Unhealthy" in self.ask(reader, shown, "container-about", states[0]).content.decode()


class TestSecrets:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.DEPLOYER, Role.ADMINISTRATOR])
    def test_no_page_source_holds_a_secret_before_it_is_revealed(self, shown, role):
        client = sign_in(role)
        service = shown.service
        for address in (
            *addresses(shown),
            f"/containers/{shown.pk}/use/",
            f"/services/{service.pk}/?tab=configuration",
            f"/applications/{service.application_id}/?tab=configuration",
        ):
            text = read(client, address)
            assert not [secret for secret in SECRETS if secret in text], address
        assert MASK in text
        assert ("/reveal/" in text) == (role in (Role.DEPLOYER, Role.ADMINISTRATOR))

    @pytest.mark.parametrize("kind", ["containers", "services"])
    def test_revealing_is_recorded_and_shows_them_once(self, shown, kind):
        client = sign_in(Role.DEPLOYER)
        row = shown if kind == "containers" else shown.service
        response = client.post(f"/{kind}/{row.pk}/reveal/")
        assert response["Location"] == f"/{kind}/{row.pk}/?tab=configuration"
        page = client.get(response["Location"])
        assert all(secret in page.content.decode() for secret in SECRETS)
        assert "no-store" in page["Cache-Control"]
        assert not [secret for secret in SECRETS if secret in read(client, response["Location"])]
        [entry] = AuditEntry.objects.filter(action="container.reveal")
        assert (entry.target, entry.target_type) == (row.name, kind.removesuffix("s"))
        assert entry.details == {"application": shown.service.application.name, "service": shown.service.name}
        assert entry.cluster == shown.service.application.cluster

    @pytest.mark.parametrize("kind", ["containers", "services"])
    def test_revealing_in_place_answers_the_settings_alone(self, shown, kind):
        client = sign_in(Role.DEPLOYER)
        row = shown if kind == "containers" else shown.service
        response = client.post(f"/{kind}/{row.pk}/reveal/", headers=HTMX | {"HX-Target": f"settings-{row.pk}"})
        text = response.content.decode()
        assert all(secret in text for secret in SECRETS)
        assert "<html" not in text
        assert "no-store" in response["Cache-Control"]
        assert AuditEntry.objects.filter(action="container.reveal").count() == 1
        assert not [secret for secret in SECRETS if secret in read(client, f"/{kind}/{row.pk}/?tab=configuration")]

    def test_revealing_one_container_shows_no_secret_of_another(self, shown):
        client = sign_in(Role.DEPLOYER)
        client.post(f"/containers/{shown.pk}/reveal/")
        text = read(client, f"/services/{shown.service.pk}/?tab=configuration")
        assert not [secret for secret in SECRETS if secret in text]

    def test_a_reader_who_lost_the_permission_meanwhile_sees_none(self, shown):
        client = sign_in(Role.DEPLOYER)
        client.post(f"/containers/{shown.pk}/reveal/")
        user = AuditEntry.objects.get(action="container.reveal").user
        user.groups.set(make_user("viewer", Role.VIEWER).groups.all())
        text = read(client, f"/containers/{shown.pk}/?tab=configuration")
        assert not [secret for secret in SECRETS if secret in text]

    def test_a_reveal_expires_when_its_page_is_not_requested_soon(self, shown, monkeypatch):
        client = sign_in(Role.DEPLOYER)
        client.post(f"/containers/{shown.pk}/reveal/")
        monkeypatch.setattr("console.pages.shared.configuration.configuration.REVEALED_FOR", -1)
        text = read(client, f"/containers/{shown.pk}/?tab=configuration")
        assert not [secret for secret in SECRETS if secret in text]

    @pytest.mark.parametrize("kind", ["containers", "services"])
    def test_others_are_refused_and_nothing_is_recorded(self, shown, kind):
        row = shown if kind == "containers" else shown.service
        elsewhere = sign_in(Role.DEPLOYER, ClusterFactory())
        assert elsewhere.post(f"/{kind}/{row.pk}/reveal/").status_code == 404
        assert sign_in(Role.OPERATOR).post(f"/{kind}/{row.pk}/reveal/").status_code == 403
        assert sign_in(Role.ADMINISTRATOR).get(f"/{kind}/{row.pk}/reveal/").status_code == 405
        assert not AuditEntry.objects.filter(action="container.reveal").exists()

    def test_a_reveal_is_recorded_before_the_engine_is_read(self, shown, fake_engine):
        fake_engine.unreachable = "Connection refused."
        response = sign_in(Role.DEPLOYER).post(
            f"/containers/{shown.pk}/reveal/", headers=HTMX | {"HX-Target": f"settings-{shown.pk}"}
        )
        assert response.status_code == 200
        assert AuditEntry.objects.filter(action="container.reveal").count() == 1


class TestSwarmService:
    @pytest.mark.parametrize("kind", ["applications", "services"])
    def test_its_settings_are_the_specs(self, reader, swarm_service, kind):
        row = swarm_service.application if kind == "applications" else swarm_service
        text = read(reader, f"/{kind}/{row.pk}/?tab=configuration")
        for words in ("2 replicated", "serve --api-token=", "bright", "shop_default", "From its Swarm service."):
            assert words in text, words
        assert not [secret for secret in SECRETS if secret in text]

    def test_its_secrets_are_revealed_alike(self, reader, swarm_service):
        address = reader.post(f"/services/{swarm_service.pk}/reveal/")["Location"]
        text = read(reader, address)
        assert all(secret in text for secret in SECRETS)

    def test_a_service_that_no_longer_exists_says_so(self, reader, swarm_service, fake_engine):
        swarm_service.swarm_id = "gone"
        swarm_service.save()
        assert "The service no longer exists in the Swarm." in read(reader, f"/services/{swarm_service.pk}/?tab=configuration")


class TestConfigurationTab:
    def test_a_services_settings_are_those_of_its_newest_running_container(self, reader, fleet, fake_engine):
        fake_engine.add_image("shop:1")
        Container.objects.filter(service=fleet.service).delete()
        for name, state, day in (("older", "running", 1), ("newer", "running", 2), ("newest", "exited", 3)):
            container_id = fake_engine.run(name, "shop:1", Env=[f"WHO={name}"])
            when = f"2026-01-{day:02}T00:00:00Z"
            ContainerFactory(service=fleet.service, name=name, container_id=container_id, state=state, created_at=when)
        text = read(reader, f"/services/{fleet.service.pk}/?tab=configuration")
        assert ("newer" in text, "newest</bdi>" in text, "older</bdi>" in text) == (True, False, False)

    def test_many_services_are_read_in_part_and_the_others_linked(
        self, reader, shown, fake_engine, django_assert_max_num_queries
    ):
        application = shown.service.application
        for _ in range(14):
            service = ServiceFactory(application=application)
            ContainerFactory(service=service, container_id=fake_engine.run(service.name, "shop:1"))
        fake_engine.requests.clear()
        with django_assert_max_num_queries(12):
            text = read(reader, f"/applications/{application.pk}/?tab=configuration")
        assert fake_engine.requests.count("inspect_container") == 10
        assert "5 more services" in text
        for service in application.services.all():
            assert f"/services/{service.pk}/?tab=configuration" in text

    def test_a_service_without_a_container_says_so(self, reader, fleet, fake_engine):
        Container.objects.all().delete()
        text = read(reader, f"/services/{fleet.service.pk}/?tab=configuration")
        assert "It has no container on the engine." in text


class TestUse:
    def ask(self, client, container, history=""):
        headers = HTMX | {"HX-Target": "container-use"}
        return client.get(f"/containers/{container.pk}/use/", {"history": history}, headers=headers)

    def test_each_answer_adds_a_point_to_the_charts(self, reader, shown):
        first = self.ask(reader, shown)
        assert "The first measurement takes 2 seconds." in first.content.decode()
        history = first.context["history"]
        for count in (1, 2, 3):
            answer = self.ask(reader, shown, history)
            history = answer.context["history"]
            cpu, memory = answer.context["charts"]
            assert len(cpu.line.split()) == len(memory.line.split()) == count
        text = answer.content.decode()
        assert "10.0 %" in text
        assert 'role="img" aria-label="CPU in the last 2 minutes: 10.0 % now, 10.0 % at most."' in text
        assert f"history={history}" in text
        assert [stop.text for stop in cpu.stops] == ["10.0 %, 2 s ago", "10.0 %, 1 s ago", "10.0 %, 0 s ago"]
        edges = [(stop.left, stop.left + stop.width) for stop in cpu.stops]
        assert [right for _, right in edges[:-1]] == pytest.approx([left for left, _ in edges[1:]])

    def test_as_a_page_it_measures_at_once(self, reader, shown):
        text = read(reader, f"/containers/{shown.pk}/use/")
        assert "10.0 %" in text
        assert "<svg viewBox" not in text.partition('id="container-use"')[2]
        assert "data-poll" not in text.partition('id="container-use"')[2].partition("</section>")[0]

    def test_a_stopped_container_uses_nothing_and_is_polled_again(self, reader, shown, fake_engine):
        fake_engine.stop_container(shown.container_id)
        text = self.ask(reader, shown).content.decode()
        assert "The container is not running, so it uses nothing." in text
        assert "data-poll" in text

    @pytest.mark.parametrize(
        "history", ["x", "1.2-3", "1.2-3.4.5.6", "-", "1.2-", "9" * 30 + ".1", "1.2-<b>", "1.2" + "-1.2.3" * 500, "0.0-9.9.9"]
    )
    def test_a_history_that_was_tampered_with_is_ignored(self, reader, shown, history):
        assert self.ask(reader, shown, history).status_code == 200

    def test_a_history_is_read_as_it_was_written(self):
        text = "5.10-100.7.2048-102.8.4096"
        assert UseHistory.read(text).write() == text


def test_hostile_answers_stay_text(reader, shown, fake_engine):
    inspected = fake_engine.containers[shown.container_id]
    inspected["Name"] = "/" + HOSTILE
    inspected["Config"] |= {
        "Env": [f"{HOSTILE}={HOSTILE}"],
        "Labels": {HOSTILE: HOSTILE * 200},
        "Image": HOSTILE,
        "Cmd": [HOSTILE],
    }
    inspected["Config"] |= {"User": HOSTILE, "Healthcheck": {"Test": ["CMD-SHELL", HOSTILE]}, "ExposedPorts": {HOSTILE: {}}}
    inspected["State"] |= {"Error": HOSTILE, "Status": HOSTILE[:16]}
    inspected["State"]["Health"] |= {"Status": HOSTILE, "Log": [{"Output": HOSTILE * 50, "ExitCode": 1}]}
    inspected["Mounts"] = [{"Type": HOSTILE, "Source": HOSTILE, "Destination": HOSTILE, "RW": False}]
    inspected["NetworkSettings"]["Networks"] = {HOSTILE: {"Aliases": [HOSTILE], "IPAddress": HOSTILE, "MacAddress": HOSTILE}}
    service = shown.service
    for address in (*addresses(shown), f"/services/{service.pk}/?tab=configuration", f"/containers/{shown.pk}/use/"):
        text = read(reader, address)
        collector, checker = TagCollector(), IsolationChecker()
        collector.feed(text)
        checker.feed(text)
        assert not [tag for tag, _ in collector.tags if tag == "img"]
        assert not [(tag, name) for tag, names in collector.tags for name in names if name.startswith("on") or name == "style"]
        assert checker.loose == [], address


def test_no_page_for_a_task_of_a_swarm(reader, swarm_fleet):
    """A task's container is on another engine and has no row."""
    text = read(reader, f"/services/{swarm_fleet.service.pk}/?tab=tasks")
    assert "/containers/" not in text


def test_a_lone_container_on_a_managers_own_engine_has_a_page(reader, swarm_fleet, fake_engine):
    fake_engine.add_image("shop:1")
    application = ApplicationFactory(cluster=swarm_fleet.cluster, source=Application.Source.CONTAINER)
    container_id = fake_engine.run("lone", "shop:1")
    row = ContainerFactory(service__application=application, container_id=container_id)
    assert "Running" in read(reader, f"/containers/{row.pk}/")
