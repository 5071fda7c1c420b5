"""Triggers and calls in the admin. Secrets and links are shown in the console only; calls are history and can only be read."""

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from clusters.admin import ApplicationAdmin, ReadOnlyAdmin
from clusters.badges import render_badge
from clusters.callers import client_address
from clusters.models import Application
from triggers.calls import QueueFull, accept_call
from triggers.models import Action, CallState, Trigger, TriggerCall, TriggerCallEvent
from triggers.requests import CallRequest


@admin.action(description="Redeploy selected applications", permissions=["redeploy"])
def redeploy(modeladmin: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Application]) -> None:
    for application in queryset:
        call_request = CallRequest(
            source=TriggerCall.Source.CONSOLE,
            action=Action.REDEPLOY,
            application_id=application.pk,
            requested_by=request.user,
            source_address=client_address(request),
            user_agent=request.headers.get("User-Agent", ""),
        )
        try:
            call = accept_call(call_request)
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
        return request.user.has_perm("triggers.add_triggercall")


admin.site.unregister(Application)
admin.site.register(Application, RedeployingApplicationAdmin)


@admin.register(Trigger)
class TriggerAdmin(admin.ModelAdmin):
    list_display = ("__str__", "application", "service", "action", "enabled_badge", "created_by", "created_at")
    list_filter = ("action", "enabled", "application__cluster")
    list_select_related = ("application", "service", "created_by")
    search_fields = ("name", "public_id", "application__name", "service__name")
    autocomplete_fields = ("application", "service")
    readonly_fields = ("public_id", "created_by", "created_at")
    fields = (
        *("name", "application", "service", "action", "enabled"),
        *("min_replicas", "max_replicas", "cooldown_seconds", "on_failure"),
        *readonly_fields,
    )
    actions = ("enable", "disable", "rotate")

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[str, ...]:
        """What a trigger is for never changes: its link says so."""
        return (*self.readonly_fields, "application", "service", "action") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Trigger, form: forms.ModelForm, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    @admin.display(description="State", ordering="enabled")
    def enabled_badge(self, trigger: Trigger) -> SafeString:
        return render_badge("enabled" if trigger.enabled else "disabled")

    @admin.action(description="Enable selected triggers", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self.message_user(request, f"Enabled: {queryset.update(enabled=True)}.")

    @admin.action(description="Disable selected triggers", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self.message_user(request, f"Disabled: {queryset.update(enabled=False)}.")

    @admin.action(description="Rotate the secrets of selected triggers", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        for trigger in queryset:
            trigger.rotate_secret()
        self.message_user(request, "Rotated: the old links are dead. The new ones are in the console.")


@admin.register(TriggerCall)
class TriggerCallAdmin(ReadOnlyAdmin):
    list_display = ("id", "action", "application", "service", "state_badge", "reason", "source", "queued_at", "completed_at")
    list_filter = ("state", "action", "source", "application__cluster")
    list_select_related = ("application", "service")
    search_fields = ("=id", "application__name", "service__name", "trigger__name", "trigger__public_id", "reason")
    date_hierarchy = "queued_at"

    @admin.display(description="State", ordering="state")
    def state_badge(self, call: TriggerCall) -> SafeString:
        return render_badge(call.state, "call")


@admin.register(TriggerCallEvent)
class TriggerCallEventAdmin(ReadOnlyAdmin):
    list_display = ("time", "call", "level_badge", "operation", "text")
    list_filter = ("level", "operation")
    list_select_related = ("call",)
    search_fields = ("=call__id", "text")

    @admin.display(description="Level", ordering="level")
    def level_badge(self, event: TriggerCallEvent) -> SafeString:
        return render_badge(event.level)
