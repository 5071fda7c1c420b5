"""Azure Monitor, an action group's webhook: the common alert schema `{"schemaId": "azureMonitorCommonAlertSchema", "data":
{"essentials": {"alertId", "alertRule", "monitorCondition": "Fired", "firedDateTime"}}}`, and alerts without it: of metrics,
`{"schemaId": "AzureMonitorMetricAlert", "data": {"status": "Activated", "context": {"id", "name"}}}`, of the activity log with
`{"context": {"activityLog": {"eventDataId"}}}`, and of logs with `{"data": {"AlertRuleName", "SearchIntervalEndtimeUtc"}}`, of
which the last two never end. From learn.microsoft.com, "Common alert schema" and "Sample alert payloads".
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
    elif "status" in data and is_object(context := data.get("context")):
        place, name = (
            (context.get("id"), context.get("name")),
            context.get("name") or dig(context, "activityLog", "operationName"),
        )
        word, occurrence = data["status"], dig(context, "activityLog", "eventDataId")
    elif "AlertRuleName" in data:  # a log alert, whose end is not reported
        name = data["AlertRuleName"]
        place, word, occurrence = (data.get("SubscriptionId"), name), "fired", data.get("SearchIntervalEndtimeUtc")
    else:
        return None
    return make_notification(DIALECT, word, STATES, group=place, name=name, occurrence=occurrence)
