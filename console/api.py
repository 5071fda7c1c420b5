"""The addresses below /api/: the REST API, its schema, and the page that documents it."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

urlpatterns = [
    path("", SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="console/shared/api.html"), name="api"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("v1/", include("clusters.api.urls")),
    path("v1/", include("triggers.api.urls")),
]
