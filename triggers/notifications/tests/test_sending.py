import os
import signal
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from clusters.tests.pooled import pooled as pooled
from clusters.waits import has_pool
from triggers.models import (
    CallState,
    DeliveryStatus,
    News,
    Notification,
    NotificationChannel,
    NotificationDelivery,
    TriggerCall,
)
from triggers.notifications import grouping, sending
from triggers.notifications.endings import record_ending
from triggers.notifications.outbox import make_group, record_news, send_again, send_test, turn_off
from triggers.notifications.outcomes import Receipt
from triggers.notifications.senders import SENDERS
from triggers.notifications.sending import ATTEMPTS, DELAYS, LEASE, Courier, claim_channel, send_due
from triggers.run import results
from triggers.run.results import finish_call
from triggers.tests.factories import NotificationRuleFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch):
    """Moves time for everything that asks Django for it."""

    class Clock:
        now = timezone.now()

        def move(self, **by):
            Clock.now += timedelta(**by)

    monkeypatch.setattr("django.utils.timezone.now", lambda: Clock.now)
    return Clock()


@pytest.fixture
def application():
    return TriggerFactory().application


def fail(application, sentence="It failed."):
    return record_news(News.FAILED, application=application, facts={"sentence": sentence})


def fail_together(channel, applications):
    """Write what `fail` writes, for many at once."""
    now = timezone.now()
    news = [
        Notification(
            news=News.FAILED,
            recorded_at=now,
            application=application,
            cluster=application.cluster,
            group=make_group(News.FAILED, application.cluster, application, ""),
            facts={"type": "failed", "time": now.isoformat()},
        )
        for application in applications
    ]
    NotificationDelivery.objects.bulk_create(
        NotificationDelivery(channel=channel, notification=each, created_at=now, next_attempt_at=now)
        for each in Notification.objects.bulk_create(news)
    )


def deliveries():
    return list(NotificationDelivery.objects.order_by("pk"))


def test_a_signed_message_is_delivered_once(channel, sink, application, settings):
    settings.PUBLIC_URL = "https://console.example.com/windlass"
    call = TriggerCallFactory(trigger__application=application, state=CallState.FAILED, message="It failed.")
    notification = record_news(News.FAILED, call=call)
    assert send_due() == 1
    assert send_due() == 0
    payload = sink.received[0].verify(channel.values["secret"])
    assert sink.received[0].id == notification.webhook_id
    assert payload == notification.facts | {
        "count": 1,
        "since": payload["time"],
        "url": f"https://console.example.com/windlass/calls/{call.pk}/",
    }
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.answer_status, delivery.answer) == ("delivered", 1, 200, "taken")


def test_the_attempts_and_the_times_between_them(channel, sink, application, clock):
    sink.answers = [500]
    notification = fail(application)
    for number, delay in enumerate(DELAYS, 1):
        assert send_due() == 1
        delivery = NotificationDelivery.objects.get()
        assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("waiting", number, clock.now + delay)
        assert delivery.problem == f"{sink.address.removeprefix('http://')} answered 500."
        clock.move(seconds=delay.total_seconds() - 1)
        assert send_due() == 0
        clock.move(seconds=1)
    assert send_due() == 1
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("failed", ATTEMPTS, None)
    assert {got.id for got in sink.received} == {notification.webhook_id}
    assert [delay.total_seconds() for delay in DELAYS] == [30, 120, 600, 3600, 21600]


def test_a_receiver_can_ask_for_more_time(channel, sink, application, clock):
    sink.answers = [(429, {"Retry-After": "300"}, b"")]
    fail(application)
    send_due()
    assert NotificationDelivery.objects.get().next_attempt_at == clock.now + timedelta(seconds=300)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_ends_it(channel, sink, application, status):
    sink.answers = [status]
    fail(application)
    send_due()
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.answer_status) == ("failed", status)


def test_410_turns_the_channel_off_and_drops_what_waits(channel, sink, application):
    sink.answers = [410]
    fail(application)
    fail(TriggerFactory().application)
    send_due()
    channel.refresh_from_db()
    assert (channel.enabled, channel.off_reason) == (False, "Its receiver answered 410: it wants no more messages.")
    assert [each.status for each in deliveries()] == ["failed", "dropped"]
    assert len(sink.received) == 1
    assert fail(application) is None


