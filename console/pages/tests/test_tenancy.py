"""What an administrator of one cluster may do with it on the pages, in the API and in the admin: everything but say which
engine it is, and which credentials that engine gets."""

import json
import re
import socket
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from clusters.models import AuditEntry, Cluster, Registry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, RegistryFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db

SOCKET = "unix:///var/run/docker.sock"
ELSEWHERE = "unix:///srv/other/docker.sock"
TYPED = {"name": "north", "url": "tcp://10.0.0.9:2376", "tls_ca": "CA"}
CONNECTION = {"url": SOCKET, "other_urls": "", "tls_ca": "", "tls_cert": "", "tls_key": "", "uses_docker_config": "on"}
REGISTRY = {"kind": "harbor", "host": "harbor.example.com", "username": "robot", "password": "typed password"}


@dataclass(frozen=True)
class Way:
    """One way to add and change clusters and registries. Forms send every field, the API only what is given."""

    name: str

    def add_cluster(self, client: Client, **values: Any) -> Any:
        return self._send(client, "cluster", None, values, {**CONNECTION, "tls_key": ""})

    def change_cluster(self, client: Client, cluster: Cluster, kept: dict[str, Any] | None = None, **values: Any) -> Any:
        """`kept` is what a form sends besides the values: what its user can set."""
        own = {"name": cluster.name} if kept is None else {"name": cluster.name, **kept}
        return self._send(client, "cluster", cluster, values, own)

    def add_registry(self, client: Client, **values: Any) -> Any:
        return self._send(client, "registry", None, REGISTRY | values, {})

    def change_registry(self, client: Client, registry: Registry, **values: Any) -> Any:
        own = {"kind": registry.kind, "host": registry.host, "username": registry.username}
        return self._send(client, "registry", registry, values, own)

    def _send(self, client: Client, kind: str, row: Any, values: dict[str, Any], own: dict[str, Any]) -> Any:
        if self.name == "api":
            path = reverse(f"api-{kind}-detail", args=[row.pk]) if row else reverse(f"api-{kind}-list")
            send = client.patch if row else client.post
            return send(path, json.dumps(values), content_type="application/json")
        if self.name == "admin":
            path = reverse(f"admin:clusters_{kind}_{'change' if row else 'add'}", args=[row.pk] if row else [])
        else:
            ids = {"cluster": "uid", "registry": "pk"}
            path = reverse(f"{kind}_{'edit' if row else 'create'}", args=[getattr(row, ids[kind])] if row else [])
        shown = {f"{name}-shown": "1" for name in own | values if name in ("clusters", "registries", "uses_docker_config")}
        return client.post(path, own | values | shown)

    def shows(self, response: Any, words: str) -> bool:
        return words in response.content.decode().replace("&#x27;", "'")

    def accepted(self, response: Any) -> bool:
        return response.status_code in ({200, 201} if self.name == "api" else {302})


@pytest.fixture(params=["pages", "api", "admin"])
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


@pytest.fixture
def mine() -> Cluster:
    return ClusterFactory(name="mine", url="unix:///srv/mine/docker.sock", other_urls="tcp://10.0.0.2:2376", tls_ca="CA")


def sign_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def tenant(mine: Cluster) -> Client:
    return sign_in(make_user("tenant", Role.ADMINISTRATOR, mine, is_staff=True))


@pytest.fixture
def administrator(db: None) -> Client:
    return sign_in(make_user("administrator", Role.ADMINISTRATOR, is_staff=True))


@pytest.fixture
def keeper(db: None) -> Client:
    """Refreshes passwords of registries, and sees all clusters."""
    user = make_user("keeper", Role.VIEWER, is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["change_registry", "add_registry"]))
    return sign_in(user)


