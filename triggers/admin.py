"""Triggers, calls and deliveries in the admin. Secrets and links are shown in the console only. Calls and deliveries are
history: an active call can be cancelled, and everything else is read-only."""

import re
from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import models
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from clusters.access import has_anywhere, scope
from clusters.access.admin_access import ClusterFilter, ReadOnlyAdmin, ScopedAdmin
from clusters.admin import ApplicationAdmin
from clusters.badges import render_badge
from clusters.models import Application, Service
from clusters.registry.reference import BadReference, parse_reference
from triggers import audited
from triggers.calls.cancel import AlreadyEnded
from triggers.calls.queue import QueueFull
from triggers.forms import TriggerWording
from triggers.models import (
    NARROWING,
    Action,
    CallState,
    Delivery,
    DeliveryLine,
    ImageSubscription,
    Trigger,
    TriggerCall,
    TriggerCallEvent,
)
from triggers.narrowing_forms import NarrowingForm
from triggers.pushes.subscriptions import (
    SubscriptionChanges,
    describe_subscription,
    drop_unused_conditions,
    explain_refusals,
    may_subscribe,
)
from triggers.validation import TAGS_MAXIMUM

REPOSITORY_FIELD = re.compile(r"subscriptions-[0-9]{1,4}-repository")


@admin.action(description="Redeploy selected applications", permissions=["redeploy"])
def redeploy(modeladmin: ScopedAdmin, request: HttpRequest, queryset: QuerySet[Application]) -> None:
    """Redeploy the applications where the user has the permission, and name the others."""
    allowed = scope(queryset, request.user, "triggers.add_triggercall")
    for application in queryset.exclude(pk__in=allowed):
        modeladmin.message_user(request, f"{application}: you do not have permission to redeploy it.", messages.ERROR)
    for application in allowed:
        try:
            call = audited.request_call(request, TriggerCall.Source.CONSOLE, application, action=Action.REDEPLOY)
        except QueueFull as error:
            modeladmin.message_user(request, f"{application}: {error.message}", messages.ERROR)
            continue
        if call.state == CallState.REJECTED:
            modeladmin.message_user(request, f"{application}: {call.message}", messages.ERROR)
        else:
            modeladmin.message_user(request, f"{application}: redeploy {call.get_state_display().lower()}.", messages.SUCCESS)


class RedeployingApplicationAdmin(ApplicationAdmin):
    actions = (redeploy,)

    def has_redeploy_permission(self, request: HttpRequest) -> bool:
        return has_anywhere(request.user, "triggers.add_triggercall")


admin.site.unregister(Application)
admin.site.register(Application, RedeployingApplicationAdmin)


class SubscriptionAdminForm(forms.ModelForm):
    """A subscription, with the words of the console's dialogs."""

    class Meta:
        model = ImageSubscription
        fields = ("repository", "condition", "pattern", "tags", "poll_seconds")
        labels = {
            "condition": "Redeploys for",
            "pattern": "Expression",
            "poll_seconds": "Check for new images every … seconds",
        }
        help_texts = {
            "repository": "Such as docker.io/library/app, without a tag.",
            "pattern": "It must match the whole tag (RE2 syntax).",
            "tags": f'A JSON list of at most {TAGS_MAXIMUM} tags, such as ["1", "2"].',
            "poll_seconds": "Only needed if the registry cannot call this console. 0 for no polling.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "repository" in self.fields:  # left out for users who may only view
            self.fields["repository"].disabled = True  # another repository is another subscription


class SubscriptionFormSet(BaseInlineFormSet):
    """The subscriptions of a trigger. As in the dialogs and in the API, a registry must confirm each new one.

    `refusals` holds what the registries answered before the transaction began, as explain_refusals returns it, for each
    repository that was asked about; an empty text where nothing speaks against it."""

    def __init__(self, *args: Any, refusals: dict[str, str] | None = None, **kwargs: Any) -> None:
        self.refusals = refusals or {}
        super().__init__(*args, **kwargs)

    def clean(self) -> None:
        super().clean()
        seen = {form.instance.repository for form in self.initial_forms}
        for form in self.extra_forms:
            if form.errors or not form.has_changed() or form.cleaned_data.get("DELETE"):
                continue
            name = form.instance.repository  # in its normalised form
            reason = self.refusals.get(name, "Its registry has not been asked yet. Save again.")
            if name in seen:
                reason = "List each repository only once."
            if reason:
                form.add_error("repository", reason)
            seen.add(name)


class SubscriptionInline(admin.TabularInline):
    """The images whose pushes call the trigger. As everywhere, whoever changes them needs all rights on the trigger's."""

    model = ImageSubscription
    form = SubscriptionAdminForm
    formset = SubscriptionFormSet
    verbose_name_plural = "Associated with Image Update"
    extra = 0
    fields = ("repository", "condition", "pattern", "tags", "poll_seconds", "last_problem")
    readonly_fields = ("last_problem",)
    formfield_overrides = {models.JSONField: {"widget": forms.Textarea(attrs={"rows": 2, "cols": 20})}}

    def has_view_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "delete", obj)

    @admin.display(description="Problem of the last check")
    def last_problem(self, subscription: ImageSubscription) -> str:
        return subscription.poll_problem

    @staticmethod
    def _may(request: HttpRequest, verb: str, trigger: Trigger | None) -> bool:
        if trigger is None:
            return has_anywhere(request.user, f"triggers.{verb}_imagesubscription")
        if verb == "view":
            return request.user.has_perm("triggers.view_imagesubscription", trigger)
        return may_subscribe(request.user, trigger)


