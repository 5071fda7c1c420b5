"""What a link answers in a freeze window."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from triggers.calls.tests.test_frozen import freeze
from triggers.models import Behaviour, CallState, TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def trigger(published):
    return TriggerFactory()


def call(client, trigger, **more):
    return client.post(PATH, query_params=link_parameters(trigger) | more)


def test_a_call_that_waits_is_answered_with_202(client, trigger):
    window = freeze(trigger.application, name="weekend")
    for state in ("queued", "coalesced"):
        response = call(client, trigger)
        body = response.json()
        assert (response.status_code, body["code"], body["state"]) == (202, "202", state)
        assert "Waits until " in body["message"]
        assert body["message"].endswith("Frozen by weekend.")
        assert abs(datetime.fromisoformat(body["heldUntil"]) - window.ends_at) < timedelta(seconds=2)
        status = client.get(body["statusUrl"].removeprefix("http://testserver"))
        assert (status.status_code, "heldUntil" in status.json()) == (200, True)


def test_a_repetition_is_answered_like_the_first(client, trigger):
    freeze(trigger.application)
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post(PATH, query_params=link_parameters(trigger), headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json()["requestId"] == first.json()["requestId"]


def test_nobody_is_held_for_a_window_that_ends_later(client, trigger, monkeypatch):
    freeze(trigger.application)
    monkeypatch.setattr("triggers.hook.answers.waiters", None)
    response = call(client, trigger, wait="600")
    assert (response.status_code, response.json()["state"]) == (504, "queued")
    assert "The call continues" in response.json()["message"]


def test_a_call_that_is_refused(client, trigger):
    freeze(trigger.application, Behaviour.REFUSE)
    response = call(client, trigger)
    body = response.json()
    assert (response.status_code, body["code"], body["state"], body["reason"]) == (423, "423", "rejected", "frozen")
    assert 3590 < int(response["Retry-After"]) <= 3600
    assert "are refused until" in body["message"]
    assert TriggerCall.objects.get().state == CallState.REJECTED


def test_a_window_that_is_over_changes_nothing(client, trigger, django_assert_num_queries):
    window = freeze(trigger.application)
    type(window).objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert call(client, trigger).status_code == 200


def test_a_link_without_windows_takes_no_further_query(client, trigger, django_assert_max_num_queries):
    other = TriggerFactory()
    freeze(other.application)
    parameters = link_parameters(trigger)
    client.post(PATH, query_params=parameters)  # it fills what is filled once
    with django_assert_max_num_queries(20) as without:
        client.post(PATH, query_params=parameters)
    freeze(trigger.application)
    with django_assert_max_num_queries(20) as within:
        client.post(PATH, query_params=parameters)
    asked = [query["sql"] for query in without.captured_queries]
    assert not any("freezewindow" in sql and "triggers_trigger " not in sql for sql in asked)
    assert len(within.captured_queries) > len(asked)
