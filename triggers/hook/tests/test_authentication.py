"""Only a complete link with its secret is accepted, and a refusal gives nothing away."""

from datetime import timedelta

import pytest
from cryptography.fernet import MultiFernet
from django.utils import timezone

from triggers import links
from triggers.hook import authentication
from triggers.models import Trigger, TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("secret", [None, ""])
def test_a_missing_secret_says_to_quote_the_link(client, secret):
    parameters = {**link_parameters(TriggerFactory()), "secret": secret}
    response = client.get(PATH, query_params={key: value for key, value in parameters.items() if value is not None})
    assert response.status_code == 400
    assert "single quotes" in response.json()["message"]


def test_a_missing_or_malformed_link_is_a_400(client):
    secret = TriggerFactory().secret
    nul = links.encode_trigger_url(links.LinkFields("c", "a", "redeploy", "\0"))
    for parameters in ({"secret": secret}, {"secret": secret, "triggerUrl": "%%%"}, {"secret": secret, "triggerUrl": nul}):
        response = client.get(PATH, query_params=parameters)
        assert response.status_code == 400
        assert "triggerUrl" in response.json()["message"]


def test_unknown_trigger_wrong_secret_and_wrong_field_cannot_be_told_apart(client):
    trigger = TriggerFactory()
    right = link_parameters(trigger)
    scaling = ScalingTriggerFactory()
    unknown = link_parameters(Trigger(application=trigger.application, action="redeploy"))
    moved = link_parameters(Trigger(application=scaling.application, action="redeploy", public_id=trigger.public_id))
    answers = [
        client.get(PATH, query_params={**unknown, "secret": trigger.secret}),
        client.get(PATH, query_params={**right, "secret": "0" * 64}),
        client.get(PATH, query_params={**right, "secret": "1" + trigger.secret[1:] if trigger.secret[0] != "1" else "2" * 64}),
        client.get(PATH, query_params={**right, "secret": "é"}),
        client.get(PATH, query_params={**moved, "secret": trigger.secret}),
    ]
    assert {response.status_code for response in answers} == {404}
    for response in answers:
        del response.headers["X-Request-ID"]  # each its own
    assert len({(response.content, tuple(sorted(response.headers.items()))) for response in answers}) == 1
    assert not TriggerCall.objects.exists()


def test_whatever_is_wrong_costs_the_same_work(client, monkeypatch, django_assert_num_queries):
    """Wrong at a trigger with and without an old secret, an old secret that has ended, another field, and an unknown trigger:
    the same query, decryptions, comparisons and answer."""
    work = []
    compare, decrypt = authentication.hmac.compare_digest, MultiFernet.decrypt
    monkeypatch.setattr(authentication.hmac, "compare_digest", lambda *pair: work.append([*map(len, pair)]) or compare(*pair))
    monkeypatch.setattr(MultiFernet, "decrypt", lambda *given: work.append("decrypted") or decrypt(*given))
    plain, rotated, ended = TriggerFactory(), TriggerFactory(), TriggerFactory()
    former = ended.secret
    rotated.rotate_secret(timedelta(hours=1))
    ended.rotate_secret(timedelta(hours=1))
    Trigger.objects.filter(pk=ended.pk).update(old_secret_ends_at=timezone.now())
    unknown = Trigger(application=plain.application, action="redeploy")
    other = Trigger(application=rotated.application, action="redeploy", public_id=plain.public_id)
    done, answers = [], set()
    for trigger, secret in (
        (plain, "0" * 64),
        (rotated, "0" * 64),
        (ended, "0" * 64),
        (ended, former),
        (unknown, plain.secret),
        (other, plain.secret),
    ):
        parameters = link_parameters(trigger) | {"secret": secret}
        work.clear()
        with django_assert_num_queries(1):
            answer = client.get(PATH, query_params=parameters)
        answers.add((answer.status_code, answer.content))
        done.append(sorted(map(str, work)))
    assert done == [["[64, 64]"] * 2 + ["decrypted"] * 2] * 6
    assert len(answers) == 1


def test_the_old_secret_works_as_long_as_it_was_given_and_each_call_says_which_was_used(client):
    trigger = TriggerFactory()
    old = link_parameters(trigger)
    trigger.rotate_secret(timedelta(hours=1))
    for parameters, proof in ((old, "old_secret"), (link_parameters(trigger), "secret")):
        answer = client.get(PATH, query_params=parameters)
        assert answer.status_code == 200
        assert TriggerCall.objects.get(pk=answer.json()["requestId"]).proof == proof
    Trigger.objects.update(old_secret_ends_at=timezone.now())
    assert client.get(PATH, query_params=old).status_code == 404


def test_an_empty_stored_secret_never_authenticates(client):
    trigger = TriggerFactory(secret="")
    parameters = {**link_parameters(trigger), "secret": ""}
    assert client.get(PATH, query_params=parameters).status_code == 400
    assert client.get(PATH, query_params=parameters, headers={"X-Trigger-Secret": " "}).status_code in {400, 404}
    assert not trigger.calls.exists()


def test_links_of_a_rotated_secret_and_of_a_deleted_trigger_stop_working_at_once(client):
    trigger = TriggerFactory()
    old = link_parameters(trigger)
    call_path = f"/hook/calls/{client.get(PATH, query_params=old).json()['requestId']}"
    trigger.rotate_secret()
    assert client.get(PATH, query_params=old).status_code == 404
    assert client.get(call_path, query_params={"secret": old["secret"]}).status_code == 404
    new = link_parameters(trigger)
    assert client.get(PATH, query_params=new).status_code == 200
    trigger.delete()
    assert client.get(PATH, query_params=new).status_code == 404
    assert client.get(call_path, query_params={"secret": new["secret"]}).status_code == 404
