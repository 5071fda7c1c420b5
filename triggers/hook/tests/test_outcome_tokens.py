"""The token in a statusUrl reads the outcome of one call, and nothing else."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import MultiFernet
from django.test import override_settings
from django.utils import timezone

from triggers.hook import waiting
from triggers.hook.outcome_tokens import make_outcome_token
from triggers.models import CallState, Trigger, TriggerCall
from triggers.tests.calling import PATH, end_call, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


def status_path(answer):
    return answer["statusUrl"].removeprefix("http://testserver")


def call_with_query(client, trigger, **more):
    return client.get(PATH, query_params={**link_parameters(trigger), **more})


def call_with_header(client, trigger, **more):
    parameters = link_parameters(trigger)
    headers = {"X-Trigger-Secret": parameters.pop("secret")}
    return client.post(PATH, query_params={**parameters, **more}, headers=headers)


def call_with_body(client, trigger, **more):
    return client.post(PATH, {**link_parameters(trigger), **more}, content_type="application/json")


WAYS = pytest.mark.parametrize("call_link", [call_with_query, call_with_header, call_with_body])


@WAYS
def test_no_answer_repeats_the_secret_and_each_status_url_works_by_itself(client, call_link):
    trigger = TriggerFactory()
    first, second = (call_link(client, trigger).json() for _ in range(2))
    for answer in (first, second):
        assert trigger.secret not in json.dumps(answer)
        status = client.get(status_path(answer))
        assert (status.status_code, status.json()["requestId"]) == (200, answer["requestId"])
        assert status.json()["statusUrl"] == answer["statusUrl"]
    assert (first["state"], second["state"]) == ("queued", "coalesced")


@WAYS
@pytest.mark.parametrize("state", [CallState.SUCCEEDED, CallState.FAILED, CallState.RUNNING])
def test_neither_does_the_answer_of_a_caller_that_waits(client, monkeypatch, call_link, state):
    monkeypatch.setattr(waiting.waiters, "wait_for_end", end_call(state))
    trigger = TriggerFactory()
    answer = call_link(client, trigger, wait="5").json()
    assert trigger.secret not in json.dumps(answer)
    assert client.get(status_path(answer)).status_code == 200


def test_a_repetition_has_the_status_url_of_the_first_answer(client):
    trigger, headers = TriggerFactory(), {"Idempotency-Key": "one"}
    parameters = link_parameters(trigger)
    first, second = (client.get(PATH, query_params=parameters, headers=headers).json() for _ in range(2))
    assert first["statusUrl"] == second["statusUrl"]


def test_a_token_opens_no_other_call_and_no_trigger(client):
    trigger = TriggerFactory(name="one")
    other = ScalingTriggerFactory()
    mine, theirs = TriggerCallFactory(trigger=trigger), TriggerCallFactory(trigger=other)
    second = TriggerCallFactory(trigger=trigger, state=CallState.FAILED)
    token = make_outcome_token(mine.pk, trigger.public_id)
    assert client.get(f"/hook/calls/{mine.pk}", query_params={"token": token}).status_code == 200
    for call in (theirs, second):
        assert client.get(f"/hook/calls/{call.pk}", query_params={"token": token}).status_code == 404
    parameters = link_parameters(trigger)
    for wrong in ({"secret": token}, {"token": token}, {"secret": token, "token": token}):
        answer = client.get(PATH, query_params={**parameters, "secret": "", **wrong})
        assert answer.status_code in {400, 404}
    assert client.get(f"/hook/registry/{token}").status_code == 404
    assert TriggerCall.objects.count() == 3


def test_a_wrong_token_an_unknown_call_and_a_call_without_a_trigger_are_the_same_404(client):
    call, lone = TriggerCallFactory(), TriggerCallFactory()
    right, orphan = make_outcome_token(call.pk, call.trigger.public_id), make_outcome_token(lone.pk, lone.trigger.public_id)
    TriggerCall.objects.filter(pk=lone.pk).update(trigger=None)
    unknown = "00000000-0000-4000-8000-000000000000"
    pairs = [(call.pk, right[:-1]), (call.pk, right[::-1]), (call.pk, "é"), (call.pk, "\ud800"), (unknown, right)]
    pairs += [(lone.pk, orphan), (lone.pk, make_outcome_token(lone.pk, ""))]
    answers = [
        client.get(f"/hook/calls/{pk}", query_params={"token": token.encode("utf-8", "surrogatepass")}) for pk, token in pairs
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}


def test_a_token_outlives_a_rotation_and_ends_with_the_trigger_and_with_the_secret_key(client):
    trigger = TriggerFactory()
    path = status_path(call_with_query(client, trigger).json())
    with override_settings(SECRET_KEY="another one, which is long enough for Django"):
        assert client.get(path).status_code == 404
    assert client.get(path).status_code == 200
    trigger.rotate_secret()
    assert client.get(path).status_code == 200
    trigger.delete()
    assert client.get(path).status_code == 404


def test_a_token_of_an_earlier_version_works_as_long_as_the_secret_that_it_was_made_with(client):
    trigger = TriggerFactory()
    call = TriggerCallFactory(trigger=trigger)
    path = f"/hook/calls/{call.pk}?token={make_outcome_token(call.pk, trigger.secret)}"
    assert client.get(path).status_code == 200
    trigger.rotate_secret(timedelta(hours=1))
    assert client.get(path).status_code == 200
    Trigger.objects.update(old_secret_ends_at=timezone.now())
    assert client.get(path).status_code == 404


def test_the_old_secret_opens_outcomes_as_long_as_it_works(client):
    trigger = TriggerFactory()
    path, former = f"/hook/calls/{TriggerCallFactory(trigger=trigger).pk}", trigger.secret
    trigger.rotate_secret(timedelta(hours=1))
    for secret in (former, trigger.secret):
        assert client.get(path, query_params={"secret": secret}).status_code == 200
    trigger.end_old_secret()
    assert client.get(path, query_params={"secret": former}).status_code == 404


def test_the_secret_itself_is_still_accepted(client):
    call = TriggerCallFactory()
    path, secret = f"/hook/calls/{call.pk}", call.trigger.secret
    assert client.get(path, query_params={"secret": secret}).status_code == 200
    assert client.get(path, headers={"X-Trigger-Secret": secret}).status_code == 200
    assert client.get(path).status_code == 400


def test_a_secret_in_the_address_opens_no_outcome_where_it_is_taken_in_a_header_only(client):
    call = TriggerCallFactory(trigger__header_only=True)
    path, secret = f"/hook/calls/{call.pk}", call.trigger.secret
    refused = client.get(path, query_params={"secret": secret})
    assert (refused.status_code, refused.json()["reason"]) == (403, "in_address")
    assert client.get(path, query_params={"secret": "0" * 64}).status_code == 404
    assert client.get(path, headers={"X-Trigger-Secret": secret}).status_code == 200
    token = make_outcome_token(call.pk, call.trigger.public_id)
    assert client.get(path, query_params={"token": token}).status_code == 200


def test_whatever_opens_no_outcome_takes_the_same_work(client, monkeypatch):
    work = []
    decrypt = MultiFernet.decrypt
    monkeypatch.setattr(MultiFernet, "decrypt", lambda *given: work.append("decrypted") or decrypt(*given))
    call, rotated = TriggerCallFactory(), TriggerCallFactory()
    rotated.trigger.rotate_secret(timedelta(hours=1))
    counts = set()
    for pk in (call.pk, rotated.pk, "00000000-0000-4000-8000-000000000000"):
        for wrong in ({"token": "0" * 32}, {"secret": "0" * 64}):
            work.clear()
            assert client.get(f"/hook/calls/{pk}", query_params=wrong).status_code == 404
            counts.add(len(work))
    assert counts == {2}


def test_the_log_holds_no_token(client, caplog):
    trigger = TriggerFactory()
    with caplog.at_level("DEBUG"):
        path = status_path(call_with_query(client, trigger).json())
        client.get(path)
    (token,) = parse_qs(urlsplit(path).query)["token"]
    assert "/hook/calls/" in caplog.text
    assert token not in caplog.text
