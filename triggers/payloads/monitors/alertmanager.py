"""Prometheus' Alertmanager (webhook, version 4), Grafana (contact point Webhook) and all that send the same: VictoriaMetrics,
Mimir, Cortex, Thanos, SigNoz. From Alertmanager's docs/configuration.md, `webhook_config`.

They send a group of alerts with one status for the group: `firing` while at least one alert fires, `resolved` once all have
ended. Grafana sends some more fields; all others are the same. Messages of its legacy alerting (`ruleId`, `evalMatches`,
until version 10) have no groups and are not recognised.
"""

from collections.abc import Mapping
from typing import Any

from triggers.payloads.fields import clean, dig, is_object, text
from triggers.payloads.monitors.notification import (
    ALERTS_MAXIMUM,
    FIRING,
    RESOLVED,
    Notification,
    digest,
    normalize_moment,
    write_canonical,
)
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "alertmanager", "Alertmanager"
GRAFANA = "grafana"


def read(headers: Headers, body: Body) -> Notification | None:
    state, alerts = body.get("status"), body.get("alerts")
    if state not in (FIRING, RESOLVED) or not isinstance(alerts, list) or not all(is_object(alert) for alert in alerts):
        return None
    # In a firing group some alerts may have ended: those do not count.
    current = [alert for alert in alerts if alert.get("status") == state] or alerts
    return Notification(
        sender=GRAFANA if "orgId" in body else NAME,
        state=state,
        name=clean(text(dig(body, "commonLabels", "alertname")), 60),
        group=text(body.get("groupKey")) or write_canonical(dig(body, "groupLabels")),
        alerts=frozenset(sorted(map(name_alert, current))[:ALERTS_MAXIMUM]),  # sorted: always the same ones of very many
        start=min(filter(None, map(read_start, current)), default=""),
        event=state,
    )


def name_alert(alert: Mapping[str, Any]) -> str:
    """Return a short name for the alert, a new one each time that it starts to fire."""
    identity = text(alert.get("fingerprint")) or write_canonical(alert.get("labels"))
    return digest(identity, read_start(alert))[:16]


def read_start(alert: Mapping[str, Any]) -> str:
    return normalize_moment(text(alert.get("startsAt"))[:64])