@pytest.fixture(autouse=True)
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were connected for a test."""
    urls: list[str] = []

    def connect(endpoint: Any) -> Any:
        urls.append(endpoint.url)
        raise AssertionError(f"{endpoint.url} is connected")

    monkeypatch.setattr("clusters.connection_check.check_connection", connect)
    return urls


def list_acts() -> list[AuditEntry]:
    return list(AuditEntry.objects.exclude(action__startswith="sign_").exclude(action="refuse").order_by("pk"))


def settings_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


class TestConnection:
    @pytest.mark.parametrize(
        "changes",
        [
            {"url": SOCKET},
            {"url": "tcp://10.0.0.66:2375"},
            {"other_urls": "tcp://10.0.0.66:2376"},
            {"other_urls": ""},
            {"tls_ca": "ANOTHER"},
            {"tls_ca": ""},
            {"tls_cert": "C", "tls_key": "K"},
            {"tls_key": "K"},
            {"uses_docker_config": "on"},
            {"registries": [1]},
            {"name": "renamed", "url": SOCKET},
        ],
    )
    def test_an_administrator_of_one_cluster_cannot_change_it(
        self, way: Way, tenant: Client, mine: Cluster, changes: Any
    ) -> None:
        Cluster.objects.update(uses_docker_config=False)
        mine.refresh_from_db()
        RegistryFactory(pk=1)
        response = way.change_cluster(tenant, mine, **changes)
        assert not way.accepted(response)
        assert way.shows(response, "Only an administrator of all clusters can change"), response.content
        after = Cluster.objects.get()
        assert settings_of(after) == settings_of(mine)
        assert not after.registries.exists()
        assert list_acts() == []

    def test_the_name_is_his_to_change(self, way: Way, tenant: Client, mine: Cluster) -> None:
        assert way.accepted(way.change_cluster(tenant, mine, name="renamed"))
        after = Cluster.objects.get()
        assert settings_of(after) == settings_of(mine) | {"name": "renamed"}

    def test_sending_the_same_connection_back_changes_nothing(self, way: Way, tenant: Client, mine: Cluster) -> None:
        same = {"url": mine.url, "other_urls": mine.other_urls, "tls_ca": "CA"}
        same["uses_docker_config"] = True if way.name == "api" else "on"
        assert way.accepted(way.change_cluster(tenant, mine, name="renamed", **same))
        assert settings_of(Cluster.objects.get()) == settings_of(mine) | {"name": "renamed"}

    def test_an_administrator_of_all_clusters_changes_it(self, way: Way, administrator: Client, mine: Cluster) -> None:
        Cluster.objects.update(tls_ca="", other_urls="")
        changes = {"url": "tcp://10.0.0.9:2376", "tls_ca": "NEW", "tls_cert": "C", "tls_key": "K"}
        response = way.change_cluster(administrator, mine, kept={"uses_docker_config": "on"}, **changes)
        assert way.accepted(response), response.content
        mine.refresh_from_db()
        assert (mine.url, mine.tls_ca, mine.tls_key, mine.uses_docker_config) == ("tcp://10.0.0.9:2376", "NEW", "K", True)

    def test_adding_one_takes_the_right_for_all_clusters(self, way: Way, tenant: Client) -> None:
        assert way.add_cluster(tenant, **TYPED).status_code == 403
        assert Cluster.objects.count() == 1

    @pytest.mark.parametrize("path", ["/clusters/mine/edit/", "/admin/clusters/cluster/mine/change/"])
    def test_the_form_shows_it_and_says_who_can_change_it(self, tenant: Client, mine: Cluster, path: str) -> None:
        text = tenant.get(path.replace("mine", str(mine.pk if "admin" in path else mine.uid))).content.decode()
        assert "Only an administrator of all clusters can change this." in text
        assert mine.url in text
        assert 'name="tls_ca"' not in text
        assert 'name="tls_key"' not in text
        assert "Test connection" not in text
        for name in ("url", "other_urls"):
            field = text[text.index(f'name="{name}"') :]
            assert "disabled" in field[: field.index(">")], name


def words_of(answer: Any) -> list[str]:
    """Return the text of a page: its tags hold the time and the tokens of its forms."""
    return re.sub(r"<[^>]*>", " ", answer.content.decode()).split()


class TestConnectionTest:
    @pytest.mark.parametrize(
        "typed", [SOCKET, ELSEWHERE, "unix:///no/such.sock", "tcp://127.0.0.1:1", "tcp://[::1", "http://x", "ssh://host", ""]
    )
    @pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "test-result"}])
    def test_whoever_may_not_choose_engines_gets_one_answer_whatever_the_address(
        self, tenant: Client, mine: Cluster, dialled: list[str], typed: str, headers: dict[str, str]
    ) -> None:
        usual = tenant.post("/clusters/test/", {"name": "x", "url": "tcp://10.0.0.9:2376"}, headers=headers)
        for query in ("", f"?edited={mine.uid}", "?edited=cnone"):
            answer = tenant.post(f"/clusters/test/{query}", {"name": "x", "url": typed}, headers=headers)
            assert (answer.status_code, words_of(answer)) == (403, words_of(usual))
        assert dialled == []

    def test_so_does_a_stored_address_in_the_api(self, tenant: Client, mine: Cluster, dialled: list[str]) -> None:
        answers = set()
        for url in (mine.url, "tcp://127.0.0.1:1", "unix:///no/such.sock"):
            Cluster.objects.update(url=url)
            answer = tenant.post(f"/api/v1/clusters/{mine.pk}/test/")
            answers.add((answer.status_code, answer.content))
        assert [status for status, _ in answers] == [403]
        assert dialled == []


class TestSockets:
    @pytest.mark.parametrize("field", ["url", "other_urls"])
    @pytest.mark.parametrize(
        "url", [ELSEWHERE, "unix:///var/run/../../srv/other/docker.sock", "UNIX:////srv//other/docker.sock"]
    )
    def test_only_those_that_the_environment_names_are_accepted(
        self, way: Way, administrator: Client, mine: Cluster, field: str, url: str
    ) -> None:
        kept = {"url": mine.url, "other_urls": mine.other_urls, "tls_ca": "CA", "uses_docker_config": "on"}
        answers = [
            way.add_cluster(administrator, **TYPED | {field: url}),
            way.change_cluster(administrator, mine, kept=kept, **{field: url}),
        ]
        for answer in answers:
            assert not way.accepted(answer)
            assert way.shows(answer, "The setting WINDLASS_ENGINE_SOCKETS lists those that it may use: /var/run/docker.sock"), (
                way
            )
            if way.name == "api":
                assert list(answer.json()) == [field]
        assert settings_of(Cluster.objects.get()) == settings_of(mine)

    def test_one_that_is_stored_already_stays(self, way: Way, administrator: Client, mine: Cluster) -> None:
        kept = {"url": mine.url, "other_urls": mine.other_urls, "tls_ca": "CA", "uses_docker_config": "on"}
        assert way.accepted(way.change_cluster(administrator, mine, kept=kept, name="renamed"))
        swapped = {"url": mine.other_urls, "other_urls": mine.url}
        assert way.accepted(way.change_cluster(administrator, mine, kept=kept, **swapped))
        mine.refresh_from_db()
        assert (mine.url, mine.other_urls) == ("tcp://10.0.0.2:2376", "unix:///srv/mine/docker.sock")

    @pytest.mark.parametrize("url", ["UNIX:///var/run//docker.sock", "unix:/var/run/./docker.sock", SOCKET])
    def test_each_is_stored_in_one_spelling(self, way: Way, administrator: Client, url: str) -> None:
        assert way.accepted(way.add_cluster(administrator, name="x", url=url))
        assert Cluster.objects.get().url == SOCKET

    def test_the_form_offers_those_that_exist(self, administrator: Client, settings: Any, tmp_path: Any) -> None:
        path = tmp_path / "docker.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            settings.ENGINE_SOCKETS = [str(path), str(tmp_path / "absent.sock")]
            text = administrator.get("/clusters/new/").content.decode()
        assert f'<option value="unix://{path}">' in text
        assert "absent.sock" not in text
        assert 'list="engine-sockets"' in text


class TestAllowances:
    """Which clusters get a registry's credentials."""

    @pytest.fixture
    def clusters(self) -> dict[str, Cluster]:
        urls = {"local": SOCKET, "plain": "tcp://10.0.0.9:2375", "remote": "tcp://10.0.0.8:2376", "shell": "ssh://me@host"}
        made = {name: ClusterFactory(name=name, url=url) for name, url in urls.items()}
        Cluster.objects.filter(name="remote").update(tls_ca="CA")
        return made

    def test_a_new_registry_is_for_every_cluster_without_plain_tcp_unless_others_are_chosen(
        self, way: Way, administrator: Client, clusters: Any
    ) -> None:
        wanted = {clusters[name].pk for name in ("local", "remote", "shell")}
        if way.name == "api":
            values = {}
        else:  # what the browser sends of the form as it is shown
            kind = "registry_create" if way.name == "pages" else "admin:clusters_registry_add"
            text = administrator.get(reverse(kind)).content.decode()
            values = {"clusters": find_checked(text, "clusters")}
            plain = find_tag(text, "clusters", clusters["plain"].pk)
            assert "disabled" in plain
            assert "checked" not in plain
            assert "plain (not while its address is tcp:// without TLS)" in text
        assert way.accepted(way.add_registry(administrator, **values))
        assert set(Registry.objects.get().clusters.values_list("pk", flat=True)) == wanted

    def test_an_administrator_of_all_clusters_chooses_others(self, way: Way, administrator: Client, clusters: Any) -> None:
        assert way.accepted(way.add_registry(administrator, clusters=[clusters["local"].pk]))
        registry = Registry.objects.get()
        assert list(registry.clusters.all()) == [clusters["local"]]
        assert way.accepted(way.change_registry(administrator, registry, clusters=[clusters["shell"].pk]))
        assert list(registry.clusters.all()) == [clusters["shell"]]
        if way.name != "admin":
            details = [entry.details["changes"]["clusters"] for entry in list_acts()]
            assert details == [[["local"]], [["local"], ["shell"]]]

    def test_a_form_without_the_boxes_leaves_them_as_they_are(self, administrator: Client, mine: Cluster) -> None:
        """A page that was opened in the version before."""
        registry, other = RegistryFactory(kind="harbor"), RegistryFactory()
        registry.clusters.set([mine])
        Cluster.objects.update(other_urls="", tls_ca="")
        for way in (Way("pages"), Way("admin")):
            assert way.accepted(way.change_registry(administrator, registry))
            assert way.accepted(way.change_cluster(administrator, mine, url=mine.url))
            assert list(registry.clusters.all()) == [mine]
            assert not other.clusters.exists()
            assert Cluster.objects.get().uses_docker_config
        fields = [entry.details.get("fields", []) for entry in list_acts()]
        assert not {"clusters", "registries", "uses_docker_config"} & {name for names in fields for name in names}

    def test_unchecking_the_last_box_is_seen(self, administrator: Client, mine: Cluster) -> None:
        Cluster.objects.update(other_urls="", tls_ca="")
        for way in (Way("pages"), Way("admin")):
            registry = RegistryFactory()
            registry.clusters.set([mine])
            Cluster.objects.update(uses_docker_config=True)
            place = {"pages": f"/clusters/{mine.uid}/edit/", "admin": f"/admin/clusters/cluster/{mine.pk}/change/"}[way.name]
            text = administrator.get(place).content.decode()
            assert text.count('-shown" value="1"') == 2
            sent = {"registries-shown": "1", "uses_docker_config-shown": "1"}
            assert way.accepted(way.change_cluster(administrator, mine, url=mine.url, **sent))
            assert not registry.clusters.exists()
            assert not Cluster.objects.get().uses_docker_config

    def test_none_can_be_chosen(self, way: Way, administrator: Client, clusters: Any) -> None:
        registry = RegistryFactory()
        registry.clusters.set(clusters.values())
        assert way.accepted(way.change_registry(administrator, registry, clusters=[]))
        assert not registry.clusters.exists()

    def test_plain_tcp_cannot_be_chosen(self, way: Way, administrator: Client, clusters: Any) -> None:
        registry = RegistryFactory()
        answers = [
            way.add_registry(administrator, clusters=[clusters["plain"].pk]),
            way.change_registry(administrator, registry, clusters=[clusters["plain"].pk, clusters["local"].pk]),
        ]
        for answer in answers:
            assert not way.accepted(answer)
            assert way.shows(answer, "Credentials never go to plain: the address is tcp:// without TLS.")
        assert Registry.objects.count() == 1
        assert not registry.clusters.exists()

    def test_an_allowance_stays_while_the_cluster_has_plain_tcp(self, way: Way, administrator: Client, clusters: Any) -> None:
        registry = RegistryFactory()
        registry.clusters.set([clusters["plain"]])
        assert way.accepted(way.change_registry(administrator, registry, kind="quay", clusters=[clusters["plain"].pk]))
        assert list(registry.clusters.all()) == [clusters["plain"]]

    def test_the_right_to_change_registries_alone_is_not_enough(self, way: Way, keeper: Client, clusters: Any) -> None:
        """Whoever refreshes a password could send it to an engine of his own."""
        registry = RegistryFactory(kind="harbor")
        registry.clusters.set([clusters["local"]])
        answer = way.change_registry(keeper, registry, clusters=[clusters["local"].pk, clusters["shell"].pk], username="other")
        assert not way.accepted(answer)
        assert way.shows(answer, "Only an administrator of all clusters can change which clusters get the credentials.")
        registry.refresh_from_db()
        assert (registry.username, list(registry.clusters.all())) == ("robot", [clusters["local"]])
        assert way.accepted(way.change_registry(keeper, registry, password="refreshed"))
        registry.refresh_from_db()
        assert (registry.password, list(registry.clusters.all())) == ("refreshed", [clusters["local"]])
        assert way.accepted(way.add_registry(keeper))
        assert not Registry.objects.get(host=REGISTRY["host"]).clusters.exists()

    def test_a_new_cluster_gets_all_registries_unless_others_are_chosen(self, way: Way, administrator: Client) -> None:
        first, second = RegistryFactory(), RegistryFactory()
        values = {}
        if way.name != "api":
            kind = "cluster_create" if way.name == "pages" else "admin:clusters_cluster_add"
            values = {"registries": find_checked(administrator.get(reverse(kind)).content.decode(), "registries")}
        assert way.accepted(way.add_cluster(administrator, **TYPED, **values))
        assert set(Cluster.objects.get().registries.all()) == {first, second}
        assert way.accepted(way.add_cluster(administrator, **TYPED | {"name": "south"}, registries=[second.pk]))
        south = Cluster.objects.get(name="south")
        assert list(south.registries.all()) == [second]
        kept = {**CONNECTION, "url": south.url, "tls_ca": "CA"}
        assert way.accepted(way.change_cluster(administrator, south, kept=kept, registries=[first.pk]))
        assert list(south.registries.all()) == [first]
        if way.name != "admin":
            details = [entry.details.get("registries") for entry in list_acts()]
            assert details == [sorted([first.host, second.host]), [second.host], [first.host]]

    def test_changing_the_address_keeps_them(self, way: Way, administrator: Client, clusters: Any) -> None:
        registry = RegistryFactory()
        registry.clusters.set([clusters["local"]])
        kept = CONNECTION | ({"registries": [registry.pk]} if way.name != "api" else {})
        assert way.accepted(way.change_cluster(administrator, clusters["local"], kept=kept, url="tcp://10.0.0.7:2375"))
        assert list(registry.clusters.all()) == [clusters["local"]]

    def test_somebody_who_adds_clusters_alone_gives_them_no_credentials(self, way: Way) -> None:
        RegistryFactory()
        user = make_user("adder", Role.VIEWER, is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="add_cluster"))
        answer = way.add_cluster(sign_in(user), **TYPED, registries=[Registry.objects.get().pk])
        assert not way.accepted(answer)
        assert not Cluster.objects.exists()
        assert way.accepted(way.add_cluster(sign_in(user), **TYPED))
        assert not Cluster.objects.get().registries.exists()

    def test_a_cluster_that_one_may_not_see_is_neither_named_nor_changed(self, way: Way, clusters: Any) -> None:
        user = make_user("half", is_staff=True)
        names = ("add_cluster", "view_registry", "change_registry")
        user.user_permissions.add(*Permission.objects.filter(codename__in=names))
        registry = RegistryFactory()
        registry.clusters.set([clusters["local"]])
        answer = way.change_registry(sign_in(user), registry, username="other")
        assert way.accepted(answer)
        assert list(registry.clusters.all()) == [clusters["local"]]
        for path in (f"/registries/{registry.pk}/", "/registries/", f"/registries/{registry.pk}/edit/"):
            assert ">local<" not in sign_in(user).get(path).content.decode()
        assert sign_in(user).get(f"/api/v1/registries/{registry.pk}/").json()["clusters"] == []
        assert sign_in(user).get("/api/v1/registries/").json()["results"][0]["clusters"] == []


