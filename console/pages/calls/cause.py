"""The delivery that caused a call."""

from typing import Any

from triggers.models import Decision, Delivery, TriggerCall

SECRETS = ("registry__password", "registry__ca", "registry__hook_token", "registry__signing_secret")


def find_causing_delivery(call: TriggerCall, user: Any) -> Delivery | None:
    """Return the delivery that caused a call of a push or of polling, if the user may see it."""
    if call.source not in (TriggerCall.Source.REGISTRY, TriggerCall.Source.POLL) or not user.has_perm("triggers.view_delivery"):
        return None
    rows = Delivery.objects.select_related("registry").defer("body", *SECRETS)
    return rows.filter(lines__call=call, lines__decision=Decision.TRIGGERED).order_by("received_at").first()
