"""Triggers, their calls, and calls made through the API. Signed-in users read; changes need the model's permission."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, Throttled
from rest_framework.permissions import DjangoModelPermissions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

from clusters.api.parameters import read_id_parameter
from clusters.callers import client_address
from clusters.models import Application, Service
from triggers.api.serializers import RedeploySerializer, ScaleSerializer, TriggerCallSerializer, TriggerSerializer
from triggers.calls import QueueFull, accept_call
from triggers.models import Action, CallState, Trigger, TriggerCall
from triggers.requests import CallRequest
from triggers.validation import explain_service_refusal


@extend_schema_view(
    list=extend_schema(
        parameters=[OpenApiParameter("application", int, description="Only those of this application (its id).")]
    )
)
class TriggerViewSet(ModelViewSet[Trigger]):
    """Secret links that redeploy an application or scale a service."""

    queryset = Trigger.objects.select_related("application__cluster", "service__application__cluster", "created_by").order_by(
        "-created_at", "-pk"
    )
    serializer_class = TriggerSerializer
    permission_classes = [DjangoModelPermissions]
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if (application_id := read_id_parameter(self.request, "application")) is not None:
            queryset = queryset.filter(application=application_id)
        return queryset

    def perform_create(self, serializer: BaseSerializer[Trigger]) -> None:
        serializer.save(created_by=self.request.user)

    @extend_schema(request=None, responses=TriggerSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give the trigger a new secret: every link with the old one is dead at once."""
        trigger = self.get_object()
        trigger.rotate_secret()
        return Response(self.get_serializer(trigger).data)


class TriggerCallViewSet(ReadOnlyModelViewSet[TriggerCall]):
    """Calls and all that came of them, newest first."""

    queryset = TriggerCall.objects.prefetch_related("events").order_by("-queued_at", "pk")
    serializer_class = TriggerCallSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("application", int, description="Only those of this application (its id)."),
            OpenApiParameter("trigger", int, description="Only those of this trigger (its id)."),
            OpenApiParameter("state", str, enum=CallState.values),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for name in ("application", "trigger"):
            if (wanted := read_id_parameter(self.request, name)) is not None:
                queryset = queryset.filter(**{name: wanted})
        if (state := self.request.query_params.get("state")) is not None:
            if state not in CallState.values:
                raise serializers.ValidationError({"state": [f"One of {', '.join(CallState.values)}."]})
            queryset = queryset.filter(state=state)
        return queryset


class CallView(APIView):
    """What makes a call has these in common."""

    queryset = TriggerCall.objects.none()
    permission_classes = [DjangoModelPermissions]  # POST: may add a call

    def accept(self, request: Request, **asked: Any) -> Response:
        """202 with the recorded call; 409 with it when it was rejected."""
        call_request = CallRequest(
            source=TriggerCall.Source.API,
            requested_by=request.user,
            source_address=client_address(request._request),
            user_agent=request.headers.get("User-Agent", ""),
            **asked,
        )
        try:
            call = accept_call(call_request)
        except QueueFull as error:
            raise Throttled(wait=error.retry_after, detail=error.message) from error
        status = 409 if call.state == CallState.REJECTED else 202
        return Response(TriggerCallSerializer(call).data, status=status)


CALL_RESPONSES = {
    202: TriggerCallSerializer,
    409: OpenApiResponse(TriggerCallSerializer, "Recorded and rejected: the target is protected."),
    429: OpenApiResponse(description="Too many calls are waiting."),
}


class RedeployView(CallView):
    @extend_schema(request=RedeploySerializer, responses=CALL_RESPONSES)
    def post(self, request: Request, pk: int) -> Response:
        """Redeploy an application, or one of its services. Answers at once; read the call for the outcome."""
        application = get_object_or_404(Application, pk=pk)
        serializer = RedeploySerializer(data=request.data, context={"application": application})
        serializer.is_valid(raise_exception=True)
        return self.accept(
            request,
            action=Action.REDEPLOY,
            application_id=application.pk,
            service_id=serializer.validated_data.get("service"),
        )


class ScaleView(CallView):
    @extend_schema(request=ScaleSerializer, responses=CALL_RESPONSES)
    def post(self, request: Request, pk: int) -> Response:
        """Scale a service to a count or by a step. Answers at once; read the call for the outcome."""
        service = get_object_or_404(Service.objects.select_related("application__cluster"), pk=pk)
        serializer = ScaleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        if refusal := explain_service_refusal(service):
            raise ScalingRefused(refusal)
        if serializer.validated_data.get("replicas") == 0 and not service.application.is_swarm:
            raise serializers.ValidationError({"replicas": ["At least 1: the last container of a service stays."]})
        return self.accept(
            request,
            action=Action.SCALING,
            application_id=service.application_id,
            service_id=service.pk,
            **serializer.validated_data,
        )


class ScalingRefused(APIException):
    status_code = 409
    default_code = "scaling_refused"
