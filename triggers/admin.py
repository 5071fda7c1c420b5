"""Triggers and calls in the admin. Secrets and links are shown in the console only; calls are history: one can be
cancelled, else they can only be read."""

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from clusters.access import has_anywhere, scope
from clusters.access.admin_access import ClusterFilter, ReadOnlyAdmin, ScopedAdmin
from clusters.admin import ApplicationAdmin
from clusters.badges import render_badge
from clusters.models import Application, Service
from triggers import acts
from triggers.calls.cancel import AlreadyEnded
from triggers.calls.queue import QueueFull
from triggers.models import Action, CallState, Delivery, DeliveryLine, ImageSubscription, Trigger, TriggerCall, TriggerCallEvent


@admin.action(description="Redeploy selected applications", permissions=["redeploy"])
def redeploy(modeladmin: ScopedAdmin, request: HttpRequest, queryset: QuerySet[Application]) -> None:
    """Of those where the user may; the others are named."""
    allowed = scope(queryset, request.user, "triggers.add_triggercall")
    for application in queryset.exclude(pk__in=allowed):
        modeladmin.message_user(request, f"{application}: you may not redeploy it.", messages.ERROR)
    for application in allowed:
        try:
            call = acts.start_call(request, TriggerCall.Source.CONSOLE, application, action=Action.REDEPLOY)
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


class SubscriptionInline(admin.TabularInline):
    """The images whose pushes call the trigger. Who may change the trigger may change them."""

    model = ImageSubscription
    extra = 0
    fields = ("repository", "condition", "pattern", "tags", "poll_seconds", "poll_problem")
    readonly_fields = ("poll_problem",)
    formfield_overrides = {models.JSONField: {"widget": forms.Textarea(attrs={"rows": 2, "cols": 20})}}

    def has_view_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Trigger | None = None) -> bool:
        return self._may(request, "delete", obj)

    @staticmethod
    def _may(request: HttpRequest, verb: str, trigger: Trigger | None) -> bool:
        permission = f"triggers.{verb}_imagesubscription"
        return has_anywhere(request.user, permission) if trigger is None else request.user.has_perm(permission, trigger)


@admin.register(Trigger)
class TriggerAdmin(ScopedAdmin):
    """Its acts are those of pages and API (triggers.acts), and so are their lines in the audit log."""

    list_display = ("__str__", "application", "service", "action", "enabled_badge", "created_by", "created_at")
    list_filter = ("action", "enabled", ("application__cluster", ClusterFilter))
    list_select_related = ("application", "service", "created_by")
    search_fields = ("name", "public_id", "application__name", "service__name")
    autocomplete_fields = ("application", "service")
    readonly_fields = ("public_id", "created_by", "created_at")
    fields = (
        *("name", "application", "service", "action", "enabled"),
        *("min_replicas", "max_replicas", "cooldown_seconds", "tag_pattern", "alert_state", "on_failure"),
        *readonly_fields,
    )
    actions = ("enable", "disable", "rotate")
    inlines = (SubscriptionInline,)

    def get_inlines(self, request: HttpRequest, obj: Trigger | None) -> Any:
        """Only a redeploy is about images, and a new trigger is first made."""
        return self.inlines if obj and obj.action == Action.REDEPLOY else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[str, ...]:
        """What a trigger is for never changes: its link says so."""
        return (*self.readonly_fields, "application", "service", "action") if obj else self.readonly_fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A trigger is made where the user may make one."""
        places = {"application": Application.objects.all(), "service": Service.objects.all()}
        if db_field.name in places:
            kwargs["queryset"] = scope(places[db_field.name], request.user, "triggers.add_trigger")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Trigger, form: forms.ModelForm, change: bool) -> None:
        if not change:
            acts.create_trigger(request, obj)
        elif form.changed_data:
            acts.change_trigger(request, obj, form.changed_data)

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset: Any, change: bool) -> None:
        """The subscriptions, with a line in the audit log where one differs."""
        super().save_formset(request, form, formset, change)
        if formset.has_changed():
            acts.record_trigger_act(request, "change", form.instance, fields=["subscriptions"])

    def delete_model(self, request: HttpRequest, obj: Trigger) -> None:
        acts.delete_trigger(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        for trigger in queryset:
            acts.delete_trigger(request, trigger)

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
        """How many were switched: those that the user may change."""
        triggers = list(self.narrow(request, queryset, "change"))
        for trigger in triggers:
            trigger.enabled = enabled
            acts.change_trigger(request, trigger, ["enabled"])
        return len(triggers)

    @admin.action(description="Rotate the secrets of selected triggers", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        triggers = list(self.narrow(request, queryset, "change"))
        for trigger in triggers:
            acts.rotate_secret(request, trigger)
        self.message_user(request, f"Rotated: {len(triggers)}. The old links are dead; the new ones are in the console.")


@admin.register(TriggerCall)
class TriggerCallAdmin(ReadOnlyAdmin):
    list_display = ("id", "action", "application", "service", "state_badge", "reason", "source", "queued_at", "completed_at")
    list_filter = ("state", "action", "source", "queued_at", ("application__cluster", ClusterFilter))
    list_select_related = ("application", "service")
    search_fields = ("=id", "application__name", "service__name", "trigger__name", "trigger__public_id", "reason")
    actions = ("cancel",)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return has_anywhere(request.user, "triggers.add_triggercall")

    @admin.action(description="Cancel selected calls", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[TriggerCall]) -> None:
        """Those that have not ended, and that the user may make."""
        cancelled = 0
        for call in self.narrow(request, queryset, "add"):
            with suppress(AlreadyEnded):
                acts.cancel_call(request, call)
                cancelled += 1
        self.message_user(request, f"Cancelled, or told to stop: {cancelled}.")

    @admin.display(description="State", ordering="state")
    def state_badge(self, call: TriggerCall) -> SafeString:
        return render_badge(call.state, "call")


@admin.register(TriggerCallEvent)
class TriggerCallEventAdmin(ReadOnlyAdmin):
    list_display = ("time", "call", "level_badge", "operation", "text")
    list_filter = ("level",)
    ordering = ("-pk",)
    list_select_related = ("call",)
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
        """Whoever may see the delivery."""
        return request.user.has_perm("triggers.view_delivery")

    def has_add_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "registry", "sender", "event", "decision_badge", "message")
    list_filter = ("decision", "source", "registry")
    list_select_related = ("registry",)
    search_fields = ("=id", "=delivery_id", "sender")
    inlines = (DeliveryLineInline,)

    @admin.display(description="Decision", ordering="decision")
    def decision_badge(self, delivery: Delivery) -> SafeString:
        return render_badge(delivery.decision, "delivery")
