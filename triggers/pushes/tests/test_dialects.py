"""Each monitor's messages at a trigger's link: the state that it waits for acts once an occurrence, and nothing else does."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from triggers.models import AlertGroup, CallState, Decision, Delivery, TriggerCall
from triggers.payloads.monitors.tests.examples import (
    CONFIRMATION,
    DIALECTS,
    FORM,
    SUBSCRIBE_URL,
    TEXT,
    Dialect,
    kuma,
    template,
)
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]
EXAMPLES = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
AZURE = {"schemaId": "another", "data": {"status": "Activated"}}
KINDS = pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory], ids=["redeploy", "scaling"])


class Link:
    """A trigger's link, called as one monitor does."""

    def __init__(self, trigger, headers=None, content_type="application/json"):
        self.trigger, self.headers, self.content_type = trigger, headers or {}, content_type
        self.parameters = link_parameters(trigger)
        if trigger.service_id:
            self.parameters |= {"type": "scale_out", "step": "2"}
        self.client = Client(enforce_csrf_checks=True)

    def send(self, body):
        """Send the body. Return the answer's message; whatever waits has succeeded before the next one."""
        raw = urlencode(body) if self.content_type == FORM else json.dumps(body)
        response = self.client.post(
            PATH, raw, content_type=self.content_type, query_params=self.parameters, headers=self.headers
        )
        assert response.status_code == 200, response.content
        self.trigger.calls.filter(state=CallState.QUEUED).update(state=CallState.SUCCEEDED)
        return response.json()

    def count(self):
        return self.trigger.calls.count()


def open_link(dialect: Dialect, factory, **options):
    return Link(factory(**options), dialect.headers, dialect.content_type)


@EXAMPLES
@KINDS
class TestSequence:
    def test_fire_repeat_resolve_fire_again_makes_two_calls(self, dialect, factory):
        link = open_link(dialect, factory)
        counts = []
        for body in (dialect.fired, dialect.again, dialect.resolved, dialect.fired_later, dialect.resolved_later):
            link.send(body)
            counts.append(link.count())
        assert counts == [1, 1, 1, 2, 2]
        decisions = list(Delivery.objects.order_by("received_at").values_list("sender", "decision"))
        expected = [Decision.TRIGGERED, Decision.DUPLICATE, Decision.ALERT, Decision.TRIGGERED, Decision.ALERT]
        assert decisions == [(dialect.sender, decision) for decision in expected]

    def test_the_other_way_round_for_a_trigger_that_acts_on_the_end(self, dialect, factory):
        link = open_link(dialect, factory, alert_state="resolved")
        counts = []
        bodies = (dialect.fired, dialect.resolved, dialect.resolved, dialect.fired_later, dialect.resolved_later)
        for body in bodies:
            link.send(body)
            counts.append(link.count())
        assert counts == [0, 1, 1, 1, 2]

    @pytest.mark.parametrize("alert_state", ["firing", "resolved"])
    def test_a_message_of_neither_state_never_acts_and_says_why(self, dialect, factory, alert_state):
        link = open_link(dialect, factory, alert_state=alert_state)
        for body in dialect.others:
            answer = link.send(body)
            assert (answer["code"], answer["requestId"]) == ("200", None)
            assert answer["message"].startswith("Nothing was done: ")
        assert link.count() == 0
        assert not AlertGroup.objects.exists()
        assert set(Delivery.objects.values_list("sender", "decision")) <= {(dialect.sender, Decision.ALERT)}

    def test_a_message_of_neither_state_does_not_end_an_occurrence(self, dialect, factory):
        link = open_link(dialect, factory)
        for body in (dialect.fired, *dialect.others, dialect.again):
            link.send(body)
        assert link.count() == 1


class TestConfirmation:
    @KINDS
    def test_the_confirmation_of_a_subscription_says_how_to_confirm(self, factory):
        link = Link(factory(), {"x-amz-sns-message-type": "SubscriptionConfirmation"}, TEXT)
        answer = link.send(CONFIRMATION)
        assert "Open the SubscribeURL in a browser" in answer["message"]
        delivery = Delivery.objects.get()
        assert json.loads(delivery.body)["SubscribeURL"] == SUBSCRIBE_URL
        assert (delivery.event, link.count()) == ("SubscriptionConfirmation", 0)

    @pytest.mark.parametrize(
        "url", ["http://sns.eu-west-1.amazonaws.com/?Token=1", "https://evil.example.com/?Token=1", "", None]
    )
    def test_no_address_of_anybody_else_is_kept(self, url):
        link = Link(TriggerFactory(), content_type=TEXT)
        assert "not an address of Amazon" in link.send(CONFIRMATION | {"SubscribeURL": url})["message"]
        assert "?Token" not in Delivery.objects.get().body

    def test_the_token_of_netdatas_test_can_be_read(self):
        link = Link(TriggerFactory())
        assert (
            "Enter the token at Netdata" in link.send({"message": "A test", "title": "Netdata", "token": "t-0815"})["message"]
        )
        assert (json.loads(Delivery.objects.get().body)["token"], link.count()) == ("t-0815", 0)


