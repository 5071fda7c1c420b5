"""Clusters on the pages: adding, testing and deleting one, and the tabs that read from its engine."""

import pytest

from clusters.connection_check import AddressFacts, ConnectionFacts
from clusters.engine.errors import EngineUnreachable
from clusters.engine.inspection.listing import EngineFacts
from clusters.models import AuditEntry, Cluster
from clusters.tests.factories import ClusterFactory, RegistryFactory
from console.pages.tests.hostile import HOSTILE, IsolationChecker, TagCollector
from console.pages.tests.reading import text_of, words_of

pytestmark = pytest.mark.django_db


class TestClusters:
    DATA = {"name": "north", "url": "tcp://10.0.0.9:2376"}

    def test_one_is_added_and_shown(self, reader, db):
        response = reader.post("/clusters/new/", self.DATA)
        assert response["Location"] == f"/clusters/{Cluster.objects.get(name='north').uid}/"

    def test_a_wrong_address_is_an_error_at_its_field_and_kept(self, reader, db):
        response = reader.post("/clusters/new/", self.DATA | {"url": "http://10.0.0.9"})
        assert "must start with unix://" in str(response.context["form"].errors["url"])
        assert 'value="http://10.0.0.9"' in text_of(response)

    def test_the_stored_key_is_kept_and_never_shown(self, reader, db):
        cluster = Cluster.objects.create(**self.DATA, tls_cert="CERTIFICATE", tls_key="VERY SECRET KEY")
        address = f"/clusters/{cluster.uid}/edit/"
        assert "VERY SECRET KEY" not in text_of(reader.get(address))
        reader.post(address, self.DATA | {"name": "north-2", "tls_cert": "CERTIFICATE", "tls_key": ""})
        cluster.refresh_from_db()
        assert (cluster.name, cluster.tls_key) == ("north-2", "VERY SECRET KEY")
        reader.post(address, self.DATA | {"tls_cert": "", "tls_key": ""})
        cluster.refresh_from_db()
        assert cluster.tls_key == ""

    @pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "test-result"}])
    def test_a_connection_test_shows_the_engines_version_and_saves_nothing(self, reader, db, monkeypatch, headers):
        tried = []

        def answer(endpoint):
            tried.append(endpoint.url)
            return EngineFacts(engine_version="27.5.1", api_version="1.47", hostname="north-01")

        monkeypatch.setattr("clusters.connection_check.check_connection", answer)
        response = reader.post("/clusters/test/", self.DATA, headers=headers)
        assert "Docker <bdi>27.5.1</bdi>, API <bdi>1.47</bdi>" in text_of(response)
        facts = EngineFacts(engine_name="Podman", engine_version="4.3.1")
        monkeypatch.setattr("clusters.connection_check.check_connection", lambda endpoint: facts)
        assert "Podman <bdi>4.3.1</bdi>, API" in text_of(reader.post("/clusters/test/", self.DATA, headers=headers))
        assert tried == [self.DATA["url"]]
        assert not Cluster.objects.exists()

    def test_a_connection_test_of_several_managers_says_what_is_at_each_address(self, reader, db, monkeypatch):
        addresses = (AddressFacts("10.0.0.9:2376", "manager"), AddressFacts("10.0.0.8:2376", "worker", "It is a worker."))
        facts = ConnectionFacts(engine_version="27.5.1", swarm_role="manager", addresses=addresses)
        monkeypatch.setattr("clusters.connection_check.check_connection", lambda endpoint: facts)
        text = text_of(reader.post("/clusters/test/", self.DATA))
        assert ", a Swarm manager." in text
        assert "10.0.0.9:2376</bdi></code> is a Swarm manager." in text
        assert "It is a worker." in text

    def test_a_failed_connection_test_shows_the_exact_reason_and_loses_no_input(self, reader, db, monkeypatch):
        def refuse(endpoint):
            raise EngineUnreachable("The engine at 10.0.0.9:2376 refused the connection.")

        monkeypatch.setattr("clusters.connection_check.check_connection", refuse)
        response = reader.post("/clusters/test/", self.DATA)
        assert "refused the connection" in text_of(response)
        assert 'value="north"' in text_of(response)

    def test_a_connection_test_of_a_stored_cluster_uses_its_stored_key(self, reader, db, monkeypatch):
        cluster = Cluster.objects.create(**self.DATA, tls_cert="CERTIFICATE", tls_key="VERY SECRET KEY")
        keys = []
        monkeypatch.setattr(
            "clusters.connection_check.check_connection", lambda endpoint: keys.append(endpoint.key) or EngineFacts()
        )
        reader.post(f"/clusters/test/?edited={cluster.uid}", self.DATA | {"tls_cert": "CERTIFICATE"})
        assert keys == ["VERY SECRET KEY"]

    def test_deleting_asks_for_the_name(self, reader, fleet):
        address = f"/clusters/{fleet.cluster.uid}/delete/"
        assert "This is not the cluster" in text_of(reader.post(address, {"name": "harbor"}))
        assert Cluster.objects.filter(pk=fleet.cluster.pk).exists()
        reader.post(address, {"name": "harbour"})
        assert not Cluster.objects.filter(pk=fleet.cluster.pk).exists()


