"""The least that a hook must do: find the trigger, record a call in a transaction, respond. It compares no secret, decides
nothing and publishes nothing."""

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone

from triggers import links
from triggers.models import Trigger, TriggerCall

FIELDS = ("public_id", "action", "enabled", "application_id", "service_id", "application__name", "application__cluster__uid")


def record_call(request: HttpRequest) -> JsonResponse:
    fields = links.decode_trigger_url(request.GET["triggerUrl"])
    trigger = Trigger.objects.select_related("application__cluster").only(*FIELDS).get(public_id=fields.id)
    with transaction.atomic():
        call = TriggerCall(
            trigger=trigger,
            application_id=trigger.application_id,
            service_id=trigger.service_id,
            action=trigger.action,
            source=TriggerCall.Source.HOOK,
            step=1,
            queued_at=timezone.now(),
        )
        call.save(force_insert=True)
    return JsonResponse({"code": "200", "message": "", "requestId": str(call.pk), "state": call.state})


urlpatterns = [path("hook/trigger", record_call)]
