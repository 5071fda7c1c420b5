"""Each way to change something leaves what it was and what it is now; each secret that was seen or made leaves a line."""

import io
import json

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from clusters.access.counted_acts import counted_acts
from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import AuditEntry, ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, RegistryFactory
from clusters.tests.users import make_user
from console.process.preparation import create_admin
from console.telemetry.tests.test_log_lines import lines_of, read
from triggers.tests.factories import ScalingTriggerFactory

pytestmark = pytest.mark.django_db
NORTH, SOUTH = "tcp://10.0.0.1:2376", "tcp://10.0.0.2:2376"
PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture
def api(admin_user):
    client = APIClient()
    client.force_authenticate(admin_user)
    return client


@pytest.fixture
def cluster():
    return ClusterFactory(name="north", url=NORTH, tls_cert="certificate", tls_key="planted key")


def last(action):
    entry = AuditEntry.objects.filter(action=action).latest("pk")
    assert "planted" not in json.dumps(entry.details)
    return entry


def changes(action):
    return last(action).details.get("changes")


class TestClusters:
    def test_pages(self, reader, cluster):
        body = {"name": "north", "url": SOUTH, "tls_cert": "certificate", "tls_key": "planted other"}
        body["uses_docker_config"] = "on"
        assert reader.post(f"/clusters/{cluster.uid}/edit/", body).status_code == 302
        assert changes("cluster.change") == {"url": [NORTH, SOUTH], "tls_key": "changed"}
        reader.post("/clusters/new/", {"name": "east", "url": SOUTH})
        assert changes("cluster.add") == {"name": ["east"], "url": [SOUTH], "uses_docker_config": [True]}

    def test_api(self, api, cluster):
        assert api.patch(f"/api/v1/clusters/{cluster.pk}/", {"url": SOUTH, "name": "north"}).status_code == 200
        assert changes("cluster.change") == {"url": [NORTH, SOUTH]}
        assert api.post("/api/v1/clusters/", {"name": "east", "url": SOUTH}).status_code == 201
        assert changes("cluster.add") == {"name": ["east"], "url": [SOUTH]}

    def test_admin(self, admin_client, cluster):
        body = {"name": "west", "url": SOUTH, "other_urls": "", "tls_ca": "", "tls_cert": "certificate", "tls_key": ""}
        body["uses_docker_config"] = "on"
        assert admin_client.post(f"/admin/clusters/cluster/{cluster.pk}/change/", body).status_code == 302
        assert changes("cluster.change") == {"name": ["north", "west"], "url": [NORTH, SOUTH]}
        assert admin_client.post("/admin/clusters/cluster/add/", {"name": "east", "url": SOUTH}).status_code == 302
        assert changes("cluster.add") == {"name": ["east"], "url": [SOUTH], "uses_docker_config": [True]}


class TestRegistries:
    @pytest.fixture
    def registry(self):
        return RegistryFactory(host="old.example", kind="harbor", username="ann", password="planted")

    def test_pages(self, reader, registry):
        body = {"kind": "quay", "host": "old.example", "username": "bob", "password": "planted too"}
        assert reader.post(f"/registries/{registry.pk}/edit/", body).status_code == 302
        expected = {"kind": ["Harbor", "Quay"], "username": ["ann", "bob"], "password": "changed"}
        assert changes("registry.change") == expected

    def test_api(self, api, registry):
        assert (
            api.patch(f"/api/v1/registries/{registry.pk}/", {"username": "bob", "password": "planted too"}).status_code == 200
        )
        assert changes("registry.change") == {"username": ["ann", "bob"], "password": "changed"}

    def test_admin(self, admin_client, registry):
        body = {"kind": "harbor", "host": "old.example", "username": "bob", "signing_secret": "planted too"}
        assert admin_client.post(f"/admin/clusters/registry/{registry.pk}/change/", body).status_code == 302
        assert changes("registry.change") == {"username": ["ann", "bob"], "signing_secret": "set"}


class TestTriggers:
    @pytest.fixture
    def trigger(self):
        return ScalingTriggerFactory(name="old", max_replicas=5)

    def test_pages(self, reader, trigger):
        reader.post(f"/triggers/{trigger.pk}/edit/", {"name": "new", "max_replicas": "9", "cooldown_seconds": "0"})
        assert changes("trigger.change") == {"name": ["old", "new"], "max_replicas": [5, 9]}

    def test_api(self, api, trigger):
        assert (
            api.patch(f"/api/v1/triggers/{trigger.pk}/", {"name": "new", "max_replicas": None}, format="json").status_code
            == 200
        )
        assert changes("trigger.change") == {"name": ["old", "new"], "max_replicas": [5, None]}

    def test_admin(self, admin_client, trigger):
        body = {"name": "new", "enabled": "on", "max_replicas": "5", "cooldown_seconds": "30", "on_failure": "rollback"}
        path = f"/admin/triggers/trigger/{trigger.pk}/change/"
        assert admin_client.post(path, body | {"alert_state": "firing"}).status_code == 302
        assert changes("trigger.change") == {"name": ["old", "new"], "cooldown_seconds": [0, 30]}

    def test_what_is_chosen_for_a_new_one(self, api, trigger):
        body = {"application": trigger.application_id, "service": trigger.service_id, "action": "scaling", "max_replicas": 7}
        assert api.post("/api/v1/triggers/", body).status_code == 201
        assert changes("trigger.create") == {"name": [f"Scale {trigger.service.name}"], "max_replicas": [7]}


