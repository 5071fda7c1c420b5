"""What the views share: who may see a page, dialogs that are pages too, redirects that htmx follows, and paging."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh

from clusters import access
from console.pages.shared.polling import answer_changes
from console.pages.shared.selection import select_cluster

PAGE_SIZE = 50  # rows
Row = TypeVar("Row", bound=Model)
View = Callable[..., HttpResponseBase]


def console_page(view: View) -> View:
    """Only for those signed in, and kept by no cache: pages show secrets, and a partial shares its page's address.

    A poll for a piece that has not changed is answered with 204 (console.pages.shared.polling)."""
    return never_cache(login_required(answer_changes(view)))


def list_visible(request: HttpRequest, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows that the reader may see, on the selected cluster if one is."""
    seen = access.scope_visible(rows, request.user)
    selected = select_cluster(request).selected
    return seen.filter(**{access.PATHS[rows.model._meta.label]: selected.pk}) if selected else seen


def get_visible(request: HttpRequest, rows: QuerySet[Row], **lookup: Any) -> Row:
    """The one row that `lookup` finds. Raises Http404 also where it is there and the reader may not see it."""
    return access.get_visible_row(rows, request.user, **lookup)


def require(request: HttpRequest, permission: str, row: Model | None = None) -> None:
    """Raises PermissionDenied unless the reader has the permission on the row; without one for all clusters.

    The API and the admin ask for the same. First the row is got by `get_visible`: what one may not see is not refused."""
    access.require_permission(request.user, permission, row)


def is_partial(request: HttpRequest, target: str) -> bool:
    """Whether htmx asks for the element `target` alone."""
    return bool(request.htmx) and request.htmx.target == target  # type: ignore[attr-defined]


def render_dialog(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The piece `template` in the page's `<dialog>`, or as a page of its own where htmx did not ask."""
    if is_partial(request, "dialog"):
        return render(request, template, context | {"in_dialog": True})
    return render(request, "console/shared/dialog.html", context | {"piece": template})


def redirect_to(request: HttpRequest, view_name: str, *arguments: Any, query: str = "") -> HttpResponse:
    """A redirect; from a dialog htmx makes the whole page follow it."""
    return _lead_to(request, reverse(view_name, args=arguments) + query)


def return_from(request: HttpRequest, view_name: str, *arguments: Any) -> HttpResponse:
    """A redirect to the page on which a dialog or a form with its address in `next` was used; else to the view."""
    opened_on: str = request.htmx.current_url_abs_path or request.POST.get("next", "")  # type: ignore[attr-defined]
    if not url_has_allowed_host_and_scheme(opened_on, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return redirect_to(request, view_name, *arguments)
    return _lead_to(request, urlsplit(opened_on)._replace(scheme="", netloc="", fragment="").geturl())


def _lead_to(request: HttpRequest, url: str) -> HttpResponse:
    """A browser that is sent to the very address that it shows, `#part` included, would stay as it is: it reloads instead."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(url)
    if url == request.htmx.current_url_abs_path:  # type: ignore[attr-defined]
        return HttpResponseClientRefresh()
    return HttpResponseClientRedirect(url)


def read_query(request: HttpRequest, name: str) -> str:
    """A value of the address, of a length to search for. PostgreSQL refuses NUL characters."""
    return request.GET.get(name, "").replace("\0", "").strip()[:255]


def read_tab(request: HttpRequest, tabs: tuple[str, ...]) -> str:
    """The tab that the address asks for, else the first."""
    tab = request.GET.get("tab", "")
    return tab if tab in tabs else tabs[0]


def paginate(
    request: HttpRequest, rows: QuerySet[Any] | Sequence[Any], size: int = PAGE_SIZE, count: int | None = None
) -> Page[Any]:
    """The asked page; a number that is wrong or beyond the end gives the nearest one. `count`: how many rows, where known."""
    paginator = Paginator(rows, size)
    if count is not None:
        paginator.count = count
    return paginator.get_page(request.GET.get("page"))
