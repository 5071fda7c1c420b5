"""The API of how callers of a link prove themselves: signed calls, and trusted build jobs."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.access import require_permission
from triggers.identity.conditions import find_problems, warn_of
from triggers.identity.presets import HOSTS, Preset
from triggers.models import Signature, Trigger, TrustedJob
from triggers.proofs import add_trusted_job, change_signature, change_trusted_job, check_issuer, remove_trusted_job
from triggers.selectors import public_base_url


class TrustedJobSerializer(serializers.ModelSerializer[TrustedJob]):
    """Build jobs that can call the link with an identity token instead of a secret."""

    issuer = serializers.CharField(
        max_length=255, required=False, help_text="The claim iss, exactly. By default the host's public one."
    )
    audience = serializers.CharField(
        max_length=255, required=False, help_text="It must be among the claim aud. By default the address of this console."
    )
    conditions = serializers.JSONField(
        help_text='By claim: `{"ref": {"exact": "refs/heads/main"}}`, or `pattern` with an RE2 expression for the whole value.'
    )
    warning = serializers.SerializerMethodField(help_text="Of conditions that many jobs fit.")

    class Meta:
        model = TrustedJob
        fields = ["id", "name", "preset", "issuer", "audience", "conditions", "warning", "created_at"]
        read_only_fields = ["created_at"]

    def get_warning(self, job: TrustedJob) -> str:
        return warn_of(job.conditions, job.preset)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Set the values on the job, and check them together."""
        job = self.instance or TrustedJob(trigger=self.context["trigger"])
        for name, value in attrs.items():
            setattr(job, name, value)
        job.issuer = job.issuer or HOSTS[Preset(job.preset)].issuer
        job.audience = job.audience or public_base_url(self.context["request"])
        if problems := find_problems(job.conditions, job.preset):
            raise serializers.ValidationError({"conditions": problems})
        try:
            job.full_clean(exclude=["trigger", "created_by"])
            check_issuer(self.context["request"].user, job)
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return {"job": job}


class SignatureSerializer(serializers.Serializer[Any]):
    """Whether calls of the link have to be signed."""

    signature = serializers.ChoiceField(choices=Signature.choices)
    new_key = serializers.BooleanField(default=False, help_text="Replace the key. The present one stops working at once.")


class SignatureKeySerializer(serializers.Serializer[Any]):
    signature = serializers.ChoiceField(choices=Signature.choices, read_only=True)
    signature_key = serializers.CharField(
        read_only=True, allow_null=True, help_text="The whole key, if this request made one. It is not shown again."
    )


class ProofActions:
    """Actions of TriggerViewSet. Each needs the right to change the trigger."""

    get_object: Any
    get_serializer_context: Any

    @extend_schema(request=SignatureSerializer, responses=SignatureKeySerializer)
    @action(detail=True, methods=["post"])
    def signature(self, request: Request, pk: str) -> Response:
        """Say whether calls of the link have to be signed. A key is made where there is none; only this answer shows it."""
        trigger: Trigger = self.get_object()
        wanted = SignatureSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        fields = wanted.validated_data
        key = change_signature(request._request, trigger, fields["signature"], new_key=fields["new_key"])
        return Response({"signature": trigger.signature, "signature_key": key or None})

    @extend_schema(methods=["get"], responses=TrustedJobSerializer(many=True))
    @extend_schema(methods=["post"], request=TrustedJobSerializer, responses={201: TrustedJobSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def jobs(self, request: Request, pk: str) -> Response:
        """List the build jobs that can call the link without a secret, or trust another kind."""
        trigger: Trigger = self.get_object()
        if request.method == "GET":
            return Response(TrustedJobSerializer(trigger.trusted_jobs.all(), many=True).data)
        require_permission(request.user, "triggers.change_trigger", trigger)
        serializer = TrustedJobSerializer(data=request.data, context=self._job_context(trigger))
        serializer.is_valid(raise_exception=True)
        job = serializer.validated_data["job"]
        add_trusted_job(request._request, job)
        return Response(TrustedJobSerializer(job).data, status=201)

    @extend_schema(methods=["patch"], request=TrustedJobSerializer, responses=TrustedJobSerializer)
    @extend_schema(methods=["delete"], responses={204: None})
    @action(detail=True, methods=["patch", "delete"], url_path=r"jobs/(?P<job_id>[0-9]{1,18})", url_name="job")
    def job(self, request: Request, pk: str, job_id: str) -> Response:
        """Change what jobs are trusted, or stop trusting them."""
        trigger: Trigger = self.get_object()
        require_permission(request.user, "triggers.change_trigger", trigger)
        job = trigger.trusted_jobs.filter(pk=int(job_id)).first()
        if job is None:
            raise Http404
        job.trigger = trigger
        if request.method == "DELETE":
            remove_trusted_job(request._request, job)
            return Response(status=204)
        serializer = TrustedJobSerializer(job, data=request.data, partial=True, context=self._job_context(trigger))
        serializer.is_valid(raise_exception=True)
        change_trusted_job(request._request, job)
        return Response(TrustedJobSerializer(job).data)

    def _job_context(self, trigger: Trigger) -> dict[str, Any]:
        return {**self.get_serializer_context(), "trigger": trigger}
