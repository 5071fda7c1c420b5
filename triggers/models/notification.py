"""Channels, the rules that say which news go over them, and the outbox. `triggers.notifications` writes the outbox.

The rows that news are about have no constraint in the database: a version that knows no such rows still deletes those."""

import json
import secrets
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models import Application, Cluster
from triggers.models.call import TriggerCall


class ChannelKind(models.TextChoices):
    MAIL = "mail", _("Mail")
    SLACK = "slack", _("Slack")
    TEAMS = "teams", _("Microsoft Teams")
    DISCORD = "discord", _("Discord")
    MATTERMOST = "mattermost", _("Mattermost")
    TELEGRAM = "telegram", _("Telegram")
    NTFY = "ntfy", _("ntfy")
    GOTIFY = "gotify", _("Gotify")
    WEBHOOK = "webhook", _("Webhook")
    COMMIT = "commit", _("Commit status")


class News(models.TextChoices):
    """What can be news. Receivers read these words, so a value never changes."""

    FAILED = "failed", _("Failed or rolled back")
    WORKS_AGAIN = "works_again", _("Works again")
    SUCCEEDED = "succeeded", _("Succeeded")
    OVER_MOST = "over_most", _("Wants more than the most")
    QUEUE_FULL = "queue_full", _("Queue full")
    CRASHING = "crashing", _("Crashes or is unhealthy")
    CLUSTER_AWAY = "cluster_away", _("Cluster unreachable")
    CLUSTER_BACK = "cluster_back", _("Cluster reachable again")
    REGISTRY_AWAY = "registry_away", _("Registry cannot be polled")
    LINK_EXPIRES = "link_expires", _("Link about to expire")
    SIGN_IN_LOCK = "sign_in_lock", _("Sign-in locked")
    COMMIT_STATUS = "commit_status", _("Commit status")
    TEST = "test", _("Test")


ALONE = (News.COMMIT_STATUS, News.TEST)  # for one channel without a rule, and never joined with others
RULE_NEWS = tuple(news for news in News if news not in ALONE)
DEFAULT_NEWS = (News.FAILED, News.WORKS_AGAIN)  # of a new channel


class DeliveryStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    JOINED = "joined", _("Joined with another")
    FAILED = "failed", _("Failed")
    DROPPED = "dropped", _("Not sent")


def make_webhook_id() -> str:
    """Return what names a message, the same at each attempt."""
    return f"msg_{secrets.token_hex(16)}"


class NotificationChannel(models.Model):
    """A way to people or programs, for all clusters. Its configuration has the fields of its kind
    (triggers.notifications.kinds)."""

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=12, choices=ChannelKind.choices)
    configuration = EncryptedTextField(default="{}", editable=False, help_text="A JSON object, stored encrypted.")
    enabled = models.BooleanField(default=True)
    off_reason = models.CharField(
        max_length=500, blank=True, default="", editable=False, help_text="Why Windlass itself has turned it off."
    )
    off_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    # Of the process that sends over it now. Times are the database's own.
    lease_owner = models.CharField(max_length=64, blank=True, default="", editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def values(self) -> dict[str, Any]:
        """The configuration, secrets included, by the names of the fields. Empty if what is stored is none."""
        try:
            found = json.loads(self.configuration or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @values.setter
    def values(self, found: dict[str, Any]) -> None:
        self.configuration = json.dumps(found)


class NotificationRule(models.Model):
    """News of this kind go over the channel: those of everything, of one cluster, or of one application."""

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="rules")
    news = models.CharField(max_length=16, choices=[(news.value, news.label) for news in RULE_NEWS])
    cluster = models.ForeignKey(
        Cluster, on_delete=models.CASCADE, null=True, blank=True, related_name="notification_rules", db_constraint=False
    )
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, null=True, blank=True, related_name="notification_rules", db_constraint=False
    )

    class Meta:
        ordering = ["pk"]
        default_permissions = ()  # whoever may change the channel changes its rules
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "news"],
                condition=Q(cluster__isnull=True, application__isnull=True),
                name="one_rule_for_all",
            ),
            models.UniqueConstraint(
                fields=["channel", "news", "cluster"], condition=Q(cluster__isnull=False), name="one_rule_a_cluster"
            ),
            models.UniqueConstraint(
                fields=["channel", "news", "application"],
                condition=Q(application__isnull=False),
                name="one_rule_an_application",
            ),
            models.CheckConstraint(condition=Q(cluster__isnull=True) | Q(application__isnull=True), name="rule_has_one_place"),
        ]
        indexes = [models.Index(fields=["news"], name="rule_by_news")]

    def __str__(self) -> str:
        return f"{self.news} {self.application or self.cluster or 'all'}"


class Notification(models.Model):
    """News, written in the transaction that made it. `facts` is what is sent: triggers.notifications.news says what it has."""

    webhook_id = models.CharField(max_length=40, unique=True, default=make_webhook_id, editable=False)
    news = models.CharField(max_length=16, choices=News.choices)
    recorded_at = models.DateTimeField()
    cluster = models.ForeignKey(
        Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_constraint=False
    )
    application = models.ForeignKey(
        Application, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_constraint=False
    )
    call = models.ForeignKey(
        TriggerCall, on_delete=models.SET_NULL, null=True, blank=True, related_name="notifications", db_constraint=False
    )
    group = models.CharField(max_length=64, help_text="News with the same one are equal: what they are about, as a digest.")
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["recorded_at"], name="notification_by_time")]

    def __str__(self) -> str:
        return f"{self.news} {self.webhook_id}"


class NotificationDelivery(models.Model):
    """News on their way over one channel, and what became of them. Equal news, and many at once, are joined into one message:
    the one that `joined_into` names was sent for this one too."""

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices, default=DeliveryStatus.WAITING)
    joined_into = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="joined")
    count = models.PositiveIntegerField(default=1, help_text="So many news are in this message.")
    is_digest = models.BooleanField(default=False, help_text="The news in this message are not equal.")
    created_at = models.DateTimeField()
    first_attempt_at = models.DateTimeField(
        null=True, blank=True, help_text="When it became a message, or was joined into one."
    )
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True, help_text="While it waits.")
    attempts = models.PositiveIntegerField(default=0)
    answer_status = models.PositiveIntegerField(null=True, blank=True, help_text="Of HTTP or SMTP.")
    answer = models.CharField(max_length=500, blank=True, help_text="Its first characters.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why the last attempt failed, as a sentence.")

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        verbose_name_plural = "notification deliveries"
        indexes = [
            models.Index(fields=["channel", "-id"], name="notified_by_channel"),
            models.Index(
                fields=["channel", "first_attempt_at"],
                condition=Q(first_attempt_at__isnull=False),
                name="notified_by_attempt",
            ),
            models.Index(fields=["next_attempt_at"], condition=Q(status="waiting"), name="notified_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.notification_id} over {self.channel_id}: {self.status}"
