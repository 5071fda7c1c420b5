"""What the API's schema costs. What is in it is tested in triggers/api/tests/test_schema.py."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.authtoken.models import Token

from clusters.access.tokens import create_token
from clusters.roles import Role
from clusters.tests.users import make_user
from console.api import MOST_WAITING, SchemaView
from tests.harness.eventually import eventually

GENERATOR = SchemaView.generator_class


@pytest.fixture(autouse=True)
def _nothing_rendered(monkeypatch):
    monkeypatch.setattr(SchemaView, "_rendered", {}, raising=False)


@pytest.fixture(autouse=True)
def _open_to_strangers(request, monkeypatch):
    """Threads of a test do not share its transaction, so there the schema is for anyone."""
    if "db" not in request.fixturenames:
        monkeypatch.setattr(SchemaView, "authentication_classes", [])
        monkeypatch.setattr(SchemaView, "permission_classes", [])


def test_strangers_are_not_shown_the_schema(db):
    for query in ({}, {"script": ""}, {"version": "1\n2"}):
        answer = Client().get(reverse("api-schema"), query)
        assert answer.status_code == 401
        assert b"/api/v1/" not in answer.content
    assert not SchemaView._rendered
    assert Client().get(reverse("api-schema"), headers={"Authorization": "Bearer wl_unknown"}).status_code == 401


def test_users_and_their_tokens_are(db):
    user = make_user("eve")
    signed_in = Client()
    signed_in.force_login(user)
    token = Client(headers={"Authorization": f"Bearer {create_token(user, 'docs', Role.VIEWER, [], 1)[1]}"})
    old = Client(headers={"Authorization": f"Token {Token.objects.create(user=user).key}"})
    for client in (signed_in, token, old):
        assert client.get(reverse("api-schema")).status_code == 200


def test_the_schema_says_how_a_token_is_brought(admin_client):
    schema = admin_client.get(reverse("api-schema"), headers={"accept": "application/json"}).json()
    scheme = schema["components"]["securitySchemes"]["apiToken"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert all({"apiToken": []} in operation["security"] for path in schema["paths"].values() for operation in path.values())


def test_the_schema_is_generated_once_for_each_format(client, monkeypatch):
    generated, generate = [], GENERATOR.get_schema
    monkeypatch.setattr(GENERATOR, "get_schema", lambda self, **more: generated.append(1) or generate(self, **more))
    for lang in ("de", "fr"):
        for accept, kind in (("application/json", "application/json"), ("application/yaml", "application/yaml")):
            schema = client.get(reverse("api-schema"), {"version": "1\n2", "lang": lang}, headers={"accept": accept})
            assert (schema.status_code, schema["Content-Type"], b"/api/v1/triggers/" in schema.content) == (200, kind, True)
    assert len(generated) == 2


def test_the_schema_is_generated_by_one_thread_at_a_time(client, monkeypatch):
    running, most = [], []

    def generate(self, **more):
        running.append(1)
        most.append(len(running))
        time.sleep(0.02)  # so that the others come meanwhile
        running.pop()
        return {}

    monkeypatch.setattr(GENERATOR, "get_schema", generate)
    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: client.get(reverse("api-schema")).status_code, range(4)))
    assert (statuses, most) == ([200] * 4, [1])


def test_few_threads_wait_while_it_is_generated_and_none_for_what_is_there(client, monkeypatch):
    assert client.get(reverse("api-schema"), headers={"accept": "application/yaml"}).status_code == 200
    is_done, begun, statuses = threading.Event(), threading.Semaphore(0), []

    def generate(self, **more):
        begun.release()
        assert is_done.wait(60)
        return {}

    def ask(accept="application/json"):
        statuses.append(Client().get(reverse("api-schema"), headers={"accept": accept}).status_code)

    monkeypatch.setattr(GENERATOR, "get_schema", generate)
    waiting = [threading.Thread(target=ask, daemon=True) for _ in range(MOST_WAITING)]
    for thread in waiting:
        thread.start()
    assert begun.acquire(timeout=10)
    eventually(lambda: SchemaView._places._held["schema"] == MOST_WAITING, within=10, what="all wait")
    for accept in ("application/json", "application/yaml"):
        late = threading.Thread(target=ask, args=[accept], daemon=True)
        late.start()
        late.join(10)
    assert statuses == [503, 200]
    is_done.set()
    for thread in waiting:
        thread.join(10)
    assert statuses == [503, 200] + [200] * MOST_WAITING
