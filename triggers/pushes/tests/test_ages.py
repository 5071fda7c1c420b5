"""The least age of images, with a registry and a clock that the tests control."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.engine.errors import PlanRefused
from clusters.models import Registry, Service
from clusters.registry.errors import RegistryError
from triggers.models import AwaitedImage, CallState, Decision, Delivery, DeliveryLine, SeenImage, TriggerCall
from triggers.payloads.payload import Payload, Push
from triggers.pushes import ages, looks
from triggers.pushes.ages import KEPT, check_age, prune_seen_images
from triggers.pushes.looks import GIVEN_UP, look_for_awaited_images
from triggers.pushes.polling import poll_subscriptions
from triggers.pushes.settling import settle_pushes
from triggers.pushes.tests.test_polling import APP, HOST, NEW, NEWER, OLD, poll, subscribe
from triggers.pushes.tests.test_polling import clock as clock
from triggers.pushes.tests.test_polling import registry as polled_registry
from triggers.reasons import Reason
from triggers.run import runner
from triggers.tests.factories import FreezeWindowFactory, TriggerFactory

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
first_registry = polled_registry


@pytest.fixture
def registry(first_registry, monkeypatch):
    monkeypatch.setattr(ages, "RegistryClient", first_registry.client)
    monkeypatch.setattr(ages, "find_registry", lambda name: Registry.objects.filter(host=name.partition("/")[0]).first())
    monkeypatch.setattr(ages, "open_access", lambda stored: stored.access)
    return first_registry


def follow(hours=24, seconds=0, **more):
    subscription = subscribe(seconds=seconds, **more)
    subscription.least_age_hours = hours
    subscription.save()
    return subscription


def push(subscription, digest=NEW, tag="1"):
    """Receive a message at the trigger's own link."""
    delivery = Delivery(received_at=timezone.now(), source=Delivery.Source.TRIGGER, trigger=subscription.trigger)
    payload = Payload(sender="generic", event="push", pushes=(Push(APP, tag, digest),))
    return settle_pushes(delivery, payload, None, subscription.trigger)


def look(clock, seconds=0):
    clock.advance(seconds)
    return look_for_awaited_images()


def test_a_push_is_taken_when_it_is_old_enough_also_without_polling(registry, clock):
    subscription = follow()
    registry.tags["1"] = NEW
    began = clock.now
    receipt = push(subscription)
    assert receipt.delivery.decision == Decision.YOUNG
    assert receipt.delivery.message.startswith("Too young: images are taken 24 h after Windlass first saw them.")
    assert look(clock, 5) == 1  # the message makes it look at once
    assert SeenImage.objects.get().first_seen_at == began + timedelta(seconds=5)
    for _ in range(24):
        assert not TriggerCall.objects.exists()
        look(clock, 3600)
    call = TriggerCall.objects.get()
    assert (call.state, call.source, call.trigger) == (CallState.QUEUED, "poll", subscription.trigger)
    assert call.judged_image == {"repository": APP, "tag": "1", "digest": NEW, "hours": 24.0}
    assert not AwaitedImage.objects.exists()
    decisions = list(Delivery.objects.order_by("received_at").values_list("decision", flat=True))
    assert decisions == [Decision.YOUNG, Decision.TRIGGERED]  # the looks between left none


def test_a_message_that_announces_a_digest_makes_it_no_older(registry, clock):
    """Whoever may call the link could announce what they publish a day later."""
    subscription = follow()
    push(subscription, NEW)
    look(clock, 5)  # the tag still has what runs, so there is nothing to wait for
    assert not AwaitedImage.objects.exists()
    assert not SeenImage.objects.filter(digest=NEW).exists()
    clock.advance(2 * DAY.total_seconds())
    registry.tags["1"] = NEW
    push(subscription, NEW)
    look(clock, 5)
    assert not TriggerCall.objects.exists()
    assert look(clock, 3600) == 1