def read_repository(text: str) -> str:
    """Return the repository in its normalised form; empty for text that names none."""
    try:
        return parse_reference(text).repository
    except BadReference:
        return ""


class TriggerAdminForm(NarrowingForm, TriggerWording):
    """A trigger's options, those that narrow its link included."""

    class Meta(TriggerWording.Meta):
        fields = (*TriggerWording.Meta.fields, *NARROWING)


class PlaceField(forms.ModelChoiceField):
    """A choice of an application or a service, each with what it is part of: names alone are many times the same."""

    def label_from_instance(self, row: Any) -> str:
        application = row.application if isinstance(row, Service) else row
        service = f" / {row}" if isinstance(row, Service) else ""
        return f"{application.cluster} / {application}{service}"


@admin.register(Trigger)
class TriggerAdmin(ScopedAdmin):
    """Triggers, with the words of the console's dialogs. Changes go through triggers.audited, like everywhere."""

    form = TriggerAdminForm

    list_display = ("__str__", "application", "service", "action", "enabled_badge", "created_by", "created_at")
    list_filter = ("action", "enabled", ("application__cluster", ClusterFilter))
    list_select_related = ("application", "service", "created_by")
    search_fields = ("name", "public_id", "application__name", "service__name")
    readonly_fields = ("public_id", "signature", "jobs", "created_by", "created_at")
    fields = (
        *("name", "application", "service", "action", "enabled"),
        *TriggerWording.Meta.fields[1:],
        *NARROWING,
        *readonly_fields,
    )
    actions = ("enable", "disable", "rotate")
    inlines = (SubscriptionInline,)

    def get_inlines(self, request: HttpRequest, obj: Trigger | None) -> Any:
        """Show the subscriptions of a saved redeploy trigger; no other trigger has any."""
        return self.inlines if obj and obj.action == Action.REDEPLOY else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[str, ...]:
        """Application, service and action of a trigger never change: its link contains them."""
        return (*self.readonly_fields, "application", "service", "action") if obj else self.readonly_fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only the places where the user may create a trigger."""
        places = {
            "application": Application.objects.select_related("cluster").order_by("cluster__name", "name"),
            "service": Service.objects.select_related("application__cluster").order_by(
                "application__cluster__name", "application__name", "name"
            ),
        }
        if db_field.name in places:
            kwargs["queryset"] = scope(places[db_field.name], request.user, "triggers.add_trigger")
            kwargs["form_class"] = PlaceField
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Trigger, form: forms.ModelForm, change: bool) -> None:
        if not change:
            audited.create_trigger(request, obj)
        elif form.changed_data:
            audited.change_trigger(request, obj, form.changed_data)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Ask the registries about new subscriptions first: Django saves within a transaction, and registries are slow."""
        if request.method == "POST" and object_id:
            request.subscription_refusals = self._ask_registries(request, object_id)  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _ask_registries(self, request: HttpRequest, object_id: str) -> dict[str, str]:
        """Return the answer about each submitted repository, as SubscriptionFormSet takes it."""
        trigger = self.get_object(request, unquote(object_id))
        if trigger is None or not (self.has_change_permission(request, trigger) and may_subscribe(request.user, trigger)):
            return {}
        names = {read_repository(str(text)) for key, text in request.POST.items() if REPOSITORY_FIELD.fullmatch(key)} - {""}
        refusals = explain_refusals(trigger, names - {*trigger.subscriptions.values_list("repository", flat=True)})
        return {name: refusals.get(name, "") for name in names}

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        known = super().get_formset_kwargs(request, obj, inline, prefix)
        if isinstance(inline, SubscriptionInline):
            known["refusals"] = getattr(request, "subscription_refusals", {})
        return known

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset: Any, change: bool) -> None:
        """Save the subscriptions as the dialogs and the API do, with an entry in the audit log."""
        former = {one.pk: describe_subscription(one) for one in form.instance.subscriptions.all()}
        formset.save(commit=False)
        changed = [one for one, _ in formset.changed_objects]
        changes = SubscriptionChanges(formset.new_objects, changed, formset.deleted_objects)
        changes.former = {one.repository: former[one.pk] for one in changed}
        for subscription in (*changes.added, *changes.changed):
            drop_unused_conditions(subscription)
        if changes:
            audited.change_trigger(request, form.instance, [], changes)

    def delete_model(self, request: HttpRequest, obj: Trigger) -> None:
        audited.delete_trigger(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        for trigger in queryset:
            audited.delete_trigger(request, trigger)

    @admin.display(description="Trusted jobs")
    def jobs(self, trigger: Trigger) -> str:
        """They are changed in the console, which checks who may enter an issuer."""
        return "; ".join(f"{job} of {job.issuer}" for job in trigger.trusted_jobs.all()) if trigger.pk else ""

    @admin.display(description="State", ordering="enabled")
    def enabled_badge(self, trigger: Trigger) -> SafeString:
        return render_badge("enabled" if trigger.enabled else "disabled")

    @admin.action(description="Enable selected triggers", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self.message_user(request, f"Enabled: {self._switch(request, queryset, True)}.")

    @admin.action(description="Disable selected triggers", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self.message_user(request, f"Disabled: {self._switch(request, queryset, False)}.")

    def _switch(self, request: HttpRequest, queryset: QuerySet[Trigger], enabled: bool) -> int:
        """Enable or disable the triggers that the user may change. Return how many these were."""
        triggers = list(self.narrow(request, queryset, "change"))
        for trigger in triggers:
            trigger.enabled = enabled
            audited.change_trigger(request, trigger, ["enabled"])
        return len(triggers)

    @admin.action(description="Rotate the secrets of selected triggers", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        triggers = list(self.narrow(request, queryset, "change"))
        for trigger in triggers:
            audited.rotate_secret(request, trigger)
        self.message_user(request, f"Rotated: {len(triggers)}. The old links no longer work; the new ones are in the console.")


@admin.register(TriggerCall)
class TriggerCallAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "application", "state_badge", "reason", "source", "queued_at", "completed_at", "repeated")
    list_filter = ("state", "action", "source", "queued_at", ("application__cluster", ClusterFilter))
    list_select_related = ("application", "service")
    search_fields = ("=id", "application__name", "service__name", "trigger__name", "trigger__public_id", "reason")
    actions = ("cancel",)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return has_anywhere(request.user, "triggers.add_triggercall")

    @admin.action(description="Cancel selected calls", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[TriggerCall]) -> None:
        """Cancel the calls that have not ended and that the user may make."""
        cancelled = 0
        for call in self.narrow(request, queryset, "add"):
            with suppress(AlreadyEnded):
                audited.request_cancel(request, call)
                cancelled += 1
        self.message_user(request, f"Cancelled or stopping: {cancelled}.")

    @admin.display(description="State", ordering="state")
    def state_badge(self, call: TriggerCall) -> SafeString:
        return render_badge(call.state, "call")


@admin.register(TriggerCallEvent)
class TriggerCallEventAdmin(ReadOnlyAdmin):
    list_display = ("time", "call", "level_badge", "operation", "text")
    list_filter = ("level",)
    ordering = ("-pk",)
    list_select_related = ("call__application", "call__service")
    search_fields = ("=call__id", "text")

    @admin.display(description="Level", ordering="level")
    def level_badge(self, event: TriggerCallEvent) -> SafeString:
        return render_badge(event.level)


class DeliveryLineInline(admin.TabularInline):
    model = DeliveryLine
    fields = readonly_fields = ("image", "tag", "short_digest", "decision", "message", "trigger")
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeliveryLine]:
        return super().get_queryset(request).select_related("trigger")

    @admin.display(description="Digest")
    def short_digest(self, line: DeliveryLine) -> str:
        return line.digest.removeprefix("sha256:")[:12]

    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """Show the lines to everybody who may see the delivery."""
        return request.user.has_perm("triggers.view_delivery")

    def has_add_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "registry", "sender", "event", "decision_badge", "repeated", "message")
    list_filter = ("decision", "source", "registry")
    list_select_related = ("registry",)
    search_fields = ("=id", "=delivery_id", "sender")
    inlines = (DeliveryLineInline,)

    @admin.display(description="Decision", ordering="decision")
    def decision_badge(self, delivery: Delivery) -> SafeString:
        return render_badge(delivery.decision, "delivery")
