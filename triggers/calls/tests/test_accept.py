import threading
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.utils import timezone

from triggers.calls import accept, nudges
from triggers.calls.accept import accept_call, take_turn
from triggers.calls.queue import QueueFull
from triggers.calls.requests import CallRequest
from triggers.models import Action, CallState, TriggerCall
from triggers.run.claim import claim_call
from triggers.tests.calling import request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db


class TestTurn:
    """Threads that write to SQLite take turns."""

    @pytest.fixture
    def sqlite(self, monkeypatch):
        features = SimpleNamespace(has_select_for_update=False)
        fake = SimpleNamespace(features=features, in_atomic_block=False, settings_dict={"OPTIONS": {"timeout": 0.01}})
        monkeypatch.setattr(accept, "connection", fake)

    def test_a_thread_waits_for_its_turn_no_longer_than_for_sqlite(self, sqlite):
        """Another process holds the write lock. Else the hundredth thread would wait a hundred times as long."""
        has_turn, is_over, refused = threading.Event(), threading.Event(), []

        def write():
            with take_turn():
                has_turn.set()
                assert is_over.wait(60)

        def wait():
            try:
                take_turn().__enter__()
            except OperationalError as error:
                refused.append(str(error))

        writer, waiter = threading.Thread(target=write, daemon=True), threading.Thread(target=wait, daemon=True)
        writer.start()
        assert has_turn.wait(10)
        waiter.start()
        waiter.join(10)
        assert refused == ["database is locked, and other calls wait for it"]
        is_over.set()
        writer.join(10)
        for _ in range(2):
            with take_turn():
                pass

    def test_an_error_ends_the_turn(self, sqlite):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), take_turn():
                raise ZeroDivisionError


class TestAccept:
    def test_a_call_is_committed_before_a_worker_is_nudged(self, published, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            call = accept_call(request_of(TriggerFactory()))
            assert published == []
        assert callbacks
        assert published == [call.application_id]
        assert TriggerCall.objects.get(pk=call.pk).state == CallState.QUEUED

    def test_an_equal_queued_redeploy_covers_a_new_one(self, published):
        trigger = TriggerFactory()
        first = accept_call(request_of(trigger))
        second = accept_call(request_of(trigger))
        assert (second.state, second.coalesced_into) == (CallState.COALESCED, first)
        assert second.completed_at

    def test_a_return_to_previous_images_covers_only_an_equal_one_and_is_covered_by_no_other(self, published):
        trigger, images = TriggerFactory(), {"web": {"reference": "app:1", "image_id": "sha256:1", "digests": []}}
        plain, returning = request_of(trigger), replace(request_of(trigger), returns_to=images)
        first, second, third, fourth = (accept_call(request) for request in (plain, returning, returning, plain))
        assert (first.coalesced_into, second.coalesced_into) == (None, None)
        assert (third.coalesced_into, fourth.coalesced_into) == (second, None)
        assert TriggerCall.objects.get(pk=second.pk).returns_to == images
        other = accept_call(replace(returning, returns_to={"web": {**images["web"], "image_id": "sha256:2"}}))
        assert other.coalesced_into is None

    def test_a_queued_redeploy_of_the_application_covers_one_of_its_services(self, published):
        scaling = ScalingTriggerFactory()
        whole = TriggerFactory(application=scaling.application)
        part = TriggerFactory(application=scaling.application, service=scaling.service)
        first = accept_call(request_of(whole))
        assert accept_call(request_of(part)).coalesced_into == first

    def test_a_queued_redeploy_of_a_service_does_not_cover_the_application(self, published):
        scaling = ScalingTriggerFactory()
        accept_call(request_of(TriggerFactory(application=scaling.application, service=scaling.service)))
        assert accept_call(request_of(TriggerFactory(application=scaling.application))).state == CallState.QUEUED

    def test_a_redeploy_requested_after_a_stop_is_not_covered_by_one_before_it(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        accept_call(replace(request_of(trigger), trigger=None, action=Action.STOP))
        after = accept_call(request_of(trigger))
        assert (after.state, after.coalesced_into) == (CallState.QUEUED, None)
        assert accept_call(request_of(trigger)).coalesced_into == after

    def test_a_running_redeploy_covers_nothing(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        claim_call(trigger.application_id, "worker")
        assert accept_call(request_of(trigger)).state == CallState.QUEUED

    def test_scaling_calls_are_never_dropped(self, published):
        trigger = ScalingTriggerFactory()
        assert {accept_call(request_of(trigger, step=1)).state for _ in range(5)} == {CallState.QUEUED}

    def test_a_disabled_trigger_rejects_and_records(self, published):
        call = accept_call(request_of(TriggerFactory(enabled=False)))
        assert (call.state, call.reason) == (CallState.REJECTED, "disabled")
        assert published == []

    def test_a_protected_application_rejects(self, published):
        call = accept_call(request_of(TriggerFactory(application__protected=True)))
        assert (call.state, call.reason) == (CallState.REJECTED, "protected")

    def test_a_protected_application_rejects_the_console_too(self, published):
        application = TriggerFactory(application__protected=True).application
        call = accept_call(
            CallRequest(source=TriggerCall.Source.CONSOLE, action=Action.REDEPLOY, application_id=application.pk)
        )
        assert (call.state, call.reason) == (CallState.REJECTED, "protected")

    def test_cool_down_counts_by_direction_and_not_from_rejected_calls(self, published):
        trigger = ScalingTriggerFactory(cooldown_seconds=60)
        assert accept_call(request_of(trigger, step=1)).state == CallState.QUEUED
        again = accept_call(request_of(trigger, step=1))
        assert (again.state, again.reason) == (CallState.REJECTED, "cooldown")
        assert accept_call(request_of(trigger, step=-1)).state == CallState.QUEUED
        TriggerCall.objects.filter(state=CallState.QUEUED).update(queued_at=timezone.now() - timedelta(seconds=61))
        assert accept_call(request_of(trigger, step=1)).state == CallState.QUEUED

    def test_a_repeated_delivery_gets_the_first_call(self, published):
        trigger = ScalingTriggerFactory()
        first = accept_call(request_of(trigger, step=1, delivery_id="d1"))
        assert accept_call(request_of(trigger, step=1, delivery_id="d1")).pk == first.pk
        assert accept_call(request_of(trigger, step=1, delivery_id="d2")).pk != first.pk
        assert accept_call(request_of(ScalingTriggerFactory(), step=1, delivery_id="d1")).pk != first.pk

    def test_a_full_queue_is_refused_and_records_nothing(self, published, settings):
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 2
        trigger = ScalingTriggerFactory()
        for _ in range(2):
            accept_call(request_of(trigger, step=1))
        with pytest.raises(QueueFull):
            accept_call(request_of(trigger, step=1))
        assert trigger.calls.count() == 2
        settings.HOOK_QUEUE_LIMIT = 2
        with pytest.raises(QueueFull):
            accept_call(request_of(ScalingTriggerFactory(), step=1))

    def test_a_broker_that_is_away_costs_no_call(self, monkeypatch, django_capture_on_commit_callbacks):
        def refuse(*args, **kwargs):
            raise OSError("no broker")

        monkeypatch.setattr(nudges.current_app, "send_task", refuse)
        with django_capture_on_commit_callbacks(execute=True):
            call = accept_call(request_of(TriggerFactory()))
        assert TriggerCall.objects.get(pk=call.pk).state == CallState.QUEUED
