"""Users and roles: giving and withdrawing them, and that nobody locks everybody out. Passwords, sign-ins, the audit log."""

import csv
import io
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clusters.access.administrators import find_role
from clusters.access.audit import record
from clusters.models import AuditEntry, ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.pages.users import audit_views

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def administrator():
    return make_user("ada", Role.ADMINISTRATOR, password=PASSWORD)


@pytest.fixture
def reader(administrator):
    client = Client()
    client.force_login(administrator)
    AuditEntry.objects.all().delete()
    return client


@pytest.fixture
def bob():
    return make_user("bob", Role.VIEWER, password=PASSWORD)


def last_act():
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.target, entry.details


def text_of(response):
    return response.content.decode()


class TestUsers:
    def test_one_is_added_with_a_role_and_may_sign_in(self, reader):
        data = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "role": "operator"}
        response = reader.post("/users/new/", data)
        eve = User.objects.get(username="eve")
        assert response["Location"] == f"/users/{eve.pk}/"
        assert (find_role(eve), eve.is_staff, eve.is_superuser) == (Role.OPERATOR, False, False)
        assert last_act() == ("user.add", "eve", {"role": "Operator"})
        assert Client().login(username="eve", password=PASSWORD)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"username": ""}, "username"),
            ({"username": "ada"}, "username"),
            ({"password2": "other"}, "password2"),
            ({"password1": "short", "password2": "short"}, "password2"),
            ({"role": "emperor"}, "role"),
        ],
    )
    def test_what_is_wrong_stands_at_its_field(self, reader, changes, field):
        data = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "role": ""} | changes
        assert field in reader.post("/users/new/", data).context["form"].errors
        assert not User.objects.filter(username="eve").exists()

    @pytest.mark.parametrize("role", ["viewer", "operator", "deployer", "administrator", ""])
    def test_a_role_for_all_clusters_replaces_the_former_and_leaves_other_groups(self, reader, bob, role):
        bob.groups.add(Group.objects.create(name="night shift"))
        reader.post(f"/users/{bob.pk}/role/", {"role": role})
        bob = User.objects.get(pk=bob.pk)
        expected = {"night shift", Role(role).label} if role else {"night shift"}
        assert {group.name for group in bob.groups.all()} == expected
        assert bob.is_staff is (role == "administrator")
        assert last_act() == ("user.change", "bob", {"role": Role(role).label if role else "none", "former": "Viewer"})

    def test_who_is_no_administrator_any_more_has_no_admin_either(self, reader, bob):
        reader.post(f"/users/{bob.pk}/role/", {"role": "administrator"})
        reader.post(f"/users/{bob.pk}/role/", {"role": "viewer"})
        assert not User.objects.get(pk=bob.pk).is_staff

    def test_a_role_on_one_cluster_is_given_changed_and_withdrawn(self, reader, bob):
        cluster = ClusterFactory(name="north")
        for role, word in (("operator", "grant.add"), ("deployer", "grant.change")):
            reader.post(f"/users/{bob.pk}/grants/", {"cluster": cluster.pk, "role": role})
            assert ClusterGrant.objects.get().role == role
            assert last_act()[0] == word
        assert AuditEntry.objects.latest("pk").cluster == cluster
        assert "Deployer" in text_of(reader.get("/users/"))
        reader.post(f"/grants/{ClusterGrant.objects.get().pk}/delete/")
        assert not ClusterGrant.objects.exists()
        assert last_act()[0] == "grant.delete"

    def test_a_grant_without_a_cluster_is_said_at_its_field(self, reader, bob):
        response = reader.post(f"/users/{bob.pk}/grants/", {"cluster": "", "role": "viewer"})
        assert "cluster" in response.context["grant_form"].errors

    def test_who_is_deactivated_is_signed_out_at_once_and_comes_back(self, reader, bob):
        other = Client()
        other.force_login(bob)
        assert other.get("/").status_code == 200
        reader.post(f"/users/{bob.pk}/switch/", {"active": "0"})
        assert other.get("/").status_code == 302
        assert last_act() == ("user.change", "bob", {"active": False})
        reader.post(f"/users/{bob.pk}/switch/", {"active": "1"})
        assert User.objects.get(pk=bob.pk).is_active

    def test_a_new_password_ends_the_sessions_and_is_in_no_log(self, reader, bob):
        other = Client()
        other.force_login(bob)
        reader.post(f"/users/{bob.pk}/password/", {"new_password1": "another horse", "new_password2": "another horse"})
        assert other.get("/").status_code == 302
        assert Client().login(username="bob", password="another horse")
        entry = AuditEntry.objects.get(action="user.change")
        assert entry.details == {"fields": ["password"]}

    def test_somebody_who_does_not_exist_is_not_found(self, reader):
        for path in ("/users/0/", "/users/0/password/", "/users/0/switch/"):
            assert reader.get(path).status_code == 404
        assert reader.post("/grants/0/delete/").status_code == 404

    def test_a_groups_grant_is_shown_and_not_withdrawn_here(self, reader, bob):
        group = Group.objects.create(name="night shift")
        bob.groups.add(group)
        grant = ClusterGrant.objects.create(group=group, cluster=ClusterFactory(name="north"), role=Role.OPERATOR)
        text = text_of(reader.get(f"/users/{bob.pk}/"))
        assert "night shift" in text
        assert f"/grants/{grant.pk}/delete/" not in text
        assert reader.post(f"/grants/{grant.pk}/delete/").status_code == 404