def test_a_channel_that_is_off_sends_a_test_alone(channel, sink, application):
    fail(application)
    turn_off(channel)
    delivery = send_test(channel, "ann")
    send_due()
    delivery.refresh_from_db()
    assert delivery.status == "delivered"
    assert [got.json["type"] for got in sink.received] == ["test"]
    assert "sent by ann" in sink.received[0].json["sentence"]


def test_equal_news_are_one_message_with_a_count(channel, sink, application, clock):
    first = fail(application)
    send_due()
    for number in range(3):
        clock.move(seconds=10)
        newest = fail(application, f"Failure {number}.")
        send_due()
    assert len(sink.received) == 1
    clock.move(minutes=15)
    send_due()
    got = [got.json for got in sink.received]
    assert [(each["count"], each["sentence"]) for each in got] == [(1, "It failed."), (3, "Failure 2.")]
    assert got[1]["since"] < got[1]["time"]
    assert [each.id for each in sink.received] == [first.webhook_id, newest.webhook_id]
    lead = deliveries()[-1]
    assert [(each.status, each.joined_into) for each in deliveries()[1:3]] == [("joined", lead)] * 2


def test_two_thousand_failing_calls_are_at_most_twenty_messages(channel, sink, clock):
    """All at once, of many applications; then again and again for half an hour."""
    applications = [TriggerFactory().application for _ in range(50)]
    for _ in range(40):
        fail_together(channel, applications)
        send_due()
        clock.move(seconds=45)
    for _ in range(4):
        clock.move(minutes=10)
        send_due()
    assert Notification.objects.count() == 2000
    assert sum(got.json["count"] for got in sink.received) == 2000
    assert len(sink.received) <= 20
    assert not NotificationDelivery.objects.filter(status=DeliveryStatus.WAITING).exists()


def test_a_digest_names_what_happened(channel, sink, clock):
    applications = [TriggerFactory().application for _ in range(12)]
    for application in applications:
        fail(application)
    send_due()
    digest = sink.received[0].json
    assert (digest["type"], digest["count"], len(digest["news"])) == ("digest", 12, 12)
    assert {each["application"]["name"] for each in digest["news"]} == {each.name for each in applications}
    assert {each["type"] for each in digest["news"]} == {"failed"}


def test_a_message_stays_as_it_is_once_it_was_tried(channel, sink, application, clock):
    sink.answers = [500, 200]
    fail(application)
    send_due()
    fail(application)
    clock.move(seconds=30)
    send_due()
    assert [got.json["count"] for got in sink.received] == [1, 1]
    assert sink.received[0].body == sink.received[1].body


def test_send_again_has_the_same_id_and_begins_anew(channel, sink, application):
    sink.answers = [404, 200]
    fail(application)
    send_due()
    again = send_again(NotificationDelivery.objects.get())
    assert (again.status, again.attempts) == ("waiting", 0)
    send_due()
    assert sink.received[0].id == sink.received[1].id
    assert NotificationDelivery.objects.get().status == "delivered"


def test_one_process_at_a_time_sends_over_a_channel(channel, sink, application):
    fail(application)
    assert claim_channel(channel.pk, "another")
    assert not claim_channel(channel.pk, "me")
    assert send_due() == 0
    NotificationChannel.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert send_due() == 1
    channel.refresh_from_db()
    assert (channel.lease_owner, channel.lease_expires_at) == ("", None)


def test_a_lease_from_a_clock_that_was_set_back_does_not_hold(channel):
    NotificationChannel.objects.update(lease_owner="lost", lease_expires_at=timezone.now() + 3 * LEASE)
    assert claim_channel(channel.pk, "me")


def test_a_defect_costs_an_attempt_and_not_the_thread(channel, application, monkeypatch):
    def break_down(values, message):
        raise KeyError("oops")

    monkeypatch.setitem(SENDERS, "webhook", break_down)
    fail(application)
    send_due()
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("waiting", 1)
    assert delivery.problem == "Windlass has a defect (KeyError); its log has the details."


def test_a_configuration_that_is_wrong_sends_nothing(channel, sink, application):
    NotificationChannel.objects.update(configuration="no JSON")
    fail(application)
    send_due()
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.problem) == ("failed", "The channel's configuration is wrong at url. Enter the address.")
    assert sink.received == []


