"""Triggers and their calls. Only `triggers.calls` and `triggers.run` write TriggerCall.state."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models import Application, Service
from triggers import links
from triggers.payloads import alerts
from triggers.validation import validate_subscription, validate_trigger


class Action(models.TextChoices):
    REDEPLOY = "redeploy", _("Redeploy")
    SCALING = "scaling", _("Resource Scaling")
    STOP = "stop", _("Stop")
    START = "start", _("Start")
    RESTART = "restart", _("Restart")
    DELETE = "delete", _("Delete")


# The actions of a trigger's link. The others (clusters.engine.driver.Act) are for people, on the pages and in the API.
TRIGGER_ACTIONS = (Action.REDEPLOY, Action.SCALING)
TRIGGER_CHOICES = [(action.value, action.label) for action in TRIGGER_ACTIONS]


class OnFailure(models.TextChoices):
    """What to do when a change on a Swarm fails and the service's own policy does not say."""

    ROLLBACK = "rollback", _("Go back to how it was")
    PAUSE = "pause", _("Leave it as it is")


class AlertState(models.TextChoices):
    """The state of an alert, in the words of Alertmanager and Grafana."""

    FIRING = "firing", _("When the alert fires")
    RESOLVED = "resolved", _("When the alert is resolved")


class Trigger(models.Model):
    """A named, revocable link that redeploys an application or scales a service."""

    public_id = models.CharField(max_length=13, unique=True, default=links.make_public_id, editable=False)
    secret = EncryptedTextField(default=links.make_secret, editable=False)
    name = models.CharField(max_length=64, blank=True, help_text="For people; who calls it, for example.")
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="triggers")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, blank=True, related_name="triggers")
    action = models.CharField(max_length=12, choices=TRIGGER_CHOICES)
    enabled = models.BooleanField(default=True)
    min_replicas = models.PositiveIntegerField(null=True, blank=True, help_text="scale_in goes no lower.")
    max_replicas = models.PositiveIntegerField(null=True, blank=True, help_text="scale_out goes no higher.")
    cooldown_seconds = models.PositiveIntegerField(
        default=0, help_text="After an accepted call, further calls in the same direction are rejected for this long."
    )
    tag_pattern = models.CharField(
        "allowed tags",
        max_length=200,
        blank=True,
        help_text="An expression. A redeploy call whose tag parameter it matches changes the image to that tag for good.",
    )
    on_failure = models.CharField(
        max_length=12,
        choices=OnFailure.choices,
        default=OnFailure.ROLLBACK,
        help_text="On a Swarm, when a change fails and the service's own policy does not say what then. "
        "A plain engine always goes back.",
    )
    alert_state = models.CharField(
        "acts on",
        max_length=12,
        choices=AlertState.choices,
        default=AlertState.FIRING,
        db_default=AlertState.FIRING,
        help_text="Of a notification that Alertmanager or Grafana sends; any other call acts at once.",
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        permissions = [("reveal_trigger", "Can reveal link and secret")]
        constraints = [
            models.CheckConstraint(condition=Q(action__in=TRIGGER_ACTIONS), name="trigger_redeploys_or_scales"),
            models.CheckConstraint(
                condition=~Q(action=Action.SCALING) | Q(service__isnull=False), name="scaling_trigger_has_service"
            ),
            models.CheckConstraint(
                condition=Q(min_replicas__isnull=True) | Q(max_replicas__isnull=True) | Q(min_replicas__lte=F("max_replicas")),
                name="trigger_min_not_above_max",
            ),
            models.CheckConstraint(
                condition=Q(max_replicas__isnull=True) | Q(max_replicas__gte=1), name="trigger_max_at_least_one"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.get_action_display()} {self.public_id}"

    def clean(self) -> None:
        validate_trigger(self)

    @property
    def link_fields(self) -> links.LinkFields:
        return links.LinkFields(self.application.cluster.uid, self.application.name, self.action, self.public_id)

    def rotate_secret(self) -> None:
        """Give the trigger a new secret. Links with the old one stop working at once."""
        self.secret = links.make_secret()
        self.save(update_fields=["secret"])


class CallState(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    COALESCED = "coalesced", _("Coalesced")
    REJECTED = "rejected", _("Rejected")


ACTIVE_STATES = (CallState.QUEUED, CallState.RUNNING)
TERMINAL_STATES = tuple(state for state in CallState if state not in ACTIVE_STATES)


class TriggerCall(models.Model):
    """One call and its outcome. The row is the queue; a Celery message is only a nudge."""

    class Source(models.TextChoices):
        HOOK = "hook", _("Trigger link")
        CONSOLE = "console", _("Console")
        API = "api", _("API")
        REGISTRY = "registry", _("Registry")
        POLL = "poll", _("Polling")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without own indexes: those in Meta begin with the same columns, or leave out the many rows that have null.
    trigger = models.ForeignKey(Trigger, on_delete=models.SET_NULL, null=True, blank=True, related_name="calls", db_index=False)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="calls", db_index=False)
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, blank=True, related_name="calls", db_index=False)
    action = models.CharField(max_length=12, choices=Action.choices)
    source = models.CharField(max_length=12, choices=Source.choices)

    # The request: for one container only, by name; with another tag; for scaling, a signed step (out is positive) or a count.
    container = models.CharField(max_length=255, blank=True)
    tag = models.CharField(max_length=128, blank=True, help_text="A redeploy changes the image to this tag.")
    step = models.IntegerField(null=True, blank=True)
    replicas = models.PositiveIntegerField(null=True, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    source_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    delivery_id = models.CharField(
        max_length=255, blank=True, help_text="The caller's own id of this delivery: a repetition gets the same call."
    )

    request_id = models.CharField(
        max_length=64, blank=True, db_default="", help_text="Of the request that asked for it, as the log has it."
    )

    state = models.CharField(max_length=12, choices=CallState.choices, default=CallState.QUEUED)
    reason = models.CharField(max_length=64, blank=True, help_text="A word for machines.")
    message = models.TextField(blank=True, help_text="A sentence for people.")
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    # For a coalesced call: the queued call whose outcome is also its own.
    coalesced_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="coalesced_calls", db_index=False
    )
    # Scaling calls of one service that are claimed together run as one change, under the call that leads them.
    merged_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged_calls", db_index=False
    )
    target_replicas = models.PositiveIntegerField(null=True, blank=True, help_text="The count after this call's own step.")

    lease_owner = models.CharField(max_length=64, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True, db_default="", help_text="The name of who asked for it.")

    plan = models.TextField(blank=True)
    progress = models.JSONField(
        default=dict, help_text='How far it has come, by service: `{"web": [2, 5]}`, two of five tasks run as planned.'
    )
    before = models.JSONField(null=True, blank=True)  # clusters.engine.snapshot.Snapshot, like `after`
    after = models.JSONField(null=True, blank=True)

    is_repetition = False  # set by accept_call: the delivery came again, and this is the call that it made the first time
    retry_after: int | None = None  # set by accept_call on a call that is rejected for a cool-down: seconds

    class Meta:
        ordering = ["-queued_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["application"],
                condition=Q(state=CallState.RUNNING, merged_into__isnull=True),
                name="one_running_call_an_application",
            ),
            models.UniqueConstraint(
                fields=["trigger", "delivery_id"], condition=~Q(delivery_id=""), name="one_call_a_delivery"
            ),
        ]
        indexes = [
            # For counts by state in a span of time, and for the queue.
            models.Index(fields=["state", "queued_at"], name="call_by_state"),
            models.Index(fields=["application", "state", "queued_at"], name="call_by_application_state"),
            models.Index(
                fields=["trigger", "state", "queued_at"], condition=Q(trigger__isnull=False), name="call_by_trigger_state"
            ),
            # For the newest calls of each.
            models.Index(fields=["-queued_at"], name="call_by_time"),
            models.Index(fields=["application", "-queued_at"], name="call_by_application"),
            models.Index(fields=["service", "-queued_at"], condition=Q(service__isnull=False), name="call_by_service"),
            models.Index(fields=["trigger", "-queued_at"], name="call_by_trigger"),
            models.Index(
                fields=["state", "lease_expires_at"], condition=Q(state__in=["queued", "running"]), name="call_active"
            ),
            # For the rows that refer to one that is deleted.
            models.Index(fields=["requested_by"], condition=Q(requested_by__isnull=False), name="call_by_user"),
            models.Index(fields=["coalesced_into"], condition=Q(coalesced_into__isnull=False), name="call_by_covering"),
            models.Index(fields=["merged_into"], condition=Q(merged_into__isnull=False), name="call_by_leader"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.application_id} {self.id}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_STATES

    @property
    def may_run_again(self) -> bool:
        """Not a delete: each one has to be confirmed with the name of what is deleted."""
        return self.action != Action.DELETE


class ImageSubscription(models.Model):
    """Associated with Image Update: a push to the repository calls the trigger if the condition holds for its tag."""

    class Condition(models.TextChoices):
        SERVICE_TAG = "service_tag", _("The tag that runs")
        EVERY = "every", _("Every tag")
        PATTERN = "pattern", _("Tags that match an expression")
        TAGS = "tags", _("These tags")

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="subscriptions")
    repository = models.CharField(max_length=512, db_index=True, help_text="docker.io/library/app: ImageReference.repository.")
    condition = models.CharField(max_length=12, choices=Condition.choices, default=Condition.SERVICE_TAG)
    pattern = models.CharField(max_length=200, blank=True, help_text="RE2 syntax; it must match the whole tag.")
    tags = models.JSONField(default=list, blank=True, help_text="At most 10.")
    created_at = models.DateTimeField(auto_now_add=True)

    # Polling, for registries that cannot reach the console.
    poll_seconds = models.PositiveIntegerField(default=0, help_text="0: the registry is not asked.")
    poll_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    polled_at = models.DateTimeField(null=True, editable=False)
    polled = models.JSONField(default=dict, editable=False, help_text='By tag: `{"1": {"digest": "sha256:…", "etag": "…"}}`.')
    poll_failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row: they lengthen the interval.")
    poll_problem = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        ordering = ["repository"]
        constraints = [models.UniqueConstraint(fields=["trigger", "repository"], name="one_subscription_a_repository")]
        indexes = [models.Index(fields=["poll_due_at"], condition=Q(poll_seconds__gt=0), name="subscription_by_due_poll")]

    def __str__(self) -> str:
        return self.repository

    def clean(self) -> None:
        validate_subscription(self)


