"""Messages of monitors in the order in which they send them, from their documentation, with made-up names.

Each dialect has two occurrences of one alert. `again` is what it sends while the first one lasts: a reminder, or the same
message once more. `others` neither begin nor end an alert.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from triggers.payloads.tests.alert_examples import alert, notify, notify_by_grafana

JSON, FORM, TEXT = "application/json", "application/x-www-form-urlencoded", "text/plain; charset=UTF-8"


@dataclass(frozen=True)
class Dialect:
    sender: str
    fired: dict[str, Any]
    again: dict[str, Any]
    resolved: dict[str, Any]
    fired_later: dict[str, Any]
    resolved_later: dict[str, Any]
    others: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON


def cloudwatch(state, moment):
    return {
        "AlarmName": "shop is busy",
        "AlarmDescription": None,
        "AWSAccountId": "123456789012",
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 1 datapoint [91.2] was greater than the threshold (80.0).",
        "StateChangeTime": f"2026-01-01T{moment}.123+0000",
        "Region": "EU (Ireland)",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop is busy",
        "OldStateValue": "OK",
        "Trigger": {"MetricName": "CPUUtilization", "Namespace": "AWS/ECS", "Statistic": "AVERAGE", "Threshold": 80.0},
    }


def sns(message, kind="Notification", identity="1"):
    return {
        "Type": kind,
        "MessageId": f"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf32{identity}",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "Subject": "ALARM",
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-01-01T10:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-example.pem",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=example",
    }


SUBSCRIBE_URL = (
    "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=example&Token=51b2ff3edb475b7d91550e0ab6edf0c1"
)
CONFIRMATION = sns("You have chosen to subscribe to the topic.", "SubscriptionConfirmation") | {
    "Token": "51b2ff3edb475b7d91550e0ab6edf0c1",
    "SubscribeURL": SUBSCRIBE_URL,
}


def event_bridge(state, moment):
    return {
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": f"2026-01-01T{moment}Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop"],
        "detail": {
            "alarmName": "shop",
            "state": {"value": state, "reason": "…", "timestamp": f"2026-01-01T{moment}.123+0000"},
            "previousState": {"value": "OK", "timestamp": "2026-01-01T00:00:00.000+0000"},
        },
    }


def kuma(status, moment, important=True):
    heartbeat = {"monitorID": 4, "status": status, "time": f"2026-01-01 {moment}.123", "msg": "connect ECONNREFUSED"}
    heartbeat |= {"important": important, "duration": 60, "timezone": "UTC", "timezoneOffset": "+00:00"}
    return {"heartbeat": heartbeat, "monitor": {"id": 4, "name": "shop", "type": "http"}, "msg": "[shop] [🔴 Down] refused"}


KUMA_TEST = {"heartbeat": None, "monitor": None, "msg": "Webhook Testing"}


def zabbix(value, event, update="0"):
    return {
        "URL": "https://windlass.example.com/hook/trigger",
        "event_id": event,
        "event_name": "High CPU on shop",
        "event_value": value,
        "event_update_status": update,
    }


def datadog(transition, title="shop is busy", **more):
    return {
        "id": "7401",
        "title": f"[{transition}] {title}",
        "body": "%%%\n@webhook-windlass",
        "event_type": "metric_alert_monitor",
        "last_updated": "1767261600000",
        "date": "1767261600000",
        "org": {"id": "11023", "name": "Example"},
    } | more


def datadog_custom(transition, cycle):
    return {"title": "shop is busy", "alert_id": "91", "alert_transition": transition, "alert_cycle_key": cycle}


def new_relic(state, issue, **more):
    return {
        "id": issue,
        "issueUrl": f"https://radar-api.service.newrelic.com/accounts/1/issues/{issue}",
        "title": "CPU % > 80 for at least 5 minutes on 'shop'",
        "priority": "CRITICAL",
        "impactedEntities": ["shop"],
        "totalIncidents": 1,
        "state": state,
        "trigger": "STATE_CHANGE",
        "alertConditionNames": ["High CPU"],
    } | more


def pagerduty(kind, incident, event):
    return {
        "event": {
            "id": event,
            "event_type": kind,
            "resource_type": "incident",
            "occurred_at": "2026-01-01T10:00:00.000Z",
            "agent": {"id": "PLH1HKV", "type": "user_reference"},
            "client": None,
            "data": {"id": incident, "type": "incident", "number": 2, "status": "triggered", "title": "shop is down"},
        }
    }


def azure(condition, alert, **more):
    root = "/subscriptions/00000000-aaaa-bbbb-cccc-000000000000/providers/Microsoft.AlertsManagement/alerts/"
    essentials = {
        "alertId": f"{root}{alert}",
        "alertRule": "shop is busy",
        "severity": "Sev3",
        "signalType": "Metric",
        "monitorCondition": condition,
        "monitoringService": "Platform",
        "originAlertId": "00000000_shop_microsoft.insights_metricAlerts_busy_-117781227",
        "firedDateTime": "2026-01-01T10:00:00.3713213Z",
        "essentialsVersion": "1.0",
    }
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials | more, "alertContext": {}}}


def azure_metric(status):
    context = {"timestamp": "2026-01-01T10:00:00.000Z", "id": "/subscriptions/0/metricAlerts/busy", "name": "busy"}
    return {"schemaId": "AzureMonitorMetricAlert", "data": {"version": "2.0", "status": status, "context": context}}


def google(state, incident, version="1.2"):
    return {
        "version": version,
        "incident": {
            "incident_id": incident,
            "scoping_project_id": "example-project",
            "state": state,
            "started_at": 1767261600,
            "ended_at": None,
            "policy_name": "shop is busy",
            "condition_name": "CPU",
            "summary": "CPU is above 80 %.",
        },
    }


def pubsub(message):
    data = base64.b64encode(json.dumps(message).encode()).decode()
    return {"message": {"data": data, "messageId": "1", "publishTime": "2026-01-01T10:00:00Z"}, "subscription": "projects/p/s"}


def alibaba(state, moment="1767261600000"):
    return {
        "alertName": "shop is busy",
        "alertState": state,
        "curValue": "91.2",
        "dimensions": "{userId=12, instanceId=i-12}",
        "expression": "$Average>80",
        "instanceName": "shop",
        "metricName": "CPUUtilization",
        "metricProject": "acs_ecs",
        "namespace": "acs_ecs_dashboard",
        "preTriggerLevel": "null",
        "ruleId": "putNewAlarm_user_7f0c",
        "signature": "EXAMPLE=",
        "timestamp": moment,
        "triggerLevel": "WARN",
        "userId": "12",
    }


def netdata(severity, **more):
    return {
        "message": f"cpu_usage is {severity}",
        "alert": "cpu_usage",
        "info": "CPU of the node",
        "chart": "system.cpu",
        "context": "system.cpu",
        "space": "Example",
        "Rooms": {"All nodes": "https://app.netdata.cloud/spaces/example"},
        "family": "cpu",
        "class": "Utilization",
        "severity": severity,
        "date": "2026-01-01T10:00:00Z",
        "duration": "5m",
        "additional_active_critical_alerts": 0,
        "additional_active_warning_alerts": 0,
        "alert_url": "https://app.netdata.cloud/spaces/example/alerts/1",
    } | more


def netdata_node(*, reachable):
    return {"message": "…", "url": "https://…", "host": "node-1", "severity": "critical", "status": {"reachable": reachable}}


def checkmk(kind, problem, last):
    return {
        "NOTIFY_NOTIFICATIONTYPE": kind,
        "NOTIFY_HOSTNAME": "node-1",
        "NOTIFY_SERVICEDESC": "CPU load",
        "NOTIFY_SERVICEPROBLEMID": problem,
        "NOTIFY_LASTSERVICEPROBLEMID": last,
    }


def nagios_host(kind):
    return {"NAGIOS_NOTIFICATIONTYPE": kind, "NAGIOS_HOSTNAME": "node-1", "NAGIOS_HOSTSTATE": "DOWN"}


def opsgenie(action, alert):
    return {
        "source": {"name": "web", "type": "API"},
        "alert": {"alertId": alert, "message": "shop is down", "alias": "shop", "tinyId": "23", "createdAt": 1767261600000},
        "action": action,
        "integrationId": "37c8f316-17c6-49d7-899b-9c7e540c048d",
        "integrationName": "Windlass",
    }


def sentry(action, incident):
    alert = {"id": incident, "identifier": incident, "date_started": "2026-01-01T10:00:00.000Z", "organization_id": "5"}
    alert |= {"alert_rule": {"id": "7", "name": "Too many errors", "aggregate": "count()"}, "status": 20}
    data = {"description_text": "1000 events", "description_title": "Critical: Too many errors", "metric_alert": alert}
    return {"action": action, "actor": {"id": "sentry", "type": "application"}, "data": data, "installation": {"uuid": "1"}}


def uptimerobot(kind):
    return {
        "monitorID": "95987545252",
        "monitorURL": "https://shop.example.com",
        "monitorFriendlyName": "shop",
        "alertType": kind,
        "alertTypeFriendlyName": "Down",
        "alertDetails": "Connection Timeout",
    }


def pingdom(state, moment):
    return {
        "check_id": 12345,
        "check_name": "shop",
        "check_type": "HTTP",
        "previous_state": "UP",
        "current_state": state,
        "importance_level": "HIGH",
        "state_changed_timestamp": moment,
        "state_changed_utc_time": "2026-01-01T10:00:00",
        "description": "Error description",
    }


def statuscake(status):
    return {"Token": "example", "Status": status, "StatusCode": "503", "URL": "https://shop.example.com", "Name": "shop"}


def better_stack(incident, **more):
    attributes = {
        "name": "shop",
        "url": "https://shop.example.com",
        "cause": "Status 503",
        "started_at": "2026-01-01T10:00:00Z",
    }
    attributes |= {"acknowledged_at": None, "resolved_at": None}
    return {"data": {"id": incident, "type": "incident", "attributes": attributes | more, "relationships": {}}}


def openstatus(status):
    monitor = {"id": 1, "name": "shop", "url": "https://shop.example.com"}
    return {"monitor": monitor, "cronTimestamp": 1767261600000, "status": status, "statusCode": 503, "latency": 13}


def kapacitor(level):
    return {
        "id": "cpu:host=node-1",
        "message": f"cpu is {level}",
        "details": "",
        "time": "2026-01-01T10:00:00Z",
        "duration": 0,
        "level": level,
        "previousLevel": "OK",
        "data": {"series": []},
    }


def dynatrace(state, problem):
    return {
        "State": state,
        "PID": f"-{problem}_1767261600000V2",
        "ProblemID": problem,
        "ProblemTitle": "Response time of shop",
        "ProblemImpact": "SERVICE",
        "ProblemURL": "https://example.live.dynatrace.com",
        "Tags": "",
    }


def template(state, **more):
    return {"alert": "core/shop", "state": state} | more


def list_occurrences(send):
    """Return what Alertmanager or Grafana sends about two occurrences."""
    first, later = ({"start": start} for start in ("10:00:00", "12:00:00"))
    beginning, beginning_later = (send(alert(**one)) for one in (first, later))
    ended, ended_later = (send(alert(status="resolved", **one)) for one in (first, later))
    return beginning, beginning, ended, beginning_later, ended_later


DIALECTS = {
    "Alertmanager": Dialect("alertmanager", *list_occurrences(notify), headers={"User-Agent": "Alertmanager/0.27.0"}),
    "Grafana": Dialect("grafana", *list_occurrences(notify_by_grafana)),
    "CloudWatch through SNS": Dialect(
        "cloudwatch",
        sns(cloudwatch("ALARM", "10:00:00")),
        sns(cloudwatch("ALARM", "10:00:00")),
        sns(cloudwatch("OK", "10:05:00"), identity="2"),
        sns(cloudwatch("ALARM", "11:00:00"), identity="3"),
        sns(cloudwatch("OK", "11:05:00"), identity="4"),
        [
            CONFIRMATION,
            CONFIRMATION | {"SubscribeURL": "https://amazonaws.com.example.com/?Token=1"},
            sns("You have deactivated the subscription.", "UnsubscribeConfirmation"),
            sns(cloudwatch("INSUFFICIENT_DATA", "10:00:00")),
        ],
        {"x-amz-sns-message-type": "Notification", "User-Agent": "Amazon Simple Notification Service Agent"},
        TEXT,
    ),
    "CloudWatch through SNS, delivered raw": Dialect(
        "cloudwatch",
        *(cloudwatch("ALARM", "10:00:00"), cloudwatch("ALARM", "10:00:00"), cloudwatch("OK", "10:05:00")),
        *(cloudwatch("ALARM", "11:00:00"), cloudwatch("OK", "11:05:00")),
        headers={"x-amz-sns-rawdelivery": "true"},
        content_type=TEXT,
    ),
    "CloudWatch through EventBridge": Dialect(
        "cloudwatch",
        *(event_bridge("ALARM", "10:00:00"), event_bridge("ALARM", "10:00:00"), event_bridge("OK", "10:05:00")),
        *(event_bridge("ALARM", "11:00:00"), event_bridge("OK", "11:05:00")),
        [event_bridge("INSUFFICIENT_DATA", "10:00:00")],
    ),
    "Uptime Kuma": Dialect(
        "uptime_kuma",
        *(kuma(0, "10:00:00"), kuma(0, "10:30:00", important=False), kuma(1, "10:40:00")),
        *(kuma(0, "11:00:00"), kuma(1, "11:40:00")),
        [kuma(2, "10:00:00"), kuma(3, "10:00:00"), KUMA_TEST, KUMA_TEST | {"msg": "[shop] certificate expires in 7 days"}],
    ),
    "Uptime Kuma, as a form": Dialect(
        "uptime_kuma",
        {"data": json.dumps(kuma(0, "10:00:00"))},
        {"data": json.dumps(kuma(0, "10:30:00", important=False))},
        {"data": json.dumps(kuma(1, "10:40:00"))},
        {"data": json.dumps(kuma(0, "11:00:00"))},
        {"data": json.dumps(kuma(1, "11:40:00"))},
        [{"data": json.dumps(KUMA_TEST)}],
        content_type=FORM,
    ),
    "Zabbix": Dialect(
        "zabbix",
        *(zabbix("1", "11023"), zabbix("1", "11023"), zabbix("0", "11023"), zabbix("1", "11044"), zabbix("0", "11044")),
        [zabbix("1", "11023", update="1")],
    ),
    "Datadog": Dialect(
        "datadog",
        *(datadog("Triggered"), datadog("Re-Triggered"), datadog("Recovered"), datadog("Triggered"), datadog("Recovered")),
        [datadog("No Data"), datadog("TEST"), datadog("Renotify")],
    ),
    "Datadog, one of many hosts": Dialect(
        "datadog",
        *(datadog(f"{word} on {{host:a}}") for word in ("Triggered", "Re-Triggered", "Recovered", "Triggered", "Recovered")),
    ),
    "Datadog with a payload of one's own": Dialect(
        "datadog",
        *(datadog_custom("Triggered", "a1"), datadog_custom("Re-Triggered", "a1"), datadog_custom("Recovered", "a1")),
        *(datadog_custom("Triggered", "a2"), datadog_custom("Recovered", "a2")),
        [datadog_custom("No Data", "a1")],
    ),
    "New Relic": Dialect(
        "new_relic",
        *(new_relic("ACTIVATED", "0ea2df1c"), new_relic("ACTIVATED", "0ea2df1c", trigger="INCIDENT_ADDED")),
        *(new_relic("CLOSED", "0ea2df1c"), new_relic("ACTIVATED", "1fb3"), new_relic("CLOSED", "1fb3")),
        [new_relic("CREATED", "0ea2df1c"), new_relic("ACKNOWLEDGED", "0ea2df1c")],
    ),
    "New Relic before workflows": Dialect(
        "new_relic",
        *(
            {"account_id": 1, "condition_name": "CPU", "policy_name": "shop", "incident_id": number, "current_state": state}
            for state, number in (("open", 1), ("open", 1), ("closed", 1), ("open", 2), ("closed", 2))
        ),
        [{"incident_id": 1, "current_state": "acknowledged"}, {"incident_id": 0, "current_state": "test"}],
    ),
    "PagerDuty": Dialect(
        "pagerduty",
        *(pagerduty("incident.triggered", "PGR0VU2", "01A"), pagerduty("incident.triggered", "PGR0VU2", "01A")),
        pagerduty("incident.resolved", "PGR0VU2", "01B"),
        pagerduty("incident.reopened", "PGR0VU2", "01C"),
        pagerduty("incident.resolved", "PGR0VU2", "01D"),
        [
            pagerduty("incident.acknowledged", "PGR0VU2", "01E"),
            pagerduty("pagey.ping", "", "01F") | {"event": {"event_type": "pagey.ping", "resource_type": "pagey", "data": {}}},
        ],
        {"X-PagerDuty-Signature": "v1=example"},
    ),
    "Azure Monitor": Dialect(
        "azure_monitor",
        *(azure("Fired", "a1"), azure("Fired", "a1"), azure("Resolved", "a1"), azure("Fired", "a2"), azure("Resolved", "a2")),
        [azure("Fired", "", alertId="/subscriptions/11111111-1111-1111-1111-111111111111/providers/x/alerts/1")],
    ),
    "Azure Monitor, a metric alert without the common schema": Dialect(
        "azure_monitor",
        *map(azure_metric, ("Activated", "Activated", "Deactivated", "Activated", "Deactivated")),
    ),
    "Google Cloud Monitoring": Dialect(
        "google_monitoring",
        *(
            google("open", "0.a"),
            google("open", "0.a"),
            google("closed", "0.a"),
            google("open", "0.b"),
            google("closed", "0.b"),
        ),
        [google("open", "0.a", version="test")],
    ),
    "Google Cloud Monitoring through Pub/Sub": Dialect(
        "google_monitoring",
        *(
            pubsub(google(*one))
            for one in (("open", "0.a"), ("open", "0.a"), ("closed", "0.a"), ("open", "0.b"), ("closed", "0.b"))
        ),
    ),
    "Alibaba CloudMonitor": Dialect(
        "cloudmonitor",
        *(alibaba("ALERT"), alibaba("ALERT", "1767265200000"), alibaba("OK"), alibaba("ALERT"), alibaba("OK")),
        [alibaba("INSUFFICIENT_DATA")],
        content_type=FORM,
    ),
    "Netdata Cloud": Dialect(
        "netdata",
        *map(netdata, ("warning", "critical", "clear", "critical", "clear")),
        [netdata("removed"), {"message": "A test", "title": "Netdata", "token": "t-0815"}, {"crc_token": "1"}],
    ),
    "Netdata Cloud, a node": Dialect(
        "netdata", *(netdata_node(reachable=reachable) for reachable in (False, False, True, False, True))
    ),
    "Checkmk": Dialect(
        "nagios",
        *(checkmk("PROBLEM", "71", "0"), checkmk("PROBLEM", "71", "0"), checkmk("RECOVERY", "0", "71")),
        *(checkmk("PROBLEM", "75", "71"), checkmk("RECOVERY", "0", "75")),
        [checkmk(kind, "71", "0") for kind in ("ACKNOWLEDGEMENT", "DOWNTIMESTART", "FLAPPINGSTART", "CUSTOM")],
        content_type=FORM,
    ),
    "Nagios, a host": Dialect(
        "nagios",
        *map(nagios_host, ("PROBLEM", "PROBLEM", "RECOVERY", "PROBLEM", "RECOVERY")),
        [nagios_host("DOWNTIMEEND")],
        content_type=FORM,
    ),
    "Opsgenie": Dialect(
        "opsgenie",
        *(opsgenie("Create", "a1"), opsgenie("Create", "a1"), opsgenie("Close", "a1")),
        *(opsgenie("Create", "a2"), opsgenie("Close", "a2")),
        [opsgenie(action, "a1") for action in ("Acknowledge", "AddNote", "Delete")],
    ),
    "Sentry": Dialect(
        "sentry",
        *(sentry("warning", "7"), sentry("critical", "7"), sentry("resolved", "7")),
        *(sentry("critical", "8"), sentry("resolved", "8")),
        headers={"Sentry-Hook-Resource": "metric_alert"},
    ),
    "UptimeRobot": Dialect("uptimerobot", *map(uptimerobot, "11212"), [uptimerobot("3")], content_type=FORM),
    "Pingdom": Dialect(
        "pingdom",
        *(pingdom("DOWN", 1), pingdom("DOWN", 1), pingdom("UP", 2), pingdom("DOWN", 3), pingdom("UP", 4)),
        [pingdom("UNKNOWN", 1)],
    ),
    "StatusCake": Dialect("statuscake", *map(statuscake, ("Down", "Down", "Up", "Down", "Up")), content_type=FORM),
    "Better Stack": Dialect(
        "better_stack",
        *(better_stack("1"), better_stack("1"), better_stack("1", resolved_at="2026-01-01T10:05:00Z")),
        *(better_stack("2"), better_stack("2", resolved_at="2026-01-01T11:05:00Z")),
        [better_stack("1", acknowledged_at="2026-01-01T10:01:00Z")],
    ),
    "OpenStatus": Dialect(
        "openstatus", *map(openstatus, ("error", "error", "recovered", "error", "recovered")), [openstatus("degraded")]
    ),
    "Kapacitor": Dialect("kapacitor", *map(kapacitor, ("WARNING", "CRITICAL", "OK", "CRITICAL", "OK")), [kapacitor("INFO")]),
    "Dynatrace": Dialect(
        "dynatrace",
        *(dynatrace("OPEN", "1"), dynatrace("OPEN", "1"), dynatrace("RESOLVED", "1")),
        *(dynatrace("OPEN", "2"), dynatrace("RESOLVED", "2")),
        [dynatrace("MERGED", "1")],
    ),
    "Gatus": Dialect(
        "template", *map(template, ("TRIGGERED", "TRIGGERED", "RESOLVED", "TRIGGERED", "RESOLVED")), [template("UNKNOWN")]
    ),
    "Healthchecks": Dialect("template", *map(template, ("down", "down", "up", "down", "up")), [template("paused")]),
    "the Netdata agent": Dialect(
        "template", *map(template, ("WARNING", "CRITICAL", "CLEAR", "WARNING", "CLEAR")), [template("REMOVED")]
    ),
    "a template with an occurrence": Dialect(
        "template",
        *(template("firing", occurrence=1), template("firing", occurrence=1), template("ok", occurrence=1)),
        *(template("firing", occurrence=2), template("ok", occurrence=2)),
    ),
}