class TestLockOut:
    """Neither the pages nor the admin let the last administrator go, or an administrator go by himself."""

    def test_nobody_takes_his_own_role(self, reader, administrator, bob):
        make_user("second", Role.ADMINISTRATOR)
        response = reader.post(f"/users/{administrator.pk}/role/", {"role": "viewer"}, follow=True)
        assert "You cannot take your own administration away" in text_of(response)
        assert find_role(User.objects.get(pk=administrator.pk)) == Role.ADMINISTRATOR
        assert not AuditEntry.objects.exists()

    def test_nobody_deactivates_himself(self, reader, administrator):
        reader.post(f"/users/{administrator.pk}/switch/", {"active": "0"})
        assert User.objects.get(pk=administrator.pk).is_active

    def test_the_last_administrator_stays(self, administrator):
        keeper = make_user("keeper")
        keeper.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
        client = Client()
        client.force_login(keeper)
        response = client.post(f"/users/{administrator.pk}/switch/", {"active": "0"}, follow=True)
        assert "last administrator" in text_of(response)
        assert User.objects.get(pk=administrator.pk).is_active

    def test_another_administrator_may_go(self, reader):
        second = make_user("second", Role.ADMINISTRATOR)
        reader.post(f"/users/{second.pk}/role/", {"role": ""})
        assert find_role(User.objects.get(pk=second.pk)) is None

    def test_superusers_are_changed_by_superusers_alone(self, reader):
        root = User.objects.create_superuser("root", password=PASSWORD)
        cluster = ClusterFactory()
        for path, body in (
            ("role", {"role": "viewer"}),
            ("switch", {"active": "0"}),
            ("password", {"new_password1": "another horse", "new_password2": "another horse"}),
            ("grants", {"cluster": cluster.pk, "role": "viewer"}),
        ):
            assert reader.post(f"/users/{root.pk}/{path}/", body).status_code == 403
        assert Client().login(username="root", password=PASSWORD)
        assert "/password/" not in text_of(reader.get(f"/users/{root.pk}/")).replace('href="/password/"', "")

    def test_the_admin_keeps_the_last_administrator_too(self, administrator):
        administrator.is_staff = True
        administrator.save()
        client = Client()
        client.force_login(administrator)
        AuditEntry.objects.all().delete()
        user = reverse("admin:auth_user_change", args=[administrator.pk])
        page = client.post(user, {"username": "ada", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}, follow=True)
        assert "You cannot take your own administration away" in text_of(page)
        assert "successfully" not in text_of(page)
        client.post(reverse("admin:auth_user_delete", args=[administrator.pk]), {"post": "yes"})
        body = {"action": "delete_selected", "_selected_action": [administrator.pk], "post": "yes"}
        client.post(reverse("admin:auth_user_changelist"), body)
        group = Group.objects.get(name="Administrator")
        client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
        kept = User.objects.get(pk=administrator.pk)
        assert (kept.is_active, find_role(kept)) == (True, Role.ADMINISTRATOR)
        assert not AuditEntry.objects.exists()

    def test_an_administrator_makes_no_superuser_in_the_admin(self, administrator, bob):
        administrator.is_staff = True
        administrator.save()
        client = Client()
        client.force_login(administrator)
        body = {"username": "bob", "is_active": "on", "is_superuser": "on", "date_joined_0": "2026-01-01"}
        client.post(reverse("admin:auth_user_change", args=[bob.pk]), body | {"date_joined_1": "00:00"})
        bob.refresh_from_db()
        assert not bob.is_superuser
        assert last_act()[:2] == ("user.change", "bob")
        root = User.objects.create_superuser("root")
        assert client.post(reverse("admin:auth_user_password_change", args=[root.pk]), {}).status_code == 403
        assert client.post(reverse("admin:auth_user_change", args=[root.pk]), {}).status_code == 403


class TestOwnPassword:
    def test_it_is_changed_and_recorded(self, bob):
        client = Client()
        client.force_login(bob)
        data = {"old_password": PASSWORD, "new_password1": "another horse", "new_password2": "another horse"}
        page = client.post("/password/", data, follow=True)
        assert "Your password was changed." in text_of(page)
        assert last_act() == ("user.change", "bob", {"fields": ["password"]})
        assert Client().login(username="bob", password="another horse")

    def test_the_present_one_is_asked_for(self, bob):
        client = Client()
        client.force_login(bob)
        data = {"old_password": "wrong", "new_password1": "another horse", "new_password2": "another horse"}
        assert 'id="id_old_password_error"' in text_of(client.post("/password/", data))
        assert Client().login(username="bob", password=PASSWORD)

    def test_the_admins_own_page_leads_here(self, admin_client):
        assert admin_client.get("/admin/password_change/")["Location"] == "/password/"


