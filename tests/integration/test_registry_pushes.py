"""A real Distribution registry that reports its pushes, and is polled."""

import pytest

from clusters.models import Registry
from clusters.tests.factories import ServiceFactory
from tests.harness.eventually import eventually
from tests.harness.registry import run_registry
from triggers.calls import nudges
from triggers.models import Delivery, DeliveryLine, ImageSubscription
from triggers.pushes.polling import poll_subscriptions
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db(transaction=True)


def poll(subscription):
    ImageSubscription.objects.update(poll_due_at=None)
    poll_subscriptions()
    subscription.refresh_from_db()


def test_pushes_call_once_and_polling_recovers_from_an_outage(live_server, tmp_path, monkeypatch):
    monkeypatch.setattr(nudges, "publish_nudge", lambda application_id: None)
    registry = Registry(plain_http=True)
    link = f"{live_server.url}/hook/registry/{registry.hook_token}"
    notify = {"name": "windlass", "url": link, "timeout": "5s", "threshold": 3, "backoff": "1s"}
    with run_registry(tmp_path, notify=[notify]) as real:
        registry.host = real.host
        registry.save()
        trigger = TriggerFactory()
        ServiceFactory(application=trigger.application, image=f"{real.host}/team/app:1")
        subscription = ImageSubscription.objects.create(trigger=trigger, repository=f"{real.host}/team/app", poll_seconds=60)

        digests = [real.put_image("team/app", "1", b"%d" % number) for number in range(5)]
        other = real.put_image("team/app", "2", b"other")
        eventually(lambda: DeliveryLine.objects.filter(digest=other).exists(), within=20, what="the last push is received")
        lines = DeliveryLine.objects.filter(decision="triggered").order_by("pk").values_list("digest", flat=True)
        assert list(lines) == digests
        assert DeliveryLine.objects.get(digest=other).decision == "tag"
        assert sorted(trigger.calls.values_list("state", flat=True)) == [*["coalesced"] * 4, "queued"]

        poll(subscription)
        assert subscription.polled["1"]["digest"] == digests[-1]
        assert Delivery.objects.get(source="poll").decision == "duplicate"
        real.stop()
        poll(subscription)
        registry.refresh_from_db()
        assert subscription.poll_problem == registry.problem != ""
        assert subscription.polled["1"]["digest"] == digests[-1]
        real.start()
        newest = real.put_image("team/app", "1", b"newest")
        poll(subscription)
        registry.refresh_from_db()
        assert (subscription.polled["1"]["digest"], subscription.poll_problem, registry.problem) == (newest, "", "")
