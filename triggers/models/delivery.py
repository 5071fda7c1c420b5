"""Messages of registries and monitoring systems, and what was decided about them. `triggers.pushes` writes them."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from triggers.models.call import TriggerCall
from triggers.models.trigger import Trigger
from triggers.payloads import alerts


class Decision(models.TextChoices):
    """What was decided about one image of a delivery, or about a group of alerts."""

    TRIGGERED = "triggered", _("Triggered")
    UNCHANGED = "unchanged", _("Unchanged")
    LEFT = "left", _("Not triggered: left image")
    TAG = "tag", _("Not triggered: tag")
    IMAGE = "image", _("Not triggered: image")
    YOUNG = "young", _("Not yet: too young")
    DUPLICATE = "duplicate", _("Duplicate")
    REJECTED = "rejected", _("Rejected")
    UNSUPPORTED = "unsupported", _("Unsupported event")
    ALERT = "alert", _("Not triggered: alert")
    UNREADABLE = "unreadable", _("Not understood")
    SIGNATURE = "bad_signature", _("Bad signature")
    REFUSED = "refused", _("Refused call")


class Delivery(models.Model):
    """A message of a registry or of monitoring, a find of polling, or a refused call. Only `triggers.pushes` writes it."""

    class Source(models.TextChoices):
        REGISTRY = "registry", _("Registry's link")
        TRIGGER = "trigger", _("Trigger's link")
        POLL = "poll", _("Polling")
        REPLAY = "replay", _("Replay")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    received_at = models.DateTimeField()
    source = models.CharField(max_length=12, choices=Source.choices)
    registry = models.ForeignKey(
        "clusters.Registry", on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries"
    )
    trigger = models.ForeignKey(
        Trigger, on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries", help_text="Whose own link it was."
    )
    sender = models.CharField(max_length=32, blank=True, help_text="By shape and headers: harbor, dockerhub, …")
    event = models.CharField(max_length=64, blank=True, help_text="The sender's own word.")
    delivery_id = models.CharField(max_length=255, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Of the raw body: a repetition has the same.")
    source_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    decision = models.CharField(max_length=16, choices=Decision.choices, help_text="The most telling one of its lines.")
    message = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True, help_text="Redacted and cut.")
    # The first messages of a minute that led to nothing have rows; the others are counted (triggers.pushes.deliveries).
    repeated = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Further messages of the same minute that were only counted on this row."
    )
    repeated_at = models.DateTimeField(null=True, blank=True, help_text="When the last of them arrived.")
    replay_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replays")

    proof = ""  # a value of Proof, set by triggers.pushes.receiving on what arrives at a trigger's own link
    identity: dict[str, str] | None = None  # of the trusted job that sent it

    class Meta:
        ordering = ["-received_at"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["-received_at"], name="delivery_by_time"),
            models.Index(fields=["registry", "-received_at"], name="delivery_by_registry"),
            models.Index(
                fields=["trigger", "-received_at"], condition=models.Q(trigger__isnull=False), name="delivery_by_trigger"
            ),
            models.Index(fields=["decision", "-received_at"], name="delivery_by_decision"),
        ]

    def __str__(self) -> str:
        return f"{self.sender or self.source} {self.received_at:%Y-%m-%d %H:%M:%S}"

    @property
    def is_refused_call(self) -> bool:
        return self.decision == Decision.REFUSED

    @property
    def is_alert(self) -> bool:
        return self.sender in alerts.LABELS


class DeliveryLine(models.Model):
    """The decision about one image of a delivery: a line for each trigger that it matches, or one. Alerts have no image."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="lines")
    image = models.CharField(max_length=512, blank=True, help_text="The repository, normalised where it could be.")
    tag = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=160, blank=True)
    decision = models.CharField(max_length=16, choices=Decision.choices)
    message = models.CharField(max_length=500, blank=True)
    trigger = models.ForeignKey(Trigger, on_delete=models.SET_NULL, null=True, blank=True, related_name="delivery_lines")
    call = models.ForeignKey(TriggerCall, on_delete=models.SET_NULL, null=True, blank=True, related_name="delivery_lines")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.image}:{self.tag} {self.decision}"


class AlertGroup(models.Model):
    """A group of alerts that a trigger acted on: one occurrence while any is reported again. `triggers.pushes` writes it."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="alert_groups")
    key = models.CharField(max_length=64, help_text="Of the group, its state, and what the link asked for.")
    alerts = models.JSONField(default=list, help_text="Names of those told since it began.")
    delivery_id = models.CharField(max_length=255, help_text="Of the call that it made.")
    notified_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["trigger", "key"], name="one_memory_an_alert_group")]
        indexes = [models.Index(fields=["notified_at"], name="alert_group_by_time")]

    def __str__(self) -> str:
        return f"{self.trigger_id} {self.key}"
