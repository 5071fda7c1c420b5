"""Every option that narrows a link: what it accepts, and each refusal with its status, its reason and its sentence."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from triggers.calls.accept import accept_call
from triggers.models import Decision, Delivery, Trigger, TriggerCall
from triggers.pushes.refused_calls import refused_calls
from triggers.reasons import Reason
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
ALLOWED = {"allowed_addresses": "192.0.2.7\n198.51.100.0/24\n2001:db8::/32"}
EVERYTHING = {
    **ALLOWED,
    "expires_at": timezone.now() - HOUR,
    "calls_left": 0,
    "calls_a_minute": 1,
    "header_only": True,
}


@dataclass
class Case:
    """A trigger's options, what the caller sends, and the answer. `reason` is empty for a call that is accepted."""

    options: dict[str, Any]
    status: int = 200
    reason: str = ""
    said: str = ""
    address: str = "192.0.2.7"
    place: str = "query"  # of the secret: query, header, body, or both query and header
    calls_before: int = 0
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)


CASES = {
    "no option": Case({}, address="203.0.113.9"),
    "an allowed address": Case(ALLOWED),
    "an address in an allowed network": Case(ALLOWED, address="198.51.100.200"),
    "an address in an allowed network of IPv6": Case(ALLOWED, address="2001:db8:1::9"),
    "IPv4 within IPv6": Case(ALLOWED, address="::ffff:192.0.2.7"),
    "another address": Case(ALLOWED, 403, "address", "comes from 192.0.2.8", address="192.0.2.8"),
    "another address of IPv6": Case(ALLOWED, 403, "address", "comes from 2001:db9::1", address="2001:db9::1"),
    "no address": Case(ALLOWED, 403, "address", "an address that cannot be read", address=""),
    "a header that no trusted proxy sent": Case(
        ALLOWED, 403, "address", "192.0.2.8", address="192.0.2.8", headers={"X-Forwarded-For": "192.0.2.7"}
    ),
    "before the date": Case({"expires_at": timezone.now() + HOUR * 1000}),
    "after the date": Case({"expires_at": timezone.now() - HOUR}, 403, "expired", "This trigger expired on"),
    "the last of a number of calls": Case({"calls_left": 1}),
    "no call left": Case({"calls_left": 0}, 403, "expired", "limited number of calls"),
    "a one-time link's second call": Case({"calls_left": 1}, 403, "expired", "limited number", calls_before=1),
    "fewer calls a minute": Case({"calls_a_minute": 3}, calls_before=2),
    "more calls a minute": Case({"calls_a_minute": 2}, 429, "rate", "2 calls a minute. Call it again in", calls_before=2),
    "more than one call a minute": Case({"calls_a_minute": 1}, 429, "rate", "accepts 1 call a minute", calls_before=1),
    "a header": Case({"header_only": True}, place="header"),
    "a secret in the address": Case({"header_only": True}, 403, "in_address", "in the address, where proxies log it"),
    "a secret in both": Case({"header_only": True}, 403, "in_address", "in the address", place="both"),
    "a secret in the body": Case({"header_only": True}, 403, "in_address", "in the body", place="body"),
    # The order: the secret first, then address, date, number, rate, place.
    "a wrong secret": Case(EVERYTHING, 404, "", "No trigger matches", address="192.0.2.8", secret="0" * 64),
    "everything wrong": Case(EVERYTHING, 403, "address", address="192.0.2.8"),
    "all but the address": Case(EVERYTHING, 403, "expired", "This trigger expired on"),
    "number, rate and place": Case(EVERYTHING | {"expires_at": None}, 403, "expired", "limited number"),
    "rate and place": Case({"calls_a_minute": 1, "header_only": True}, 429, "rate", calls_before=1),
}


def send(client, parameters, case):
    secret = case.secret or parameters["secret"]
    public = {"triggerUrl": parameters["triggerUrl"]}
    in_header = {"X-Trigger-Secret": secret} if case.place in ("header", "both") else {}
    in_query = {"secret": secret} if case.place in ("query", "both") else {}
    headers = in_header | case.headers
    if case.place == "body":
        return client.post(PATH, {"secret": secret}, query_params=public, headers=headers, REMOTE_ADDR=case.address)
    return client.get(PATH, query_params=public | in_query, headers=headers, REMOTE_ADDR=case.address)


def make_earlier_calls(trigger, number):
    for _ in range(number):
        accept_call(request_of(trigger, proof="secret"))
        trigger.refresh_from_db()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_option_accepts_and_refuses(client, case):
    trigger = TriggerFactory()
    Trigger.objects.update(**case.options)
    trigger.refresh_from_db()
    make_earlier_calls(trigger, case.calls_before)
    before, left = TriggerCall.objects.count(), trigger.calls_left
    answer = send(client, link_parameters(trigger), case)
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("reason", "")) == (case.status, str(case.status), case.reason)
    assert case.said in body["message"]
    assert trigger.secret not in answer.content.decode()
    is_accepted = case.status == 200
    assert TriggerCall.objects.count() == before + is_accepted
    trigger.refresh_from_db()
    assert trigger.calls_left == (left - 1 if left and is_accepted else left)
    assert ("Retry-After" in answer) == (case.reason == "rate")
    refused_calls.store()
    assert Delivery.objects.filter(trigger=trigger, decision=Decision.REFUSED).count() == (not is_accepted)


def test_every_reason_is_in_the_documented_words():
    assert {case.reason for case in CASES.values()} - {""} == {
        Reason.ADDRESS,
        Reason.EXPIRED,
        Reason.RATE,
        Reason.IN_ADDRESS,
    }


def test_unused_options_take_no_query(client, django_assert_num_queries):
    trigger = TriggerFactory()
    parameters = link_parameters(trigger)
    for options in ({}, {"calls_a_minute": None, "allowed_addresses": "127.0.0.0/8", "expires_at": timezone.now() + HOUR}):
        Trigger.objects.update(**options) if options else None
        TriggerCall.objects.all().delete()
        with django_assert_num_queries(6 + connection.features.has_select_for_update):
            assert client.get(PATH, query_params=parameters).status_code == 200


def test_a_browser_that_opens_a_narrowed_link_gets_the_reason_as_a_page(client):
    trigger = TriggerFactory(header_only=True)
    page = client.get(PATH, query_params=link_parameters(trigger), headers={"Sec-Fetch-Mode": "navigate"})
    assert page.status_code == 403
    assert "in the address, where proxies log it" in page.content.decode()
