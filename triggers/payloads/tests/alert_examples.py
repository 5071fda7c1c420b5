"""Notifications of Alertmanager and Grafana, as they send them."""

import zlib

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
    """Return a notification of Alertmanager, which fires while one alert of the group does."""
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
    fields = {"orgId": 1, "title": "[FIRING:1] HighCPU", "state": "alerting" if firing else "ok", "message": "**Firing**"}
    return body | {"version": "1", **fields} | more


FIRING, RESOLVED = notify(alert()), notify(alert(status="resolved"))
GRAFANA_FIRING, GRAFANA_RESOLVED = notify_by_grafana(alert()), notify_by_grafana(alert(status="resolved"))


def without(body, *names):
    return {name: value for name, value in body.items() if name not in names}
