"""The embedded broker: messages appear whole, one worker takes each, and a bell replaces polling."""

import threading
import time
from pathlib import Path

import pytest
from kombu import Connection, Queue
from kombu.message import Message

from console import celery
from console.celery import app
from console.process import broker


@pytest.fixture
def connect(tmp_path: Path):
    opened: list[Connection] = []

    def connect() -> Connection:
        for name in ("messages", "control"):
            (tmp_path / name).mkdir(exist_ok=True)
        folder = str(tmp_path / "messages")
        options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": str(tmp_path / "control")}
        opened.append(Connection("filesystem://localhost", transport=broker.BellTransport, transport_options=options))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.release()


def publish(connection: Connection, *bodies: str) -> None:
    producer = connection.Producer()
    for body in bodies:
        producer.publish({"body": body}, routing_key="windlass", declare=[Queue("windlass", routing_key="windlass")])


def consume(connection: Connection, received: list[str], until: float) -> None:
    def take(body: dict[str, str], message) -> None:
        received.append(body["body"])
        message.ack()

    with connection.Consumer([Queue("windlass", routing_key="windlass")], callbacks=[take]):
        while time.monotonic() < until:
            try:
                connection.drain_events(timeout=0.05)
            except TimeoutError:
                continue


def test_each_message_arrives_once_at_one_of_two_consumers(connect) -> None:
    bodies = [str(number) for number in range(50)]
    publish(connect(), *bodies)
    received: list[str] = []
    until = time.monotonic() + 1.0
    consumers = [threading.Thread(target=consume, args=(connect(), received, until)) for _ in range(2)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join()
    assert sorted(received, key=int) == bodies


def test_the_bell_wakes_a_waiting_consumer(connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "LONGEST_WAIT", 30.0)
    connection = connect()
    received: list[str] = []

    def take(body: dict[str, str], message) -> None:
        received.append(body["body"])
        message.ack()

    with connection.Consumer([Queue("windlass", routing_key="windlass")], callbacks=[take]):
        timer = threading.Timer(0.2, publish, (connect(), "now"))
        timer.start()
        started = time.monotonic()
        connection.drain_events(timeout=30)
        assert received == ["now"]
        assert time.monotonic() - started < 10
        timer.join()


def test_a_half_written_message_is_not_taken(connect, tmp_path: Path) -> None:
    publish(connect(), "whole")
    (tmp_path / "messages" / ".00000000000000000001_ab.windlass.msg").write_text('{"bo')
    received: list[str] = []
    consume(connect(), received, time.monotonic() + 0.3)
    assert received == ["whole"]


def test_ringing_without_a_listener_does_not_wait(tmp_path: Path) -> None:
    bell = broker.Bell(tmp_path)
    bell.ring()
    bell.listen()
    for _ in range(100_000):  # more than a pipe holds
        bell.ring()
    bell.wait(0.0)
    bell.close()


def test_a_task_put_straight_into_the_folder_equals_one_that_celery_sends_where_a_worker_reads_it(connect) -> None:
    connection = connect()
    connection.channel()
    broker.put_task(connection.transport_options, "windlass", "triggers.nudge", (5,))
    received: list[Message] = []
    with connection.Consumer([Queue("windlass", routing_key="windlass")], on_message=received.append):
        connection.drain_events(timeout=5)
    sent = app.amqp.create_task_message(received[0].headers["id"], "triggers.nudge", (5,), {}, ignore_result=True)
    assert received[0].payload[:2] == [list(sent.body[0]), sent.body[1]] == [[5], {}]
    assert received[0].headers == {name: sent.headers[name] for name in received[0].headers}
    assert received[0].headers.keys() >= {"id", "task", "lang", "root_id", "parent_id", "group"}


def test_a_nudge_is_put_straight_into_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[tuple[object, ...]] = []
    monkeypatch.setattr(celery, "put_task", lambda options, queue, name, args: put.append((queue, name, args)))
    app.send_task("triggers.nudge", (5,), retry=False, ignore_result=True)
    assert put == [("windlass", "triggers.nudge", (5,))]
