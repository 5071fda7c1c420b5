"""A caller that hangs up while it waits and calls again has called once."""

import pytest

from triggers.calls import lost_answers as module
from triggers.calls.lost_answers import lost_answers
from triggers.hook.waiting import ON_DISCONNECT
from triggers.models import CallState, TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db

WGET = {"User-Agent": "Wget/1.21.3"}


def hang_up(callback):
    """What the server does for a client that leaves at once."""
    callback()


@pytest.fixture
def parameters():
    return {**link_parameters(ScalingTriggerFactory()), "type": "scale_out", "step": "1", "wait": "30"}


def call(client, parameters, headers=WGET, **more):
    return client.get(PATH, query_params=parameters, headers=headers, **more).json()


def leave(client, parameters):
    return call(client, parameters, **{ON_DISCONNECT: hang_up})["requestId"]


def test_the_same_caller_gets_the_call_that_still_waits_or_runs(client, parameters):
    first = leave(client, parameters)
    answer = client.get(PATH, query_params=parameters, headers=WGET, **{ON_DISCONNECT: hang_up})
    assert (answer.json()["requestId"], answer["Idempotent-Replayed"]) == (first, "true")
    TriggerCall.objects.update(state=CallState.RUNNING)
    assert leave(client, parameters) == first
    assert TriggerCall.objects.count() == 1


def test_a_redeploy_that_was_coalesced_is_the_same_too(client):
    parameters = {**link_parameters(TriggerFactory()), "wait": "30"}
    call(client, {**parameters, "wait": "29"}, {"User-Agent": "curl"}, **{ON_DISCONNECT: hang_up})
    assert leave(client, parameters) == leave(client, parameters)
    assert TriggerCall.objects.count() == 2


@pytest.mark.parametrize(
    ("changed", "headers"), [({"step": "2"}, WGET), ({"type": "scale_in"}, WGET), ({}, {"User-Agent": "curl/8.5"})], ids=str
)
def test_another_request_is_another_call(client, parameters, changed, headers):
    assert (
        leave(client, parameters) != call(client, {**parameters, **changed}, headers, **{ON_DISCONNECT: hang_up})["requestId"]
    )


def test_another_address_is_another_caller(client, parameters):
    assert (
        leave(client, parameters) != call(client, parameters, REMOTE_ADDR="192.0.2.1", **{ON_DISCONNECT: hang_up})["requestId"]
    )


def test_a_call_that_has_ended_is_no_answer(client, parameters):
    first = leave(client, parameters)
    TriggerCall.objects.update(state=CallState.SUCCEEDED)
    assert leave(client, parameters) != first


def test_whoever_comes_later_calls_anew(client, parameters, monkeypatch):
    monkeypatch.setattr(module, "REPEATED_WITHIN", 0.0)
    assert leave(client, parameters) != leave(client, parameters)


def test_a_caller_that_got_its_answer_calls_anew(client, parameters):
    answered = call(client, {**parameters, "wait": "1"}, **{ON_DISCONNECT: lambda callback: None})
    assert answered["requestId"] != leave(client, parameters)


def test_an_idempotency_key_decides_alone(client, parameters):
    first = leave(client, parameters)
    headers = {**WGET, "Idempotency-Key": "build 7"}
    assert call(client, parameters, headers, **{ON_DISCONNECT: hang_up})["requestId"] != first


def test_few_are_remembered(client, parameters, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 1)
    first = leave(client, parameters)
    leave(client, {**parameters, "step": "2"})
    assert leave(client, parameters) != first


@pytest.fixture(autouse=True)
def nothing_lost():
    lost_answers.__init__()
