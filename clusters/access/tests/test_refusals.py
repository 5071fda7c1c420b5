"""Who was refused what, on pages, in the API and in the admin; tokens that were refused; and the user in the request's line."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.authtoken.models import Token

from clusters.access.counted_acts import ENTRIES_A_SPAN, counted_acts
from clusters.callers import find_loaded_user
from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db
ADDRESS = "203.0.113.9"


@pytest.fixture
def viewer():
    user = make_user("vera", Role.VIEWER)
    user.is_staff = True
    user.save()
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(user)
    AuditEntry.objects.all().delete()
    return client


def refused(action="refuse"):
    counted_acts.store()
    found = AuditEntry.objects.filter(action=action).order_by("pk")
    return [(entry.actor, entry.address, entry.details.get("request"), entry.count) for entry in found]


def test_a_refused_page_is_recorded_and_repetitions_are_counted(viewer):
    first, second = ClusterFactory(), ClusterFactory()
    for cluster in (first, second, first):
        assert viewer.post(f"/clusters/{cluster.uid}/edit/", {}).status_code == 403
    assert viewer.get("/users/").status_code == 403
    edit, users = refused()
    assert edit == ("vera", ADDRESS, "POST clusters/<uid>/edit/", 3)
    assert users == ("vera", ADDRESS, "GET users/", 1)
    assert AuditEntry.objects.filter(action="refuse").order_by("pk")[0].details["path"] == f"/clusters/{first.uid}/edit/"


def test_so_are_refused_requests_to_the_api_by_session_and_by_token(viewer):
    cluster = ClusterFactory()
    assert viewer.delete(f"/api/v1/clusters/{cluster.pk}/").status_code == 403
    header = {"Authorization": f"Token {Token.objects.create(user=make_user('tom', Role.VIEWER)).key}"}
    client = Client(REMOTE_ADDR=ADDRESS, headers=header)
    assert client.patch(f"/api/v1/clusters/{cluster.pk}/", {}).status_code == 403
    assert refused() == [
        ("vera", ADDRESS, "DELETE api/v1/clusters/<pk>/", 1),
        ("tom", ADDRESS, "PATCH api/v1/clusters/<pk>/", 1),
    ]


def test_and_refused_requests_to_the_admin(viewer):
    assert viewer.get("/admin/auth/user/").status_code == 403
    assert [row[:3] for row in refused()] == [("vera", ADDRESS, "GET admin/auth/user/")]


def test_what_is_allowed_or_does_not_exist_is_no_refusal(viewer):
    assert viewer.get("/applications/").status_code == 200
    assert viewer.get("/clusters/unknown/").status_code == 404
    assert Client().get("/users/").status_code == 302
    assert Client(enforce_csrf_checks=True).post("/login/").status_code == 403  # of nobody
    assert refused() == []


@pytest.mark.parametrize("header", ["Token 0123456789abcdef", "Token two words", "Token "])
def test_refused_tokens_are_counted_by_address_without_the_token(header):
    client = Client(REMOTE_ADDR=ADDRESS, headers={"Authorization": header})
    for path in ("/api/v1/clusters/", "/api/v1/triggers/", "/api/v1/clusters/"):
        assert client.get(path).status_code == 401
    (entry,) = AuditEntry.objects.all()
    assert refused("token.refuse") == [("", ADDRESS, "GET api/v1/clusters/", 3)]
    assert "0123456789abcdef" not in str(vars(entry))


def test_the_token_of_a_deactivated_user_and_the_wrong_metrics_token_are_refused_too(settings):
    settings.METRICS_TOKEN = "a-token-for-prometheus"
    user = make_user("tom", Role.VIEWER)
    token = Token.objects.create(user=user)
    user.is_active = False
    user.save()
    for path, header in (("/api/v1/clusters/", f"Token {token.key}"), ("/metrics", "Bearer wrong")):
        assert Client(headers={"Authorization": header}).get(path).status_code == 401
    assert [row[3] for row in refused("token.refuse")] == [2]


def test_however_many_unknown_tokens_come_from_however_many_addresses_the_entries_are_few():
    for number in range(3 * ENTRIES_A_SPAN):
        client = Client(REMOTE_ADDR=f"203.0.113.{number}", headers={"Authorization": f"Bearer wl_{number:064x}"})
        assert client.get("/api/v1/clusters/").status_code == 401
    found = refused("token.refuse")
    assert len(found) == ENTRIES_A_SPAN + 1
    assert sum(row[3] for row in found) == 3 * ENTRIES_A_SPAN


def test_a_request_without_a_token_is_no_refused_one():
    assert Client().get("/api/v1/clusters/").status_code == 401
    assert refused("token.refuse") == []


def test_looking_for_the_user_makes_no_query(rf, viewer):
    request = viewer.get("/applications/").wsgi_request
    with CaptureQueriesContext(connection) as queries:
        assert find_loaded_user(request).username == "vera"
        assert find_loaded_user(Client().get("/healthz").wsgi_request) is None
        assert find_loaded_user(viewer.get("/healthz").wsgi_request) is None  # nobody asked for the user
        assert find_loaded_user(rf.get("/")) is None
    assert len(queries) == 0
