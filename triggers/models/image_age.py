"""How old images are, as far as Windlass knows. `triggers.pushes.ages` writes these rows."""

from django.db import models

from triggers.models.trigger import Trigger


class SeenImage(models.Model):
    """When Windlass first saw a digest in a registry. What an image says of its own age counts nothing: its author wrote it."""

    repository = models.CharField(max_length=512, help_text="ImageReference.repository.")
    digest = models.CharField(max_length=160)
    first_seen_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["repository", "digest"], name="one_first_sight_a_digest")]

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


class AwaitedImage(models.Model):
    """A pushed tag whose image is younger than a trigger takes it. The registry is asked again at `look_at`."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="awaited_images")
    repository = models.CharField(max_length=512, help_text="ImageReference.repository.")
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=160, blank=True, help_text="As last seen, or as the push says.")
    taken_at = models.DateTimeField(null=True, blank=True, help_text="When it will be old enough. Empty: not known yet.")
    look_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    failures = models.PositiveIntegerField(default=0, help_text="In a row: they lengthen the interval.")
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["trigger", "repository", "tag"], name="one_wait_a_tag")]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"
