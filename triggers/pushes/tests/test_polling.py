"""Polling, with a registry and a clock that the tests control."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Application, Registry
from clusters.registry.client import PullLimit, TagState
from clusters.registry.errors import RegistryError
from clusters.tests.factories import ServiceFactory
from clusters.tests.pooled import pooled as pooled
from triggers.models import CallState, Delivery, ImageSubscription, Trigger, TriggerCall
from triggers.pushes import polling
from triggers.pushes.polling import poll_subscriptions
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db
HOST = "registry.example.com:5000"
APP = f"{HOST}/team/app"
OLD, NEW, NEWER = ("sha256:" + digit * 64 for digit in "123")


@dataclass
class FakeRegistry:
    """A registry. `tags` maps a tag to its digest or to the error that it raises. `asked` has (host, user, path, tag, etag) of
    each request."""

    tags: dict = field(default_factory=lambda: {"1": OLD})
    asked: list = field(default_factory=list)
    limit: PullLimit | None = None
    etags: bool = True
    kinds: dict = field(default_factory=dict)  # the media types of a digest

    def client(self, access, timeout=10.0):
        self.access = access
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read_media_types(self, path, digest):
        found = self.kinds.get(digest, ())
        if isinstance(found, RegistryError):
            raise found
        return found

    def read_tag(self, path, tag, etag=""):
        self.asked.append((self.access.host, self.access.username, path, tag, etag))
        found = self.tags.get(tag, RegistryError(f"{path}:{tag} is not there.", "not_found"))
        if isinstance(found, RegistryError):
            raise found
        own = f"e-{found}" if self.etags else ""
        return TagState("" if own and own == etag else found, own, self.limit)


class Clock:
    def __init__(self):
        self.now = timezone.now()

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock)
    return clock


@pytest.fixture
def registry(monkeypatch, published, clock):
    fake = FakeRegistry()
    monkeypatch.setattr(polling, "RegistryClient", fake.client)
    monkeypatch.setattr(polling, "find_registry", lambda name: Registry.objects.filter(host=name.partition("/")[0]).first())
    monkeypatch.setattr(polling, "open_access", lambda stored: stored.access)
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    return fake


def subscribe(image=f"{APP}:1", digest=OLD, repository=APP, seconds=60, condition="service_tag", tags=(), **fields):
    trigger = TriggerFactory(**fields)
    ServiceFactory(application=trigger.application, image=image, image_digests=[f"x@{digest}"])
    return ImageSubscription.objects.create(
        trigger=trigger, repository=repository, poll_seconds=seconds, condition=condition, tags=list(tags)
    )


def poll(clock, seconds=60):
    clock.advance(seconds)
    return poll_subscriptions()


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_registry_is_waited_for(pooled, registry, monkeypatch):
    subscribe(condition="tags", tags=("1", "2"))
    registry.tags |= {"1": NEW, "2": NEW}
    held = []
    ask = registry.read_tag
    monkeypatch.setattr(registry, "read_tag", lambda *arguments: held.append(pooled()) or ask(*arguments))
    poll_subscriptions()
    assert held == [False, False]


class TestSideProducts:
    def test_a_listed_tag_that_becomes_a_chart_is_no_new_version(self, registry, clock):
        subscription = subscribe(condition="tags", tags=("1", "chart"))
        registry.tags["chart"] = NEW
        registry.kinds[NEW] = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.cncf.helm.config.v1+json")
        assert [poll_subscriptions(), poll(clock, 3600)] == [1, 1]
        assert subscription.trigger.calls.count() == 0
        registry.tags["chart"] = NEWER
        poll(clock, 3600)
        assert subscription.trigger.calls.count() == 1

    @pytest.mark.parametrize("answer", [(), ("application/vnd.oci.image.config.v1+json",), RegistryError("no", "forbidden")])
    def test_an_image_and_what_nobody_knows_is_one(self, registry, answer):
        subscription = subscribe(condition="tags", tags=("2",))
        registry.tags["2"], registry.kinds[NEW] = NEW, answer
        poll_subscriptions()
        assert subscription.trigger.calls.count() == 1


class TestDigests:
    def test_the_running_digest_calls_nothing_and_stores_nothing(self, registry):
        subscription = subscribe()
        assert poll_subscriptions() == 1
        assert not TriggerCall.objects.exists()
        assert not Delivery.objects.exists()
        subscription.refresh_from_db()
        assert subscription.polled == {"1": {"digest": OLD, "etag": f"e-{OLD}"}}
        assert (subscription.poll_problem, subscription.poll_failures) == ("", 0)

    def test_a_new_digest_is_one_call_and_one_delivery(self, registry, clock):
        subscription = subscribe()
        poll_subscriptions()
        registry.tags["1"] = NEW
        poll(clock)
        poll(clock)
        call, delivery = TriggerCall.objects.get(), Delivery.objects.get()
        assert (call.source, call.trigger_id) == ("poll", subscription.trigger_id)
        assert (delivery.source, delivery.decision, delivery.registry) == ("poll", "triggered", None)
        line = delivery.lines.get()
        assert (line.image, line.tag, line.digest, line.call) == (APP, "1", NEW, call)
        assert [entry[-1] for entry in registry.asked] == ["", f"e-{OLD}", f"e-{NEW}"]

    def test_the_first_poll_finds_an_earlier_push(self, registry):
        subscribe(digest=NEWER)
        poll_subscriptions()
        assert TriggerCall.objects.get().source == "poll"

    def test_a_digest_that_was_left_is_told_of_once_and_a_newer_one_is_taken(self, registry, clock):
        trigger = subscribe().trigger
        registry.tags["1"] = NEW
        name = trigger.application.services.get().name
        Application.objects.filter(pk=trigger.application_id).update(left_images={name: [NEW]})
        poll_subscriptions()
        poll(clock)
        assert (Delivery.objects.get().decision, TriggerCall.objects.count()) == ("left", 0)
        registry.tags["1"] = NEWER
        poll(clock)
        assert TriggerCall.objects.get().trigger == trigger

    def test_a_failed_call_is_not_retried_until_the_next_push(self, registry, clock):
        subscribe(digest=NEW)
        poll_subscriptions()
        TriggerCall.objects.update(state=CallState.ROLLED_BACK, completed_at=clock.now)
        poll(clock)
        assert TriggerCall.objects.count() == 1
        registry.tags["1"] = NEWER
        poll(clock)
        assert TriggerCall.objects.count() == 2

    @pytest.mark.parametrize("etags", [True, False])
    def test_a_digest_that_was_redeployed_meanwhile_calls_nothing(self, registry, clock, etags):
        registry.etags = etags
        subscription = subscribe()
        poll_subscriptions()
        registry.tags["1"] = NEW
        subscription.trigger.application.services.update(image_digests=[f"x@{NEW}"])
        poll(clock)
        poll(clock)
        assert not Delivery.objects.exists()

    def test_a_rejected_digest_is_new_again_after_the_cool_down(self, registry, clock):
        subscription = subscribe(cooldown_seconds=300)
        TriggerCall.objects.create(
            trigger=subscription.trigger, application=subscription.trigger.application, action="redeploy", source="hook",
            state=CallState.SUCCEEDED, queued_at=clock.now, completed_at=clock.now,
        )  # fmt: skip
        registry.tags["1"] = NEW
        poll(clock)
        assert Delivery.objects.get().decision == "rejected"
        assert poll(clock) == 0
        poll(clock, 300)
        assert TriggerCall.objects.filter(source="poll", state=CallState.QUEUED).count() == 1

    def test_every_listed_tag_is_polled(self, registry, clock):
        subscribe(condition="tags", tags=["1", "2"])
        registry.tags["2"] = NEW
        poll_subscriptions()
        assert [entry[3] for entry in registry.asked] == ["1", "2"]
        assert Delivery.objects.get().lines.get().tag == "2"

    def test_a_subscription_without_a_tag_to_poll_says_so(self, registry):
        subscription = subscribe(image="other:1")
        poll_subscriptions()
        subscription.refresh_from_db()
        assert "so none is polled" in subscription.poll_problem
        assert not registry.asked

    def test_only_triggers_that_could_be_called_are_polled(self, registry):
        subscribe(seconds=0)
        subscribe(enabled=False)
        subscribe(application__protected=True)
        assert poll_subscriptions() == 0


class TestAccess:
    def test_stored_credentials_are_used_and_the_rate_limit_is_kept(self, registry):
        stored = Registry.objects.create(host=HOST, username="ann", password="quill", problem="Was down.")
        subscribe(digest=NEW)
        registry.limit = PullLimit(100, 76, 21600)
        poll_subscriptions()
        assert registry.asked[0][:2] == (HOST, "ann")
        assert Delivery.objects.get().registry == stored
        stored.refresh_from_db()
        assert (stored.pull_limit, stored.problem) == (100, "")

    def test_a_registry_without_credentials_is_polled_anonymously(self, registry):
        subscribe()
        poll_subscriptions()
        assert registry.asked[0][:3] == (HOST, "", "team/app")


class TestIntervals:
    def test_each_subscription_has_its_own_interval(self, registry, clock):
        subscribe(), subscribe(seconds=600)
        assert [poll(clock, seconds) for seconds in (0, 59, 1, 60, 480)] == [2, 0, 1, 1, 2]

    def test_jitter_is_ten_per_cent_either_way(self, registry, clock, monkeypatch):
        asked = []
        monkeypatch.setattr(random, "uniform", lambda low, high: asked.append((low, high)) or high)
        subscription = subscribe(seconds=100)
        poll_subscriptions()
        subscription.refresh_from_db()
        assert set(asked) == {(0.9, 1.1)}
        assert (subscription.poll_due_at - clock.now).total_seconds() == pytest.approx(110)

    def test_a_change_of_the_subscription_during_a_poll_decides_when_the_next_is_due(self, registry, clock, monkeypatch):
        subscription = subscribe(seconds=600)
        asked_for = clock.now + timedelta(seconds=1)
        read = registry.read_tag
        change = ImageSubscription.objects.filter(pk=subscription.pk).update
        monkeypatch.setattr(registry, "read_tag", lambda *args: (change(poll_due_at=asked_for), read(*args))[1])
        poll_subscriptions()
        subscription.refresh_from_db()
        assert (subscription.poll_due_at, subscription.polled_at) == (asked_for, clock.now)

    def test_only_one_watcher_claims_a_subscription(self, registry):
        subscription = subscribe()
        first = polling.list_due(timezone.now())[0]
        assert polling.claim_subscription(first)
        assert not polling.claim_subscription(ImageSubscription(pk=subscription.pk, poll_seconds=60))
        assert poll_subscriptions() == 0


class TestFailures:
    @pytest.mark.parametrize(
        "code", ["unreachable", "timeout", "tls", "unauthorized", "server_error", "bad_answer", "not_found"]
    )
    def test_a_failure_is_shown_and_polling_recovers_by_itself(self, registry, clock, code):
        subscription = subscribe()
        registry.tags["1"] = RegistryError("It was no use.", code)
        poll_subscriptions()
        subscription.refresh_from_db()
        assert (subscription.poll_problem, subscription.poll_failures) == ("It was no use.", 1)
        registry.tags["1"] = NEW
        assert poll(clock, 119) == 0
        assert poll(clock, 1) == 1
        subscription.refresh_from_db()
        assert (subscription.poll_problem, subscription.poll_failures) == ("", 0)
        assert TriggerCall.objects.count() == 1

    def test_the_interval_doubles_up_to_an_hour(self, registry, clock):
        subscription = subscribe()
        registry.tags["1"] = RegistryError("Down.", "unreachable")
        waits = []
        for _ in range(8):
            poll_subscriptions()
            subscription.refresh_from_db()
            waits.append((subscription.poll_due_at - clock.now).total_seconds())
            clock.now = subscription.poll_due_at
        assert waits == [120, 240, 480, 960, 1920, 3600, 3600, 3600]

    def test_a_longer_interval_is_not_shortened(self, registry, clock):
        subscribe(seconds=86_400)
        registry.tags["1"] = RegistryError("Down.", "unreachable")
        poll_subscriptions()
        assert poll(clock, 86_400) == 1

    def test_retry_after_is_obeyed_for_the_whole_registry_up_to_a_limit(self, registry, clock):
        first, second = subscribe(), subscribe()
        elsewhere = subscribe(image="app:1", repository="docker.io/library/app")
        Registry.objects.create(host=HOST)
        limited = RegistryError("Rate limited.", "rate_limited", retry_after=900, limit=PullLimit(100, 0, 21600))
        registry.tags["1"] = limited
        poll_subscriptions()
        assert [entry[0] for entry in registry.asked] == [HOST, "docker.io"]
        for row in (first, second):
            row.refresh_from_db()
            assert row.poll_problem == "Rate limited."
            assert (row.poll_due_at - clock.now).total_seconds() == 900
        stored = Registry.objects.get()
        assert (stored.pull_limit, stored.problem) == (100, "Rate limited.")
        elsewhere.refresh_from_db()
        assert elsewhere.poll_failures == 1

    def test_a_missing_tag_does_not_stop_the_others(self, registry):
        subscription = subscribe(condition="tags", tags=["0", "1"], digest=NEW)
        poll_subscriptions()
        subscription.refresh_from_db()
        assert "team/app:0 is not there" in subscription.poll_problem
        assert TriggerCall.objects.count() == 1

    def test_a_trigger_can_be_deleted_during_a_poll(self, registry, monkeypatch):
        subscribe(digest=NEW)
        read = registry.read_tag
        monkeypatch.setattr(registry, "read_tag", lambda *args: (Trigger.objects.all().delete(), read(*args))[1])
        assert poll_subscriptions() == 1
        assert not Delivery.objects.exists()
