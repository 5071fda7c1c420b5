"""What a link does about notifications of Alertmanager and Grafana, as they send them."""

import copy
import json
import threading
import zlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from triggers.calls.repetitions import REPLAYED_HEADER
from triggers.models import AlertGroup, CallState, Decision, Delivery, TriggerCall
from triggers.payloads.alerts import ALERTS_MAXIMUM, read_notification
from triggers.pushes.alerts import prune_alert_groups
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

AGENT = {"User-Agent": "Alertmanager/0.27.0"}
ZERO = "0001-01-01T00:00:00Z"


def alert(instance="a", start="10:00:00", status="firing"):
    ended = ZERO if status == "firing" else "2026-01-01T11:00:00.000Z"
    labels = {"alertname": "HighCPU", "instance": instance, "service": "web", "severity": "warning"}
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"CPU of {instance} is above 80 %"},
        "startsAt": f"2026-01-01T{start}.123456789Z",
        "endsAt": ended,
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=cpu&g0.tab=1",
        "fingerprint": f"{zlib.crc32(instance.encode()):016x}",
    }


def notify(*alerts, group="web", **more):
    """Of Alertmanager: it fires while one alert of the group does."""
    status = "firing" if any(one["status"] == "firing" for one in alerts) else "resolved"
    return {
        "version": "4",
        "groupKey": f'{{}}/{{severity="warning"}}:{{service="{group}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "windlass",
        "groupLabels": {"service": group},
        "commonLabels": {"alertname": "HighCPU", "service": group, "severity": "warning"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "alerts": list(alerts),
    } | more


def notify_by_grafana(*alerts, **more):
    body = notify(*alerts)
    for one in body["alerts"]:
        one |= {"values": {"B": 44.2, "C": 1}, "dashboardURL": "", "panelURL": "", "silenceURL": "https://g.example.com/s"}
    firing = body["status"] == "firing"
    told = {"orgId": 1, "title": "[FIRING:1] HighCPU", "state": "alerting" if firing else "ok", "message": "**Firing**"}
    return body | {"version": "1", **told} | more


FIRING, RESOLVED = notify(alert()), notify(alert(status="resolved"))
GRAFANA_FIRING, GRAFANA_RESOLVED = notify_by_grafana(alert()), notify_by_grafana(alert(status="resolved"))


def without(body, *names):
    return {name: value for name, value in body.items() if name not in names}


class TestReading:
    @pytest.mark.parametrize(
        ("body", "sender", "state"),
        [
            (FIRING, "alertmanager", "firing"),
            (RESOLVED, "alertmanager", "resolved"),
            (GRAFANA_FIRING, "grafana", "firing"),
            (GRAFANA_RESOLVED, "grafana", "resolved"),
            (notify(alert("a", status="resolved"), alert("b")), "alertmanager", "firing"),
        ],
    )
    def test_the_state_is_the_groups(self, body, sender, state):
        notification = read_notification(body)
        assert (notification.sender, notification.state, notification.name) == (sender, state, "HighCPU")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"status": "firing"},
            {"alerts": [alert()]},
            FIRING | {"status": "pending"},
            FIRING | {"status": ["firing"]},
            FIRING | {"status": None},
            FIRING | {"alerts": {"0": alert()}},
            FIRING | {"alerts": ["firing"]},
            FIRING | {"alerts": [None]},
            {"ruleId": 1, "ruleName": "CPU", "state": "ok", "evalMatches": [], "title": "[OK] CPU"},
        ],
    )
    def test_another_shape_is_no_alert(self, body):
        assert read_notification(body) is None

    @pytest.mark.parametrize("value", [None, 1, 10**400, "\0\ud800", "x" * 100_000, [], {"a": float("nan")}, True, ZERO])
    @pytest.mark.parametrize(
        "name", ["groupKey", "groupLabels", "commonLabels", "startsAt", "fingerprint", "labels", "one status", "orgId"]
    )
    def test_hostile_values_are_read_as_well_as_may_be(self, name, value):
        body = copy.deepcopy(without(FIRING, "groupKey"))
        if name == "one status":
            body["alerts"][0]["status"] = value
        else:
            (body if name in {"groupKey", "groupLabels", "commonLabels", "orgId"} else body["alerts"][0])[name] = value
        notification = read_notification(body)
        assert notification.state == "firing"
        assert max(map(len, [*notification.alerts, notification.start, notification.name])) <= 64

    def test_what_ended_within_a_group_that_fires_does_not_count(self):
        body = notify(alert("a", "09:00:00", "resolved"), alert("b", "10:00:00"))
        assert read_notification(body).start == "2026-01-01T10:00:00.123456+00:00"

    @pytest.mark.parametrize("told", ["2026-01-01T10:00:00Z", "2026-01-01T12:00:00+02:00", "2026-01-01T05:00:00.000-05:00"])
    def test_a_moment_is_the_same_in_every_zone(self, told):
        body = notify(alert() | {"startsAt": told})
        assert read_notification(body).start == "2026-01-01T10:00:00.000000+00:00"

    def test_of_very_many_the_same_ones_are_kept(self):
        alerts = [alert(str(number)) for number in range(ALERTS_MAXIMUM + 50)]
        kept, turned = (read_notification(notify(*found)).alerts for found in (alerts, alerts[::-1]))
        assert kept == turned
        assert len(kept) == ALERTS_MAXIMUM


@pytest.fixture
def link(db, published):
    return Link(ScalingTriggerFactory())


