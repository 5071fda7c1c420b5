"""Under /api/v1/."""

from rest_framework.routers import SimpleRouter

from clusters.api.views import ApplicationViewSet, ClusterViewSet, ServiceViewSet

router = SimpleRouter()
router.register("clusters", ClusterViewSet, basename="api-cluster")
router.register("applications", ApplicationViewSet, basename="api-application")
router.register("services", ServiceViewSet, basename="api-service")

urlpatterns = router.urls
