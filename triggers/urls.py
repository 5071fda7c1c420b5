"""The addresses of the hook, each with and without a trailing slash: a redirect would lose the body of a POST."""

from django.urls import path, re_path

from triggers.hook.views import CallHook, NoHook, RegistryHook, TriggerHook

urlpatterns = [
    path("trigger", TriggerHook.as_view(), name="hook_trigger"),
    path("trigger/", TriggerHook.as_view()),
    path("calls/<str:call_id>", CallHook.as_view(), name="hook_call"),
    path("calls/<str:call_id>/", CallHook.as_view()),
    path("registry/<str:token>", RegistryHook.as_view(), name="hook_registry"),
    path("registry/<str:token>/", RegistryHook.as_view()),
    re_path("", NoHook.as_view()),
]
