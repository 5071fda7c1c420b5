"""The answers of callers that wait (`wait=`)."""

import pytest
from django.db import DatabaseError

from triggers.calls.accept import accept_call
from triggers.calls.cancel import cancel_call
from triggers.hook import answers, waiting
from triggers.models import CallState, TriggerCall
from triggers.tests.calling import PATH, end_call, link_parameters, request_of
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


def test_a_database_that_is_lost_while_a_caller_waits_leaves_the_call_accepted(client, published, monkeypatch):
    def lose(call_id, seconds, **_):
        raise DatabaseError("the connection is closed")

    monkeypatch.setattr(waiting.waiters, "wait_for_end", lose)
    response = client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "5"})
    (call,) = TriggerCall.objects.all()
    assert (response.status_code, response.json()["requestId"]) == (504, str(call.pk))
    assert str(call.pk) in response.json()["statusUrl"]
    assert "recorded before" in response.json()["message"]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (CallState.SUCCEEDED, 200),
        (CallState.FAILED, 500),
        (CallState.ROLLED_BACK, 500),
        (CallState.RUNNING, 504),
        (CallState.QUEUED, 504),
    ],
)
def test_the_status_is_the_verdict(client, monkeypatch, state, status):
    monkeypatch.setattr(waiting.waiters, "wait_for_end", end_call(state, "What happened."))
    response = client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "5"})
    assert (response.status_code, response.json()["code"], response.json()["state"]) == (status, str(status), state)
    if status != 504:
        assert response.json()["message"] == "What happened."


def test_a_coalesced_call_answers_with_the_outcome_that_covers_it(client, monkeypatch):
    parameters = {**link_parameters(TriggerFactory()), "wait": "5"}
    monkeypatch.setattr(waiting.waiters, "wait_for_end", lambda *_, **__: None)
    client.get(PATH, query_params=parameters)
    monkeypatch.setattr(waiting.waiters, "wait_for_end", end_call(CallState.FAILED, "No."))
    response = client.get(PATH, query_params=parameters)
    assert (response.status_code, response.json()["state"]) == (500, "failed")


def test_a_cancelled_call_is_a_failure_for_its_waiting_caller_also_where_another_call_covers_it(client, monkeypatch):
    trigger = TriggerFactory()
    covering = accept_call(request_of(trigger))
    monkeypatch.setattr(waiting.waiters, "wait_for_end", lambda *_, **__: cancel_call(covering, "bob"))
    response = client.get(PATH, query_params={**link_parameters(trigger), "wait": "5"})
    body = response.json()
    assert (response.status_code, body["state"], body["reason"]) == (500, "rejected", "cancelled")
    assert (body["message"], body["coalescedInto"]) == (
        "Cancelled by bob while it waited; nothing was done.",
        str(covering.pk),
    )


def test_a_delivery_that_is_repeated_after_its_call_was_cancelled_gets_that_call(client, published):
    parameters, headers = link_parameters(TriggerFactory()), {"Idempotency-Key": "one"}
    first = client.get(PATH, query_params=parameters, headers=headers).json()
    cancel_call(TriggerCall.objects.get(), "bob")
    again = client.get(PATH, query_params=parameters, headers=headers)
    assert (again.status_code, again.json()["requestId"], again.json()["state"]) == (200, first["requestId"], "rejected")


def test_a_waiting_caller_is_answered_when_the_process_stops(client, monkeypatch):
    own = waiting.CallWaiters(limit=5)
    own.stop()
    monkeypatch.setattr(answers, "waiters", own)
    response = client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "60"})
    assert response.status_code == 504
    assert response.json()["message"].startswith("The console is restarting. The call continues")


def test_the_status_url_can_wait_too(client, monkeypatch):
    call = TriggerCallFactory()
    monkeypatch.setattr(waiting.waiters, "wait_for_end", end_call(CallState.SUCCEEDED))
    response = client.get(f"/hook/calls/{call.pk}", query_params={"secret": call.trigger.secret, "wait": "5"})
    assert (response.status_code, response.json()["state"]) == (200, "succeeded")


def test_the_status_url_says_for_what_a_running_call_waits_and_until_when(client, monkeypatch):
    text = "Waiting until 2026-11-30 15:04:05 UTC at the latest for the health check of web-1."
    call = TriggerCallFactory(state=CallState.RUNNING, message=text)
    monkeypatch.setattr(waiting.waiters, "wait_for_end", lambda *_, **__: None)
    parameters = {"secret": call.trigger.secret}
    assert client.get(f"/hook/calls/{call.pk}", query_params=parameters).json()["message"] == text
    response = client.get(f"/hook/calls/{call.pk}", query_params={**parameters, "wait": "5"})
    expected = f"Not finished after 5 s. {text} The call continues; get its outcome from statusUrl."
    assert (response.status_code, response.json()["message"]) == (504, expected)


def test_more_waiters_than_threads_are_not_held(client, monkeypatch):
    monkeypatch.setattr(answers, "waiters", waiting.CallWaiters(limit=0))
    response = client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "60"})
    assert response.status_code == 504
    assert "statusUrl" in response.json()


FAILURE = {"container": "shop-web-1", "image": "shop:2", "imageId": "", "firstErrorLine": "fatal: no disk", "failed": 1}


def test_what_failed_first_is_in_the_answer_of_a_waiting_caller_and_at_the_status_url(client, monkeypatch):
    call = TriggerCallFactory(state=CallState.ROLLED_BACK, failure=FAILURE)
    monkeypatch.setattr(waiting.waiters, "wait_for_end", lambda *_, **__: None)
    parameters = {"secret": call.trigger.secret}
    assert client.get(f"/hook/calls/{call.pk}", query_params=parameters).json()["failure"] == FAILURE
    response = client.get(f"/hook/calls/{call.pk}", query_params={**parameters, "wait": "5"})
    assert (response.status_code, response.json()["failure"]) == (500, FAILURE)
    covered = TriggerCallFactory(trigger=call.trigger, state=CallState.COALESCED, coalesced_into=call)
    response = client.get(f"/hook/calls/{covered.pk}", query_params={**parameters, "wait": "5"})
    assert response.json()["failure"] == FAILURE


def test_a_failure_that_a_call_survived_is_not_in_its_answer(client):
    call = TriggerCallFactory(state=CallState.SUCCEEDED, failure=FAILURE)
    assert "failure" not in client.get(f"/hook/calls/{call.pk}", query_params={"secret": call.trigger.secret}).json()
