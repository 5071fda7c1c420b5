"""The addresses below /api/v1/."""

from rest_framework.routers import SimpleRouter

from clusters.api.views import ApplicationViewSet, ClusterViewSet, NodeViewSet, RegistryViewSet, ServiceViewSet

router = SimpleRouter()
router.register("clusters", ClusterViewSet, basename="api-cluster")
router.register(r"clusters/(?P<cluster_id>[0-9]+)/nodes", NodeViewSet, basename="api-node")
router.register("registries", RegistryViewSet, basename="api-registry")
router.register("applications", ApplicationViewSet, basename="api-application")
router.register("services", ServiceViewSet, basename="api-service")

urlpatterns = router.urls
