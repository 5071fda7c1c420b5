"""What the API's schema costs. What is in it is tested in triggers/api/tests/test_page.py."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client
from django.urls import reverse

from console.api import MOST_WAITING, SchemaView
from tests.harness.eventually import eventually

GENERATOR = SchemaView.generator_class


@pytest.fixture(autouse=True)
def _nothing_rendered(monkeypatch):
    monkeypatch.setattr(SchemaView, "_rendered", {}, raising=False)


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
