import json

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from clusters import connection_check
from clusters.connection_check import AddressFacts, ConnectionFacts
from clusters.engine.errors import EngineUnreachable
from clusters.engine.inspection.listing import EngineFacts
from clusters.models import Cluster
from clusters.roles import Role
from clusters.tests.factories import (
    ApplicationFactory,
    ClusterFactory,
    NodeFactory,
    RegistryFactory,
    ServiceFactory,
    TaskFactory,
)
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def reader():
    client = APIClient()
    client.force_authenticate(make_user("reader", Role.VIEWER))
    return client


def names(response):
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()["results"]]


# Who may


@pytest.mark.parametrize("path", ["clusters", "applications", "services"])
def test_strangers_are_refused(path):
    assert APIClient().get(f"/api/v1/{path}/").status_code == 401


def test_a_token_authenticates():
    token = Token.objects.create(user=User.objects.create_user("ci"))
    assert APIClient().get("/api/v1/clusters/", HTTP_AUTHORIZATION=f"Token {token.key}").status_code == 200
    assert APIClient().get("/api/v1/clusters/", HTTP_AUTHORIZATION="Token wrong").status_code == 401


def test_a_session_authenticates_and_its_posts_need_a_csrf_token():
    user = User.objects.create_superuser("admin")
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.get("/api/v1/clusters/").status_code == 200
    assert client.post("/api/v1/clusters/", {"name": "x", "url": "unix:///x.sock"}).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/v1/clusters/"),
        ("patch", "/api/v1/clusters/{id}/"),
        ("delete", "/api/v1/clusters/{id}/"),
        ("post", "/api/v1/clusters/{id}/test/"),
    ],
)
def test_a_user_without_permissions_only_reads(reader, method, path):
    cluster = ClusterFactory()
    assert reader.get(f"/api/v1/clusters/{cluster.pk}/").status_code == 200
    assert getattr(reader, method)(path.format(id=cluster.pk), {}, format="json").status_code == 403
    assert Cluster.objects.filter(pk=cluster.pk).exists()


def test_a_single_permission_is_enough(reader):
    User.objects.get(username="reader").user_permissions.add(Permission.objects.get(codename="add_cluster"))
    reader.force_authenticate(User.objects.get(username="reader"))
    assert reader.post("/api/v1/clusters/", {"name": "x", "url": "unix:///var/run/docker.sock"}).status_code == 201


# Clusters


def test_other_managers_are_stored_and_editing_discards_the_notice_about_the_previous_ones(admin):
    cluster = ClusterFactory(swarm_notice="node1 is no longer a Swarm manager.")
    path = f"/api/v1/clusters/{cluster.pk}/"
    answer = admin.patch(path, {"other_urls": "tcp://h2:2376\ntcp://h3:2376", "swarm_notice": "x"}).json()
    assert (answer["other_urls"], answer["swarm_notice"]) == ("tcp://h2:2376\ntcp://h3:2376", "")
    cluster.refresh_from_db()
    assert cluster.endpoint.others == ("tcp://h2:2376", "tcp://h3:2376")
    assert cluster.swarm_notice == ""


def test_a_cluster_is_created_changed_and_deleted(admin):
    created = admin.post("/api/v1/clusters/", {"name": "build", "url": "tcp://10.0.0.1:2376", "tls_cert": "C", "tls_key": "K"})
    assert created.status_code == 201
    cluster = Cluster.objects.get()
    assert (cluster.name, cluster.tls_key) == ("build", "K")
    path = f"/api/v1/clusters/{cluster.pk}/"
    assert admin.patch(path, {"name": "build-2"}).json()["name"] == "build-2"
    cluster.refresh_from_db()
    assert (cluster.name, cluster.tls_key) == ("build-2", "K")
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_what_a_request_leaves_out_is_allowed_in_a_new_cluster_and_stays_in_a_stored_one(admin, form):
    registry = RegistryFactory()
    pk = admin.post("/api/v1/clusters/", {"name": "build", "url": "tcp://10.0.0.1:2376", "tls_ca": "C"}, format=form).json()[
        "id"
    ]
    cluster = Cluster.objects.get(pk=pk)
    assert (cluster.uses_docker_config, list(cluster.registries.all())) == (True, [registry])
    assert admin.patch(f"/api/v1/clusters/{pk}/", {"name": "build-2"}, format=form).status_code == 200
    cluster.refresh_from_db()
    assert (cluster.uses_docker_config, list(cluster.registries.all())) == (True, [registry])
    added = admin.post("/api/v1/registries/", {"host": "r.example"}, format=form).json()
    assert added["clusters"] == [pk]
    assert admin.patch(f"/api/v1/registries/{added['id']}/", {"kind": "quay"}, format=form).json()["clusters"] == [pk]


