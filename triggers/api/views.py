"""The API of triggers, calls and deliveries, and calls that are made through it."""

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, Throttled
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from clusters.access import get_visible_row, require_permission
from clusters.api.filters import FilteredRows
from clusters.api.parameters import read_id_parameter
from clusters.models import Application, Service
from triggers import audited
from triggers.api.call_requests import ActSerializer, RedeploySerializer, ScaleSerializer
from triggers.api.freezes import ReleaseSerializer
from triggers.api.paging import CallPagination, DeliveryPagination
from triggers.api.proofs import ProofActions
from triggers.api.serializers import (
    CallEvidenceSerializer,
    DeliveryDetailSerializer,
    DeliverySerializer,
    RotateSerializer,
    TriggerCallSerializer,
    TriggerSerializer,
    TriggerWithSecretSerializer,
    find_subscription_changes,
)
from triggers.calls.cancel import AlreadyEnded
from triggers.calls.queue import QueueFull
from triggers.freeze_changes import NotWaiting, release_call
from triggers.models import Action, CallState, Decision, Delivery, DeliveryLine, Trigger, TriggerCall
from triggers.selectors import scope_calls
from triggers.validation import explain_act_refusal, explain_service_refusal


@extend_schema_view(
    list=extend_schema(
        parameters=[OpenApiParameter("application", int, description="Return only triggers of this application (id).")]
    )
)
class TriggerViewSet(ProofActions, FilteredRows, ModelViewSet[Trigger]):
    """Secret links that redeploy an application or scale a service. Lists do not contain link and secret. The answers to
    creating and to rotating a trigger do, and so does `reveal`, which the audit log records."""

    queryset = (
        Trigger.objects.select_related("application__cluster", "service__application__cluster", "created_by")
        .prefetch_related("subscriptions")
        .order_by("-created_at", "-pk")
    )
    serializer_class = TriggerSerializer
    id_filters = ("application",)
    permissions = {
        "create": "triggers.add_trigger",
        "partial_update": "triggers.change_trigger",
        "destroy": "triggers.delete_trigger",
        "rotate": "triggers.change_trigger",
        "signature": "triggers.change_trigger",
        "job": "triggers.change_trigger",
        "end_old_secret": "triggers.change_trigger",
        "reveal": "triggers.reveal_trigger",
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    @extend_schema(responses={201: TriggerWithSecretSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        subscriptions = fields.pop("subscriptions", None)
        trigger = Trigger(**fields)
        require_permission(request.user, "triggers.add_trigger", trigger.application)
        changes = find_subscription_changes(request.user, trigger, subscriptions)
        audited.create_trigger(request._request, trigger, changes)
        return Response(self._with_secret(trigger), status=201)

    def perform_update(self, serializer: BaseSerializer[Trigger]) -> None:
        """Save the changes. The serializer has already set the values, to check them together."""
        assert isinstance(serializer.instance, Trigger)
        trigger, fields = serializer.instance, dict(serializer.validated_data)
        changes = find_subscription_changes(self.request.user, trigger, fields.pop("subscriptions", None))
        if fields or changes:
            audited.change_trigger(self.request._request, trigger, sorted(fields), changes)

    def perform_destroy(self, instance: Trigger) -> None:
        audited.delete_trigger(self.request._request, instance)

    @extend_schema(
        request=RotateSerializer,
        responses={
            200: TriggerWithSecretSerializer,
            409: OpenApiResponse(description="The secret of an earlier rotation still works."),
        },
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give the trigger a new secret. The old one works for `overlap_hours` more; without it, links with the old one stop
        working immediately. While the secret of an earlier rotation still works, `drop_old_secret` must agree to its end."""
        trigger = self.get_object()
        serializer = RotateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        if trigger.has_old_secret and not serializer.validated_data["drop_old_secret"]:
            raise OldSecretWorks
        audited.rotate_secret(request._request, trigger, timedelta(hours=serializer.validated_data["overlap_hours"]))
        return Response(self._with_secret(trigger))

    @extend_schema(request=None, responses=TriggerSerializer)
    @action(detail=True, methods=["post"], url_path="end-old-secret")
    def end_old_secret(self, request: Request, pk: str) -> Response:
        """Make the secret before the last rotation stop working immediately."""
        trigger = self.get_object()
        audited.end_old_secret(request._request, trigger)
        return Response(self.get_serializer(trigger).data)

    @extend_schema(request=None, responses=TriggerWithSecretSerializer)
    @action(detail=True, methods=["post"])
    def reveal(self, request: Request, pk: str) -> Response:
        """Return the trigger with its link and its secret. The audit log records the request."""
        trigger = self.get_object()
        audited.reveal_secret(request._request, trigger)
        return Response(self._with_secret(trigger))

    def _with_secret(self, trigger: Trigger) -> Any:
        return TriggerWithSecretSerializer(trigger, context=self.get_serializer_context()).data


class OldSecretWorks(APIException):
    status_code = 409
    default_code = "old_secret_works"
    default_detail = "The secret of an earlier rotation still works. Send drop_old_secret to end it now, or wait until it ends."


class TriggerCallViewSet(RetrieveModelMixin, ListModelMixin, FilteredRows):
    """Calls and their outcomes, newest first."""

    queryset = TriggerCall.objects.prefetch_related("events").order_by("-queued_at", "-pk")
    serializer_class = TriggerCallSerializer
    pagination_class = CallPagination
    id_filters = ("application", "trigger")
    word_filters = {"state": CallState.values}
    permissions = {
        "cancel": "triggers.add_triggercall",
        "release": "triggers.add_triggercall",
        "evidence": "clusters.view_logs",
    }

    def get_queryset(self) -> QuerySet[TriggerCall]:
        return scope_calls(self.queryset.all(), self.request.user)

    @extend_schema(
        parameters=[
            OpenApiParameter("application", int, description="Return only calls on this application (id)."),
            OpenApiParameter("trigger", int, description="Return only calls of this trigger (id)."),
            OpenApiParameter("state", str, enum=CallState.values),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request=None,
        responses={202: TriggerCallSerializer, 409: OpenApiResponse(TriggerCallSerializer, "It has already ended.")},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the call. A queued call ends at once as rejected. A running call stops at its next safe step, rolls back where
        possible, and then ends as rolled_back or failed, with the reason cancelled. Scaling calls that run as one change are
        cancelled together: the answer is the call that leads them."""
        call = self.get_object()
        try:
            cancelled = audited.request_cancel(request._request, call)
        except AlreadyEnded:
            return Response(TriggerCallSerializer(self.get_queryset().get(pk=call.pk)).data, status=409)
        return Response(TriggerCallSerializer(cancelled).data, status=202)

    @extend_schema(
        request=ReleaseSerializer,
        responses={202: TriggerCallSerializer, 409: OpenApiResponse(TriggerCallSerializer, "It waits no longer.")},
    )
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Let a call that waits for the end of a freeze window run now. The reason is kept with it and in the audit log."""
        call = self.get_object()
        serializer = ReleaseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            released = release_call(request._request, call, serializer.validated_data["reason"])
        except NotWaiting:
            return Response(TriggerCallSerializer(self.get_queryset().get(pk=call.pk)).data, status=409)
        return Response(TriggerCallSerializer(released).data, status=202)

    @extend_schema(responses=CallEvidenceSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None)
    def evidence(self, request: Request, pk: str) -> Response:
        """Return the last output of each container or task that failed in the call, with secrets masked. Scaling calls that
        ran as one change have it together."""
        call = self.get_object()
        rows = (call.merged_into or call).evidence.all()
        return Response(CallEvidenceSerializer(rows, many=True).data)


class DeliveryViewSet(RetrieveModelMixin, ListModelMixin, FilteredRows):
    """Deliveries, newest first: messages of registries and monitoring systems, findings of polling, and the decision about
    each. A single delivery comes with its body, redacted. Deliveries belong to no cluster, so a role on single clusters does
    not show them."""

    queryset = Delivery.objects.prefetch_related("lines").order_by("-received_at", "-pk")
    pagination_class = DeliveryPagination
    id_filters = ("registry",)
    word_filters = {"decision": Decision.values, "source": Delivery.Source.values}

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliveryDetailSerializer if self.action == "retrieve" else DeliverySerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("registry", int, description="Return only deliveries of this registry (id)."),
            OpenApiParameter("trigger", int, description="Return only deliveries about this trigger (id)."),
            OpenApiParameter("decision", str, enum=Decision.values),
            OpenApiParameter("source", str, enum=Delivery.Source.values),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        queryset = super().filter_queryset(queryset)
        if (trigger_id := read_id_parameter(self.request, "trigger")) is not None:
            lines = DeliveryLine.objects.filter(delivery=OuterRef("pk"), trigger=trigger_id)
            queryset = queryset.filter(Exists(lines) | Q(trigger=trigger_id))
        return queryset


class CallView(APIView):
    """The base of the endpoints that make a call."""

    def accept(self, request: Request, application: Application, service: Service | None, **wanted: Any) -> Response:
        """Answer 202 with the recorded call, or 409 when it was rejected. `wanted` are fields of CallRequest."""
        try:
            call = audited.request_call(request._request, TriggerCall.Source.API, application, service, **wanted)
        except QueueFull as error:
            raise Throttled(wait=error.retry_after, detail=error.message) from error
        status = 409 if call.state == CallState.REJECTED else 202
        later = {"Retry-After": str(call.retry_after)} if call.retry_after is not None else None
        return Response(TriggerCallSerializer(call).data, status=status, headers=later)


CALL_RESPONSES = {
    202: TriggerCallSerializer,
    409: OpenApiResponse(
        TriggerCallSerializer, "Recorded and rejected: the target is protected, or frozen and no reason given."
    ),
    429: OpenApiResponse(description="Too many calls are queued."),
}


class RedeployView(CallView):
    @extend_schema(request=RedeploySerializer, responses=CALL_RESPONSES)
    def post(self, request: Request, pk: int) -> Response:
        """Redeploy an application, or one of its services. The answer comes at once; read the call for the outcome."""
        application = get_visible_row(Application.objects.all(), request.user, pk=pk)
        require_permission(request.user, "triggers.add_triggercall", application)
        serializer = RedeploySerializer(data=request.data, context={"application": application})
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        wanted = {name: fields.get(name, "") for name in ("tag", "override_reason")} | {
            "start_stopped": fields["start_stopped"]
        }
        return self.accept(request, application, fields.get("service"), action=Action.REDEPLOY, **wanted)


class ActView(CallView):
    """The endpoints for stop, start, restart and delete, one for each value of `act`."""

    act = Action.STOP  # set by as_view(act=…)

    @extend_schema(request=ActSerializer, responses=CALL_RESPONSES)
    def post(self, request: Request, pk: int) -> Response:
        """Stop, start, restart or delete an application, or one of its containers. The answer comes at once; read the call
        for the outcome.

        On a Swarm, a restart replaces every task; stop and start are refused with 409 and the reason. A delete keeps named
        volumes and images.
        """
        application = get_visible_row(Application.objects.select_related("cluster"), request.user, pk=pk)
        serializer = ActSerializer(data=request.data, context={"application": application})
        serializer.is_valid(raise_exception=True)
        container = serializer.validated_data.get("container", "")
        require_permission(request.user, audited.permission_for(self.act, container), application)
        if refusal := explain_act_refusal(application, self.act, container):
            raise ActRefused(refusal)
        service = audited.find_service_of(application, container)
        return self.accept(request, application, service, action=self.act, container=container)


class ActRefused(APIException):
    status_code = 409
    default_code = "act_refused"


class ScaleView(CallView):
    @extend_schema(request=ScaleSerializer, responses=CALL_RESPONSES)
    def post(self, request: Request, pk: int) -> Response:
        """Scale a service to a count or by a step. The answer comes at once; read the call for the outcome."""
        service = get_visible_row(Service.objects.select_related("application__cluster"), request.user, pk=pk)
        require_permission(request.user, "triggers.add_triggercall", service)
        serializer = ScaleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        if refusal := explain_service_refusal(service):
            raise ScalingRefused(refusal)
        if serializer.validated_data.get("replicas") == 0 and not service.application.is_swarm:
            raise serializers.ValidationError({"replicas": ["At least 1: the last container of a service is never removed."]})
        return self.accept(request, service.application, service, action=Action.SCALING, **serializer.validated_data)


class ScalingRefused(APIException):
    status_code = 409
    default_code = "scaling_refused"
