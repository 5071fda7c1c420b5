"""The API of notifications: channels with their rules, and what was sent over them. For administrators of all clusters."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from clusters.api.filters import FilteredRows
from clusters.api.permissions import VisibleRows
from clusters.models import Application, Cluster
from triggers.api.paging import SentPagination
from triggers.models import (
    RULE_NEWS,
    ChannelKind,
    DeliveryStatus,
    NotificationChannel,
    NotificationDelivery,
    NotificationRule,
)
from triggers.notifications import audited
from triggers.notifications.configuration import change_values
from triggers.notifications.kinds import describe_target, list_fields
from triggers.notifications.outbox import ChannelOff

VIEW, ADD, CHANGE, DELETE = (f"triggers.{verb}_notificationchannel" for verb in ("view", "add", "change", "delete"))
RULES_MAXIMUM = 1000
NO_FIELD = "A channel of this kind has no such field."
NO_TEXT = "Must be a text, a number, a list of texts, or null."


class RuleSerializer(serializers.ModelSerializer[NotificationRule]):
    """News that go over a channel: of one application, of one cluster, or of everything."""

    news = serializers.ChoiceField(choices=[(news.value, str(news.label)) for news in RULE_NEWS])
    cluster = serializers.PrimaryKeyRelatedField(
        queryset=Cluster.objects.defer(*Cluster.KEYS), allow_null=True, required=False, default=None
    )
    application = serializers.PrimaryKeyRelatedField(
        queryset=Application.objects.all(), allow_null=True, required=False, default=None
    )

    class Meta:
        model = NotificationRule
        fields = ["news", "cluster", "application"]
        validators: list[Any] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("cluster") and attrs.get("application"):
            raise serializers.ValidationError("Name a cluster or an application, not both.")
        return attrs


class ConfigurationField(serializers.DictField):
    """The configuration by the names of its fields. A row keeps it as one text."""

    def get_attribute(self, instance: Any) -> dict[str, Any]:
        values = instance.values
        return {each.name: values.get(each.name, "") for each in list_fields(instance.kind) if not each.is_secret}


class ChannelSerializer(serializers.ModelSerializer[NotificationChannel]):
    """`configuration` has the fields of the kind, without its secrets. In a change, what is left out stays; null
    removes a secret."""

    configuration = ConfigurationField(
        required=False, help_text="By field of the kind. Secrets can be given and are never shown."
    )
    rules = RuleSerializer(
        many=True,
        required=False,
        help_text="What goes over it. A list replaces the present one. Left out of a new channel: failed and works_again.",
    )
    secrets = serializers.SerializerMethodField(help_text="The names of the fields with a stored secret.")
    target = serializers.SerializerMethodField(help_text="Where messages go, in words.")
    enabled = serializers.BooleanField(required=False)

    class Meta:
        model = NotificationChannel
        fields = [
            "id",
            "name",
            "kind",
            "configuration",
            "secrets",
            "target",
            "enabled",
            "off_reason",
            "off_at",
            "rules",
            "created_at",
        ]
        read_only_fields = ["off_reason", "off_at", "created_at"]

    def get_secrets(self, channel: NotificationChannel) -> list[str]:
        values = channel.values
        return [each.name for each in list_fields(channel.kind) if each.is_secret and values.get(each.name)]

    def get_target(self, channel: NotificationChannel) -> str:
        return describe_target(channel.kind, channel.values)

    def validate_rules(self, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(rules) > RULES_MAXIMUM:
            raise serializers.ValidationError(f"At most {RULES_MAXIMUM} rules are possible.")
        return rules

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance and attrs.get("kind", self.instance.kind) != self.instance.kind:
            raise serializers.ValidationError({"kind": ["Cannot be changed; add another channel."]})
        if attrs.get("rules") and (self.instance.kind if self.instance else attrs["kind"]) == ChannelKind.COMMIT:
            raise serializers.ValidationError({"rules": ["A commit status has no rules: each commit gets one."]})
        if self.instance is None or "configuration" in attrs:
            attrs["configuration"] = self._change_configuration(attrs.get("configuration", {}), attrs.get("kind", ""))
        return attrs

    def _change_configuration(self, given: dict[str, Any], kind: str) -> dict[str, Any]:
        """Raises ValidationError, with each problem under its field."""
        stored: dict[str, Any] = {}
        if self.instance:
            kind, stored = self.instance.kind, self.instance.values
        fields = {each.name: each for each in list_fields(kind)}
        problems = {name: NO_FIELD for name in given if name not in fields}
        entered = {name: str(stored.get(name, each.default)) for name, each in fields.items() if not each.is_secret}
        for name, value in given.items():
            text = read_text(value)
            if text is None:
                problems[name] = NO_TEXT
            else:
                entered[name] = text
        removed = [name for name, value in given.items() if value is None]
        values, wrong = change_values(kind, stored, entered, removed)
        if problems := wrong | problems:
            raise serializers.ValidationError({"configuration": {name: [text] for name, text in problems.items()}})
        return values


def read_text(value: Any) -> str | None:
    """Return a value of a configuration as text; None for what can be none."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


