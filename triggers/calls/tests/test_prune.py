from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from triggers.calls.prune import prune_calls, prune_evidence
from triggers.models import CallEvidence, CallState, TriggerCall, TriggerCallEvent
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db


def test_old_calls_are_deleted_and_active_ones_stay(settings):
    settings.CALL_RETENTION_DAYS = 30
    old = timezone.now() - timedelta(days=31)
    live = TriggerCallFactory(queued_at=old)
    covered = TriggerCallFactory(trigger=live.trigger, state=CallState.COALESCED, coalesced_into=live, queued_at=old)
    young = TriggerCallFactory(state=CallState.FAILED)
    TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=old)
    assert prune_calls() == 1
    assert set(TriggerCall.objects.values_list("pk", flat=True)) == {live.pk, covered.pk, young.pk}


def test_many_calls_are_deleted_in_small_transactions_with_their_events(settings, monkeypatch):
    monkeypatch.setattr("clusters.batches.BATCH", 2)
    settings.CALL_RETENTION_DAYS = 30
    old = timezone.now() - timedelta(days=31)
    first = TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=old)
    gone = TriggerCallFactory.create_batch(4, trigger=first.trigger, state=CallState.FAILED, queued_at=old)
    TriggerCallEvent.objects.create(call=gone[0], time=old, operation="pull", text="")
    young = TriggerCallFactory(trigger=first.trigger, state=CallState.COALESCED, coalesced_into=first)
    with CaptureQueriesContext(connection) as queries:
        assert prune_calls() == 5
    assert not TriggerCallEvent.objects.exists()
    young.refresh_from_db()
    assert young.coalesced_into is None
    deletions = [one["sql"] for one in queries if one["sql"].startswith('DELETE FROM "triggers_triggercall"')]
    assert len(deletions) == 3


def test_active_calls_do_not_push_ended_ones_out(settings):
    settings.CALL_RETENTION_COUNT = 2
    ended = TriggerCallFactory.create_batch(2, state=CallState.SUCCEEDED, queued_at=timezone.now() - timedelta(hours=1))
    TriggerCallFactory.create_batch(3, trigger=ended[0].trigger)
    assert prune_calls() == 0


def test_the_count_is_kept_by_dropping_the_oldest(settings):
    settings.CALL_RETENTION_COUNT = 2
    ended = [
        TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=timezone.now() - timedelta(minutes=age)) for age in range(4)
    ]
    assert prune_calls() == 2
    assert set(TriggerCall.objects.values_list("pk", flat=True)) == {ended[0].pk, ended[1].pk}


def test_the_oldest_evidence_goes_first_and_its_call_stays(settings):
    settings.EVIDENCE_RETENTION_COUNT = 2
    call = TriggerCallFactory(state=CallState.FAILED)
    for number in range(4):
        CallEvidence.objects.create(call=call, part_id=str(number), name=f"web-{number}")
    assert prune_evidence() == 2
    assert list(call.evidence.values_list("name", flat=True)) == ["web-2", "web-3"]
    assert prune_evidence() == 0
    assert TriggerCall.objects.count() == 1
