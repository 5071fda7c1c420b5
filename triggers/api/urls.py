"""Under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from triggers.api.freezes import FreezeWindowViewSet
from triggers.api.notifications import ChannelViewSet, SentViewSet
from triggers.api.previous_images import ImagesView, RedeployPreviousView
from triggers.api.views import ActView, DeliveryViewSet, RedeployView, ScaleView, TriggerCallViewSet, TriggerViewSet
from triggers.models import Action

router = SimpleRouter()
router.register("triggers", TriggerViewSet, basename="api-trigger")
router.register("calls", TriggerCallViewSet, basename="api-call")
router.register("freeze-windows", FreezeWindowViewSet, basename="api-freeze")
router.register("deliveries", DeliveryViewSet, basename="api-delivery")
router.register("channels", ChannelViewSet, basename="api-channel")
router.register("notifications", SentViewSet, basename="api-notification")

urlpatterns = [
    path("applications/<int:pk>/redeploy/", RedeployView.as_view(), name="api-application-redeploy"),
    path(
        "applications/<int:pk>/redeploy-previous/",
        RedeployPreviousView.as_view(),
        name="api-application-redeploy-previous",
    ),
    path("applications/<int:pk>/images/", ImagesView.as_view(), name="api-application-images"),
    *(
        path(f"applications/<int:pk>/{act}/", ActView.as_view(act=act), name=f"api-application-{act}")
        for act in (Action.STOP, Action.START, Action.RESTART, Action.DELETE)
    ),
    path("services/<int:pk>/scale/", ScaleView.as_view(), name="api-service-scale"),
    *router.urls,
]
