"""The table of contents. A view, its URL name and its template share one name."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("hook/", include("triggers.urls")),
    path("api/", include("console.api")),
    path("admin/", admin.site.urls),
]
