"""Rejected calls leave few rows, and every answer is as before."""

from datetime import timedelta

import pytest
from django.test import Client

from clusters import meters
from clusters.batches import SurplusPruner
from clusters.tests.users import make_user
from triggers.calls.accept import accept_call
from triggers.calls.prune import surplus
from triggers.models import AlertGroup, CallState, Delivery, TriggerCall
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory
from triggers.tests.floods import FLOOD, NOON, Clock, count_bytes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_flood_at_a_disabled_trigger_leaves_one_row_a_minute(client, clock, caplog):
    parameters = link_parameters(TriggerFactory(enabled=False))
    meters.drain_counts()
    for number in range(FLOOD):
        response = client.post(PATH, b"x" * 100_000, "text/plain", query_params=parameters, headers={"User-Agent": "u" * 9000})
        assert (response.status_code, response.json()["reason"], response.json()["state"]) == (403, "disabled", "rejected")
        if number == FLOOD // 2:
            clock.move(minutes=1)
    first, second = TriggerCall.objects.order_by("queued_at")
    assert [first.repeated, second.repeated] == [FLOOD // 2, FLOOD - FLOOD // 2 - 2]
    assert (first.queued_at, first.repeated_at) == (NOON, NOON)
    assert response.json()["requestId"] == str(second.pk)
    rows, size = count_bytes()
    assert rows < 3
    assert size < 3000
    assert sum(record.name == "windlass.calls" for record in caplog.records) == 2
    ended = {dict(labels)["reason"]: number for (name, labels), number in meters.drain_counts().items() if "ended" in name}
    assert ended == {"disabled": FLOOD}


def test_each_reason_trigger_and_direction_has_a_row_of_its_own(client, clock):
    disabled = [TriggerFactory(enabled=False) for _ in range(2)]
    protected = TriggerFactory(application__protected=True)
    tagged = TriggerFactory(tag_pattern="v.*")
    scaling = ScalingTriggerFactory(enabled=False)
    for _ in range(3):
        for trigger in (*disabled, protected):
            client.get(PATH, query_params=link_parameters(trigger))
        for direction in ("scale_in", "scale_out"):
            client.get(PATH, query_params={**link_parameters(scaling), "type": direction, "step": "1"})
    for number in range(3):
        answer = client.get(PATH, query_params={**link_parameters(tagged), "tag": f"x{number}"})
        assert f"the tag x{number}" in answer.json()["message"]
    assert sorted(TriggerCall.objects.values_list("reason", "repeated")) == [("disabled", 2)] * 4 + [
        ("protected", 2),
        ("tag", 2),
    ]


def test_a_cool_down_says_each_time_how_long_it_still_lasts(client, clock):
    trigger = TriggerFactory(cooldown_seconds=60)
    parameters = link_parameters(trigger)
    client.get(PATH, query_params=parameters)
    waits = []
    for _ in range(3):
        clock.move(seconds=5)
        waits.append(client.get(PATH, query_params=parameters)["Retry-After"])
    assert waits == ["55", "50", "45"]
    rejected = trigger.calls.get(state=CallState.REJECTED)
    assert (rejected.repeated, rejected.repeated_at) == (2, NOON + timedelta(seconds=15))
    clock.move(seconds=60)
    assert client.get(PATH, query_params=parameters).json()["state"] != "rejected"


def test_a_key_counts_again_once_the_trigger_is_enabled(client, clock):
    trigger = TriggerFactory(enabled=False)
    parameters = link_parameters(trigger)
    for key in ("one", "one", "two", "one"):
        answer = client.get(PATH, query_params=parameters, headers={"Idempotency-Key": key})
        assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (403, False)
    trigger.enabled = True
    trigger.save()
    for key, state in (("one", "queued"), ("two", "coalesced"), ("one", "queued")):
        assert client.get(PATH, query_params=parameters, headers={"Idempotency-Key": key}).json()["state"] == state
    assert trigger.calls.count() == 3


def test_what_people_request_always_has_a_row(clock):
    trigger = TriggerFactory(enabled=False)
    ann = make_user("ann")
    calls = [accept_call(request_of(trigger, requested_by=ann)) for _ in range(3)]
    assert len({call.pk for call in calls}) == TriggerCall.objects.count() == 3


def test_the_outcome_of_a_counted_call_is_read_as_ever(client, clock):
    trigger = TriggerFactory(enabled=False)
    parameters = link_parameters(trigger)
    for _ in range(2):
        answer = client.get(PATH, query_params=parameters)
    outcome = client.get(f"/hook/calls/{answer.json()['requestId']}", query_params={"secret": trigger.secret})
    assert (outcome.status_code, outcome.json()["state"]) == (200, "rejected")


def test_alerts_at_a_disabled_trigger_are_not_remembered(client, clock):
    trigger = TriggerFactory(enabled=False)
    for number in range(70):
        started = {"status": "firing", "startsAt": "2026-03-01T11:00:00Z"}
        alerts = [{**started, "labels": {"n": f"{number}-{part}"}} for part in range(20)]
        body = {"status": "firing", "groupKey": f"group {number}", "alerts": alerts}
        response = client.post(PATH, body, "application/json", query_params=link_parameters(trigger))
        assert (response.status_code, response.json()["reason"]) == (403, "disabled")
    assert not AlertGroup.objects.exists()
    assert (trigger.calls.get().repeated, Delivery.objects.count()) == (69, 61)


def test_two_processes_that_reject_at_once_make_one_row(clock, monkeypatch):
    """The second one inserts after the first one has looked and before it inserts."""
    from triggers import repeats

    trigger, count_on = TriggerFactory(enabled=False), repeats.count_on
    looked = []

    def count_late(row, now):
        if not looked:
            looked.append(row)
            accept_call(request_of(trigger))
            return False
        return count_on(row, now)

    monkeypatch.setattr(repeats, "count_on", count_late)
    accept_call(request_of(trigger, delivery_id="d"))
    assert trigger.calls.get().repeated == 1


def test_only_stored_calls_are_noted_for_the_pruner(client, clock, monkeypatch):
    noted = []
    monkeypatch.setattr(SurplusPruner, "note_added", lambda pruner: noted.append(pruner))  # noqa: PLW0108 - so that it is bound
    for trigger in (TriggerFactory(), TriggerFactory(enabled=False)):
        for _ in range(5):
            Client().get(PATH, query_params=link_parameters(trigger))
    assert noted.count(surplus) == TriggerCall.objects.count() == 6