class Decision(models.TextChoices):
    """What was decided about one image of a delivery, or about a group of alerts."""

    TRIGGERED = "triggered", _("Triggered")
    UNCHANGED = "unchanged", _("Unchanged")
    TAG = "tag", _("Not triggered: tag")
    IMAGE = "image", _("Not triggered: image")
    DUPLICATE = "duplicate", _("Duplicate")
    REJECTED = "rejected", _("Rejected")
    UNSUPPORTED = "unsupported", _("Unsupported event")
    ALERT = "alert", _("Not triggered: alert")
    UNREADABLE = "unreadable", _("Not understood")
    SIGNATURE = "bad_signature", _("Bad signature")


class Delivery(models.Model):
    """One message of a registry or a monitoring system, or one find of polling. Only `triggers.pushes` writes it."""

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
    replay_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replays")

    class Meta:
        ordering = ["-received_at"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["-received_at"], name="delivery_by_time"),
            models.Index(fields=["registry", "-received_at"], name="delivery_by_registry"),
            models.Index(fields=["decision", "-received_at"], name="delivery_by_decision"),
        ]

    def __str__(self) -> str:
        return f"{self.sender or self.source} {self.received_at:%Y-%m-%d %H:%M:%S}"

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


class TriggerCallEvent(models.Model):
    """A line of a call's timeline. Append-only."""

    class Level(models.TextChoices):
        INFO = "info", _("Info")
        WARNING = "warning", _("Warning")
        ERROR = "error", _("Error")

    call = models.ForeignKey(TriggerCall, on_delete=models.CASCADE, related_name="events")
    time = models.DateTimeField()
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    operation = models.CharField(max_length=32)
    text = models.TextField()

    class Meta:
        ordering = ["time", "id"]

    def __str__(self) -> str:
        return self.text
