"""Under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from triggers.api.freezes import FreezeWindowViewSet
from triggers.api.views import ActView, DeliveryViewSet, RedeployView, ScaleView, TriggerCallViewSet, TriggerViewSet
from triggers.models import Action

router = SimpleRouter()
router.register("triggers", TriggerViewSet, basename="api-trigger")
router.register("calls", TriggerCallViewSet, basename="api-call")
router.register("freeze-windows", FreezeWindowViewSet, basename="api-freeze")
router.register("deliveries", DeliveryViewSet, basename="api-delivery")

urlpatterns = [
    path("applications/<int:pk>/redeploy/", RedeployView.as_view(), name="api-application-redeploy"),
    *(
        path(f"applications/<int:pk>/{act}/", ActView.as_view(act=act), name=f"api-application-{act}")
        for act in (Action.STOP, Action.START, Action.RESTART, Action.DELETE)
    ),
    path("services/<int:pk>/scale/", ScaleView.as_view(), name="api-service-scale"),
    *router.urls,
]