class ChannelWithKeySerializer(ChannelSerializer):
    signing_key = serializers.SerializerMethodField(help_text="Of a webhook that was just given one; else null.")

    class Meta(ChannelSerializer.Meta):
        fields = [*ChannelSerializer.Meta.fields, "signing_key"]

    def get_signing_key(self, channel: NotificationChannel) -> str | None:
        return audited.read_key(channel) or None


class SentSerializer(serializers.ModelSerializer[NotificationDelivery]):
    """News on their way over one channel, and what became of them."""

    news = serializers.CharField(source="notification.news", read_only=True)
    message_id = serializers.CharField(
        source="notification.webhook_id", read_only=True, help_text="The same at each attempt; of a webhook its webhook-id."
    )
    facts = serializers.JSONField(source="notification.facts", read_only=True, help_text="What it says.")

    class Meta:
        model = NotificationDelivery
        fields = [
            "id",
            "channel",
            "news",
            "message_id",
            "status",
            "created_at",
            "attempts",
            "last_attempt_at",
            "next_attempt_at",
            "answer_status",
            "answer",
            "problem",
            "joined_into",
            "count",
            "facts",
        ]
        read_only_fields = fields


class ChannelIsOff(APIException):
    status_code = 409
    default_code = "channel_off"


class ChannelViewSet(VisibleRows, ModelViewSet[NotificationChannel]):
    """Ways to people and programs, and the rules that say what goes over each."""

    queryset = NotificationChannel.objects.prefetch_related("rules").order_by("name")
    serializer_class = ChannelSerializer
    permissions = {
        "create": ADD,
        "partial_update": CHANGE,
        "destroy": DELETE,
        "test": CHANGE,
        "key": CHANGE,
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    @extend_schema(responses={201: ChannelWithKeySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        channel = NotificationChannel(name=fields["name"], kind=fields["kind"], enabled=fields.get("enabled", True))
        channel.values = fields["configuration"]
        with transaction.atomic():
            audited.add_channel(request._request, channel)
            self._set_rules(channel, fields.get("rules"))
        return Response(ChannelWithKeySerializer(channel, context=self.get_serializer_context()).data, status=201)

    @transaction.atomic
    def perform_update(self, serializer: BaseSerializer[NotificationChannel]) -> None:
        assert serializer.instance
        channel, fields = serializer.instance, dict(serializer.validated_data)
        if "name" in fields or "configuration" in fields:
            channel.name = fields.get("name", channel.name)
            channel.values = fields.get("configuration", channel.values)
            audited.change_channel(self.request._request, channel)
        if fields.get("enabled", channel.enabled) != channel.enabled:
            audited.switch_channel(self.request._request, channel, fields["enabled"])
        self._set_rules(channel, fields.get("rules"))

    def _set_rules(self, channel: NotificationChannel, wanted: list[dict[str, Any]] | None) -> None:
        if wanted is not None:
            rules = [(rule["news"], rule.get("cluster"), rule.get("application")) for rule in wanted]
            audited.replace_rules(self.request._request, channel, rules)
            channel._prefetched_objects_cache = {}  # type: ignore[attr-defined]

    def perform_destroy(self, instance: NotificationChannel) -> None:
        audited.delete_channel(self.request._request, instance)

    @extend_schema(request=None, responses={202: SentSerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a test. Read `/api/v1/notifications/<id>/` until its status is no longer `waiting`."""
        sent = audited.test_channel(request._request, self.get_object())
        return Response(SentSerializer(sent).data, status=202)

    @extend_schema(request=None, responses={200: ChannelWithKeySerializer})
    @action(detail=True, methods=["post"])
    def key(self, request: Request, pk: str) -> Response:
        """Make a new signing key of a webhook. It is in this answer alone."""
        channel = self.get_object()
        if channel.kind != ChannelKind.WEBHOOK:
            raise serializers.ValidationError("Only webhooks have a signing key.")
        audited.renew_key(request._request, channel)
        return Response(ChannelWithKeySerializer(channel, context=self.get_serializer_context()).data)


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("channel", int, description="Only what was sent over the channel with this id."),
            OpenApiParameter("status", str, enum=DeliveryStatus.values, description="Only what has this status."),
        ]
    )
)
class SentViewSet(ListModelMixin, RetrieveModelMixin, FilteredRows):
    """What was sent over channels, newest first."""

    queryset = NotificationDelivery.objects.select_related("notification", "channel").defer("channel__configuration")
    serializer_class = SentSerializer
    pagination_class = SentPagination
    id_filters = ("channel",)
    word_filters = {"status": DeliveryStatus.values}
    permissions = {"send_again": CHANGE}

    def get_queryset(self) -> QuerySet[Any]:
        """Messages are for whoever may see their channels."""
        return self.queryset.all() if self.request.user.has_perm(VIEW) else self.queryset.none()

    @extend_schema(
        request=None, responses={202: SentSerializer, 409: OpenApiResponse(description="The channel is turned off.")}
    )
    @action(detail=True, methods=["post"], url_path="send-again")
    def send_again(self, request: Request, pk: str) -> Response:
        """Send a message again, with the same id. Returns the one that is sent: a joined one goes with the others."""
        try:
            sent = audited.repeat_delivery(request._request, self.get_object())
        except ChannelOff as error:
            raise ChannelIsOff(str(error)) from error
        return Response(SentSerializer(sent).data, status=202)
