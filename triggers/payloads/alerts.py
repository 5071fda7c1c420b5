"""Notifications of Prometheus' Alertmanager (webhook, version 4) and Grafana (contact point Webhook) about alerts.

Both send a group of alerts with one status for the group: `firing` while at least one alert fires, `resolved` once all have
ended. Grafana sends some more fields; all others are the same. Messages of its legacy alerting (`ruleId`, `evalMatches`,
until version 10) have no groups and are not recognised.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from triggers.payloads.fields import clean, dig, is_object, text
from triggers.payloads.payload import Body

ALERTMANAGER, GRAFANA = "alertmanager", "grafana"
LABELS = {ALERTMANAGER: "Alertmanager", GRAFANA: "Grafana"}
FIRING, RESOLVED = "firing", "resolved"
ALERTS_MAXIMUM = 500  # alerts of one group that are remembered


@dataclass(frozen=True)
class Notification:
    """A notification about one group of alerts.

    `name` is the name of their rule, empty if they have several. `group` identifies the group and never changes. `alerts`
    names the alerts that are in this state; an alert that ends and fires again gets a new name. `start` is the earliest start
    of these alerts, as text that is equal for equal moments; empty if the message has none."""

    sender: str
    state: str
    name: str
    group: str
    alerts: frozenset[str]
    start: str


def read_notification(body: Body) -> Notification | None:
    """Read a notification, recognised by its shape alone; None for any other message. Never raises, whatever it contains."""
    state, alerts = body.get("status"), body.get("alerts")
    if state not in (FIRING, RESOLVED) or not isinstance(alerts, list) or not all(is_object(alert) for alert in alerts):
        return None
    # In a firing group some alerts may have ended: those do not count.
    current = [alert for alert in alerts if alert.get("status") == state] or alerts
    return Notification(
        sender=GRAFANA if "orgId" in body else ALERTMANAGER,
        state=state,
        name=clean(text(dig(body, "commonLabels", "alertname")), 60),
        group=text(body.get("groupKey")) or write_canonical(dig(body, "groupLabels")),
        alerts=frozenset(sorted(map(name_alert, current))[:ALERTS_MAXIMUM]),  # sorted: always the same ones of very many
        start=min(filter(None, map(read_start, current)), default=""),
    )


def name_alert(alert: Mapping[str, Any]) -> str:
    """Return a short name for the alert, a new one each time that it starts to fire."""
    identity = text(alert.get("fingerprint")) or write_canonical(alert.get("labels"))
    return digest(identity, read_start(alert))[:16]


def read_start(alert: Mapping[str, Any]) -> str:
    """Return the start in UTC, so that equal moments are equal texts and texts sort by time. Keep any other text."""
    start = text(alert.get("startsAt"))[:64]
    try:
        moment = datetime.fromisoformat(start)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return start


def write_canonical(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return ""


def digest(*parts: str) -> str:
    """Return a hash of the parts, different for the same text split into other parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
