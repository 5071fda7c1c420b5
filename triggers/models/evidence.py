"""What failed containers and tasks leave behind."""

from django.db import models

from triggers.models.call import TriggerCall


class CallEvidence(models.Model):
    """The last output of a container or a Swarm task that failed in a call. It is written once and deleted with the call."""

    call = models.ForeignKey(TriggerCall, on_delete=models.CASCADE, related_name="evidence", db_index=False)
    part_id = models.CharField(max_length=64, help_text="The engine's id of the container or task.")
    name = models.CharField(max_length=255)
    service = models.CharField(max_length=255, blank=True)
    image = models.CharField(max_length=512, blank=True, help_text="The reference of the image that was tried.")
    image_id = models.CharField(max_length=255, blank=True, help_text="Its id, on a Swarm its digest.")
    exit_code = models.BigIntegerField(null=True, blank=True)
    cause = models.TextField(blank=True, help_text="How it failed.")
    lines = models.JSONField(default=list, help_text="Of each line the time, the stream and the text, with secrets masked.")
    is_cut = models.BooleanField(default=False, help_text="It printed more before these lines.")
    problem = models.TextField(blank=True, help_text="Why its output could not be read.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["call", "part_id"], name="one_evidence_a_part")]

    def __str__(self) -> str:
        return self.name
