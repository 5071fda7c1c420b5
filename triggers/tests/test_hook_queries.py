"""Each query that is written by hand gives what its queryset gives."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from clusters.models import Application, Registry
from clusters.tests.factories import RegistryFactory
from triggers import hook_queries
from triggers.hook.authentication import unseal
from triggers.hook_queries import (
    LOCK_APPLICATION,
    REGISTRY_FIELDS,
    TRIGGER_FIELDS,
    QueuedCall,
    QueueLength,
    count_queued_calls,
    find_linked_registry,
    find_linked_trigger,
    find_outcome_key,
    insert_call,
    list_queued_calls,
    lock_application,
)
from triggers.models import Action, CallState, Trigger, TriggerCall
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db
PARENT_FIELDS = (
    "application__name",
    "application__protected",
    "application__freeze_label",
    "application__cluster__uid",
    "application__cluster__name",
)


def columns_of(row):
    return {name: getattr(row, name) for name in row.__dict__ if not name.startswith("_")}


@pytest.fixture
def triggers():
    """Two applications, each with a redeploy and a scaling trigger, and calls of each in every state."""
    found = []
    for protected in (False, True):
        redeploy = TriggerFactory(application__protected=protected, enabled=not protected, tag_pattern="v.*")
        scaling = ScalingTriggerFactory(application=redeploy.application, cooldown_seconds=60)
        part = TriggerFactory(application=redeploy.application, service=scaling.service, post_only=True)
        found += [redeploy, scaling, part]
        scaling.rotate_secret(timedelta(hours=1))
        narrow = {"expires_at": timezone.now(), "calls_left": 3, "calls_a_minute": 9, "allowed_addresses": "192.0.2.1"}
        Trigger.objects.filter(pk=part.pk).update(**narrow, header_only=True)
        for trigger in (redeploy, scaling, part):
            for state in CallState:
                if state != CallState.RUNNING:
                    TriggerCallFactory(trigger=trigger, state=state, tag="v1" if trigger is redeploy else "")
        for action in (Action.STOP, Action.SCALING):
            own = {"trigger": None, "application": redeploy.application, "service": None}
            TriggerCallFactory(**own, action=action, state=CallState.QUEUED)
    return found


def test_the_trigger_of_a_link(triggers, django_assert_num_queries):
    rows = Trigger.objects.select_related("application__cluster").only(*TRIGGER_FIELDS, *PARENT_FIELDS)
    for trigger in triggers:
        expected = rows.get(public_id=trigger.public_id)
        found = find_linked_trigger(trigger.link_fields)
        assert unseal(found.__dict__.pop("sealed_old_secret")) == (trigger.old_secret or "")
        assert found.__dict__.pop("may_be_frozen") is False
        assert unseal(found.__dict__.pop("sealed_signature_key")) == (trigger.signature_key or "")
        assert columns_of(found) == columns_of(expected)
        assert columns_of(found.application) == columns_of(expected.application)
        assert columns_of(found.application.cluster) == columns_of(expected.application.cluster)
        flags = (found.enabled, found.post_only, found.header_only, found.application.protected)
        assert [type(flag) for flag in flags] == [bool] * 4
        with django_assert_num_queries(0):
            assert found.link_fields == expected.link_fields
    for wrong in ({"id": "0" * 13}, {"application": "other"}, {"action": "stop"}, {"cluster": "other"}):
        assert find_linked_trigger(replace(trigger.link_fields, **wrong)) is None


FULL = {
    "source_address": "2001:db8::1",
    "proof": "identity",
    "identity": {"repository": "team/app"},
    "took_one": True,
    "completed_at": timezone.now(),
    "message": "50 % of “it”",
    "request_id": "abc",
}


@pytest.mark.parametrize("values", [{}, FULL], ids=["short", "full"])
def test_a_stored_call_is_the_one_that_save_stores(triggers, values, django_assert_num_queries):
    trigger = triggers[1]
    own = {"trigger": trigger, "application_id": trigger.application_id, "service_id": trigger.service_id, "step": -3}
    ours, theirs = (
        TriggerCall(**own, action=Action.SCALING, source="hook", queued_at=timezone.now(), delivery_id=name, **values)
        for name in ("ours", "theirs")
    )
    with django_assert_num_queries(1):
        insert_call(ours)
    theirs.save(force_insert=True)
    ours.message += " Changed."
    ours.save(update_fields=["message"])  # it is known as stored
    stored = [columns_of(TriggerCall.objects.get(pk=call.pk)) for call in (ours, theirs)]
    own_columns = ("id", "queued_at", "delivery_id", "message")
    assert [stored[0].pop(name) for name in own_columns] == [ours.pk, ours.queued_at, "ours", ours.message]
    assert [stored[1].pop(name) for name in own_columns] == [theirs.pk, theirs.queued_at, "theirs", theirs.message]
    assert stored[0] == stored[1]


def test_the_queued_calls_of_an_application(triggers):
    for trigger in triggers:
        rows = TriggerCall.objects.filter(application=trigger.application, state=CallState.QUEUED)
        rows = rows.exclude(action=Action.SCALING).order_by("queued_at", "pk")
        columns = ("pk", "action", "service_id", "tag", "start_stopped", "returns_to", "during_freezes")
        expected = [
            QueuedCall(*values, bool(start), back, bool(free)) for *values, start, back, free in rows.values_list(*columns)
        ]
        assert list_queued_calls(trigger.application_id) == expected
        assert len(expected) == 3
    assert list_queued_calls(0) == []


@pytest.mark.parametrize("of_trigger", [True, False])
def test_the_lengths_of_the_queue(triggers, of_trigger):
    queued = TriggerCall.objects.filter(state=CallState.QUEUED)
    for trigger in triggers:
        own = queued.filter(application=trigger.application)
        wanted = queued.filter(trigger=trigger) if of_trigger else own.filter(trigger=None)
        expected = QueueLength(queued.count(), wanted.count(), own.exists())
        assert count_queued_calls(trigger.application_id, trigger.pk if of_trigger else None) == expected
    assert count_queued_calls(0, None) == QueueLength(queued.count(), 0, False)


def test_an_applications_lock(triggers, monkeypatch):
    if not connection.features.has_select_for_update:
        monkeypatch.setattr(connection.features, "has_select_for_update", True)
        monkeypatch.setattr(hook_queries, "LOCK_APPLICATION", LOCK_APPLICATION.removesuffix(" FOR UPDATE"))
    lock_application(triggers[0].application_id)
    with pytest.raises(Application.DoesNotExist):
        lock_application(0)


def test_what_opens_an_outcome_is_the_triggers():
    call, lone = TriggerCallFactory(), TriggerCallFactory()
    former = call.trigger.secret
    call.trigger.rotate_secret(timedelta(hours=1))
    TriggerCall.objects.filter(pk=lone.pk).update(trigger=None)
    found = find_outcome_key(call.pk)
    assert (found.public_id, found.secret, unseal(found.sealed_old_secret)) == (
        call.trigger.public_id,
        call.trigger.secret,
        former,
    )
    assert found.old_secret_ends_at == Trigger.objects.get(pk=call.trigger_id).old_secret_ends_at
    assert find_outcome_key(lone.pk) is None
    assert find_outcome_key(uuid.uuid4()) is None


def test_a_registry_is_found_by_its_key():
    registry = RegistryFactory(signing_secret="secret", aliases="other.example")
    wanted = Registry.objects.only(*REGISTRY_FIELDS).get(pk=registry.pk)
    assert columns_of(find_linked_registry(registry.hook_key)) == columns_of(wanted)
    assert find_linked_registry("unknown") is None


def test_a_repeated_delivery_is_found_by_its_index():
    call = TriggerCallFactory(trigger=TriggerFactory(), delivery_id="once")
    TriggerCallFactory(trigger=call.trigger, delivery_id="")
    assert hook_queries.find_call_id(call.trigger_id, "once") == call.pk
    assert hook_queries.find_call_id(call.trigger_id, "twice") is None
    assert hook_queries.find_call_id(call.trigger_id, "") is None
    assert hook_queries.find_call_id(TriggerFactory().pk, "once") is None
    if connection.vendor == "sqlite":  # PostgreSQL reads a table of few rows whole
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {hook_queries.FIND_DELIVERY}", [call.trigger_id, "once"])
            assert "one_call_a_delivery" in str(cursor.fetchall())
