"""Dialogs that say how callers of a trigger's link prove themselves: signed calls, and trusted build jobs."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.pages.shared.page import console_page, get_visible, redirect_to, render_dialog, require
from console.pages.shared.trigger_panel.proofs import describe_job, write_signed_curl
from triggers.identity.conditions import warn_of
from triggers.models import Signature, Trigger, TrustedJob
from triggers.proof_forms import SignatureForm, TrustedJobForm
from triggers.proofs import add_trusted_job, change_signature, change_trusted_job, remove_trusted_job
from triggers.selectors import public_base_url, triggers_with_last_call

NEW_KEY = "new_signature_key"  # the session's key: the id of the trigger whose new key is shown once
SAVED = {
    Signature.OFF: "Calls need no signature any longer; the key was removed. The link needs its secret.",
    Signature.REQUIRED: "Calls have to be signed from now on, and need the secret as before.",
    Signature.INSTEAD: "Calls have to be signed from now on. The link holds no secret any longer.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_signature(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Choose whether calls are signed. A key that this makes is shown once, on the page that follows."""
    trigger = find_changeable(request, trigger_id)
    form = SignatureForm(request.POST if request.method == "POST" else None, instance=trigger)
    if request.method == "POST" and form.is_valid():
        chosen, new_key = form.cleaned_data["signature"], form.cleaned_data.get("new_key", False)
        trigger.refresh_from_db()
        was = trigger.signature
        if change_signature(request, trigger, chosen, new_key=new_key):
            request.session[NEW_KEY] = trigger.pk
            return redirect_to(request, "trigger_signature", trigger.pk)
        if chosen != was:
            messages.success(request, SAVED[Signature(chosen)])
        return return_to_trigger(request, trigger)
    key = read_new_key(request, trigger)
    link_curl = write_signed_curl(request, trigger) if key and may_see_link(request, trigger) else ""
    return render_proof_dialog(
        request, trigger, "_trigger_signature.html", "Signed calls", form=form, new_key=key, signed_curl=link_curl
    )


def read_new_key(request: HttpRequest, trigger: Trigger) -> str:
    """Return the key that was just made, and forget that: a reload shows it no longer."""
    if request.method != "GET" or request.session.get(NEW_KEY) != trigger.pk:
        return ""
    del request.session[NEW_KEY]
    return trigger.signature_key or ""


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trusted_job_create(request: HttpRequest, trigger_id: int) -> HttpResponse:
    trigger = find_changeable(request, trigger_id)
    return edit_job(request, TrustedJob(trigger=trigger), "Trust build jobs")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trusted_job_edit(request: HttpRequest, trigger_id: int, job_id: int) -> HttpResponse:
    return edit_job(request, find_job(find_changeable(request, trigger_id), job_id), "Edit trusted jobs")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trusted_job_delete(request: HttpRequest, trigger_id: int, job_id: int) -> HttpResponse:
    trigger = find_changeable(request, trigger_id)
    job = find_job(trigger, job_id)
    if request.method == "POST":
        remove_trusted_job(request, job)
        messages.success(request, f"Jobs of {job} can no longer call {trigger}.")
        return return_to_trigger(request, trigger)
    return render_proof_dialog(request, trigger, "_trusted_job_delete.html", "Stop trusting these jobs", job=job)


def edit_job(request: HttpRequest, job: TrustedJob, title: str) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    form = TrustedJobForm(data, user=request.user, instance=job, audience=public_base_url(request))
    if data is not None and form.is_valid():
        job = form.save(commit=False)
        is_new = not job.pk
        if is_new:
            add_trusted_job(request, job)
        else:
            change_trusted_job(request, job)
        messages.success(request, f"Jobs of {job} can call {job.trigger} without a secret.")
        if warning := warn_of(job.conditions, job.preset):
            messages.warning(request, warning)
        return return_to_trigger(request, job.trigger)
    known = describe_job(request, job) if job.pk and data is None and may_see_link(request, job.trigger) else None
    return render_proof_dialog(request, job.trigger, "_trusted_job_form.html", title, form=form, job=job, known=known)


def may_see_link(request: HttpRequest, trigger: Trigger) -> bool:
    return request.user.has_perm("triggers.reveal_trigger", trigger)


def find_changeable(request: HttpRequest, trigger_id: int) -> Trigger:
    trigger = get_visible(request, triggers_with_last_call(), pk=trigger_id)
    require(request, "triggers.change_trigger", trigger)
    return trigger


def find_job(trigger: Trigger, job_id: int) -> TrustedJob:
    job = TrustedJob.objects.filter(trigger=trigger, pk=job_id).first()
    if job is None:
        raise Http404
    job.trigger = trigger  # loaded already
    return job


def return_to_trigger(request: HttpRequest, trigger: Trigger) -> HttpResponse:
    return redirect_to(request, "trigger", trigger.pk)


def render_proof_dialog(request: HttpRequest, trigger: Trigger, template: str, title: str, **extra: Any) -> HttpResponse:
    crumbs = [("Triggers", reverse("triggers")), (str(trigger), reverse("trigger", args=[trigger.pk]))]
    context = {"title": title, "trigger": trigger, "application": trigger.application, "crumbs": crumbs}
    return render_dialog(request, f"console/triggers/{template}", context | extra)
