"""The API of the images that an application ran: their history, and the redeploy that returns to the previous ones."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.access import get_visible_row, require_permission
from clusters.models import Application, Service
from triggers.api.freezes import OverrideSerializer
from triggers.api.serializers import TriggerCallSerializer
from triggers.api.views import CALL_RESPONSES, CallView
from triggers.images.history import ServiceImage, list_image_calls, read_histories
from triggers.images.previous import Returns, find_returns, find_returns_of_call
from triggers.models import Action, TriggerCall


class PreviousUnknown(APIException):
    status_code = 409
    default_code = "previous_unknown"


class ServiceImageSerializer(serializers.Serializer[Any]):
    """An image that a service ran, or runs now."""

    service = serializers.CharField()
    reference = serializers.CharField(help_text="As the service was configured with it: usually a tag.")
    image_id = serializers.CharField(help_text="The engine's id of it; empty on a Swarm.")
    digest = serializers.CharField(help_text="By which a registry knows it; empty for an image that no registry ever had.")
    version = serializers.CharField(help_text="By its label org.opencontainers.image.version, as the next one by its own.")
    revision = serializers.CharField()
    source_repository = serializers.CharField(help_text="By the label org.opencontainers.image.source.")
    built_at = serializers.DateTimeField(allow_null=True)
    since = serializers.DateTimeField(
        allow_null=True, help_text="When a call brought it; null for one that came without a call."
    )
    call = serializers.UUIDField(allow_null=True, help_text="The call that brought it.")
    until = serializers.DateTimeField(allow_null=True, help_text="When another image took its place; null for what runs now.")
    replaced_by = serializers.UUIDField(allow_null=True, help_text="The call that replaced it.")
    is_current = serializers.BooleanField()


def write_image(service: str, entry: ServiceImage) -> dict[str, Any]:
    return {
        "service": service,
        "reference": entry.image.reference,
        "image_id": entry.image.image_id,
        "digest": entry.digest,
        "version": entry.facts.get("version", ""),
        "revision": entry.facts.get("revision", ""),
        "source_repository": entry.facts.get("source", ""),
        "built_at": entry.facts.get("created"),
        "since": entry.since,
        "call": entry.call and entry.call.pk,
        "until": entry.until,
        "replaced_by": entry.replaced_by and entry.replaced_by.pk,
        "is_current": entry.is_current,
    }


class ImagesView(APIView):
    @extend_schema(responses=ServiceImageSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        """Return the images that the services of an application ran, by service and with the newest first. They come from the
        newest 50 redeploys that have ended, and from what runs now."""
        application = get_visible_row(Application.objects.all(), request.user, pk=pk)
        histories = read_histories(application.services.all(), list_image_calls(application))
        return Response([write_image(name, entry) for name, entries in histories.items() for entry in entries])


class PreviousSerializer(OverrideSerializer):
    service = serializers.IntegerField(
        required=False, allow_null=True, help_text="The id of one service; without it, those that the newest change was about."
    )
    call = serializers.UUIDField(
        required=False, allow_null=True, help_text="Return to what ran before this redeploy of the application."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("service") is not None and attrs.get("call") is not None:
            raise serializers.ValidationError({"call": ["Give either service or call: a call names its own services."]})
        return attrs

    def validate_service(self, service_id: int | None) -> Service | None:
        application: Application = self.context["application"]
        if service_id is None:
            return None
        service = Service.objects.filter(pk=service_id, application=application).first()
        if service is None:
            raise serializers.ValidationError(f"Not the id of a service of {application.name}.")
        return service

    def validate_call(self, call_id: Any) -> TriggerCall | None:
        application: Application = self.context["application"]
        if call_id is None:
            return None
        call = TriggerCall.objects.select_related("application", "service").filter(pk=call_id, application=application).first()
        if call is None:
            raise serializers.ValidationError(f"Not the id of a call on {application.name}.")
        return call


class RedeployPreviousView(CallView):
    @extend_schema(
        request=PreviousSerializer,
        responses=CALL_RESPONSES
        | {
            409: OpenApiResponse(
                TriggerCallSerializer, "Rejected, since the target is protected; or no previous image is known."
            )
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        """Redeploy the image that ran before: the one that the engine has kept, else pulled by its digest. It is watched and
        rolled back like any other redeploy. Pushes and polling do not take the image that was left again by themselves. The
        answer comes at once; read the call for the outcome."""
        application = get_visible_row(Application.objects.all(), request.user, pk=pk)
        require_permission(request.user, "triggers.add_triggercall", application)
        serializer = PreviousSerializer(data=request.data, context={"application": application})
        serializer.is_valid(raise_exception=True)
        call, service = serializer.validated_data.get("call"), serializer.validated_data.get("service")
        found: Returns = find_returns_of_call(call) if call else find_returns(application, service)
        if found.refusal:
            raise PreviousUnknown(found.refusal)
        about = call.service if call else service
        wanted = {"returns_to": found.returns_to, "override_reason": serializer.validated_data.get("override_reason", "")}
        return self.accept(request, application, about, action=Action.REDEPLOY, **wanted)
