"""/readyz: each part has an answer of its own, within seconds and without an address."""

import threading
from types import SimpleNamespace

import amqp
import pytest
from django.db import DatabaseError
from django.utils import timezone
from kombu import Connection
from kombu.exceptions import OperationalError

from console.models import Process
from console.telemetry import readiness
from console.telemetry.readiness import KEPT, MOST_WAITING, STALE, Check
from tests.harness.eventually import eventually

pytestmark = pytest.mark.django_db  # the checks run in threads of their own, which read what was there before the test


@pytest.fixture(autouse=True)
def fresh_checks(monkeypatch):
    """Forget the answers of earlier tests."""
    for name, examine in (
        ("database", readiness.check_database),
        ("migrations", readiness.check_migrations),
        ("broker", readiness.check_broker),
    ):
        monkeypatch.setitem(readiness.CHECKS, name, Check(examine))
    monkeypatch.setitem(readiness.ADVICE, "threads", Check(readiness.check_threads))
    monkeypatch.setattr(readiness, "_migrated", False)


def test_a_console_whose_parts_answer_is_ready(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": dict.fromkeys(("database", "migrations", "broker", "threads"), "ok")}
    assert "no-store" in response["Cache-Control"]


def test_a_broker_that_is_away_is_named_without_its_address(client, monkeypatch):
    def refuse(**_):
        raise OperationalError("Error 111 connecting to redis://:hidden@queue.internal:6379")

    monkeypatch.setattr(readiness.app, "connection_for_write", refuse)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "ok"
    assert "broker" in response.json()["checks"]["broker"]
    assert b"queue.internal" not in response.content
    assert b"hidden" not in response.content


def test_a_brokers_certificate_that_is_not_trusted_is_named(client, monkeypatch):
    def refuse(**_):
        raise OperationalError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")

    monkeypatch.setattr(readiness.app, "connection_for_write", refuse)
    sentence = client.get("/readyz").json()["checks"]["broker"]
    assert sentence.startswith("The broker's certificate is not trusted.")
    assert "BROKER_URL" in sentence


def test_a_missing_queue_folder_is_reported(client, settings, tmp_path):
    settings.QUEUE_DIR = tmp_path / "gone"
    settings.BROKER_URL = "filesystem://"
    assert client.get("/readyz").status_code == 503


def test_a_missing_migration_is_reported(client, monkeypatch):
    monkeypatch.setattr(readiness.MigrationExecutor, "migration_plan", lambda self, targets: ["0099"])
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "manage.py migrate" in response.json()["checks"]["migrations"]


def test_an_unreachable_database_is_reported(client, monkeypatch):
    def refuse(*_):
        raise DatabaseError("connection to server at 10.0.0.7 failed")

    monkeypatch.setattr(readiness, "connection", SimpleNamespace(cursor=refuse, close=lambda: None))
    monkeypatch.setattr(readiness, "MigrationExecutor", refuse)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "The database does not answer."
    assert b"10.0.0.7" not in response.content


def test_a_check_that_hangs_is_reported_and_not_started_twice():
    begun, go_on = [], threading.Event()

    def hang():
        begun.append(1)
        go_on.wait()
        return "ok"

    check = Check(hang)
    assert [check.ask(0.01)[:18], check.ask(0.01)[:18]] == ["No answer within 3"] * 2
    go_on.set()
    assert check.ask(10) == "ok"
    assert begun == [1]


def test_a_check_that_hangs_holds_few_threads_however_many_ask():
    """Anybody can ask, and the threads are those that answer links."""
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def hang():
        begun.release()
        assert go_on.wait(60)
        return "ok"

    check = Check(hang)
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(check.ask(60)), daemon=True) for _ in range(MOST_WAITING)]
    for thread in waiting:
        thread.start()
    assert begun.acquire(timeout=10)
    eventually(lambda: check._waiting == MOST_WAITING, within=10, what="all wait")
    assert check.ask(60)[:18] == "No answer within 3"
    go_on.set()
    for thread in waiting:
        thread.join(10)
    assert answers == ["ok"] * MOST_WAITING


def test_who_does_not_wait_gets_the_last_answer(monkeypatch):
    moments, go_on = [100.0], threading.Event()
    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=lambda: moments[0]))
    monkeypatch.setattr(readiness, "MOST_WAITING", 1)
    go_on.set()
    check = Check(lambda: "ok" if go_on.wait(60) else "")
    assert check.ask(10) == "ok"
    go_on.clear()
    moments[0] += KEPT
    waiting = threading.Thread(target=lambda: check.ask(60), daemon=True)
    waiting.start()
    eventually(lambda: check._waiting == 1, within=10, what="somebody waits")
    assert check.ask(60) == "ok"
    moments[0] += STALE
    assert check.ask(60)[:18] == "No answer within 3"
    go_on.set()
    waiting.join(10)


def test_an_answer_is_kept_for_a_moment():
    asked = []
    check = Check(lambda: asked.append(1) or "ok")
    assert [check.ask(10) for _ in range(5)] == ["ok"] * 5
    assert asked == [1]


@pytest.mark.parametrize("error", [amqp.AccessRefused("(0, 0): (403) hidden"), amqp.NotAllowed("vhost hidden")], ids=repr)
def test_a_broker_that_refuses_the_login_is_told_from_one_that_is_away(client, monkeypatch, settings, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(readiness.app, "connection_for_write", lambda **_: Connection("amqp://nobody@127.0.0.1:9"))
    monkeypatch.setattr(Connection, "ensure_connection", refuse)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"].startswith("The broker refuses the connection.")
    assert b"hidden" not in answer.content


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_stands_still_is_named_and_links_are_still_sent_here(client):
    values = {"part": "watch", "host": "one", "started_at": timezone.now(), "seen_at": timezone.now()}
    Process.objects.create(pid=7, silent="house-clock", **values)
    Process.objects.create(pid=8, **values)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json()["checks"]["threads"] == (
        "In the watch process 7 on one this has stood still for minutes: house-clock. Restart the process."
    )
