"""The addresses of the hook, each with and without a trailing slash: a redirect would lose the body of a POST."""

from django.urls import path

from triggers.hook.views import CallHook, RegistryHook, TriggerHook

urlpatterns = [
    path("trigger", TriggerHook.as_view(), name="hook_trigger"),
    path("trigger/", TriggerHook.as_view()),
    path("calls/<uuid:call_id>", CallHook.as_view(), name="hook_call"),
    path("calls/<uuid:call_id>/", CallHook.as_view()),
    path("registry/<str:token>", RegistryHook.as_view(), name="hook_registry"),
    path("registry/<str:token>/", RegistryHook.as_view()),
]