class TestSignIns:
    def test_signing_in_and_out_and_failing_are_recorded_with_the_address(self, bob):
        client = Client(REMOTE_ADDR="203.0.113.9")
        client.post("/login/", {"username": "bob", "password": "wrong"})
        client.post("/login/", {"username": "nobody", "password": PASSWORD})
        client.post("/login/", {"username": "bob", "password": PASSWORD})
        client.post("/logout/")
        entries = list(AuditEntry.objects.order_by("pk"))
        assert [(entry.action, entry.actor, entry.address) for entry in entries] == [
            ("sign_in.fail", "bob", "203.0.113.9"),
            ("sign_in.fail", "nobody", "203.0.113.9"),
            ("sign_in", "bob", "203.0.113.9"),
            ("sign_out", "bob", "203.0.113.9"),
        ]
        assert not any(PASSWORD in str(vars(entry)) or "wrong" in str(vars(entry)) for entry in entries)


class TestAuditLog:
    @pytest.fixture
    def entries(self, reader, bob):
        """Newest last."""
        north, south = ClusterFactory(name="north"), ClusterFactory(name="south")
        made = [
            record(bob, "cluster.add", north),
            record(bob, "cluster.change", south, fields=["name", "url"]),
            record(None, "sign_in.fail", actor="=HYPERLINK(1)"),
        ]
        for number, entry in enumerate(made):
            AuditEntry.objects.filter(pk=entry.pk).update(time=timezone.now() - timedelta(days=30 - number))
        return made

    def found(self, reader, query):
        return [entry.action for entry in reader.get(f"/audit/?{query}").context["entries"]]

    def test_it_is_filtered_by_user_action_cluster_and_day(self, reader, entries):
        day = AuditEntry.objects.get(pk=entries[1].pk).time.date()
        assert self.found(reader, "") == ["sign_in.fail", "cluster.change", "cluster.add"]
        assert self.found(reader, "user=bob") == ["cluster.change", "cluster.add"]
        assert self.found(reader, "action=cluster.add") == ["cluster.add"]
        assert self.found(reader, f"since={day}&until={day}") == ["cluster.change"]
        assert self.found(reader, f"cluster={entries[0].cluster.uid}") == ["cluster.add"]
        for wrong in ("since=x&until=2026-99-99", "since=0001-01-01", "before=x", f"before={'9' * 40}", "before=0"):
            assert reader.get(f"/audit/?cluster=all&{wrong}").status_code == 200

    def test_pages_follow_one_another_without_gap_or_repetition(self, reader, bob, monkeypatch):
        monkeypatch.setattr(audit_views, "PAGE_SIZE", 3)
        moment = timezone.now()
        made = [record(bob, "sign_in").pk for _ in range(8)]
        AuditEntry.objects.filter(pk__in=made[:5]).update(time=moment)  # at one moment, and later than the others
        seen, query = [], ""
        while True:
            context = reader.get(f"/audit/{query}").context
            seen += [entry.pk for entry in context["entries"]]
            if not context["has_older"]:
                break
            query = f"?before={seen[-1]}"
        assert sorted(seen) == made
        assert len(seen) == len(set(seen))

    def test_no_page_counts_or_skips_rows(self, reader, bob):
        for _ in range(60):
            record(bob, "sign_in")
        last = AuditEntry.objects.order_by("pk")[5].pk
        with CaptureQueriesContext(connection) as queries:
            reader.get(f"/audit/?before={last}&user=bob")
        about = [query["sql"] for query in queries if '"clusters_auditentry"' in query["sql"]]
        assert len(about) == 2
        assert not any("COUNT" in sql or "OFFSET" in sql for sql in about)

    def test_the_export_is_streamed_whole_and_filtered(self, reader, entries, monkeypatch):
        monkeypatch.setattr(audit_views, "EXPORT_CHUNK", 2)
        response = reader.get("/audit/export/")
        assert response.streaming
        assert "attachment" in response["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
        assert [row["action"] for row in rows] == ["sign_in.fail", "cluster.change", "cluster.add"]
        assert rows[0]["user"] == "'=HYPERLINK(1)"  # a formula to a spreadsheet, were it not for the quote
        assert (rows[1]["target"], rows[1]["cluster"], rows[1]["details"]) == ("south", "south", "fields: name, url")
        assert datetime.fromisoformat(rows[1]["time"]).tzinfo
        assert b"".join(reader.get("/audit/export/?user=nobody").streaming_content).count(b"\n") == 1

    def test_old_entries_go_when_old_calls_do(self, db, monkeypatch):
        from console.management.commands import watch

        done = []
        monkeypatch.setattr(watch, "run_safely", lambda chore: done.append(chore.__name__))
        watch.prune_when_due()
        assert done == ["prune_calls", "prune_entries", "prune_deliveries", "prune_alert_groups"]
