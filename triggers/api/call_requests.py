"""Serializers of requests for calls. They find what is named in the application that `context` has."""

from typing import Any

from rest_framework import serializers

from clusters.models import Application, Container, Service
from triggers.api.freezes import OverrideSerializer
from triggers.calls.requests import SCALE_TYPES, STEP_MAXIMUM, STEP_MINIMUM, TAG_RULE, InvalidParameter, parse_step, parse_tag
from triggers.validation import REPLICAS_MAXIMUM


class RedeploySerializer(OverrideSerializer):
    service = serializers.IntegerField(
        required=False, allow_null=True, help_text="The id of one service; without it, all services are redeployed."
    )
    tag = serializers.CharField(
        required=False,
        max_length=128,
        help_text="Changes the image to this tag, permanently. All redeployed services must run images of one repository.",
    )

    start_stopped = serializers.BooleanField(
        required=False, default=False, help_text="Also start what was stopped in Windlass, which a redeploy leaves stopped."
    )

    def validate_tag(self, tag: str) -> str:
        try:
            return parse_tag(tag)
        except InvalidParameter as error:
            raise serializers.ValidationError(f"Only {TAG_RULE}") from error

    def validate_service(self, service_id: int | None) -> Service | None:
        application: Application = self.context["application"]
        if service_id is None:
            return None
        service = Service.objects.filter(pk=service_id, application=application).first()
        if service is None:
            raise serializers.ValidationError(f"Not the id of a service of {application.name}.")
        return service


class ActSerializer(serializers.Serializer[Any]):
    container = serializers.CharField(
        required=False,
        max_length=255,
        help_text="The name of one container; without it, the whole application is meant.",
    )

    def validate_container(self, name: str) -> str:
        application: Application = self.context["application"]
        if not Container.objects.filter(service__application=application, name=name).exists():
            raise serializers.ValidationError(f"Not the name of a container of {application.name}.")
        return name


class ScaleSerializer(OverrideSerializer):
    """Either `replicas`, or `type` and `step`."""

    replicas = serializers.IntegerField(
        required=False, min_value=0, max_value=REPLICAS_MAXIMUM, help_text="The count to reach; at least 1 on a plain engine."
    )
    type = serializers.ChoiceField(required=False, choices=[(name, name) for name in SCALE_TYPES])
    step = serializers.IntegerField(required=False, min_value=STEP_MINIMUM, max_value=STEP_MAXIMUM)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return either `replicas`, or a signed `step` as in CallRequest; and `override_reason`."""
        return {"override_reason": attrs.pop("override_reason", "")} | self._read_change(attrs)

    def _read_change(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "replicas" in attrs:
            surplus = [name for name in ("type", "step") if name in attrs]
            if surplus:
                raise serializers.ValidationError(dict.fromkeys(surplus, ["Cannot be combined with replicas."]))
            return attrs
        if not attrs:
            raise serializers.ValidationError({"replicas": ["Give either replicas, or type and step."]})
        try:
            return {"step": parse_step(attrs.get("type"), attrs.get("step"))}
        except InvalidParameter as error:
            raise serializers.ValidationError({error.parameter: [error.message]}) from error