class TestClusterPage:
    def test_each_live_part_has_an_address_of_its_own(self, reader, cluster, images, live_engine):
        page = f"/clusters/{cluster.uid}/"
        live_engine.requests.clear()
        assert f'hx-get="{page}engine/"' in reader.get(page).content.decode()
        assert live_engine.requests == []
        for part, words in (("engine", "Storage driver"), ("disk", "Reclaimable"), ("events", "web-1")):
            headers = {"HX-Request": "true", "HX-Target": part}
            piece = reader.get(f"{page}{part}/", headers=headers).content.decode()
            assert words in piece, part
            assert "<nav" not in piece
            assert words in reader.get(f"{page}{part}/").content.decode()

    @pytest.mark.parametrize("part", ["engine", "disk", "events"])
    def test_an_engine_that_cannot_be_read_is_a_state_that_says_what_to_do(self, reader, cluster, live_engine, part):
        live_engine.unreachable = "The engine did not answer in time."
        headers = {"HX-Request": "true", "HX-Target": part}
        text = reader.get(f"/clusters/{cluster.uid}/{part}/", headers=headers).content.decode()
        assert "did not answer in time" in text
        assert "Check the address" in text
        assert "data-poll" in text

    def test_events_are_not_said_to_be_absent_where_the_engine_has_forgotten_them(
        self, reader, cluster, live_engine, monkeypatch
    ):
        def read(count, action):
            probe = {
                "Type": "container",
                "Action": action,
                "Actor": {"ID": "1", "Attributes": {"name": "web"}},
                "timeNano": 10**18,
            }
            monkeypatch.setattr(live_engine, "list_events", lambda since, until: [probe] * count)
            return " ".join(text_of(reader.get(f"/clusters/{cluster.uid}/events/")).split())

        forgotten = "The engine remembers only its latest 256 events, the oldest from"
        assert "The engine remembers no event of the last 30 minutes." in read(0, "")
        few, many, shown = read(9, "exec_die"), read(256, "exec_die"), read(256, "start")
        assert "Only health checks in the last 30 minutes." in few
        assert forgotten not in few
        assert "All that the engine remembers are health checks." in many
        assert forgotten in many
        assert forgotten in shown
        assert f'href="/activity/?cluster={cluster.uid}"' in shown

    def test_a_cluster_just_added_says_that_it_is_being_read(self, reader):
        added = ClusterFactory(status=Cluster.Status.UNKNOWN, engine_version="")
        text = reader.get(f"/clusters/{added.uid}/").content.decode()
        assert "Reading what runs there" in text
        assert 'data-poll="1000"' in text

    def test_podman_is_called_podman_and_what_it_cannot_do_is_said(self, reader):
        podman, docker = ClusterFactory(engine_name="Podman", engine_version="4.3.1"), ClusterFactory(engine_name="Docker")
        page, listed = text_of(reader.get(f"/clusters/{podman.uid}/")), text_of(reader.get("/clusters/"))
        for shown in ("<dt><bdi>Podman</bdi></dt>", "<dd><bdi>4.3.1</bdi></dd>"):
            assert shown in page
        assert "these are refused and stay as they are: containers in a pod" in " ".join(page.split())
        assert "Podman <bdi>4.3.1</bdi>" in listed
        assert "Podman" not in text_of(reader.get(f"/clusters/{docker.uid}/"))

    def test_the_list_gives_the_reason_of_an_unreachable_one(self, reader):
        ClusterFactory(status=Cluster.Status.UNREACHABLE, status_reason="Connection refused.")
        assert "Connection refused." in reader.get("/clusters/").content.decode()

    def test_what_an_engine_says_of_itself_stays_text(self, reader, cluster, live_engine, monkeypatch):
        info = {"Driver": HOSTILE, "KernelVersion": HOSTILE, "Warnings": [HOSTILE], "Runtimes": {HOSTILE: {}}}
        info |= {"RegistryConfig": {"Mirrors": [HOSTILE]}, "SecurityOptions": [HOSTILE], "DriverStatus": []}
        monkeypatch.setattr(live_engine, "info", lambda: info)
        actor = {"ID": HOSTILE, "Attributes": {"name": HOSTILE, "image": HOSTILE}}
        event = {"Type": HOSTILE, "Action": HOSTILE, "Actor": actor, "timeNano": 10**18}
        monkeypatch.setattr(live_engine, "list_events", lambda since, until: [event, {}])
        for part in ("engine", "events"):
            text = reader.get(f"/clusters/{cluster.uid}/{part}/").content.decode()
            collector, checker = TagCollector(), IsolationChecker()
            collector.feed(text)
            checker.feed(text)
            assert "img" not in {tag for tag, _ in collector.tags}
            assert checker.loose == []


