"""Notifications of Alertmanager and Grafana are read."""

import copy

import pytest

from triggers.payloads.alerts import read_notification
from triggers.payloads.monitors.notification import ALERTS_MAXIMUM
from triggers.payloads.tests.alert_examples import (
    FIRING,
    GRAFANA_FIRING,
    GRAFANA_RESOLVED,
    RESOLVED,
    ZERO,
    alert,
    notify,
    without,
)


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
def test_the_state_is_that_of_the_group(body, sender, state):
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
def test_another_shape_is_not_a_notification(body):
    assert read_notification(body) is None


@pytest.mark.parametrize("value", [None, 1, 10**400, "\0\ud800", "x" * 100_000, [], {"a": float("nan")}, True, ZERO])
@pytest.mark.parametrize(
    "name", ["groupKey", "groupLabels", "commonLabels", "startsAt", "fingerprint", "labels", "one status", "orgId"]
)
def test_hostile_values_are_read_without_errors(name, value):
    body = copy.deepcopy(without(FIRING, "groupKey"))
    if name == "one status":
        body["alerts"][0]["status"] = value
    else:
        (body if name in {"groupKey", "groupLabels", "commonLabels", "orgId"} else body["alerts"][0])[name] = value
    notification = read_notification(body)
    assert notification.state == "firing"
    assert max(map(len, [*notification.alerts, notification.start, notification.name])) <= 64


def test_an_ended_alert_of_a_firing_group_does_not_count():
    body = notify(alert("a", "09:00:00", "resolved"), alert("b", "10:00:00"))
    assert read_notification(body).start == "2026-01-01T10:00:00.123456+00:00"


@pytest.mark.parametrize("start", ["2026-01-01T10:00:00Z", "2026-01-01T12:00:00+02:00", "2026-01-01T05:00:00.000-05:00"])
def test_a_moment_is_the_same_in_every_time_zone(start):
    body = notify(alert() | {"startsAt": start})
    assert read_notification(body).start == "2026-01-01T10:00:00.000000+00:00"


def test_of_very_many_alerts_always_the_same_are_kept():
    alerts = [alert(str(number)) for number in range(ALERTS_MAXIMUM + 50)]
    kept, turned = (read_notification(notify(*found)).alerts for found in (alerts, alerts[::-1]))
    assert kept == turned
    assert len(kept) == ALERTS_MAXIMUM
