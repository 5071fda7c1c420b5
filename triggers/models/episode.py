"""What lasts for some time, and whether people know."""

from django.db import models


class Episode(models.Model):
    """A condition that lasts, such as a cluster that does not answer. `triggers.episodes` is the only writer.

    The row is there while the condition lasts. Of several watchers, the one that changes it reports it."""

    class Kind(models.TextChoices):
        CLUSTER = "cluster", "Cluster that does not answer"
        APPLICATION = "application", "Application with failing containers or tasks"
        REGISTRY = "registry", "Registry that cannot be polled"
        EXPIRY = "expiry", "Link that is about to expire"

    kind = models.CharField(max_length=16, choices=Kind.choices)
    subject = models.CharField(max_length=255, help_text="The id of the row that it is about, or a registry's host.")
    began_at = models.DateTimeField(help_text="When it was first seen, after a time without watchers again.")
    seen_at = models.DateTimeField(help_text="When it was last seen.")
    told_at = models.DateTimeField(null=True, help_text="When it was reported.")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="one_episode_a_subject")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