@pytest.mark.django_db(transaction=True)
def test_nothing_is_held_while_a_receiver_is_waited_for(channel, application, monkeypatch, pooled):
    held = []

    def send(values, message):
        held.append((connection.in_atomic_block, pooled()))
        return Receipt(200)

    monkeypatch.setitem(SENDERS, "webhook", send)
    fail(application)
    send_due()
    assert held == [(False, False)]


@pytest.mark.django_db(transaction=True)
def test_a_slow_channel_holds_up_no_other(channel, application, monkeypatch):
    NotificationRuleFactory()
    sent, go_on = threading.Event(), threading.Event()

    def send(values, message):
        if values["url"] == channel.values["url"]:
            assert go_on.wait(30)
        else:
            sent.set()
        return Receipt(200)

    monkeypatch.setitem(SENDERS, "webhook", send)
    fail(application)
    courier = Courier()
    assert courier.look() == 2
    assert sent.wait(30)
    go_on.set()
    courier.finish(30)
    assert courier._turns == {}
    assert set(NotificationDelivery.objects.values_list("status", flat=True)) == {"delivered"}


@pytest.mark.django_db(transaction=True)
def test_a_process_that_ends_begins_no_further_message(channel, application, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()

    def send(values, message):
        entered.set()
        assert go_on.wait(30)
        return Receipt(200)

    monkeypatch.setitem(SENDERS, "webhook", send)
    fail(application)
    fail(TriggerFactory().application)
    courier = Courier()
    courier.look()
    assert entered.wait(30)
    courier.finish(0)
    go_on.set()
    courier.finish(30)
    assert sorted(NotificationDelivery.objects.values_list("status", flat=True)) == ["delivered", "waiting"]


MOMENTS = ("before the end", "in its transaction", "after it", "in the decision", "before the attempt", "sent", "recorded")


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.django_db(transaction=True)
def test_a_kill_between_the_end_and_the_delivery_loses_nothing(channel, sink, monkeypatch):
    """100 processes end a call and send the news of it; each is killed at one of these moments. Then one that lives sends."""
    monkeypatch.setattr(grouping, "MOST", 1000)
    calls = [TriggerCallFactory(state=CallState.RUNNING, lease_owner="a") for _ in range(100)]
    send_test(channel, "ann")
    send_due()  # what a process reads once is read before the children are born
    sink.received.clear()
    for number, call in enumerate(calls):
        NotificationChannel.objects.update(lease_owner="", lease_expires_at=None)
        end_in_a_process_that_is_killed(call, MOMENTS[number % len(MOMENTS)])
    ended = set(TriggerCall.objects.filter(state=CallState.FAILED).values_list("pk", flat=True))
    assert len(ended) == sum(number % len(MOMENTS) >= 2 for number in range(100))
    assert set(Notification.objects.filter(news=News.FAILED).values_list("call", flat=True)) == ended

    NotificationChannel.objects.update(lease_owner="", lease_expires_at=None)
    NotificationDelivery.objects.filter(status="waiting").update(next_attempt_at=timezone.now())
    while send_due():
        NotificationDelivery.objects.filter(status="waiting").update(next_attempt_at=timezone.now())
    received = [got.verify(channel.values["secret"]) for got in sink.received]
    assert {each["call"]["id"] for each in received} == {str(pk) for pk in ended}
    assert len({got.id for got in sink.received}) == len(ended)  # what came twice had the same id
    assert len(received) > len(ended)
    assert set(NotificationDelivery.objects.values_list("status", flat=True)) == {"delivered"}


def end_in_a_process_that_is_killed(call, moment):
    connections.close_all()
    if has_pool():
        connection.close_pool()  # a child has none of its threads
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        return
    try:
        if moment == "before the end":
            die()
        if moment == "in its transaction":
            results.record_ending = lambda *arguments: (record_ending(*arguments), die())
        finish_call(call, "a", CallState.FAILED, "", "It failed.")
        if moment == "after it":
            die()
        if moment == "in the decision":
            sending.store_decision = die
        if moment == "before the attempt":
            sending.begin_attempt = die
        if moment == "sent":
            sending.note_success = die
        send_due()
        die()
    finally:
        os._exit(1)
