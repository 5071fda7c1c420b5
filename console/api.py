"""The addresses below /api/: the REST API, its schema, and the page that documents it."""

import threading

from django.http import HttpResponse
from django.urls import include, path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from clusters.waits import NoPlace, Places

MOST_WAITING = 8  # threads
RETRY_SECONDS = 5


class SchemaView(SpectacularAPIView):
    """The schema in the format that is asked for, generated once. Anyone may ask, to generate it takes a second of a CPU, and
    drf-spectacular does not do so in several threads at a time. So only few threads wait for that."""

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


urlpatterns = [
    path("", SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="console/shared/api.html"), name="api"),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("v1/", include("clusters.api.urls")),
    path("v1/", include("triggers.api.urls")),
]
