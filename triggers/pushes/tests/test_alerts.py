"""A trigger's link receives notifications of Alertmanager and Grafana: it acts once an occurrence, or says why not."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from triggers.calls.repetitions import REPLAYED_HEADER
from triggers.models import AlertGroup, CallState, Decision, Delivery, TriggerCall
from triggers.payloads.monitors.notification import ALERTS_MAXIMUM
from triggers.payloads.tests.alert_examples import (
    FIRING,
    GRAFANA_FIRING,
    GRAFANA_RESOLVED,
    RESOLVED,
    alert,
    notify,
    notify_by_grafana,
    without,
)
from triggers.pushes.alerts import prune_alert_groups
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

AGENT = {"User-Agent": "Alertmanager/0.27.0"}


@pytest.fixture
def link(db, published):
    return Link(ScalingTriggerFactory())


class Link:
    """A trigger's link, called as a monitoring system does."""

    def __init__(self, trigger, **parameters):
        self.trigger = trigger
        scaling = {"type": "scale_out", "step": "2"} if trigger.service_id else {}
        self.parameters = {**link_parameters(trigger), **scaling, **parameters}
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)

    def call(self, body, method="post", headers=AGENT, **parameters):
        return getattr(self.client, method)(
            PATH,
            json.dumps(body),
            content_type="application/json",
            query_params=self.parameters | parameters,
            headers=headers,
        )

    def count(self):
        return self.trigger.calls.count()


@pytest.mark.django_db
@pytest.mark.usefixtures("published")
class TestState:
    @pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory])
    @pytest.mark.parametrize("bodies", [(FIRING, RESOLVED), (GRAFANA_FIRING, GRAFANA_RESOLVED)])
    @pytest.mark.parametrize("alert_state", ["firing", "resolved"])
    @pytest.mark.parametrize("method", ["post", "put"])
    def test_a_link_acts_on_its_state_and_says_why_it_ignores_the_other(self, factory, bodies, alert_state, method):
        link = Link(factory(alert_state=alert_state))
        awaited, other = bodies if alert_state == "firing" else bodies[::-1]
        ignored = link.call(other, method)
        assert (ignored.status_code, ignored.json()["code"], ignored.json()["requestId"]) == (200, "200", None)
        assert "Nothing was done: the alert HighCPU" in ignored.json()["message"]
        assert link.count() == 0
        accepted = link.call(awaited, method).json()
        call = link.trigger.calls.get()
        assert (accepted["requestId"], accepted["state"]) == (str(call.pk), "queued")
        assert (call.source, call.step) == ("hook", 2 if link.trigger.service_id else None)

    def test_each_notification_is_stored_with_its_decision(self, link):
        for body in (RESOLVED, FIRING, FIRING):
            link.call(body)
        log = Delivery.objects.order_by("received_at")
        assert [one.decision for one in log] == [Decision.ALERT, Decision.TRIGGERED, Decision.DUPLICATE]
        assert [one.event for one in log] == ["resolved", "firing", "firing"]
        assert {(one.sender, one.source, one.trigger) for one in log} == {("alertmanager", "trigger", link.trigger)}
        assert [one.lines.get().call for one in log] == [None, *[link.trigger.calls.get()] * 2]
        ignored, _, _ = log
        assert ignored.message == ("Nothing was done: the alert HighCPU is resolved, and this trigger acts when it fires.")
        assert "HighCPU" in ignored.body

    def test_an_ignored_notification_needs_no_parameters_and_is_answered_at_once(self, link):
        for name in ("type", "step"):
            del link.parameters[name]
        assert link.call(RESOLVED, wait="60").status_code == 200

    def test_an_alert_without_type_or_step_is_refused_with_the_missing_name(self, link):
        del link.parameters["step"]
        response = link.call(FIRING)
        assert (response.status_code, link.count(), Delivery.objects.count()) == (400, 0, 0)
        assert "The step parameter is missing" in response.json()["message"]

    def test_the_sender_is_not_recognised_by_its_user_agent(self, link):
        assert link.call(RESOLVED, headers={}).json()["requestId"] is None
        assert link.call({"hello": "world"}, headers=AGENT).json()["state"] == "queued"

    @pytest.mark.parametrize(
        "body", [without(FIRING, "status"), without(FIRING, "alerts"), FIRING | {"alerts": [1]}, [FIRING], "firing", None]
    )
    def test_a_message_that_is_not_recognised_is_a_plain_call(self, link, body):
        assert link.call(body).json()["state"] == "queued"
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize("body", [{"status": "firing", "alerts": []}, FIRING | {"alerts": [{}], "groupKey": "\0\ud800"}])
    def test_a_malformed_alert_is_neither_an_error_nor_a_repetition(self, link, body):
        assert [link.call(body).status_code for _ in range(2)] == [200, 200]
        assert link.count() == 2

    def test_a_disabled_trigger_rejects_the_alert(self):
        link = Link(ScalingTriggerFactory(enabled=False))
        assert (link.call(FIRING).status_code, Delivery.objects.get().decision) == (403, Decision.REJECTED)

    def test_a_wrong_secret_leaves_no_trace(self, link):
        link.parameters["secret"] = "0" * 64
        assert link.call(RESOLVED).status_code == 404
        assert not Delivery.objects.exists()

    def test_a_message_of_a_registry_stays_one(self):
        link = Link(TriggerFactory())
        response = link.call({"image": "registry.example.com/team/app", "tag": "1", "status": "new"})
        assert response.json()["lines"][0]["decision"] == "image"