class TestQuery:
    def get(self, link, **fields):
        return link.client.get(PATH, query_params=link.parameters | fields).json()["message"]

    def test_monitors_that_use_get_are_read_too(self):
        link = Link(TriggerFactory())
        beats = (kuma(0, "10:00:00"), kuma(0, "10:30:00", important=False), kuma(1, "10:40:00"), kuma(0, "11:00:00"))
        for one in beats:
            self.get(link, msg=one["msg"], heartbeat=json.dumps(one["heartbeat"]), monitor=json.dumps(one["monitor"]))
            link.trigger.calls.update(state=CallState.SUCCEEDED)
        assert link.count() == 2
        assert "is a test" in self.get(link, msg="Windlass Testing")
        assert "about a certificate" in self.get(link, msg="[shop][https://x] server certificate will be expired in 7 days")
        for kind in "123":
            self.get(link, monitorID="7", monitorFriendlyName="shop", alertType=kind, alertDetails="x")
        assert link.count() == 3

    @pytest.mark.parametrize("fields", [{"orgId": "1"}, {"msg": "deploy"}, {"image": "app"}, {"events": "push"}])
    def test_any_other_address_is_a_plain_call(self, fields):
        link = Link(TriggerFactory())
        self.get(link, **fields)
        assert link.count() == 1
        assert not Delivery.objects.exists()


class TestOccurrence:
    def test_of_a_sender_without_ids_the_end_may_be_lost(self):
        link = Link(TriggerFactory())
        link.send(template("down"))
        AlertGroup.objects.update(notified_at=timezone.now() - timedelta(hours=23))
        link.send(template("down"))
        assert link.count() == 1
        AlertGroup.objects.update(notified_at=timezone.now() - timedelta(hours=25))
        link.send(template("down"))
        assert link.count() == 2

    def test_a_beat_that_begins_something_counts_although_the_end_was_lost(self):
        link = Link(TriggerFactory())
        bodies = (kuma(0, "10:00:00"), kuma(0, "10:00:00"), kuma(0, "12:00:00"), kuma(0, "12:30:00", important=False))
        for body in bodies:
            link.send(body)
        assert link.count() == 2

    def test_the_end_is_noticed_without_type_and_step(self):
        link = Link(ScalingTriggerFactory())
        link.send(template("down"))
        asked = link.parameters
        link.parameters = link_parameters(link.trigger)
        link.send(template("up"))
        link.parameters = asked
        link.send(template("down"))
        assert link.count() == 2

    def test_the_end_of_one_alert_is_not_that_of_another_or_of_another_trigger(self):
        link, other = Link(TriggerFactory()), Link(TriggerFactory())
        link.send(template("down"))
        link.send(template("up", alert="core/api"))
        other.send(template("up"))
        link.send(template("down"))
        assert link.count() == 1

    def test_alerts_of_azure_that_never_end_count_each(self):
        link = Link(TriggerFactory())
        for number in "112":
            log = {"activityLog": {"eventDataId": number, "operationName": "restart"}}
            link.send({"schemaId": "Microsoft.Insights/activityLogs", "data": {"status": "Activated", "context": log}})
            found = {"AlertRuleName": "errors", "SearchIntervalEndtimeUtc": f"2026-01-01T10:0{number}:00Z"}
            link.send({"schemaId": "Microsoft.Insights/LogAlert", "data": found})
        assert link.count() == 4

    def test_a_plain_body_stays_a_plain_call(self):
        link = Link(TriggerFactory())
        for body in (
            {"state": "down"},
            {"alert": 1, "state": "down"},
            {"status": "down"},
            {"event": "x"},
            {"data": "x"},
            AZURE,
        ):
            link.send(body)
        assert (link.count(), TriggerCall.objects.count()) == (6, 6)
        assert not Delivery.objects.exists()