def test_a_message_about_an_old_digest_takes_what_the_tag_has(registry, clock):
    subscription = follow()
    SeenImage.objects.create(repository=APP, digest=NEW, first_seen_at=clock.now - 2 * DAY)
    registry.tags["1"] = NEWER
    receipt = push(subscription, NEW)
    assert "The registry is asked whether" in receipt.delivery.message
    look(clock)
    assert not TriggerCall.objects.exists()
    registry.tags["1"] = NEW
    look(clock, 3600)
    assert TriggerCall.objects.get().judged_image["digest"] == NEW


def test_a_tag_that_moves_on_begins_to_wait_anew(registry, clock):
    subscription = follow()
    registry.tags["1"] = NEW
    push(subscription)
    look(clock)
    for _ in range(20):
        look(clock, 3600)
    registry.tags["1"] = NEWER
    for _ in range(23):
        look(clock, 3600)
    assert not TriggerCall.objects.exists()
    assert [line.digest for line in DeliveryLine.objects.filter(decision=Decision.YOUNG).order_by("pk")] == [NEW, NEWER]
    look(clock, 3600)
    look(clock, 3600)
    assert TriggerCall.objects.get().judged_image["digest"] == NEWER


def test_polling_waits_too_and_says_so_once(registry, clock):
    subscription = follow(seconds=60)
    poll_subscriptions()
    registry.tags["1"] = NEW
    for _ in range(3):
        poll(clock)
    assert [line.decision for line in DeliveryLine.objects.all()] == [Decision.YOUNG]
    clock.advance(DAY.total_seconds())
    look(clock)
    assert subscription.trigger.calls.count() == 1
    poll(clock)
    assert subscription.trigger.calls.count() == 1


def test_a_label_asks_for_an_age_and_the_greatest_counts(registry, clock):
    subscription = follow(hours=1)
    Service.objects.update(least_age_label="2h")
    registry.tags["1"] = NEW
    push(subscription)
    look(clock)
    look(clock, 3601)
    assert not TriggerCall.objects.exists()
    look(clock, 3601)
    assert TriggerCall.objects.exists()


def test_a_label_counts_for_a_trigger_that_follows_what_runs(registry, clock):
    subscription = follow(hours=0)
    Service.objects.update(least_age_label="1h")
    trigger = subscription.trigger
    push(subscription)
    AwaitedImage.objects.all().delete()
    subscription.delete()
    registry.tags["1"] = NEW
    subscription.trigger = trigger
    assert push(subscription).delivery.decision == Decision.YOUNG
    look(clock)
    look(clock, 3601)
    assert trigger.calls.count() == 1


def test_a_label_that_cannot_be_read_lets_nothing_pass(registry, clock):
    subscription = follow(hours=0)
    Service.objects.update(least_age_label="one day")
    registry.tags["1"] = NEW
    receipt = push(subscription)
    assert "The label windlass.least-age cannot be read, so no image is taken: 'one day' is no age" in receipt.delivery.message
    look(clock)
    look(clock, 3601)
    assert not TriggerCall.objects.exists()
    Service.objects.update(least_age_label="1h")
    look(clock, 3601)
    assert TriggerCall.objects.exists()


def test_a_tag_that_the_trigger_does_not_follow_is_not_awaited(registry, clock):
    subscription = follow()
    assert push(subscription, tag="2").delivery.decision == Decision.TAG
    assert not AwaitedImage.objects.exists()


def test_a_new_tag_is_awaited_by_its_name(registry, clock):
    subscription = follow(condition="every", tag_pattern="v.*")
    registry.tags["v2"] = NEW
    push(subscription, tag="v2")
    look(clock)
    clock.advance(DAY.total_seconds())
    look(clock)
    assert TriggerCall.objects.get().tag == "v2"


def test_a_registry_that_does_not_answer_is_asked_again_ever_more_rarely(registry, clock):
    registry.tags["1"] = RegistryError("It does not answer.", "unreachable")
    push(follow())
    waits = []
    for _ in range(9):
        clock.now = AwaitedImage.objects.get().look_at
        look(clock)
        waits.append((AwaitedImage.objects.get().look_at - clock.now) / timedelta(minutes=1))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    awaited = AwaitedImage.objects.get()
    assert (awaited.failures, awaited.problem) == (9, "It does not answer.")
    registry.tags["1"] = NEW
    look(clock, 3600)
    assert AwaitedImage.objects.get().failures == 0