class TestUsers:
    @pytest.fixture
    def eve(self):
        return make_user("eve", Role.VIEWER)

    def test_admin_changes_name_groups_and_password(self, admin_client, eve):
        body = {"username": "eva", "is_active": "on", "groups": [Group.objects.get(name="Operator").pk]}
        more = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        assert admin_client.post(f"/admin/auth/user/{eve.pk}/change/", body | more).status_code == 302
        found = changes("user.change")
        assert found["username"] == ["eve", "eva"]
        assert found["groups"] == [["Viewer"], ["Operator"]]
        body = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        assert admin_client.post(f"/admin/auth/user/{eve.pk}/password/", body).status_code == 302
        assert changes("user.change") == {"password": "changed"}

    def test_admin_changes_what_a_group_may_do(self, admin_client):
        group = Group.objects.create(name="night shift")
        viewer = Group.objects.get(name="Viewer").permissions.order_by("pk")[:1]
        body = {"name": "day shift", "permissions": [permission.pk for permission in viewer]}
        assert admin_client.post(f"/admin/auth/group/{group.pk}/change/", body).status_code == 302
        assert changes("group.change") == {"name": ["night shift", "day shift"], "permissions": [[], [str(viewer[0])]]}

    def test_admin_changes_a_role_on_a_cluster(self, admin_client, eve, cluster):
        grant = ClusterGrant.objects.create(user=eve, cluster=cluster, role=Role.VIEWER)
        body = {"cluster": cluster.pk, "user": eve.pk, "group": "", "role": "deployer"}
        assert admin_client.post(f"/admin/clusters/clustergrant/{grant.pk}/change/", body).status_code == 302
        assert changes("grant.change") == {"role": ["Viewer", "Deployer"]}

    def test_the_command_that_changes_a_password(self, eve, monkeypatch):
        monkeypatch.setattr("getpass.getpass", lambda prompt="": PASSWORD)
        call_command("changepassword", "eve", stdout=io.StringIO())
        entry = last("user.change")
        assert (entry.actor, entry.target, entry.user) == ("manage.py changepassword", "eve", None)
        assert (entry.details["changes"], bool(entry.details["system_user"])) == ({"password": "changed"}, True)
        assert PASSWORD not in str(entry.details)

    def test_a_password_that_the_command_refused_leaves_no_line(self, eve, monkeypatch):
        monkeypatch.setattr("getpass.getpass", lambda prompt="": "short")
        with pytest.raises(CommandError):
            call_command("changepassword", "eve", stdout=io.StringIO(), stderr=io.StringIO())
        assert not AuditEntry.objects.exists()

    def test_the_command_that_creates_superusers_and_the_first_start(self, monkeypatch):
        create_admin()
        assert (last("user.add").actor, last("user.add").target) == ("first start", "admin")
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        call_command("createsuperuser", "--no-input", "--username=root", "--email=", stdout=io.StringIO())
        entry = last("user.add")
        assert (entry.actor, entry.target, entry.details["superuser"]) == ("manage.py createsuperuser", "root", True)


class TestReading:
    def test_exports_are_recorded_with_their_filters(self, reader):
        reader.get("/activity/export/?state=failed&q=words+that+somebody+looked+for")
        assert last("activity.export").details == {"filters": "state=failed"}
        reader.get("/audit/export/?user=eve")
        assert last("audit.export").details == {"filters": "user=eve"}
        reader.get("/audit/export/")
        assert last("audit.export").details == {}

    def test_a_downloaded_log_is_recorded_and_one_that_could_not_be_read_is_not(self, reader, fleet, monkeypatch):
        def fail(endpoint):
            raise EngineUnreachable("Connection refused.")

        path = f"/services/{fleet.service.pk}/logs/download/"
        monkeypatch.setattr("console.pages.shared.logs.views.open_log_engine", fail)
        assert reader.get(path).status_code == 503
        assert not AuditEntry.objects.filter(action="logs.download").exists()
        monkeypatch.setattr("console.pages.shared.logs.views.open_log_engine", lambda endpoint: FakeEngine())
        reader.get(path, {"stream": "stderr", "q": "planted password"})
        entry = last("logs.download")
        assert (entry.target, entry.cluster, entry.details) == (str(fleet.service), fleet.cluster, {"filters": "stream=stderr"})


def test_failed_sign_ins_are_counted(client):
    for password in ("a", "b", "c"):
        client.post("/login/", {"username": "eve", "password": password})
    counted_acts.store()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address, entry.count) == ("sign_in.fail", "eve", "127.0.0.1", 3)


def test_the_line_of_a_request_names_the_user_where_one_was_looked_for(reader, admin_user, client):
    with lines_of() as stream:
        reader.get("/applications/")
        reader.get("/healthz")
        client.get("/login/")
    users = [(line["path"], line.get("user")) for line in read(stream) if line["event"] == "request"]
    assert users == [("/applications/", "admin"), ("/healthz", None), ("/login/", None)]


def test_the_users_own_name_is_no_secret_and_no_password_is_kept(reader):
    body = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "role": "operator"}
    reader.post("/users/new/", body)
    assert User.objects.filter(username="eve").exists()
    assert PASSWORD not in str(list(AuditEntry.objects.values()))
