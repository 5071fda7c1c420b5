"""Checkmk, Nagios, Icinga and Naemon, from a notification script that sends their variables under their own names, with or
without `NOTIFY_`, `NAGIOS_` or `ICINGA_` before them: `NOTIFICATIONTYPE` (`PROBLEM`, `RECOVERY` and others), `HOSTNAME`,
`SERVICEDESC`, `SERVICEPROBLEMID`, `LASTSERVICEPROBLEMID`. From Nagios' list of standard macros; Checkmk's notification scripts
have the same in their environment (docs.checkmk.com, "Notifications by email, SMS, ticketing systems, and more").

A problem's id is 0 once it has ended, and the last id is then that of the problem.
"""

from collections.abc import Mapping
from typing import Any

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "nagios", "Checkmk, Nagios or Icinga"
DIALECT = (NAME, LABEL)
STATES = {"problem": FIRING, "recovery": RESOLVED}
PREFIXES = ("notify_", "nagios_", "icinga_")


def read(headers: Headers, body: Body) -> Notification | None:
    fields = {strip_prefix(str(name)): value for name, value in list(body.items())[:500]}
    if "notificationtype" not in fields or not (fields.get("hostname") or fields.get("hostalias")):
        return None
    host, service = fields.get("hostname") or fields.get("hostalias"), fields.get("servicedesc")
    return make_notification(
        DIALECT,
        fields["notificationtype"],
        STATES,
        group=(host, service),
        name=f"{show(host)} {show(service)}",
        occurrence=find_problem(fields, "service" if show(service) else "host"),
    )


def strip_prefix(name: str) -> str:
    name = name.lower()
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def find_problem(fields: Mapping[str, Any], what: str) -> str:
    names = (f"{what}problemid", f"last{what}problemid")
    return next((found for name in names if (found := show(fields.get(name))) not in {"", "0"}), "")