class Link:
    """A trigger's link, as monitoring calls it."""

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

    def test_the_access_log_tells_what_became_of_each(self, link):
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

    def test_an_ignored_one_needs_no_parameters_and_waits_for_nothing(self, link):
        for name in ("type", "step"):
            del link.parameters[name]
        assert link.call(RESOLVED, wait="60").status_code == 200

    def test_an_alert_without_type_or_step_is_told_what_is_missing(self, link):
        del link.parameters["step"]
        response = link.call(FIRING)
        assert (response.status_code, link.count(), Delivery.objects.count()) == (400, 0, 0)
        assert "The step parameter is missing" in response.json()["message"]

    def test_the_sender_is_not_told_by_its_user_agent(self, link):
        assert link.call(RESOLVED, headers={}).json()["requestId"] is None
        assert link.call({"hello": "world"}, headers=AGENT).json()["state"] == "queued"

    @pytest.mark.parametrize(
        "body", [without(FIRING, "status"), without(FIRING, "alerts"), FIRING | {"alerts": [1]}, [FIRING], "firing", None]
    )
    def test_what_is_not_recognisably_an_alert_is_a_plain_call(self, link, body):
        assert link.call(body).json()["state"] == "queued"
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize("body", [{"status": "firing", "alerts": []}, FIRING | {"alerts": [{}], "groupKey": "\0\ud800"}])
    def test_a_maimed_alert_is_no_error_and_no_repetition_of_any(self, link, body):
        assert [link.call(body).status_code for _ in range(2)] == [200, 200]
        assert link.count() == 2

    def test_a_disabled_trigger_refuses_and_says_so(self):
        link = Link(ScalingTriggerFactory(enabled=False))
        assert (link.call(FIRING).status_code, Delivery.objects.get().decision) == (403, Decision.REJECTED)

    def test_a_wrong_secret_leaves_no_trace(self, link):
        link.parameters["secret"] = "0" * 64
        assert link.call(RESOLVED).status_code == 404
        assert not Delivery.objects.exists()

    def test_a_registrys_message_is_what_it_was(self):
        link = Link(TriggerFactory())
        response = link.call({"image": "registry.example.com/team/app", "tag": "1", "status": "new"})
        assert response.json()["lines"][0]["decision"] == "image"


# Notifications one after the other, and how many calls they come to.
A, B, C = (alert(instance, start) for instance, start in (("a", "10:00:00"), ("b", "10:05:00"), ("c", "10:10:00")))
OCCURRENCES = {
    "sent again each repeat_interval": ([notify(A), notify(A), notify(A)], 1),
    "an alert joins the group": ([notify(A), notify(A, B), notify(B, A)], 1),
    "the first alert of the group ends": ([notify(A, B), notify(B)], 1),
    "the first one ends, and that is told": ([notify(A, B), notify(alert("a", status="resolved"), B), notify(B)], 1),
    "they take turns without a gap": ([notify(A), notify(A, B), notify(B), notify(B, C), notify(C)], 1),
    "one of two Alertmanagers is behind": ([notify(A, B), notify(A), notify(B)], 1),
    "resolved and fired again": ([notify(A), notify(alert("a", status="resolved")), notify(alert("a", "12:00:00"))], 2),
    "fired again, and its end was not told": ([notify(A), notify(alert("a", "12:00:00"))], 2),
    "a late notification of what has ended": ([notify(A), notify(alert("a", "12:00:00")), notify(A)], 2),
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

    def test_two_receivers_of_one_trigger_do_not_swallow_each_other(self, link):
        for asked in ({"type": "scale_out"}, {"type": "scale_in"}, {"step": "5"}, {"type": "scale_out"}):
            assert link.call(FIRING, **asked).status_code == 200
        assert sorted(link.trigger.calls.values_list("step", flat=True)) == [-2, 2, 5]

    def test_triggers_do_not_swallow_each_others(self, link):
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

    def test_a_header_that_is_the_same_each_time_is_not_its_id(self, link):
        for start in ("10:00:00", "12:00:00"):
            link.call(notify(alert(start=start)), headers={"Idempotency-Key": "from http_config"})
        assert link.count() == 2

    def test_what_cooling_down_refused_counts_once_it_is_over(self, link):
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

    def test_what_a_full_queue_refused_leaves_no_trace_and_counts_later(self, link, settings):
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 0
        assert link.call(FIRING).status_code == 429
        assert [AlertGroup.objects.count(), Delivery.objects.count(), link.count()] == [0, 0, 0]
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 10
        assert link.call(FIRING).json()["state"] == "queued"

    def test_old_groups_are_forgotten(self, link, settings):
        link.call(FIRING)
        assert prune_alert_groups() == 0
        AlertGroup.objects.update(notified_at=timezone.now() - timedelta(days=settings.CALL_RETENTION_DAYS, seconds=1))
        assert (prune_alert_groups(), AlertGroup.objects.count()) == (1, 0)

    def test_the_memory_of_one_group_is_bounded(self, link):
        for number in range(0, 3 * ALERTS_MAXIMUM, ALERTS_MAXIMUM - 1):
            link.call(notify(*(alert(str(number + offset)) for offset in range(ALERTS_MAXIMUM))))
        assert len(AlertGroup.objects.get().alerts) == ALERTS_MAXIMUM

    @pytest.mark.django_db(transaction=True)
    def test_a_pair_of_alertmanagers_that_tell_it_at_once_make_one_call(self, link):
        barrier, answers = threading.Barrier(4), []

        def tell():
            barrier.wait()
            try:
                answers.append(link.call(FIRING))
            finally:
                connection.close()

        tellers = [threading.Thread(target=tell) for _ in range(4)]
        for teller in tellers:
            teller.start()
        for teller in tellers:
            teller.join()
        assert {(answer.status_code, answer.json()["requestId"]) for answer in answers} == {
            (200, str(link.trigger.calls.get().pk))
        }
        assert AlertGroup.objects.count() == 1
