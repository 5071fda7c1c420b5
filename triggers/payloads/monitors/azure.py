"""Azure Monitor, an action group's webhook: the common alert schema `{"schemaId": "azureMonitorCommonAlertSchema", "data":
{"essentials": {"alertId", "alertRule", "monitorCondition": "Fired", "firedDateTime"}}}`, and metric alerts without it,
`{"schemaId": "AzureMonitorMetricAlert", "data": {"status": "Activated", "context": {"id", "name"}}}`. From learn.microsoft.com,
"Common alert schema" and "Sample alert payloads".
"""

from triggers.payloads.fields import dig, is_object, text
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "azure_monitor", "Azure Monitor"
DIALECT = (NAME, LABEL)
STATES = {"fired": FIRING, "activated": FIRING, "resolved": RESOLVED, "deactivated": RESOLVED}
TEST_SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111/"  # of the portal's "Test action group"


def read(headers: Headers, body: Body) -> Notification | None:
    data = body.get("data")
    if not (text(body.get("schemaId")) and is_object(data)):
        return None
    if is_object(essentials := data.get("essentials")):
        if text(essentials.get("alertId")).startswith(TEST_SUBSCRIPTION):
            return pass_over(DIALECT, "test", "this message of Azure Monitor is a test.")
        place = (essentials.get("originAlertId") or essentials.get("alertId"), essentials.get("alertRule"))
        word, name, occurrence = essentials.get("monitorCondition"), essentials.get("alertRule"), essentials.get("alertId")
    else:
        place = (dig(data, "context", "id"), dig(data, "context", "name"))
        word, name, occurrence = data.get("status"), dig(data, "context", "name"), ""
    return make_notification(DIALECT, word, STATES, group=place, name=name, occurrence=occurrence)
