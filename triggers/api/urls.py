"""Under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from triggers.api.views import RedeployView, ScaleView, TriggerCallViewSet, TriggerViewSet

router = SimpleRouter()
router.register("triggers", TriggerViewSet, basename="api-trigger")
router.register("calls", TriggerCallViewSet, basename="api-call")

urlpatterns = [
    path("applications/<int:pk>/redeploy/", RedeployView.as_view(), name="api-application-redeploy"),
    path("services/<int:pk>/scale/", ScaleView.as_view(), name="api-service-scale"),
    *router.urls,
]
