"""The templates in docs/triggers.md are read as they stand there, once a monitor has filled them in."""

import json
import re

import pytest
from django.conf import settings

from triggers.payloads.alerts import read_notification

DOCS = (settings.BASE_DIR / "docs/triggers.md").read_text().partition("### Templates")[2].partition("\n## ")[0]
# What a monitor puts in the place of each of its variables, when an alert begins and when it has ended.
FILLED = {
    "[ENDPOINT_GROUP]": ("core", "core"),
    "[ENDPOINT_NAME]": ("shop", "shop"),
    "[ALERT_TRIGGERED_OR_RESOLVED]": ("TRIGGERED", "RESOLVED"),
    "$CODE": ("6a0c", "6a0c"),
    "$STATUS": ("down", "up"),
    "${host}": ("node-1", "node-1"),
    "${chart}": ("system.cpu", "system.cpu"),
    "${name}": ("10min_cpu_usage", "10min_cpu_usage"),
    "${status}": ("WARNING", "CLEAR"),
    "{EVENT.ID}": ("11023", "11023"),
    "{EVENT.NAME}": ("CPU", "CPU"),
    "{EVENT.VALUE}": ("1", "0"),
    "{EVENT.UPDATE.STATUS}": ("0", "0"),
    "$NOTIFY_NOTIFICATIONTYPE": ("PROBLEM", "RECOVERY"),
    "$NOTIFY_HOSTNAME": ("node-1", "node-1"),
    "$NOTIFY_SERVICEDESC": ("CPU", "CPU"),
    "$NOTIFY_LASTHOSTPROBLEMID": ("0", "0"),
    "$NOTIFY_LASTSERVICEPROBLEMID": ("0", "71"),
    "$NOTIFY_HOSTPROBLEMID": ("0", "0"),
    "$NOTIFY_SERVICEPROBLEMID": ("71", "0"),
}


def fill(text, ended):
    for variable in sorted(FILLED, key=len, reverse=True):
        text = text.replace(variable, FILLED[variable][ended])
    return text


def find_templates():
    """Return the body of each template in the docs: JSON, fields of curl, or Zabbix's parameters."""
    bodies = [json.loads(found) for found in re.findall(r'\{"alert":[^{}]*\}', DOCS)]
    for block in re.findall(r"curl .*?```", DOCS, re.DOTALL):
        bodies.append(dict(re.findall(r'--data-urlencode "(\w+)=([^"]*)"', block)))
    bodies.append(dict(re.findall(r"`(event_\w+)` =\s+`(\{[A-Z.]+\})`", DOCS)))
    return bodies


@pytest.mark.parametrize("body", find_templates(), ids=str)
def test_a_template_of_the_docs_tells_both_states(body):
    if "[" not in str(body) and "$" not in str(body) and "{EVENT" not in str(body):
        assert read_notification(body).state == "firing"
        return
    states = [read_notification({name: fill(value, ended) for name, value in body.items()}) for ended in (0, 1)]
    assert [one.state for one in states] == ["firing", "resolved"]
    assert states[0].group == states[1].group


def test_every_template_is_found():
    assert len(find_templates()) == 6