# Notifications one after the other, and how many calls they make.
A, B, C = (alert(instance, start) for instance, start in (("a", "10:00:00"), ("b", "10:05:00"), ("c", "10:10:00")))
OCCURRENCES = {
    "sent again each repeat_interval": ([notify(A), notify(A), notify(A)], 1),
    "an alert joins the group": ([notify(A), notify(A, B), notify(B, A)], 1),
    "the first alert of the group ends": ([notify(A, B), notify(B)], 1),
    "the first one ends, and its end is notified": ([notify(A, B), notify(alert("a", status="resolved"), B), notify(B)], 1),
    "alerts follow each other without a gap": ([notify(A), notify(A, B), notify(B), notify(B, C), notify(C)], 1),
    "one of two Alertmanagers is behind": ([notify(A, B), notify(A), notify(B)], 1),
    "resolved and fired again": ([notify(A), notify(alert("a", status="resolved")), notify(alert("a", "12:00:00"))], 2),
    "fired again, without a notification of its end": ([notify(A), notify(alert("a", "12:00:00"))], 2),
    "a late notification of an ended alert": ([notify(A), notify(alert("a", "12:00:00")), notify(A)], 2),
    "two groups": ([notify(A), notify(A, group="api")], 2),
    "the same moment in another zone": (
        [notify(alert() | {"startsAt": start}) for start in ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00+01:00")],
        1,
    ),
    "without fingerprints": ([notify(without(one, "fingerprint")) for one in (A, A, alert("a", "12:00:00"))], 2),
    "without a group key": ([without(notify(A), "groupKey"), without(notify(A, B), "groupKey")], 1),
    "Grafana": ([GRAFANA_FIRING, GRAFANA_FIRING, notify_by_grafana(alert("a", "12:00:00"))], 2),
}


@pytest.mark.django_db
@pytest.mark.usefixtures("published")
class TestRepetition:
    @pytest.mark.parametrize(("bodies", "calls"), OCCURRENCES.values(), ids=OCCURRENCES)
    def test_one_occurrence_counts_once(self, link, bodies, calls):
        for body in bodies:
            TriggerCall.objects.filter(state=CallState.QUEUED).update(state=CallState.SUCCEEDED)
            assert link.call(body).status_code == 200
        assert link.count() == calls

    def test_a_repetition_gets_the_first_answer_and_says_so(self, link):
        first, again = link.call(FIRING), link.call(FIRING)
        assert first.json()["requestId"] == again.json()["requestId"]
        assert (REPLAYED_HEADER in first, again[REPLAYED_HEADER]) == (False, "true")

    def test_receivers_that_request_different_things_each_make_a_call(self, link):
        for asked in ({"type": "scale_out"}, {"type": "scale_in"}, {"step": "5"}, {"type": "scale_out"}):
            assert link.call(FIRING, **asked).status_code == 200
        assert sorted(link.trigger.calls.values_list("step", flat=True)) == [-2, 2, 5]

    def test_each_trigger_counts_an_alert_for_itself(self, link):
        other = Link(ScalingTriggerFactory())
        link.call(FIRING)
        other.call(FIRING)
        assert (link.count(), other.count()) == (1, 1)

    def test_resolved_counts_once_too(self):
        link = Link(TriggerFactory(alert_state="resolved"))
        for body in (RESOLVED, RESOLVED, FIRING, RESOLVED):
            link.call(body)
        assert link.count() == 1
        link.call(notify(alert(start="12:00:00", status="resolved")))
        assert link.count() == 2

    def test_a_constant_idempotency_key_is_not_the_id_of_an_alert(self, link):
        for start in ("10:00:00", "12:00:00"):
            link.call(notify(alert(start=start)), headers={"Idempotency-Key": "from http_config"})
        assert link.count() == 2

    def test_an_alert_rejected_by_the_cool_down_counts_after_it(self, link):
        link.trigger.cooldown_seconds = 60
        link.trigger.save()
        link.call(FIRING)
        again = notify(alert(start="12:00:00"))
        assert [link.call(body).status_code for body in (FIRING, again, again)] == [200, 429, 429]
        made = link.trigger.calls.exclude(state=CallState.REJECTED)
        assert made.count() == 1
        TriggerCall.objects.update(queued_at=timezone.now() - timedelta(seconds=61))
        assert [link.call(again).status_code for _ in range(2)] == [200, 200]
        assert made.count() == 2

    def test_an_alert_refused_by_a_full_queue_leaves_no_trace_and_counts_later(self, link, settings):
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 0
        assert link.call(FIRING).status_code == 429
        assert [AlertGroup.objects.count(), Delivery.objects.count(), link.count()] == [0, 0, 0]
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 10
        assert link.call(FIRING).json()["state"] == "queued"

    def test_old_groups_are_deleted(self, link, settings):
        link.call(FIRING)
        assert prune_alert_groups() == 0
        AlertGroup.objects.update(notified_at=timezone.now() - timedelta(days=settings.CALL_RETENTION_DAYS, seconds=1))
        assert (prune_alert_groups(), AlertGroup.objects.count()) == (1, 0)

    def test_the_memory_of_one_group_is_bounded(self, link):
        for number in range(0, 3 * ALERTS_MAXIMUM, ALERTS_MAXIMUM - 1):
            link.call(notify(*(alert(str(number + offset)) for offset in range(ALERTS_MAXIMUM))))
        assert len(AlertGroup.objects.get().alerts) == ALERTS_MAXIMUM

    @pytest.mark.django_db(transaction=True)
    def test_alertmanagers_that_notify_at_the_same_time_make_one_call(self, link):
        barrier, answers = threading.Barrier(4), []

        def send_alert():
            barrier.wait()
            try:
                answers.append(link.call(FIRING))
            finally:
                connection.close()

        senders = [threading.Thread(target=send_alert) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert {(answer.status_code, answer.json()["requestId"]) for answer in answers} == {
            (200, str(link.trigger.calls.get().pk))
        }
        assert AlertGroup.objects.count() == 1
