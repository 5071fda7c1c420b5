"""The number of a link's calls, and how many it accepts in a minute: what takes from them, and what does not."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from clusters.tests.users import make_user
from triggers.calls.accept import accept_call
from triggers.calls.cancel import cancel_call
from triggers.calls.limits import CalledTooOften
from triggers.models import CallState, Trigger, TriggerCall
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]

HOUR = timedelta(hours=1)


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


class TestNumberOfCalls:
    def test_a_repetition_takes_none_and_gets_its_answer_after_the_last_call(self, client):
        trigger = TriggerFactory(calls_left=1)
        headers = {"Idempotency-Key": "build 7"}
        first, second = (client.get(PATH, query_params=link_parameters(trigger), headers=headers) for _ in range(2))
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.json()["requestId"] == second.json()["requestId"]
        other = client.get(PATH, query_params=link_parameters(trigger), headers={"Idempotency-Key": "build 8"})
        assert (other.status_code, other.json()["reason"]) == (403, "expired")
        assert TriggerCall.objects.count() == 1

    def test_a_rejection_takes_none(self, client):
        trigger = TriggerFactory(calls_left=1, enabled=False)
        assert client.get(PATH, query_params=link_parameters(trigger)).json()["reason"] == "disabled"
        trigger.refresh_from_db()
        assert trigger.calls_left == 1

    def test_a_cancelled_call_gives_back_what_it_took(self, client):
        trigger = TriggerFactory(calls_left=1)
        client.get(PATH, query_params=link_parameters(trigger))
        cancel_call(TriggerCall.objects.get(), "ada")
        trigger.refresh_from_db()
        assert trigger.calls_left == 1
        assert client.get(PATH, query_params=link_parameters(trigger)).status_code == 200

    def test_a_call_from_before_the_limit_gives_nothing_back(self, client):
        trigger = TriggerFactory()
        client.get(PATH, query_params=link_parameters(trigger))
        Trigger.objects.update(calls_left=3)
        cancel_call(TriggerCall.objects.get(), "ada")
        trigger.refresh_from_db()
        assert trigger.calls_left == 3

    def test_a_coalesced_call_takes_one(self, client):
        trigger = TriggerFactory(calls_left=2)
        states = [client.get(PATH, query_params=link_parameters(trigger)).json()["state"] for _ in range(2)]
        assert states == ["queued", "coalesced"]
        assert client.get(PATH, query_params=link_parameters(trigger)).status_code == 403

    def test_people_take_none_and_can_call_on(self):
        trigger = TriggerFactory(calls_left=0, expires_at=timezone.now() - HOUR)
        call = accept_call(request_of(trigger, requested_by=make_user("ada")))
        assert call.state == CallState.QUEUED

    @pytest.mark.parametrize("over", [{"calls_left": 0}, {"expires_at": timezone.now() - HOUR}])
    def test_a_registrys_push_and_polling_are_rejected_when_the_trigger_is_over(self, over):
        call = accept_call(request_of(TriggerFactory(**over)))
        assert (call.state, call.reason) == (CallState.REJECTED, "expired")
        assert "Only people can call it" in call.message

    def test_a_registrys_push_takes_none(self):
        trigger = TriggerFactory(calls_left=1, calls_a_minute=1)
        for _ in range(3):
            assert accept_call(request_of(trigger)).state != CallState.REJECTED
        trigger.refresh_from_db()
        assert trigger.calls_left == 1


class TestRate:
    def test_a_minute_later_it_is_accepted_again(self, client):
        trigger = TriggerFactory(calls_a_minute=1)
        parameters = link_parameters(trigger)
        client.get(PATH, query_params=parameters)
        TriggerCall.objects.update(queued_at=timezone.now() - timedelta(seconds=40))
        refused = client.get(PATH, query_params=parameters)
        assert refused.status_code == 429
        assert 19 <= int(refused["Retry-After"]) <= 20
        TriggerCall.objects.update(queued_at=timezone.now() - timedelta(seconds=61))
        assert client.get(PATH, query_params=parameters).status_code == 200

    def test_rejected_and_refused_calls_and_those_of_people_do_not_count(self, client):
        trigger = TriggerFactory(calls_a_minute=1, enabled=False)
        parameters = link_parameters(trigger)
        client.get(PATH, query_params=parameters)
        Trigger.objects.update(enabled=True)
        accept_call(request_of(trigger, requested_by=make_user("ada")))
        statuses = [client.get(PATH, query_params=parameters).status_code for _ in range(3)]
        assert statuses == [200, 429, 429]

    def test_the_transaction_judges_too(self):
        """As of two callers who passed the first check at the same moment."""
        trigger = TriggerFactory(calls_a_minute=1, calls_left=5)
        accept_call(request_of(trigger, proof="secret"))
        with pytest.raises(CalledTooOften, match="1 call a minute"):
            accept_call(request_of(trigger, proof="secret"))
        trigger.refresh_from_db()
        assert (trigger.calls_left, TriggerCall.objects.count()) == (4, 1)
