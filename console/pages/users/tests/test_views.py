"""Users and roles: giving and withdrawing them, and that nobody locks everybody out. One's own password."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.authtoken.models import Token

from clusters.access.administrators import find_role
from clusters.access.tokens import create_token, has_tokens
from clusters.models import AuditEntry, ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of, words_of
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


class TestTokens:
    """What administrators see of others' API tokens, and how they end them."""

    @pytest.fixture
    def token(self, bob):
        Token.objects.create(user=bob)
        return create_token(bob, "nightly", Role.VIEWER, None, 30)[0]

    def test_they_are_named_and_no_secret_is_shown(self, reader, bob, token):
        words = words_of(reader.get(f"/users/{bob.pk}/?tab=sign-in"))
        for shown in ("nightly", "Old kind", "all rights of the user"):
            assert shown in words
        assert Token.objects.get().key not in words
        assert token.digest not in words
        assert f"/users/{bob.pk}/tokens/{token.pk}/end/" in text_of(reader.get(f"/users/{bob.pk}/?tab=sign-in"))
        assert "/account/tokens/" not in text_of(reader.get(f"/users/{bob.pk}/?tab=sign-in")).partition("<main")[2]

    def test_an_administrator_ends_one(self, reader, bob, token):
        path = f"/users/{bob.pk}/tokens/{token.pk}/end/"
        assert "nightly" in text_of(reader.get(path))
        assert reader.post(path)["Location"] == f"/users/{bob.pk}/?tab=sign-in"
        assert last_act() == ("token.end", "nightly", {"user": "bob"})
        reader.post(f"/users/{bob.pk}/tokens/old/end/")
        assert last_act() == ("token.end", "bob", {"kind": "old kind"})
        assert not has_tokens(bob)
        assert reader.post(path).status_code == 404

    def test_a_superusers_are_for_superusers_to_end(self, reader):
        root = User.objects.create_superuser("root")
        token, _ = create_token(root, "of root", Role.VIEWER, None, None)
        assert reader.post(f"/users/{root.pk}/tokens/{token.pk}/end/").status_code == 403
        assert has_tokens(root)
        page = text_of(reader.get(f"/users/{root.pk}/?tab=sign-in"))
        assert "of root" in page
        assert f"/tokens/{token.pk}/" not in page

    def test_by_the_address_of_another_user_none_is_found(self, reader, administrator, token):
        assert reader.post(f"/users/{administrator.pk}/tokens/{token.pk}/end/").status_code == 404

    def test_a_new_password_ends_all_as_the_act_of_the_administrator(self, reader, bob, token):
        data = {"new_password1": "new horse battery", "new_password2": "new horse battery"}
        page = reader.post(f"/users/{bob.pk}/password/", data, follow=True)
        assert "is signed out everywhere. API tokens have ended too." in text_of(page)
        assert not has_tokens(bob)
        entry = AuditEntry.objects.get(action="token.end")
        assert (entry.actor, entry.target, entry.details["tokens"]) == ("ada", "bob", ["nightly", "old kind"])

    def test_so_does_a_deactivation_and_an_activation_brings_none_back(self, reader, bob, token):
        reader.post(f"/users/{bob.pk}/switch/", {"active": "0"})
        assert not has_tokens(bob)
        assert AuditEntry.objects.get(action="token.end").actor == "ada"
        reader.post(f"/users/{bob.pk}/switch/", {"active": "1"})
        assert not has_tokens(bob)

    def test_a_change_that_is_undone_ends_none(self, reader, administrator, token):
        create_token(administrator, "own", Role.VIEWER, None, 1)
        assert "Nothing was changed." in text_of(
            reader.post(f"/users/{administrator.pk}/switch/", {"active": "0"}, follow=True)
        )
        assert has_tokens(administrator)

    def test_the_admin_ends_them_too(self, admin_client, bob, token):
        path = reverse("admin:auth_user_password_change", args=[bob.pk])
        admin_client.post(path, {"password1": "new horse battery", "password2": "new horse battery", "usable_password": "true"})
        assert not User.objects.get(pk=bob.pk).check_password(PASSWORD)
        assert not has_tokens(bob)
        create_token(User.objects.get(pk=bob.pk), "another", Role.VIEWER, None, 1)
        admin_client.post(path, {"usable_password": "false", "unset-password": ""})
        assert not User.objects.get(pk=bob.pk).has_usable_password()
        assert not has_tokens(bob)


