"""What Prometheus' Alertmanager (webhook, version 4) and Grafana (contact point Webhook) tell of alerts.

Both send a group of alerts with one status for all of it, as Alertmanager has it: `firing` while at least one of them fires,
`resolved` once all have ended. Grafana's has more fields, all others are the same; those of its legacy alerting (`ruleId`,
`evalMatches`, until version 10) have no groups, and are not recognised.
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
ALERTS_MAXIMUM = 500  # of one group that are remembered


@dataclass(frozen=True)
class Notification:
    """About one group of alerts. `name`: of their rule, if all are of one. `group`: the same each time. `alerts`: names of
    those that the state is about, other ones when an alert has ended and fires again. `start`: of the earliest of these, as
    text that is equal for equal moments; empty where none is told."""

    sender: str
    state: str
    name: str
    group: str
    alerts: frozenset[str]
    start: str


def read_notification(body: Body) -> Notification | None:
    """By its shape alone; None for anything else. Never raises, whatever stands in it."""
    state, alerts = body.get("status"), body.get("alerts")
    if state not in (FIRING, RESOLVED) or not isinstance(alerts, list) or not all(is_object(alert) for alert in alerts):
        return None
    # Of a group that fires some may have ended: those do not count.
    told = [alert for alert in alerts if alert.get("status") == state] or alerts
    return Notification(
        sender=GRAFANA if "orgId" in body else ALERTMANAGER,
        state=state,
        name=clean(text(dig(body, "commonLabels", "alertname")), 60),
        group=text(body.get("groupKey")) or write_canonical(dig(body, "groupLabels")),
        alerts=frozenset(sorted(map(name_alert, told))[:ALERTS_MAXIMUM]),  # the same ones of very many, each time
        start=min(filter(None, map(read_start, told)), default=""),
    )


def name_alert(alert: Mapping[str, Any]) -> str:
    """Short, and another one for each time that it begins to fire."""
    identity = text(alert.get("fingerprint")) or write_canonical(alert.get("labels"))
    return digest(identity, read_start(alert))[:16]


def read_start(alert: Mapping[str, Any]) -> str:
    """In UTC, so that the same moment is the same text and texts are in the order of time; what is no time, as it is."""
    told = text(alert.get("startsAt"))[:64]
    try:
        moment = datetime.fromisoformat(told)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return told


def write_canonical(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return ""


def digest(*parts: str) -> str:
    """A hash that tells apart what stands in which part."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
