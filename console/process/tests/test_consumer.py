"""A worker outlasts a broker that refuses it."""

from typing import Any

import pytest
from amqp.exceptions import AccessRefused, NotAllowed
from celery.exceptions import WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Connection

from console.process import consumer
from console.process.consumer import PatientConsumer


@pytest.fixture
def refusals(monkeypatch) -> list[Exception]:
    """What the broker answers, in order. After that it takes the connection."""
    answers: list[Exception] = []

    def connect(_: Any, conn: Connection) -> Connection:
        if answers:
            raise answers.pop(0)
        return conn

    monkeypatch.setattr(Consumer, "ensure_connected", connect)
    monkeypatch.setattr(consumer.time, "sleep", lambda _: None)
    return answers


def test_a_refused_worker_asks_again(refusals):
    refusals += [AccessRefused("no"), NotAllowed("no such host"), AccessRefused("no")]
    connection = Connection("amqp://")
    assert PatientConsumer.__new__(PatientConsumer).ensure_connected(connection) is connection
    assert refusals == []


def test_a_refused_worker_can_be_stopped(refusals, monkeypatch):
    refusals += [AccessRefused("no")] * 3
    monkeypatch.setattr(state, "should_stop", 0)
    with pytest.raises(WorkerShutdown):
        PatientConsumer.__new__(PatientConsumer).ensure_connected(Connection("amqp://"))
    assert len(refusals) == 2