class TestOthersTokensAreOutOfReach:
    """An administrator is not to act in a superuser's name by way of the superuser's token."""

    @pytest.fixture
    def key(self):
        return Token.objects.create(user=User.objects.create_superuser("root")).key

    def test_no_page_of_the_admin_lists_or_makes_tokens(self, admin_client, key):
        for path in (
            "/admin/authtoken/tokenproxy/",
            "/admin/authtoken/token/",
            "/admin/clusters/apitoken/",
            "/admin/knox/authtoken/",
        ):
            assert admin_client.get(path).status_code == 404
        assert "oken" not in text_of(admin_client.get("/admin/")).partition("<main")[2]

    def test_nobody_gets_permissions_on_the_new_ones(self):
        assert not Permission.objects.filter(content_type__model__in=("apitoken", "authtoken")).exists()

    @pytest.fixture
    def staff(self, reader, administrator):
        administrator.is_staff = True
        administrator.save()
        return reader

    def test_an_administrator_gives_a_group_no_permission_and_finds_nothing_with_those_that_it_has(
        self, staff, administrator, key
    ):
        given = Permission.objects.filter(content_type__app_label="authtoken")
        assert given
        data = {"name": "mine", "permissions": [permission.pk for permission in given]}
        staff.post(reverse("admin:auth_group_add"), data)
        group = Group.objects.get(name="mine")
        assert not group.permissions.exists()
        staff.post(reverse("admin:auth_group_change", args=[group.pk]), data)
        assert not group.permissions.exists()
        group.permissions.set(given)  # such as one that a superuser made
        administrator.groups.add(group)
        for path in ("/admin/", "/admin/authtoken/tokenproxy/", "/admin/auth/user/", "/users/", "/account/tokens/"):
            assert key not in text_of(staff.get(path))
        staff.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "renamed"})
        assert set(group.permissions.all()) == set(given)

    def test_a_superuser_still_gives_a_group_permissions(self, admin_client):
        permission = Permission.objects.get(codename="view_logs")
        admin_client.post(reverse("admin:auth_group_add"), {"name": "readers", "permissions": [permission.pk]})
        assert Group.objects.get(name="readers").permissions.get() == permission

    def test_the_page_that_asks_before_a_user_is_deleted_shows_no_token(self, staff, bob):
        key = Token.objects.create(user=bob).key
        page = staff.get(reverse("admin:auth_user_delete", args=[bob.pk]))
        assert "bob" in text_of(page)
        assert key not in text_of(page)
        body = {"action": "delete_selected", "_selected_action": [bob.pk]}
        page = staff.post(reverse("admin:auth_user_changelist"), body)
        assert page.status_code == 200
        assert "bob" in text_of(page)
        assert key not in text_of(page)
        staff.post(reverse("admin:auth_user_delete", args=[bob.pk]), {"post": "yes"})
        assert not User.objects.filter(pk=bob.pk).exists()


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


def test_how_somebody_signs_in_shows_at_few_queries(reader, bob):
    Token.objects.create(user=bob)
    create_token(bob, "nightly", Role.VIEWER, None, 30)
    with CaptureQueriesContext(connection) as queries:
        assert "nightly" in text_of(reader.get(f"/users/{bob.pk}/?tab=sign-in"))
    assert len(queries) <= 12, "\n".join(query["sql"][:90] for query in queries)
