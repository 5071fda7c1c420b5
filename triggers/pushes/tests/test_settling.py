"""Pushes become calls: the decision for each image, and repetitions."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Application
from clusters.tests.factories import ServiceFactory
from triggers.models import CallState, Delivery, DeliveryLine, Trigger, TriggerCall
from triggers.pushes.tests.messages import APP, NEW, NEWER, OLD, decisions, end_calls, make_trigger, message, push, send
from triggers.tests.factories import ScalingTriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_senders")]


class TestDecisions:
    @pytest.mark.parametrize(
        ("body", "trigger", "decision"),
        [
            (push(), {}, "triggered"),
            (push(digest=OLD), {}, "unchanged"),
            (push(tag="2"), {}, "tag"),
            (push(tag=""), {}, "tag"),
            (push(tag=NEW), {}, "tag"),
            (push(name="team/other"), {}, "image"),
            (push(name="10.1.1.1:5000/Team/App"), {}, "triggered"),
            (push(name="quay.io/team/app", sender="relay"), {}, "image"),
            (push(name="internal:5000/team/app", sender="relay"), {}, "triggered"),
            (push(), {"image": "internal:5000/team/app:1", "subscribed": "internal:5000/team/app"}, "triggered"),
            (push(), {"image": f"{APP}:1@{OLD}"}, "image"),
            (push(tag="2"), {"condition": "every"}, "triggered"),
            (push(name="a b"), {}, "unreadable"),
            (push(), {"enabled": False}, "rejected"),
            (push(), {"application__protected": True}, "rejected"),
            (message(), {}, None),
            (message(passed_over=["team/app was deleted."]), {}, "unsupported"),
        ],
    )
    def test_each_decision_is_answered_and_stored(self, client, registry, body, trigger, decision):
        row = make_trigger(**trigger)
        assert decisions(send(client, registry, body)) == ([decision] if decision else [])
        assert Delivery.objects.get().decision == (decision or "unsupported")
        called = row.calls.exclude(state=CallState.REJECTED).exists()
        assert called == (decision == "triggered")

    def test_text_from_a_sender_is_shortened_and_cleaned(self, client, registry):
        long = "\0\ud800\n" + "x" * 3000
        body = message(
            (long, long, "a" * 200 + ":" + "1" * 64), ("team/app", "1", long), event=long, id=long, passed_over=[long]
        )
        assert decisions(send(client, registry, body)) == ["unreadable", "image", "unsupported"]
        delivery = Delivery.objects.get()
        for row in (delivery, *delivery.lines.all()):
            row.full_clean(exclude=["registry"])
            for name in ("event", "delivery_id", "body", "message", "image", "tag", "digest"):
                assert "\0" not in str(getattr(row, name, ""))

    def test_after_a_cool_down_or_a_full_queue_a_later_message_counts(self, client, registry, settings):
        trigger = make_trigger(cooldown_seconds=60)
        assert decisions(send(client, registry, push(id="d"))) == ["triggered"]
        end_calls()
        TriggerCall.objects.update(completed_at=timezone.now() - timedelta(minutes=1))
        assert decisions(send(client, registry, push(digest=NEWER, id="e"))) == ["rejected"]
        Trigger.objects.update(cooldown_seconds=0)
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 0
        assert decisions(send(client, registry, push(digest=NEWER, id="e"))) == ["rejected"]
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 9
        assert decisions(send(client, registry, push(digest=NEWER, id="e"))) == ["triggered"]
        assert trigger.calls.filter(state=CallState.QUEUED).count() == 1

    def test_every_matching_trigger_has_a_line(self, client, registry):
        triggers = [make_trigger(), make_trigger(digest=NEW), make_trigger(image=f"{APP}:2")]
        ScalingTriggerFactory(application=triggers[2].application)
        response = send(client, registry, push())
        assert decisions(response) == ["triggered", "unchanged", "tag"]
        assert list(DeliveryLine.objects.values_list("trigger", flat=True)) == [trigger.pk for trigger in triggers]
        assert Delivery.objects.get().decision == "triggered"

    def test_a_trigger_of_one_service_follows_only_its_images(self, client, registry):
        trigger = make_trigger()
        other = ServiceFactory(application=trigger.application, image=f"{APP}:2")
        Trigger.objects.update(service=other)
        assert decisions(send(client, registry, message(("team/app", "1", NEW), ("team/app", "2", NEW)))) == [
            "tag",
            "triggered",
        ]
        assert trigger.calls.get().service == other

    def test_an_absent_service_runs_nothing(self, client, registry):
        trigger = make_trigger()
        trigger.application.services.update(status=Application.Status.ABSENT)
        assert decisions(send(client, registry, push())) == ["image"]

    def test_an_allowed_tag_is_set_for_the_services_of_that_repository(self, client, registry):
        trigger = make_trigger(condition="every", tag_pattern="[0-9]+")
        other = ServiceFactory(application=trigger.application, image="postgres:16")
        assert decisions(send(client, registry, push(tag="2"))) == ["triggered"]
        call = trigger.calls.get()
        assert (call.tag, call.service.image) == ("2", f"{APP}:1")
        other.delete()
        assert decisions(send(client, registry, push(tag="3"))) == ["triggered"]
        assert set(trigger.calls.values_list("tag", "service__image")) == {("2", f"{APP}:1"), ("3", None)}


class TestRepetitions:
    def test_the_same_delivery_id_is_a_repetition_even_after_the_call_has_ended(self, client, registry):
        trigger = make_trigger()
        for _ in range(3):
            send(client, registry, push(digest="", id="d-1"))
            end_calls()
        assert list(Delivery.objects.order_by("received_at").values_list("decision", flat=True)) == [
            "triggered",
            "duplicate",
            "duplicate",
        ]
        assert set(DeliveryLine.objects.values_list("call", flat=True)) == {trigger.calls.get().pk}

    def test_an_equal_body_with_a_digest_is_a_repetition_for_ten_minutes(self, client, registry):
        make_trigger()
        assert decisions(send(client, registry, push())) == ["triggered"]
        end_calls()
        assert decisions(send(client, registry, push())) == ["duplicate"]
        Delivery.objects.update(received_at=timezone.now() - timedelta(minutes=11))
        assert decisions(send(client, registry, push())) == ["triggered"]

    def test_a_push_is_a_repetition_while_its_call_is_queued_or_running(self, client, registry):
        make_trigger()
        assert decisions(send(client, registry, push(n=1))) == ["triggered"]
        assert decisions(send(client, registry, push(n=2))) == ["duplicate"]
        TriggerCall.objects.update(state=CallState.RUNNING)
        assert decisions(send(client, registry, push(n=3))) == ["duplicate"]
        end_calls(CallState.FAILED)
        assert decisions(send(client, registry, push(n=4))) == ["triggered"]

    def test_a_push_without_a_digest_is_new_once_the_call_runs(self, client, registry):
        make_trigger()
        assert decisions(send(client, registry, push(digest=""))) == ["triggered"]
        assert decisions(send(client, registry, push(digest=""))) == ["duplicate"]
        TriggerCall.objects.update(state=CallState.RUNNING)
        assert decisions(send(client, registry, push(digest=""))) == ["triggered"]

    def test_an_earlier_digest_that_is_pushed_again_is_new(self, client, registry):
        trigger = make_trigger()
        for digest in (NEW, NEWER, NEW):
            assert decisions(send(client, registry, push(digest=digest))) == ["triggered"]
            end_calls()
        assert trigger.calls.count() == 3

    def test_the_running_digest_does_not_count_while_a_redeploy_changes_it(self, client, registry):
        trigger = make_trigger()
        assert decisions(send(client, registry, push())) == ["triggered"]
        TriggerCall.objects.update(state=CallState.RUNNING)
        assert decisions(send(client, registry, push(digest=OLD))) == ["triggered"]
        TriggerCall.objects.update(state=CallState.SUCCEEDED, completed_at=timezone.now())
        assert decisions(send(client, registry, push(digest=OLD, n=2))) == ["triggered"]  # not seen by the inventory yet
        end_calls()
        trigger.application.cluster.__class__.objects.update(synced_at=timezone.now())
        assert decisions(send(client, registry, push(digest=OLD, n=3))) == ["unchanged"]

    def test_a_multi_arch_push_of_many_events_is_one_call(self, client, registry):
        trigger = make_trigger()
        parts = [push(tag="", digest=f"sha256:{number:064x}", id=f"p{number}") for number in range(6)]
        index = push(id="index")
        for body in (*parts[:3], index, *parts[3:], index, push(id="again")):
            send(client, registry, body)
        assert trigger.calls.count() == 1
        whole = [("team/app", "", f"sha256:{number:064x}") for number in range(4)] + [("team/app", "1", NEWER)] * 3
        assert sorted(decisions(send(client, registry, message(*whole)))) == ["tag"] * 4 + ["triggered"]

    def test_twenty_pushes_are_at_most_one_waiting_call_beside_the_running_one(self, client, registry):
        trigger = make_trigger()
        for number in range(20):
            assert decisions(send(client, registry, push(digest=f"sha256:{number + 100:064x}"))) == ["triggered"]
            if not number:
                TriggerCall.objects.update(state=CallState.RUNNING)
        states = list(trigger.calls.order_by("queued_at").values_list("state", flat=True))
        assert states == ["running", "queued", *["coalesced"] * 18]

    def test_only_the_first_hundred_images_of_a_message_count(self, client, registry):
        pushes = [(f"team/app{number}", "1", NEW) for number in range(150)]
        found = decisions(send(client, registry, message(*pushes)))
        assert (found.count("image"), found.count("unsupported")) == (100, 1)
