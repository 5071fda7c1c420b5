import pytest
from django.urls import reverse
from django.utils import timezone

from clusters.tests.factories import ApplicationFactory
from triggers.models import CallState, News, NotificationDelivery
from triggers.notifications.messages import clean_line, compose_message, write_title
from triggers.notifications.outbox import record_news
from triggers.tests.factories import NotificationRuleFactory, TriggerCallFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    NotificationRuleFactory()
    return ApplicationFactory(name="shop", cluster__name="prod")


def make_call(application, **more):
    return TriggerCallFactory(trigger__application=application, **{"state": CallState.FAILED, "message": "It crashed."} | more)


def compose(notification):
    return compose_message(NotificationDelivery.objects.get(notification=notification))


def test_a_message_about_a_call_for_people(application, settings):
    settings.PUBLIC_URL = "https://console.example.com"
    failure = {"container": "web-1", "image": "shop:2", "imageId": "", "firstErrorLine": "no such table\nx", "failed": 1}
    call = make_call(application, failure=failure, before={"services": {"web": {"image": "shop:1"}}})
    message = compose(record_news(News.FAILED, call=call))
    assert message.title == "shop on prod: redeploy failed"
    *lines, time, url = message.text.splitlines()
    assert lines == ["It crashed.", "First error line: no such table x", "Image tried: shop:2 (before: shop:1)"]
    assert time == f"Time: {timezone.now():%Y-%m-%d %H:%M}{time[-7:]}"
    assert url == f"https://console.example.com{reverse('call', args=[call.pk])}"
    assert (message.level, message.url) == ("failure", url)


def test_a_digest_counts_equal_news_and_leads_to_the_activity(application, settings):
    settings.PUBLIC_URL = "https://console.example.com"
    crashed = [record_news(News.FAILED, call=make_call(application)) for _ in range(3)]
    last = record_news(News.FAILED, call=make_call(ApplicationFactory(name="blog", cluster=application.cluster)))
    lead = NotificationDelivery.objects.get(notification=last)
    NotificationDelivery.objects.filter(notification__in=crashed).update(joined_into=lead, status="joined")
    lead.count, lead.is_digest = 4, True
    message = compose_message(lead)
    assert message.title == "4 news"
    first, *lines, url = message.text.splitlines()
    assert first.startswith("Since ")
    assert lines == ["blog on prod: redeploy failed", "shop on prod: redeploy failed (3 times)"]
    assert url == f"https://console.example.com{reverse('activity')}"
    assert [each["url"] is not None for each in message.payload["news"]] == [True] * 4


def test_without_a_public_address_there_is_no_link(application):
    message = compose(record_news(News.FAILED, call=make_call(application)))
    assert message.url is None
    assert message.payload["url"] is None
    assert message.text.splitlines()[-1].startswith("Time: ")


@pytest.mark.parametrize(
    ("news", "state", "title"),
    [
        (News.FAILED, "rolled_back", "shop on prod: redeploy was rolled back"),
        (News.SUCCEEDED, "succeeded", "shop on prod: redeploy succeeded"),
        (News.WORKS_AGAIN, "succeeded", "shop on prod works again"),
        (News.QUEUE_FULL, "failed", "Too many calls wait for shop on prod"),
    ],
)
def test_titles(application, news, state, title):
    NotificationRuleFactory(news=news)
    assert write_title(record_news(news, call=make_call(application, state=state))) == title


@pytest.mark.parametrize("news", [news for news in News if news != News.TEST])
def test_every_news_has_a_title_with_its_subject(news):
    NotificationRuleFactory(news=news)
    title = write_title(record_news(news, subject="registry.example.com"))
    assert "{" not in title
    assert "registry.example.com" in title or news == News.SIGN_IN_LOCK


def test_what_steers_a_terminal_or_the_direction_of_text_is_removed(application):
    call = make_call(application, message="\x1b[31mred\u202egnp.exe\nnext")
    message = compose(record_news(News.FAILED, call=call))
    assert message.text.splitlines()[0] == "[31mred gnp.exe next"
    assert clean_line("x" * 500, 100) == "x" * 99 + "…"
