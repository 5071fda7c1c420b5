"""The addresses below /api/: the REST API, its schema, and the page that documents it."""

import threading
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.urls import include, path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from clusters.waits import NoPlace, Places

MOST_WAITING = 8  # threads
RETRY_SECONDS = 5


class SchemaView(SpectacularAPIView):
    """The schema in the format that is asked for, for whoever is signed in or has a token. It is generated once: that takes a
    second of a CPU, and drf-spectacular does not do so in several threads at a time. So only few threads wait for that."""

    _lock = threading.Lock()
    _places = Places(in_all=MOST_WAITING, for_each=MOST_WAITING)
    _rendered: dict[str, bytes] = {}  # by media type

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:
        renderer = request.accepted_renderer
        try:
            rendered = self._rendered.get(renderer.media_type) or self._render(renderer)
        except NoPlace:
            sentence = "The schema is being generated. Try again in a few seconds.\n"
            return HttpResponse(sentence, content_type="text/plain", status=503, headers={"Retry-After": str(RETRY_SECONDS)})
        schema = HttpResponse(rendered, content_type=renderer.media_type)
        schema["Content-Disposition"] = f'inline; filename="Windlass.{renderer.format}"'
        return schema

    def _render(self, renderer: BaseRenderer) -> bytes:
        """Raises NoPlace."""
        with self._places.hold("schema"), self._lock:
            if renderer.media_type not in self._rendered:
                schema = self.generator_class().get_schema(request=None, public=True)
                rendered = renderer.render(schema, renderer_context={})
                self._rendered[renderer.media_type] = rendered if isinstance(rendered, bytes) else rendered.encode()
            return self._rendered[renderer.media_type]


class ApiPage(SpectacularSwaggerSplitView):
    """The page that documents the API, for whoever is signed in or has a token. Others are led to the sign-in."""

    url_name = "api-schema"
    template_name = "console/shared/api.html"

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exc)


class TokenScheme(OpenApiAuthenticationExtension):
    """How the schema describes API tokens."""

    target_class = "clusters.api.authentication.TokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        description = "An API token, `wl_…`. It may do what its user may do at that time, and less if it is limited."
        return {"type": "http", "scheme": "bearer", "description": description}


urlpatterns = [
    path("", ApiPage.as_view(), name="api"),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("v1/", include("clusters.api.urls")),
    path("v1/", include("triggers.api.urls")),
]