class TestFirstRun:
    @pytest.fixture
    def local(self, monkeypatch):
        monkeypatch.setattr("console.process.local_engine.probe_engine", lambda url: True)

    @pytest.mark.parametrize("address", ["/", "/applications/", "/clusters/", "/images/"])
    def test_an_engine_of_this_machine_is_offered(self, reader, local, address, settings):
        text = reader.get(address).content.decode()
        assert settings.DOCKER_HOST in text
        assert 'action="/clusters/local/"' in text

    @pytest.mark.parametrize("address", ["/", "/applications/", "/clusters/", "/images/"])
    def test_without_an_answering_engine_the_form_is_offered(self, reader, address):
        text = reader.get(address).content.decode()
        assert "/clusters/local/" not in text
        assert "/clusters/new/" in text

    def test_one_click_adds_it(self, reader, local, settings, monkeypatch):
        monkeypatch.setattr("clusters.connection_check.check_connection", lambda endpoint: object())
        ClusterFactory(name="local")
        reader.post("/clusters/local/")
        added = Cluster.objects.get(name="local-2")
        assert added.url == settings.DOCKER_HOST
        assert AuditEntry.objects.get(action="cluster.add").cluster == added

    def test_one_that_fails_its_test_is_shown_in_the_form(self, reader, local, monkeypatch):
        def refuse(endpoint):
            raise EngineUnreachable("Permission denied.")

        monkeypatch.setattr("clusters.connection_check.check_connection", refuse)
        response = reader.post("/clusters/local/")
        assert "Permission denied." in response.content.decode()
        assert not Cluster.objects.exists()

    def test_one_click_allows_the_registries_that_the_form_would(self, reader, local, monkeypatch):
        monkeypatch.setattr("clusters.connection_check.check_connection", lambda endpoint: object())
        registry = RegistryFactory()
        reader.post("/clusters/local/")
        added = Cluster.objects.get()
        assert list(added.registries.all()) == [registry]
        assert added.uses_docker_config

    def test_a_socket_that_the_environment_does_not_allow_is_not_offered(self, reader, local, settings):
        settings.ENGINE_SOCKETS = ["/srv/docker.sock"]
        assert "/clusters/local/" not in reader.get("/clusters/").content.decode()
        assert reader.post("/clusters/local/")["Location"] == "/clusters/new/"

    def test_an_engine_that_no_longer_answers_leads_to_the_form(self, reader):
        assert reader.post("/clusters/local/")["Location"] == "/clusters/new/"


def test_a_cluster_with_other_managers_shows_their_addresses(reader, swarm_fleet):
    Cluster.objects.update(other_urls="tcp://10.0.0.2:2376\ntcp://10.0.0.3:2376")
    words = words_of(reader.get(swarm_fleet.pages["cluster"]))
    assert "tcp://10.0.0.2:2376 tcp://10.0.0.3:2376" in words
