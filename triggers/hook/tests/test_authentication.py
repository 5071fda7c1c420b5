"""Only a complete link with its secret is accepted, and a refusal gives nothing away."""

import pytest

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


def test_an_unknown_trigger_costs_the_same_comparison(client, monkeypatch, django_assert_num_queries):
    compared = []
    compare = authentication.hmac.compare_digest
    monkeypatch.setattr(authentication.hmac, "compare_digest", lambda *pair: compared.append(pair) or compare(*pair))
    trigger = TriggerFactory()
    unknown = link_parameters(Trigger(application=trigger.application, action="redeploy"))
    for parameters in (unknown, {**link_parameters(trigger), "secret": "0" * 64}):
        with django_assert_num_queries(1):
            client.get(PATH, query_params=parameters)
    assert [(len(wanted), len(given)) for wanted, given in compared] == [(64, 64), (64, 64)]


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
