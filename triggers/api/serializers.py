"""Serializers of triggers, calls and deliveries."""

from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.fields import empty

from clusters.access import scope_visible
from clusters.api.serializers import check_model
from clusters.models import Application, Service
from triggers.allowed_addresses import ADDRESSES_MAXIMUM, BadAddress, normalize_addresses
from triggers.models import (
    NARROWING,
    CallEvidence,
    Delivery,
    DeliveryLine,
    ImageSubscription,
    Trigger,
    TriggerCall,
    TriggerCallEvent,
)
from triggers.narrowing_forms import OVERLAPS, explain_past
from triggers.pushes.subscriptions import SubscriptionChanges, compare_subscriptions, explain_refusals, may_subscribe
from triggers.selectors import build_trigger_link, public_base_url
from triggers.validation import find_problems

FIXED_FIELDS = ("application", "action", "service")


def check_trigger(trigger: Trigger) -> None:
    if problems := find_problems(trigger):
        raise serializers.ValidationError({name: [text] for name, text in problems.items()})


class SwitchField(serializers.BooleanField):
    """A boolean that can be left out. DRF would read a boolean that a form lacks as false, as for browsers' check boxes."""

    default_empty_html = empty


class AddressesField(serializers.ListField):
    """Allowed addresses as a list of texts; a row keeps them as one text."""

    child = serializers.CharField(max_length=64)

    def to_internal_value(self, data: Any) -> Any:
        parts = super().to_internal_value(data)
        try:
            return normalize_addresses("\n".join(parts))
        except BadAddress as error:
            raise serializers.ValidationError(str(error)) from error

    def to_representation(self, data: Any) -> list[str]:
        return str(data).split()


