"""Build jobs that can call a trigger's link without a secret."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from triggers.identity.conditions import find_problems
from triggers.identity.issuers import ISSUER_LENGTH, explain_bad_issuer
from triggers.identity.presets import Preset
from triggers.models.trigger import Trigger

JOBS_MAXIMUM = 20  # of a trigger
AUDIENCE_LENGTH = 255


class TrustedJob(models.Model):
    """Jobs of one issuer whose identity tokens fit all of the conditions. Whoever can change the trigger can change it."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="trusted_jobs")
    name = models.CharField(max_length=64, help_text="Shown in lists and with the calls of these jobs.")
    preset = models.CharField("host", max_length=12, choices=Preset.choices, help_text="What the claims are called.")
    issuer = models.CharField(max_length=ISSUER_LENGTH, help_text="The claim iss of the tokens, exactly.")
    audience = models.CharField(max_length=AUDIENCE_LENGTH, help_text="It must be among the claim aud of the tokens.")
    conditions = models.JSONField(
        help_text='By claim: `{"ref": {"exact": "refs/heads/main"}}`, or `pattern` with an expression.'
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        default_permissions = ()  # those on its trigger count

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        problems: dict[str, list[str]] = {}
        if self.preset not in Preset.values:
            return  # the field says so
        if problem := explain_bad_issuer(self.issuer):
            problems["issuer"] = [problem]
        if not self.audience.isprintable() or " " in self.audience:
            problems["audience"] = ["An audience is a text without blanks."]
        if found := find_problems(self.conditions, self.preset):
            problems["conditions"] = found
        others = TrustedJob.objects.filter(trigger=self.trigger_id).exclude(pk=self.pk)
        if self._state.adding and others.count() >= JOBS_MAXIMUM:
            problems.setdefault("name", []).append(f"A trigger has at most {JOBS_MAXIMUM} trusted jobs.")
        if problems:
            raise ValidationError(problems)
