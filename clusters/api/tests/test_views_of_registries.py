"""Registries in the API: added, changed, refreshed and revealed, by those who have the right for all clusters."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.models import AuditEntry, Registry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, RegistryFactory
from clusters.tests.users import make_user, sign_in_to_api

pytestmark = pytest.mark.django_db

PATH = "/api/v1/registries/"
SECRETS = ("a password of tests", "a signing secret of tests")


@pytest.fixture
def admin():
    return sign_in_to_api(User.objects.create_superuser("admin"))


@pytest.fixture
def registry():
    return RegistryFactory(host="registry.example.com", password=SECRETS[0], signing_secret=SECRETS[1])


def test_a_registry_is_added_and_answers_with_its_link_this_once(admin):
    body = {"host": "HTTPS://Registry.Example.com:443/", "kind": "harbor", "username": "robot", "password": SECRETS[0]}
    answer = admin.post(PATH, body | {"aliases": "Internal:5000\ninternal:5000"})
    assert answer.status_code == 201
    registry = Registry.objects.get()
    assert (registry.host, registry.aliases, registry.password) == ("registry.example.com", "internal:5000", SECRETS[0])
    row = answer.json()
    assert row["hook_link"] == f"http://testserver/hook/registry/{registry.hook_token}"
    assert (row["has_password"], row["has_signing_secret"], row["problem"]) == (True, False, "")
    assert "hook_link" not in admin.get(f"{PATH}{registry.pk}/").json()
    entry = AuditEntry.objects.get()
    assert entry.action == "registry.add"
    assert entry.details["changes"]["host"] == ["registry.example.com"]
    assert entry.details["changes"]["password"] == "set"
    assert SECRETS[0] not in str(entry.details)


def test_an_expiring_token_is_refreshed(admin, registry):
    Registry.objects.filter(pk=registry.pk).update(problem="401", checked_at=timezone.now())
    body = {"password": "the next one", "password_expires_at": "2026-12-01T12:00:00Z"}
    answer = admin.patch(f"{PATH}{registry.pk}/", body)
    assert answer.status_code == 200
    registry.refresh_from_db()
    assert (registry.password, registry.signing_secret) == ("the next one", SECRETS[1])
    assert (registry.password_expires_at.isoformat(), registry.problem) == ("2026-12-01T12:00:00+00:00", "")
    changes = {"password": "changed", "password_expires_at": [None, "2026-12-01T12:00:00+00:00"]}
    assert AuditEntry.objects.get().details == {"changes": changes}


def test_secrets_are_never_shown(admin, registry):
    path = f"{PATH}{registry.pk}/"
    answers = [admin.get(PATH), admin.get(path), admin.patch(path, {"kind": "quay"}), admin.post(f"{path}reveal/")]
    for answer in answers:
        assert answer.status_code == 200
        assert not any(secret in answer.content.decode() for secret in SECRETS)
        assert "the next one" not in str(AuditEntry.objects.values_list("details"))
    assert not any(registry.hook_token in answer.content.decode() for answer in answers[:3])


def test_revealing_and_rotating_the_link_is_recorded(admin, registry):
    path = f"{PATH}{registry.pk}/"
    assert admin.post(f"{path}reveal/").json()["hook_link"].endswith(registry.hook_token)
    rotated = admin.post(f"{path}rotate/").json()["hook_link"]
    assert not rotated.endswith(registry.hook_token)
    registry.refresh_from_db()
    assert rotated.endswith(registry.hook_token)
    assert admin.delete(path).status_code == 204
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "registry.reveal",
        "registry.rotate",
        "registry.delete",
    ]


def test_a_user_who_may_rotate_but_not_reveal_does_not_see_the_link(registry):
    user = make_user("rotator", Role.VIEWER)
    user.user_permissions.add(Permission.objects.get(codename="change_registry"))
    assert sign_in_to_api(user).post(f"{PATH}{registry.pk}/rotate/").json()["hook_link"] is None
    assert sign_in_to_api(user).post(f"{PATH}{registry.pk}/reveal/").status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": "no host!"}, "host"),
        ({"host": "https://REGISTRY.example.com"}, "host"),
        ({"host": "a.example", "aliases": "b!"}, "aliases"),
        ({"host": "a.example", "kind": "nonsense"}, "kind"),
        ({"host": "a.example", "plain_http": True}, "plain_http"),
        ({"host": "a.example", "username": "robot"}, "password"),
        ({"host": "a.example", "credential_helper": "../sh"}, "credential_helper"),
        ({"host": "a.example", "password": "a\0"}, "password"),
        ({"host": "a.example", "password_expires_at": "soon"}, "password_expires_at"),
    ],
)
def test_a_wrong_registry_is_refused_by_field(admin, registry, body, field):
    answer = admin.post(PATH, body, format="json")
    assert answer.status_code == 400
    assert field in answer.json()
    assert Registry.objects.count() == 1


CLEAR = {"host": "registry.lan:5000", "plain_http": True, "clear_text": True}


def make_changer():
    """A user who may change registries, and is no administrator."""
    user = make_user("changer", Role.VIEWER)
    user.user_permissions.add(*Permission.objects.filter(codename__in=("add_registry", "change_registry")))
    return sign_in_to_api(user)


def test_an_administrator_allows_plain_http_beyond_the_loopback(admin):
    assert "consent of an administrator" in str(admin.post(PATH, CLEAR | {"clear_text": False}).json()["plain_http"])
    assert admin.post(PATH, CLEAR).status_code == 201
    stored = Registry.objects.get()
    assert (stored.plain_http, stored.clear_text, stored.access.clear_text) == (True, True, True)
    assert AuditEntry.objects.get().details["changes"]["clear_text"] == [True]
    assert admin.patch(f"{PATH}{stored.pk}/", {"plain_http": False}).json()["clear_text"] is False
    stored.refresh_from_db()
    assert (stored.plain_http, stored.clear_text) == (False, False)  # consent ends with what it was for
    assert AuditEntry.objects.first().details["changes"]["clear_text"] == [True, False]


def test_nobody_else_allows_it_or_takes_it_to_another_host(admin):
    changer = make_changer()
    assert changer.post(PATH, CLEAR).status_code == 403
    assert not Registry.objects.exists()
    path = f"{PATH}{admin.post(PATH, CLEAR).json()['id']}/"
    assert changer.patch(path, {"username": "ann", "password": "secret"}).status_code == 200
    assert changer.patch(path, {"host": "other.lan", "password": "secret"}).status_code == 403
    assert changer.patch(path, {"clear_text": False, "plain_http": False}).status_code == 200
    assert changer.patch(path, {"clear_text": True, "plain_http": True}).status_code == 403
    assert Registry.objects.get().access.api_url == "https://registry.lan:5000"


def test_consent_for_the_loopback_is_not_kept(admin):
    body = {"host": "127.0.0.1:5000", "plain_http": True, "clear_text": True}
    assert admin.post(PATH, body).json()["clear_text"] is False


@pytest.mark.parametrize("body", [{"host": "other.example"}, {"aliases": "other.example"}])
def test_a_stored_password_goes_to_no_host_that_it_was_not_given_for(admin, registry, body):
    path = f"{PATH}{registry.pk}/"
    assert "password" in admin.patch(path, body).json()
    assert admin.patch(path, body | {"password": "given again"}).status_code == 200


def test_a_role_on_one_cluster_shows_no_registry_and_a_viewer_of_all_changes_none(registry):
    path = f"{PATH}{registry.pk}/"
    here = sign_in_to_api(make_user("here", Role.ADMINISTRATOR, ClusterFactory()))
    assert here.get(PATH).json()["results"] == []
    assert here.post(PATH, {"host": "a.example"}).status_code == 403
    viewer = sign_in_to_api(make_user("viewer", Role.VIEWER))
    assert viewer.get(PATH).json()["count"] == 1
    for method, address in (("patch", path), ("delete", path), ("post", f"{path}reveal/"), ("post", f"{path}rotate/")):
        assert getattr(here, method)(address, {}).status_code == 404, address
        assert getattr(viewer, method)(address, {}).status_code == 403, address


def test_a_list_takes_a_fixed_number_of_queries_however_many_clusters_are_allowed(admin, registry):
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(PATH).status_code == 200
        return len(captured)

    registry.clusters.add(ClusterFactory())
    few = count()
    for _ in range(3):
        RegistryFactory().clusters.set([ClusterFactory(), ClusterFactory()])
    assert count() == few
