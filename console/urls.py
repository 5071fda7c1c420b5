"""The table of contents. A view, its URL name and its template share one name."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]
