"""The list of all monitors' dialects, and the search for the one of a message."""

from triggers.payloads.monitors import (
    alertmanager,
    alibaba,
    aws,
    azure,
    better_stack,
    datadog,
    dynatrace,
    google,
    kapacitor,
    nagios,
    netdata,
    new_relic,
    openstatus,
    opsgenie,
    pagerduty,
    pingdom,
    sentry,
    statuscake,
    template,
    uptime_kuma,
    uptimerobot,
    zabbix,
)
from triggers.payloads.monitors.notification import Dialect, Notification
from triggers.payloads.payload import Body, Headers

# The first dialect that reads a message counts. They are told apart by fields that no other one has, so the order matters only
# for the last one, which reads what people write themselves.
DIALECTS: tuple[Dialect, ...] = (
    alertmanager,
    aws,
    sentry,
    uptime_kuma,
    zabbix,
    datadog,
    new_relic,
    pagerduty,
    azure,
    google,
    alibaba,
    netdata,
    nagios,
    opsgenie,
    uptimerobot,
    pingdom,
    statuscake,
    better_stack,
    openstatus,
    kapacitor,
    dynatrace,
    template,
)
LABELS = {dialect.NAME: dialect.LABEL for dialect in DIALECTS} | {alertmanager.GRAFANA: "Grafana"}


def read_notification(body: Body, headers: Headers | None = None) -> Notification | None:
    """Read a monitor's notification, recognised by its shape; None for any other message. Never raises, whatever it contains.

    `headers` are the request's, with names in lower case."""
    return next((found for dialect in DIALECTS if (found := dialect.read(headers or {}, body)) is not None), None)
