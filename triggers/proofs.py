"""Changes that people make to how callers of a link prove themselves, each with its entry in the audit log.

Pages, the API and the admin call these functions after they have checked the user's permission on the trigger.
"""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from clusters.access import may_choose_engines
from clusters.access.changes import list_changes, read_stored_values, read_values
from triggers.audited import record_trigger_act
from triggers.identity.presets import PUBLIC_ISSUERS
from triggers.links import make_signature_key
from triggers.models import Signature, Trigger, TrustedJob

SIGNATURE_FIELDS = ("signature", "signature_key")
JOB_FIELDS = ("name", "preset", "issuer", "audience", "conditions")
FOREIGN_ISSUER = (
    "Only an administrator of all clusters can enter an issuer of your own, since this console's host asks it for keys. "
    f"Others can choose {', '.join(sorted(PUBLIC_ISSUERS))}."
)


def change_signature(request: HttpRequest, trigger: Trigger, signature: str, *, new_key: bool = False) -> str:
    """Set whether calls have to be signed. Return the key if this made one, to be shown once; else an empty text.

    A key is made where there is none, and with `new_key`; then the one before stops working at once. Without signatures, no key
    is kept."""
    with transaction.atomic():
        before = read_stored_values(trigger, SIGNATURE_FIELDS)
        key = ""
        trigger.signature = signature
        if signature == Signature.OFF:
            trigger.signature_key = None
        elif new_key or not trigger.signature_key:
            key = trigger.signature_key = make_signature_key()
        if changes := list_changes(before, read_values(trigger, SIGNATURE_FIELDS)):
            trigger.save(update_fields=SIGNATURE_FIELDS)
            record_trigger_act(request, "signature", trigger, changes=changes)
    return key


def check_issuer(user: Any, job: TrustedJob) -> None:
    """Raise ValidationError if the user may not let the console's host ask this issuer. One that is stored already stays."""
    if job.issuer in PUBLIC_ISSUERS or may_choose_engines(user):
        return
    if job.pk and TrustedJob.objects.filter(pk=job.pk, issuer=job.issuer).exists():
        return
    raise ValidationError({"issuer": [FOREIGN_ISSUER]})


def add_trusted_job(request: HttpRequest, job: TrustedJob) -> None:
    """Store a valid job. The user's right to its issuer has been checked."""
    job.created_by = request.user  # type: ignore[assignment]
    with transaction.atomic():
        job.save()
        record_trigger_act(request, "trust", job.trigger, job=job.name, changes=list_changes({}, read_values(job, JOB_FIELDS)))


def change_trusted_job(request: HttpRequest, job: TrustedJob, fields: Collection[str] = JOB_FIELDS) -> None:
    """Store a valid job that has been changed. Nothing is recorded if nothing differs."""
    with transaction.atomic():
        before = read_stored_values(job, fields)
        if changes := list_changes(before, read_values(job, fields)):
            job.save(update_fields=fields)
            record_trigger_act(request, "trust", job.trigger, job=job.name, changes=changes)


def remove_trusted_job(request: HttpRequest, job: TrustedJob) -> None:
    with transaction.atomic():
        record_trigger_act(request, "distrust", job.trigger, job=job.name, issuer=job.issuer)
        job.delete()