class VisibleRowField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of a row that the user can see; any other id counts as unknown."""

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        assert rows is not None
        return scope_visible(rows, self.context["request"].user)


class SubscriptionSerializer(serializers.ModelSerializer[ImageSubscription]):
    """Associated with Image Update: a push to the repository calls the trigger if its tag meets the condition."""

    repository = serializers.CharField(max_length=512, help_text="docker.io/library/shop; without tag and digest.")
    tags = serializers.ListField(child=serializers.CharField(max_length=128), required=False, help_text="At most 10.")
    poll_seconds = serializers.IntegerField(required=False, help_text="0 for no polling; else from 60 to 86400.")
    least_age_hours = serializers.IntegerField(required=False, help_text="Since Windlass first saw an image; 0 to 2160.")

    class Meta:
        model = ImageSubscription
        fields = ["repository", "condition", "pattern", "tags", "poll_seconds", "least_age_hours"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        subscription = ImageSubscription(**attrs)
        check_model(subscription)
        return attrs | {"repository": subscription.repository}


def find_subscription_changes(user: Any, trigger: Trigger, wanted: list[dict[str, Any]] | None) -> SubscriptionChanges:
    """Return the changes that make `wanted` the trigger's subscriptions; None means no change.

    Registries are asked about new repositories, so call it outside of a transaction. Raises PermissionDenied, and
    ValidationError when a registry does not permit pushes."""
    if wanted is None:
        return SubscriptionChanges()
    present = trigger.subscriptions.all() if trigger.pk else ()
    changes = compare_subscriptions(present, [ImageSubscription(**fields) for fields in wanted])
    if changes and not may_subscribe(user, trigger if trigger.pk else trigger.application):
        raise PermissionDenied
    if refusals := explain_refusals(trigger, [subscription.repository for subscription in changes.added]):
        raise serializers.ValidationError({"subscriptions": [f"{name}: {reason}" for name, reason in refusals.items()]})
    return changes


class TriggerSerializer(serializers.ModelSerializer[Trigger]):
    subscriptions = SubscriptionSerializer(
        many=True,
        required=False,
        help_text="The repositories whose pushes call it. A list replaces the present one. The registry of each new repository "
        "must confirm that the stored credentials can push.",
    )
    application = VisibleRowField(queryset=Application.objects.select_related("cluster"))
    service = VisibleRowField(queryset=Service.objects.select_related("application__cluster"), allow_null=True, required=False)
    enabled = SwitchField(required=False)
    post_only = SwitchField(required=False, help_text="GET does nothing; callers must use POST or PUT.")
    allowed_addresses = AddressesField(
        required=False, max_length=ADDRESSES_MAXIMUM, help_text="Addresses and networks that can call the link. Empty: all."
    )
    header_only = SwitchField(required=False, help_text="A secret in the address or in the body is refused.")
    during_freezes = SwitchField(required=False, help_text="Freeze windows hold back none of its calls.")
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Trigger
        fields = [
            "id",
            "application",
            "action",
            "service",
            "name",
            "enabled",
            "min_replicas",
            "max_replicas",
            "cooldown_seconds",
            "tag_pattern",
            "alert_state",
            "post_only",
            "on_failure",
            "during_freezes",
            *NARROWING,
            "signature",
            "old_secret_ends_at",
            "old_secret_used_at",
            "old_secret_used_from",
            "subscriptions",
            "created_by",
            "created_at",
        ]
        read_only_fields = ["signature", "old_secret_ends_at", "old_secret_used_at", "old_secret_used_from", "created_at"]

    def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
        if past := explain_past(expires_at, self.instance.expires_at if self.instance else None):
            raise serializers.ValidationError(past)
        return expires_at

    def validate_subscriptions(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({fields["repository"] for fields in wanted}) < len(wanted):
            raise serializers.ValidationError("List each repository only once.")
        return wanted

    def to_representation(self, trigger: Trigger) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(trigger)
        if not self.context["request"].user.has_perm("triggers.view_imagesubscription", trigger):
            shown["subscriptions"] = []
        return shown

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        fields = {name: value for name, value in attrs.items() if name != "subscriptions"}
        if self.instance is None:
            check_trigger(Trigger(**fields))
            return attrs
        fixed = [name for name in FIXED_FIELDS if name in attrs]
        if fixed:
            raise serializers.ValidationError(dict.fromkeys(fixed, ["Cannot be changed; create another trigger."]))
        trigger = self.instance
        for name, value in fields.items():
            setattr(trigger, name, value)
        check_trigger(trigger)
        return attrs


class TriggerWithSecretSerializer(TriggerSerializer):
    """`link` and `secret` are null for users who may not reveal them, and so is the secret of a link that works without it."""

    link = serializers.SerializerMethodField()
    secret = serializers.SerializerMethodField()

    class Meta(TriggerSerializer.Meta):
        fields = [*TriggerSerializer.Meta.fields, "link", "secret"]

    def get_link(self, trigger: Trigger) -> str | None:
        return build_trigger_link(trigger, public_base_url(self.context["request"])) if self.may_see(trigger) else None

    def get_secret(self, trigger: Trigger) -> str | None:
        return trigger.secret if self.may_see(trigger) and not trigger.needs_no_secret else None

    def may_see(self, trigger: Trigger) -> bool:
        return bool(self.context["request"].user.has_perm("triggers.reveal_trigger", trigger))


class RotateSerializer(serializers.Serializer[Any]):
    overlap_hours = serializers.ChoiceField(
        choices=[hours for hours, _ in OVERLAPS], default=0, help_text="For so many hours the old secret works on."
    )
    drop_old_secret = serializers.BooleanField(
        default=False, help_text="Agree that the secret which an earlier rotation left stops working now."
    )


class TriggerCallEventSerializer(serializers.ModelSerializer[TriggerCallEvent]):
    class Meta:
        model = TriggerCallEvent
        fields = ["time", "level", "operation", "text"]
        read_only_fields = fields


class CallEvidenceSerializer(serializers.ModelSerializer[CallEvidence]):
    lines = serializers.SerializerMethodField(help_text="The last lines, oldest first: time, stream and text.")

    class Meta:
        model = CallEvidence
        fields = ["name", "service", "image", "image_id", "exit_code", "cause", "lines", "is_cut", "problem"]
        read_only_fields = fields

    def get_lines(self, evidence: CallEvidence) -> list[dict[str, str]]:
        return [{"time": time, "stream": stream, "text": text} for time, stream, text in evidence.lines]


class TriggerCallSerializer(serializers.ModelSerializer[TriggerCall]):
    events = TriggerCallEventSerializer(many=True, read_only=True)
    progress = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()),
        read_only=True,
        help_text='On a Swarm, by service: `{"web": [2, 5]}`, two of five tasks run as planned.',
    )
    repeated = serializers.SerializerMethodField(
        help_text="How many more calls were rejected for the same reason in its minute."
    )
    identity = serializers.DictField(
        child=serializers.CharField(),
        read_only=True,
        allow_null=True,
        help_text="Of a trusted job that called: its repository, ref, commit, run and actor, as its token says.",
    )
    built_from = serializers.DictField(
        child=serializers.CharField(),
        read_only=True,
        allow_null=True,
        help_text="The commit that the link's caller named, and its repository if named.",
    )
    failure = serializers.JSONField(
        read_only=True, allow_null=True, help_text="What failed first: container, image, imageId, firstErrorLine and failed."
    )
    returns_to = serializers.JSONField(
        read_only=True, allow_null=True, help_text="The previous images that a redeploy gives to these services."
    )
    before = serializers.JSONField(read_only=True, allow_null=True, help_text="Images and counts when the call was claimed.")
    after = serializers.JSONField(read_only=True, allow_null=True, help_text="Images and counts when the call ended.")

    class Meta:
        model = TriggerCall
        fields = [
            "id",
            "state",
            "reason",
            "message",
            "source",
            "proof",
            "identity",
            "built_from",
            "trigger",
            "application",
            "service",
            "container",
            "action",
            "tag",
            "start_stopped",
            "returns_to",
            "step",
            "replicas",
            "target_replicas",
            "coalesced_into",
            "queued_at",
            "held_until",
            "override_reason",
            "started_at",
            "completed_at",
            "cancel_requested_at",
            "cancelled_by",
            "repeated",
            "repeated_at",
            "plan",
            "progress",
            "events",
            "failure",
            "before",
            "after",
        ]
        read_only_fields = fields

    def get_repeated(self, call: TriggerCall) -> int:
        return call.repeated or 0


class DeliveryLineSerializer(serializers.ModelSerializer[DeliveryLine]):
    class Meta:
        model = DeliveryLine
        fields = ["image", "tag", "digest", "decision", "message", "trigger", "call"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    lines = DeliveryLineSerializer(many=True, read_only=True, help_text="The decision about each image, by trigger.")

    class Meta:
        model = Delivery
        fields = [
            "id",
            "received_at",
            "source",
            "registry",
            "trigger",
            "sender",
            "event",
            "delivery_id",
            "source_address",
            "user_agent",
            "decision",
            "message",
            "repeated",
            "repeated_at",
            "replay_of",
            "lines",
        ]
        read_only_fields = fields


class DeliveryDetailSerializer(DeliverySerializer):
    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "body"]
        read_only_fields = fields
