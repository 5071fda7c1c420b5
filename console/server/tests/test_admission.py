import pytest
from django.contrib.auth import get_user_model
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.authtoken.models import Token

from clusters.access.tokens import create_token
from clusters.models import ApiToken
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, RegistryFactory
from console.server import admission
from console.server.admission import has_reason, may_send_large_bodies
from triggers.tests.calling import link_parameters
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


def admits(path, client=None, **headers):
    request = RequestFactory(headers=headers).post(path, b"x" * 100_000, content_type="application/json")
    if client:
        request.META["HTTP_COOKIE"] = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    return has_reason(WSGIRequest(request.META))


def link(trigger, **changed):
    return RequestFactory().get("/hook/trigger", link_parameters(trigger) | changed).get_full_path()


def test_whoever_has_a_link_may():
    trigger, registry = TriggerFactory(), RegistryFactory()
    assert admits(link(trigger))
    assert admits(link(trigger, secret=""), **{"X-Trigger-Secret": trigger.secret})
    assert admits(f"/hook/registry/{registry.hook_token}")
    assert admits(f"/hook/registry/{registry.hook_token}/")


def test_whoever_has_none_may_not():
    trigger = TriggerFactory()
    assert not admits(link(trigger, secret="0" * 64))
    assert not admits("/hook/trigger")
    assert not admits("/hook/registry/unknown")
    assert not admits("/hook/calls/unknown")


def test_the_body_is_not_touched():
    class Untouchable:
        def read(self, size=-1):
            raise AssertionError("The body was read.")

        readline = read

    request = RequestFactory().post("/hook/trigger", b"x" * 100_000, content_type="application/json")
    assert not has_reason(WSGIRequest({**request.META, "wsgi.input": Untouchable()}))


def test_whoever_is_signed_in_may(client):
    user = get_user_model().objects.create_user("anna")
    client.force_login(user)
    assert admits("/registries/", client)
    assert admits("/api/v1/triggers/", Authorization=f"Token {Token.objects.create(user=user)}")
    _, text = create_token(user, "pipeline", Role.VIEWER, [ClusterFactory()], 1)
    with CaptureQueriesContext(connection) as queries:
        assert admits("/api/v1/triggers/", Authorization=f"Bearer {text}")
    assert all(query["sql"].startswith("SELECT") for query in queries)
    assert len(queries) <= 3


def test_whoever_is_not_signed_in_may_not(client):
    user = get_user_model().objects.create_user("anna")
    client.force_login(user)
    user.set_password("changed")
    user.save()
    assert not admits("/registries/", client)  # the session ended with the password
    assert not admits("/registries/")
    assert not admits("/api/v1/triggers/", Authorization="Token unknown")
    assert not admits("/api/v1/triggers/", Authorization="Bearer wl_unknown")
    token, text = create_token(user, "pipeline", Role.VIEWER, None, 1)
    ApiToken.objects.filter(pk=token.pk).update(expiry=timezone.now())
    assert not admits("/api/v1/triggers/", Authorization=f"Bearer {text}")


def test_without_a_database_nobody_is_admitted(monkeypatch):
    def fail(request):
        raise DatabaseError

    monkeypatch.setattr(admission, "has_proof", fail)
    monkeypatch.setattr(admission, "close_old_connections", lambda: None)  # the test's own is open
    assert not may_send_large_bodies(RequestFactory().post(link(TriggerFactory())).META)