def test_an_image_that_cannot_be_found_is_forgotten_in_the_end(registry, clock):
    del registry.tags["1"]
    push(follow())
    AwaitedImage.objects.update(created_at=clock.now)
    look(clock, (GIVEN_UP + 25 * HOUR).total_seconds())
    assert not AwaitedImage.objects.exists()


def test_a_trigger_that_takes_no_calls_is_asked_later(registry, clock):
    subscription = follow(hours=1)
    registry.tags["1"] = NEW
    push(subscription)
    look(clock)
    subscription.trigger.enabled = False
    subscription.trigger.save()
    look(clock, 3601)
    assert AwaitedImage.objects.exists()
    subscription.trigger.enabled = True
    subscription.trigger.save()
    window = {"starts_at": clock.now, "ends_at": clock.now + HOUR, "behaviour": "refuse"}
    FreezeWindowFactory(application=subscription.trigger.application, **window)
    look(clock, 600)
    assert not TriggerCall.objects.exists()
    look(clock, 3600)
    assert TriggerCall.objects.get().state == CallState.QUEUED


def test_a_look_is_made_by_one_watcher(registry, clock):
    push(follow())
    awaited = AwaitedImage.objects.get()
    assert looks.claim_look(AwaitedImage.objects.get()) is True
    assert looks.claim_look(awaited) is False


def test_the_subscription_that_is_gone_ends_the_wait(registry, clock):
    subscription = follow()
    registry.tags["1"] = NEW
    push(subscription)
    Service.objects.all().delete()
    subscription.delete()
    look(clock)
    assert not AwaitedImage.objects.exists()


@pytest.fixture
def judged(registry, clock):
    subscription = follow()
    registry.tags["1"] = NEW
    push(subscription)
    look(clock)
    look(clock, DAY.total_seconds())
    return TriggerCall.objects.select_related("trigger").get()


def test_the_image_that_was_judged_is_run(judged):
    check_age(judged)
    check_age(TriggerCall(judged_image=None))


def test_a_younger_image_that_came_meanwhile_is_not_run(judged, registry, clock):
    registry.tags["1"] = NEWER
    with pytest.raises(PlanRefused) as refused:
        check_age(judged)
    assert refused.value.code == Reason.TOO_YOUNG
    assert refused.value.message.startswith("1 has got another image meanwhile. Too young")
    assert AwaitedImage.objects.get().digest == NEWER
    judged.plan = "has begun"
    check_age(judged)


def test_another_image_that_is_old_enough_is_run(judged, registry, clock):
    SeenImage.objects.create(repository=APP, digest=OLD[:-1] + "9", first_seen_at=clock.now - 2 * DAY)
    registry.tags["1"] = OLD[:-1] + "9"
    check_age(judged)


def test_an_image_whose_age_cannot_be_found_out_is_not_run(judged, registry):
    registry.tags["1"] = RegistryError("It does not answer.", "unreachable")
    with pytest.raises(PlanRefused, match="Whether 1 is old enough cannot be found out: It does not answer."):
        check_age(judged)


def test_a_worker_ends_such_a_call_untouched(judged, registry, driver, clock):
    registry.tags["1"] = NEWER
    runner.run_next_call(judged.application_id)
    judged.refresh_from_db()
    assert (judged.state, judged.reason) == (CallState.FAILED, "too_young")
    assert judged.message.endswith("Nothing was touched.")


def test_what_was_seen_long_ago_is_forgotten(clock):
    for number, age in enumerate((KEPT + DAY, KEPT - DAY)):
        SeenImage.objects.create(repository=APP, digest=f"{number}", first_seen_at=clock.now - age)
    assert prune_seen_images() == 1
    assert SeenImage.objects.get().digest == "1"


def test_without_an_age_nothing_is_kept(registry, clock):
    subscription = follow(hours=0)
    assert push(subscription).delivery.decision == Decision.TRIGGERED
    assert TriggerCall.objects.get().judged_image is None
    assert not SeenImage.objects.exists()
    assert TriggerFactory().awaited_images.count() == 0
    assert HOST in APP
