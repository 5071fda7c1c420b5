import pytest
from django.db import connection

from clusters.tests.factories import ApplicationFactory, ClusterFactory
from triggers.models import News, Notification, NotificationChannel, NotificationDelivery
from triggers.notifications.outbox import ChannelOff, record_news, send_again, send_test, turn_off, turn_on
from triggers.tests.factories import NotificationChannelFactory, NotificationRuleFactory

pytestmark = pytest.mark.django_db


def told(notification):
    return {each.channel for each in notification.deliveries.all()} if notification else set()


def test_news_go_to_the_rules_of_their_place():
    cluster = ClusterFactory()
    application, other = ApplicationFactory(cluster=cluster), ApplicationFactory(cluster=cluster)
    places = {
        "all": {},
        "cluster": {"cluster": cluster},
        "application": {"application": application},
        "other": {"application": other},
    }
    rules = {name: NotificationRuleFactory(news=News.CRASHING, **place).channel for name, place in places.items()}
    NotificationRuleFactory(news=News.FAILED)
    found = told(record_news(News.CRASHING, application=application))
    assert found == {rules["all"], rules["cluster"], rules["application"]}
    assert told(record_news(News.CRASHING, cluster=cluster)) == {rules["all"], rules["cluster"]}
    assert told(record_news(News.CRASHING, subject="registry.example.com")) == {rules["all"]}
    assert record_news(News.OVER_MOST, application=application) is None


def test_equal_news_are_of_one_kind_place_and_subject():
    NotificationRuleFactory(news=News.REGISTRY_AWAY)
    NotificationRuleFactory(news=News.CLUSTER_AWAY)
    cluster, application = ClusterFactory(pk=7), ApplicationFactory(pk=7)
    first, equal, other = (record_news(News.REGISTRY_AWAY, subject=subject) for subject in "aab")
    away = record_news(News.CLUSTER_AWAY, cluster=cluster)
    inside = record_news(News.CLUSTER_AWAY, application=application)
    assert first.group == equal.group
    assert len({each.group for each in (first, other, away, inside)}) == 4
    assert (first.facts["subject"], first.facts["cluster"]) == ("a", None)


def test_facts_that_no_database_takes_are_cleaned():
    NotificationRuleFactory()
    notification = record_news(News.FAILED, facts={"sentence": "a\0b\ud800", "more": ["\0", {"x": "y" * 9000}], "n": 3})
    notification.refresh_from_db()
    assert (notification.facts["sentence"], notification.facts["n"]) == ("ab?", 3)
    assert len(notification.facts["more"][1]["x"]) == 4000


def test_a_configuration_is_encrypted():
    channel = NotificationChannelFactory(values={"url": "https://hooks.example.com/secret"})
    assert NotificationChannel.objects.get().values == {"url": "https://hooks.example.com/secret"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT configuration FROM triggers_notificationchannel")
        assert "secret" not in cursor.fetchone()[0]
    NotificationChannel.objects.filter(pk=channel.pk).update(configuration="no JSON")
    assert NotificationChannel.objects.get().values == {}


def test_a_test_goes_over_its_channel_alone_each_time():
    NotificationRuleFactory()
    channel = NotificationChannelFactory()
    first, second = send_test(channel, "ann"), send_test(channel, "ann")
    assert {first.channel, second.channel} == {channel}
    assert first.notification.group != second.notification.group
    assert "subject" not in first.notification.facts


def test_a_channel_is_turned_off_and_on():
    channel = NotificationRuleFactory().channel
    record_news(News.FAILED)
    turn_off(channel)
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.problem, channel.off_reason) == ("dropped", "The channel was turned off.", "")
    assert record_news(News.FAILED) is None
    with pytest.raises(ChannelOff, match="turned off"):
        send_again(delivery)
    turn_on(channel)
    assert (channel.enabled, channel.off_at) == (True, None)
    assert send_again(delivery).status == "waiting"
    assert Notification.objects.count() == 1


def test_a_joined_delivery_is_sent_again_as_the_message_it_is_in():
    channel = NotificationRuleFactory().channel
    record_news(News.FAILED)
    record_news(News.FAILED)
    first, lead = channel.deliveries.order_by("pk")
    NotificationDelivery.objects.filter(pk=lead.pk).update(status="failed")
    NotificationDelivery.objects.filter(pk=first.pk).update(status="joined", joined_into=lead)
    assert send_again(first) == lead
    assert set(channel.deliveries.values_list("pk", "status")) == {(first.pk, "joined"), (lead.pk, "waiting")}
