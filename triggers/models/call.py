"""Calls and their timelines. Only `triggers.calls` and `triggers.run` write TriggerCall.state."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clusters.models import Application, Service
from triggers.models.trigger import Action, Trigger


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


class Proof(models.TextChoices):
    """By what the caller of a trigger's link was proved."""

    SECRET = "secret", _("Secret")
    OLD_SECRET = "old_secret", _("Old secret")
    SIGNATURE = "signature", _("Signature")
    IDENTITY = "identity", _("Trusted job")


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
    start_stopped = models.BooleanField(  # null, since SQLite adds such a column without copying the table
        null=True, blank=True, help_text="A redeploy also starts what was stopped in Windlass."
    )
    returns_to = models.JSONField(  # null, for the same reason
        null=True,
        blank=True,
        help_text='A redeploy gives these services the images that they ran before: `{"web": {"reference": "app:1", '
        '"image_id": "sha256:…", "digests": ["app@sha256:…"]}}`.',
    )
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

    # Both null for what did not come by the trigger's own link, and since SQLite adds such columns without copying the table.
    proof = models.CharField(
        max_length=12, choices=Proof.choices, null=True, blank=True, help_text="By what the link's caller was proved."
    )
    took_one = models.BooleanField(null=True, blank=True, help_text="It took one of the trigger's number of calls.")

    # Null for the same reasons.
    identity = models.JSONField(
        null=True,
        blank=True,
        help_text="Of a trusted job: its repository, ref, commit, run and actor. The texts are the job's.",
    )
    built_from = models.JSONField(
        null=True, blank=True, help_text='The commit that the caller named: `{"commit": …, "repository": …}`, as far as named.'
    )

    # Of freeze windows (triggers.freezes). Null for the same reasons.
    held_until = models.DateTimeField(null=True, blank=True, help_text="Until then it waits for the end of a freeze window.")
    during_freezes = models.BooleanField(null=True, blank=True, help_text="No freeze window holds it back.")
    override_reason = models.CharField(
        max_length=200, null=True, blank=True, help_text="Why a person let it run in spite of freeze windows."
    )

    judged_image = models.JSONField(
        null=True,
        blank=True,
        help_text='Of an image with a least age: `{"repository": …, "tag": …, "digest": …, "hours": 24}`.',
    )

    state = models.CharField(max_length=12, choices=CallState.choices, default=CallState.QUEUED)
    reason = models.CharField(max_length=64, blank=True, help_text="A word for machines.")
    message = models.TextField(blank=True, help_text="A sentence for people.")
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    # Of a link's rejected calls, the first one of a minute has a row; the others are counted (triggers.calls.rejections). Null
    # and not 0 by default, since SQLite adds such a column without copying the table.
    repeated = models.PositiveIntegerField(
        null=True, blank=True, help_text="Further calls of the same minute that were rejected for the same reason."
    )
    repeated_at = models.DateTimeField(null=True, blank=True, help_text="When the last of them arrived.")

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
    failure = models.JSONField(  # null, since SQLite adds such a column without copying the table
        null=True,
        blank=True,
        help_text='Of what failed first: `{"container": …, "image": …, "imageId": …, "firstErrorLine": …}`, and `failed`: how '
        "many containers or tasks have failed.",
    )
    before = models.JSONField(null=True, blank=True)  # clusters.engine.snapshot.Snapshot, like `after`
    after = models.JSONField(null=True, blank=True)

    is_repetition = False  # set by accept_call: the delivery came again, and this is the call that it made the first time
    retry_after: int | None = None  # set by accept_call on a call that is rejected for a while: seconds

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
            # For the redeploys that ran, of which the history of images is made. A call is in it when a worker has begun it.
            models.Index(
                fields=["application", "action", "-queued_at"], condition=Q(before__isnull=False), name="call_that_ran"
            ),
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
