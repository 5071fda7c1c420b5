"""Triggers, and the images whose pushes call them."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models import Application, Service
from triggers import links
from triggers.allowed_addresses import normalize_addresses
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


class Signature(models.TextChoices):
    """Whether calls of a link have to be signed (triggers.hook.signed_calls)."""

    OFF = "off", _("Off")
    REQUIRED = "required", _("Required, besides the secret")
    INSTEAD = "instead", _("Instead of the secret")


# The options that narrow a trigger's link.
NARROWING = ("allowed_addresses", "expires_at", "calls_left", "calls_a_minute", "header_only")
OLD_SECRET_FIELDS = ("old_secret", "old_secret_ends_at", "old_secret_used_at", "old_secret_used_from")


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
    post_only = models.BooleanField(
        "POST only", default=False, db_default=False, help_text="GET does nothing: whatever only looks at the link is harmless."
    )
    # What narrows the link (triggers.hook.narrowing). Each costs nothing while it is unused.
    allowed_addresses = models.TextField(
        blank=True,
        db_default="",
        default="",
        help_text="Addresses and networks that can call the link, one a line.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="From then on only people can call the trigger.")
    calls_left = models.PositiveIntegerField(
        null=True, blank=True, help_text="So many calls of the link are still accepted. Empty: any number."
    )
    calls_a_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="At most so many calls of the link are accepted in a minute. Empty: any number."
    )
    header_only = models.BooleanField(
        "secret in a header only", default=False, db_default=False, help_text="A secret in the address or the body is refused."
    )

    signature = models.CharField(
        max_length=8,
        choices=Signature.choices,
        default=Signature.OFF,
        db_default=Signature.OFF,
        help_text="Whether calls of the link have to be signed with the trigger's key.",
    )
    signature_key = EncryptedTextField(null=True, blank=True, editable=False)

    during_freezes = models.BooleanField(
        default=False, db_default=False, help_text="Freeze windows hold back none of its calls."
    )

    # After a rotation the secret before it works on for a while.
    old_secret = EncryptedTextField(null=True, blank=True, editable=False)
    old_secret_ends_at = models.DateTimeField(null=True, blank=True, editable=False)
    old_secret_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    old_secret_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)

    sealed_old_secret: str | None = None  # set by hook_queries: `old_secret` as it is stored, not decrypted yet
    sealed_signature_key: str | None = None  # the same of `signature_key`
    # Set by hook_queries and pushes.candidates: false where no freeze window and no label can concern it.
    may_be_frozen: bool | None = None

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
        self.allowed_addresses = normalize_addresses(self.allowed_addresses)

    @property
    def link_fields(self) -> links.LinkFields:
        return links.LinkFields(self.application.cluster.uid, self.application.name, self.action, self.public_id)

    @property
    def has_old_secret(self) -> bool:
        """Whether the secret before the last rotation still works."""
        return self.old_secret_ends_at is not None and self.old_secret_ends_at > timezone.now()

    @property
    def needs_no_secret(self) -> bool:
        """Whether the link works without its secret, because each call is signed."""
        return self.signature == Signature.INSTEAD

    def rotate_secret(self, overlap: timedelta = timedelta(0)) -> None:
        """Give the trigger a new secret. The old one works for `overlap` more; without one, and for the secret that an earlier
        rotation left, links stop working at once."""
        former, self.secret = self.secret, links.make_secret()
        self.old_secret = former if overlap else None
        self.old_secret_ends_at = timezone.now() + overlap if overlap else None
        self.old_secret_used_at = self.old_secret_used_from = None
        self.save(update_fields=["secret", *OLD_SECRET_FIELDS])

    def end_old_secret(self) -> None:
        """Make the secret before the last rotation stop working at once."""
        self.old_secret = self.old_secret_ends_at = self.old_secret_used_at = self.old_secret_used_from = None
        self.save(update_fields=OLD_SECRET_FIELDS)


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
    least_age_hours = models.PositiveIntegerField(
        default=0, db_default=0, help_text="So long ago Windlass must have seen an image first. 0: any age."
    )

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
