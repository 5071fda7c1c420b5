"""The addresses below /api/: the REST API and its schema. console.pages.api has the pages that document it."""

import threading
from typing import Any

from django.http import HttpResponse
from django.urls import include, path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
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
            rendered = self.read(renderer)
        except NoPlace:
            sentence = "The schema is being generated. Try again in a few seconds.\n"
            return HttpResponse(sentence, content_type="text/plain", status=503, headers={"Retry-After": str(RETRY_SECONDS)})
        schema = HttpResponse(rendered, content_type=renderer.media_type)
        schema["Content-Disposition"] = f'inline; filename="Windlass.{renderer.format}"'
        return schema

    @classmethod
    def read(cls, renderer: BaseRenderer) -> bytes:
        """Return the schema as `renderer` writes it. Raises NoPlace."""
        return cls._rendered.get(renderer.media_type) or cls._render(renderer)

    @classmethod
    def _render(cls, renderer: BaseRenderer) -> bytes:
        with cls._places.hold("schema"), cls._lock:
            if renderer.media_type not in cls._rendered:
                schema = cls.generator_class().get_schema(request=None, public=True)
                rendered = renderer.render(schema, renderer_context={})
                cls._rendered[renderer.media_type] = rendered if isinstance(rendered, bytes) else rendered.encode()
            return cls._rendered[renderer.media_type]


def read_schema() -> bytes:
    """Return the schema as JSON, generated at most once. Raises NoPlace if many threads wait for that."""
    return SchemaView.read(OpenApiJsonRenderer())


class TokenScheme(OpenApiAuthenticationExtension):
    """How the schema describes API tokens."""

    target_class = "clusters.api.authentication.TokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        description = "An API token, `wl_…`. It may do what its user may do at that time, and less if it is limited."
        return {"type": "http", "scheme": "bearer", "description": description}


urlpatterns = [
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("v1/", include("clusters.api.urls")),
    path("v1/", include("triggers.api.urls")),
]