def test_the_client_key_is_never_shown(admin):
    cluster = ClusterFactory(url="tcp://10.0.0.1:2376", tls_cert="CERT", tls_key="THE-KEY")
    answers = [
        admin.get("/api/v1/clusters/"),
        admin.get(f"/api/v1/clusters/{cluster.pk}/"),
        admin.patch(f"/api/v1/clusters/{cluster.pk}/", {"name": "x"}),
        admin.post("/api/v1/clusters/", {"name": "y", "url": "tcp://10.0.0.1:2376", "tls_cert": "C", "tls_key": "THE-KEY"}),
    ]
    assert not any("THE-KEY" in answer.content.decode() for answer in answers)
    assert answers[1].json()["has_tls_key"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "tcp://h:2376"}, "name"),
        ({"name": "taken", "url": "tcp://h:2376"}, "name"),
        ({"name": "n" * 65, "url": "tcp://h:2376"}, "name"),
        ({"name": "x"}, "url"),
        ({"name": "x", "url": "http://10.0.0.1"}, "url"),
        ({"name": "x", "url": "unix://relative"}, "url"),
        ({"name": "x", "url": "tcp://"}, "url"),
        ({"name": "x", "url": "tcp://h:99999"}, "url"),
        ({"name": "x", "url": "tcp://h:2376", "tls_cert": "C"}, "url"),
        ({"name": "a\x00b", "url": "tcp://h:2376"}, "name"),
        ({"name": "x", "url": "tcp://h:2376", "other_urls": "tcp://h2:2376\nhttp://h3"}, "other_urls"),
        ({"name": "x", "url": "tcp://h:2376", "other_urls": "\n".join(f"tcp://h{n}" for n in range(10))}, "other_urls"),
    ],
)
def test_a_wrong_cluster_is_refused_by_field(admin, body, field):
    ClusterFactory(name="taken")
    response = admin.post("/api/v1/clusters/", body, format="json")
    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert Cluster.objects.count() == 1


def test_what_was_observed_cannot_be_written(admin):
    cluster = ClusterFactory(status=Cluster.Status.REACHABLE)
    admin.patch(f"/api/v1/clusters/{cluster.pk}/", {"status": "unreachable", "uid": "c0", "engine_version": "1"})
    cluster.refresh_from_db()
    assert (cluster.status, cluster.engine_version) == ("reachable", "20.10.24")
    assert cluster.uid != "c0"


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30])
def test_an_unknown_cluster_is_not_found(admin, pk):
    assert admin.get(f"/api/v1/clusters/{pk}/").status_code == 404


def test_the_connection_test_shows_the_engine(admin, monkeypatch):
    facts = EngineFacts(
        engine_name="Docker",
        engine_version="20.10.24",
        api_version="1.41",
        operating_system="Debian",
        swarm_role="manager",
        engine_id="X",
    )
    monkeypatch.setattr(connection_check, "check_connection", lambda endpoint: facts)
    response = admin.post(f"/api/v1/clusters/{ClusterFactory().pk}/test/")
    assert response.json() == {
        "reachable": True,
        "message": "",
        "reason": "",
        "engine_name": "Docker",
        "engine_version": "20.10.24",
        "api_version": "1.41",
        "operating_system": "Debian",
        "swarm_role": "manager",
    }


def test_the_connection_test_shows_the_exact_reason(admin, monkeypatch):
    def refuse(endpoint):
        raise EngineUnreachable("The engine does not answer: Connection refused.")

    monkeypatch.setattr(connection_check, "check_connection", refuse)
    response = admin.post(f"/api/v1/clusters/{ClusterFactory().pk}/test/")
    assert response.status_code == 200
    assert response.json() == {
        "reachable": False,
        "message": "The engine does not answer: Connection refused.",
        "reason": "engine_unreachable",
    }


def test_the_connection_test_shows_what_is_at_each_address(admin, monkeypatch):
    places = (AddressFacts("10.0.0.1:2376", "manager"), AddressFacts("10.0.0.2:2376", problem="It is not part of a Swarm."))
    monkeypatch.setattr(connection_check, "check_connection", lambda endpoint: ConnectionFacts(addresses=places))
    assert admin.post(f"/api/v1/clusters/{ClusterFactory().pk}/test/").json()["addresses"] == [
        {"address": "10.0.0.1:2376", "swarm_role": "manager", "problem": ""},
        {"address": "10.0.0.2:2376", "swarm_role": "", "problem": "It is not part of a Swarm."},
    ]


