"""Users and roles: giving and withdrawing them, and that nobody locks everybody out. One's own password."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from clusters.access.administrators import find_role
from clusters.models import AuditEntry, ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of
from console.pages.users.tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def last_act():
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.target, entry.details


class TestUsers:
    def test_a_user_is_added_with_a_role_and_can_sign_in(self, reader):
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
    def test_an_error_is_shown_at_its_field(self, reader, changes, field):
        data = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "role": ""} | changes
        assert field in reader.post("/users/new/", data).context["form"].errors
        assert not User.objects.filter(username="eve").exists()

    @pytest.mark.parametrize("role", ["viewer", "operator", "deployer", "administrator", ""])
    def test_a_role_for_all_clusters_replaces_the_previous_one_and_leaves_other_groups(self, reader, bob, role):
        bob.groups.add(Group.objects.create(name="night shift"))
        reader.post(f"/users/{bob.pk}/role/", {"role": role})
        bob = User.objects.get(pk=bob.pk)
        expected = {"night shift", Role(role).label} if role else {"night shift"}
        assert {group.name for group in bob.groups.all()} == expected
        assert bob.is_staff is (role == "administrator")
        changes = {} if role == "viewer" else {"changes": {"role": ["Viewer", Role(role).label if role else "none"]}}
        assert last_act() == ("user.change", "bob", changes)

    def test_a_previous_administrator_cannot_enter_the_admin(self, reader, bob):
        reader.post(f"/users/{bob.pk}/role/", {"role": "administrator"})
        reader.post(f"/users/{bob.pk}/role/", {"role": "viewer"})
        assert not User.objects.get(pk=bob.pk).is_staff

    def test_a_role_on_one_cluster_is_given_changed_and_withdrawn(self, reader, bob):
        cluster = ClusterFactory(name="north")
        for role, word, change in (
            ("operator", "grant.add", ["Operator"]),
            ("deployer", "grant.change", ["Operator", "Deployer"]),
        ):
            reader.post(f"/users/{bob.pk}/grants/", {"cluster": cluster.pk, "role": role})
            assert ClusterGrant.objects.get().role == role
            action, _, details = last_act()
            assert (action, details) == (word, {"user": "bob", "changes": {"role": change}})
        assert AuditEntry.objects.latest("pk").cluster == cluster
        assert "Deployer" in text_of(reader.get("/users/"))
        reader.post(f"/grants/{ClusterGrant.objects.get().pk}/delete/")
        assert not ClusterGrant.objects.exists()
        assert last_act()[0] == "grant.delete"

    def test_a_grant_without_a_cluster_is_an_error_at_its_field(self, reader, bob):
        response = reader.post(f"/users/{bob.pk}/grants/", {"cluster": "", "role": "viewer"})
        assert "cluster" in response.context["grant_form"].errors

    def test_a_deactivated_user_is_signed_out_immediately_and_can_return(self, reader, bob):
        other = Client()
        other.force_login(bob)
        assert other.get("/").status_code == 200
        reader.post(f"/users/{bob.pk}/switch/", {"active": "0"})
        assert other.get("/").status_code == 302
        assert last_act() == ("user.change", "bob", {"changes": {"active": [True, False]}})
        reader.post(f"/users/{bob.pk}/switch/", {"active": "1"})
        assert User.objects.get(pk=bob.pk).is_active

    def test_a_new_password_ends_the_sessions_and_is_in_no_log(self, reader, bob):
        other = Client()
        other.force_login(bob)
        reader.post(f"/users/{bob.pk}/password/", {"new_password1": "another horse", "new_password2": "another horse"})
        assert other.get("/").status_code == 302
        assert Client().login(username="bob", password="another horse")
        entry = AuditEntry.objects.get(action="user.change")
        assert entry.details == {"changes": {"password": "changed"}}

    def test_a_user_that_does_not_exist_is_not_found(self, reader):
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
    """Neither the pages nor the admin remove the last administrator or let administrators remove themselves."""

    def test_nobody_removes_their_own_role(self, reader, administrator, bob):
        make_user("second", Role.ADMINISTRATOR)
        response = reader.post(f"/users/{administrator.pk}/role/", {"role": "viewer"}, follow=True)
        assert "You cannot remove your own Administrator role" in text_of(response)
        assert find_role(User.objects.get(pk=administrator.pk)) == Role.ADMINISTRATOR
        assert not AuditEntry.objects.exists()

    def test_nobody_deactivates_themselves(self, reader, administrator):
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

    def test_another_administrator_can_be_removed(self, reader):
        second = make_user("second", Role.ADMINISTRATOR)
        reader.post(f"/users/{second.pk}/role/", {"role": ""})
        assert find_role(User.objects.get(pk=second.pk)) is None

    def test_only_superusers_change_superusers(self, reader):
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
        assert "You cannot remove your own Administrator role" in text_of(page)
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
        assert last_act() == ("user.change", "bob", {"changes": {"password": "changed"}})
        assert Client().login(username="bob", password="another horse")

    def test_it_takes_the_current_password(self, bob):
        client = Client()
        client.force_login(bob)
        data = {"old_password": "wrong", "new_password1": "another horse", "new_password2": "another horse"}
        assert 'id="id_old_password_error"' in text_of(client.post("/password/", data))
        assert Client().login(username="bob", password=PASSWORD)

    def test_the_admins_own_page_leads_here(self, admin_client):
        assert admin_client.get("/admin/password_change/")["Location"] == "/password/"