def find_checked(text: str, name: str) -> list[str]:
    """Return the values of the checked boxes of this name."""
    tags = [part[: part.index(">")] for part in text.split("<input ")[1:]]
    boxes = [tag for tag in tags if f'name="{name}"' in tag and "checked" in tag]
    return [tag.partition('value="')[2].partition('"')[0] for tag in boxes]


def find_tag(text: str, name: str, value: int) -> str:
    tags = [part[: part.index(">")] for part in text.split("<input ")[1:]]
    return next(tag for tag in tags if f'name="{name}"' in tag and f'value="{value}"' in tag)


def test_a_registry_shows_where_its_credentials_go(administrator: Client) -> None:
    registry = RegistryFactory()
    registry.clusters.set([ClusterFactory(name="quay"), ClusterFactory(name="delta", url="tcp://10.0.0.9:2375")])
    ClusterFactory(name="fjord")
    text = " ".join(administrator.get(f"/registries/{registry.pk}/").content.decode().split())
    part = text[text.index("Credentials go to") :][:900]
    assert "<bdi>quay</bdi></a>" in part
    assert '<bdi>delta</bdi></a> <span class="muted">(not while its address is tcp:// without TLS)</span>' in part
    assert "fjord" not in part
    listed = administrator.get("/registries/").content.decode()
    assert 'title="quay; not while tcp:// without TLS: delta"' in listed
    assert sorted(administrator.get("/api/v1/registries/").json()["results"][0]["clusters"]) == sorted(
        registry.clusters.values_list("pk", flat=True)
    )