# Nodes and tasks


def test_a_clusters_nodes_are_listed(reader):
    node = NodeFactory(hostname="node1", labels={"disk": "ssd"})
    NodeFactory(hostname="elsewhere")
    response = reader.get(f"/api/v1/clusters/{node.cluster_id}/nodes/")
    (shown,) = response.json()["results"]
    assert (shown["hostname"], shown["node_id"], shown["labels"]) == ("node1", node.node_id, {"disk": "ssd"})


@pytest.mark.parametrize("cluster_id", ["0", "9" * 30])
def test_nodes_of_an_unknown_cluster_are_not_found(reader, cluster_id):
    assert reader.get(f"/api/v1/clusters/{cluster_id}/nodes/").status_code == 404


def test_strangers_see_no_nodes():
    assert APIClient().get(f"/api/v1/clusters/{NodeFactory().cluster_id}/nodes/").status_code == 401


def test_nodes_cannot_be_written(admin):
    assert admin.post(f"/api/v1/clusters/{NodeFactory().cluster_id}/nodes/", {}).status_code == 405


def test_a_service_by_itself_comes_with_its_tasks(reader):
    task = TaskFactory(error="task: non-zero exit (1)")
    response = reader.get(f"/api/v1/services/{task.service_id}/")
    (shown,) = response.json()["tasks"]
    assert (shown["task_id"], shown["error"]) == (task.task_id, "task: non-zero exit (1)")
    assert "tasks" not in reader.get("/api/v1/services/").json()["results"][0]


# Applications and services


def test_applications_are_filtered_by_cluster_and_name(reader):
    here, there = ClusterFactory(), ClusterFactory()
    ApplicationFactory(cluster=here, name="shop")
    ApplicationFactory(cluster=here, name="blog")
    ApplicationFactory(cluster=there, name="shop-test")
    assert names(reader.get("/api/v1/applications/")) == ["blog", "shop", "shop-test"]
    assert names(reader.get(f"/api/v1/applications/?cluster={here.pk}")) == ["blog", "shop"]
    assert names(reader.get("/api/v1/applications/?search=SHOP")) == ["shop", "shop-test"]
    assert names(reader.get(f"/api/v1/applications/?search=shop&cluster={there.pk}")) == ["shop-test"]
    assert names(reader.get("/api/v1/applications/?search=%25")) == []
    assert names(reader.get("/api/v1/applications/?search=%00shop")) == ["shop", "shop-test"]


def test_services_are_filtered_by_application(reader):
    service = ServiceFactory(name="web", ports=[{"host": 8080, "container": 80, "protocol": "tcp"}])
    ServiceFactory(name="other")
    response = reader.get(f"/api/v1/services/?application={service.application_id}")
    assert names(response) == ["web"]
    assert response.json()["results"][0]["ports"] == [{"host": 8080, "container": 80, "protocol": "tcp"}]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("applications/?cluster=abc", "cluster"),
        ("applications/?cluster=", "cluster"),
        ("applications/?cluster=-1", "cluster"),
        ("applications/?cluster=" + "9" * 30, "cluster"),
        ("services/?application=x", "application"),
        ("services/?application=%C2%B2", "application"),
    ],
)
def test_a_filter_that_is_no_id_is_refused_by_name(reader, path, field):
    response = reader.get(f"/api/v1/{path}")
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_an_id_that_nothing_has_gives_an_empty_list(reader):
    assert names(reader.get("/api/v1/applications/?cluster=999999")) == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["applications", "services"])
def test_the_inventory_cannot_be_written(admin, method, path):
    service = ServiceFactory()
    pk = service.pk if path == "services" else service.application_id
    assert getattr(admin, method)(f"/api/v1/{path}/{pk}/", {}).status_code == 405


@pytest.mark.parametrize(("path", "queries"), [("clusters", 3), ("applications", 3), ("services", 3)])
def test_lists_take_a_fixed_number_of_queries_one_of_them_for_the_rights(reader, path, queries):
    for _ in range(5):
        ServiceFactory()
    with CaptureQueriesContext(connection) as captured:
        assert len(json.loads(reader.get(f"/api/v1/{path}/").content)["results"]) == 5
    assert len(captured) == queries
