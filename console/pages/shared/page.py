"""Helpers for views: access, pieces of pages, dialogs that are also pages, redirects that htmx follows, and paging."""

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
from clusters.callers import public_base_url
from console.pages.shared.polling import answer_changes
from console.pages.shared.selection import select_cluster

PAGE_SIZE = 50  # rows
Row = TypeVar("Row", bound=Model)
View = Callable[..., HttpResponseBase]


def console_page(view: View) -> View:
    """Require a signed-in user and forbid caching: pages show secrets, and a piece shares its page's address.

    A poll for a piece that has not changed gets 204 (console.pages.shared.polling)."""
    return never_cache(login_required(answer_changes(view)))


def list_visible(request: HttpRequest, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Keep the rows that the reader can see, on the selected cluster if there is one."""
    seen = access.scope_visible(rows, request.user)
    selected = select_cluster(request).selected
    return seen.filter(**{access.PATHS[rows.model._meta.label]: selected.pk}) if selected else seen


def get_visible(request: HttpRequest, rows: QuerySet[Row], **lookup: Any) -> Row:
    """Return the one row that `lookup` finds. Raises Http404 if there is none, or none that the reader can see."""
    return access.get_visible_row(rows, request.user, **lookup)


def require(request: HttpRequest, permission: str, row: Model | None = None) -> None:
    """Raise PermissionDenied unless the reader has the permission on the row, or without a row for all clusters.

    The API and the admin require the same permissions. Get the row by `get_visible` first: a row that the reader cannot see
    is not found rather than refused."""
    access.require_permission(request.user, permission, row)


def is_partial(request: HttpRequest, target: str) -> bool:
    """Return whether htmx requests the element `target` alone."""
    return bool(request.htmx) and request.htmx.target == target  # type: ignore[attr-defined]


def render_page(request: HttpRequest, template: str, context: dict[str, Any], target: str = "list") -> HttpResponse:
    """Render the page `template`; or, if htmx requests the element `target` alone, its piece.

    The piece of `nodes.html` is `_nodes.html` in the same folder.
    """
    if is_partial(request, target):
        folder, _, name = template.rpartition("/")
        template = f"{folder}/_{name}"
    return render(request, template, context)


def render_dialog(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render `template` for the page's `<dialog>`, or as a page of its own if the request is not from htmx."""
    if is_partial(request, "dialog"):
        return render(request, template, context | {"in_dialog": True})
    return render(request, "console/shared/dialog.html", context | {"piece": template})


def redirect_to(request: HttpRequest, view_name: str, *arguments: Any, query: str = "") -> HttpResponse:
    """Redirect to a view. From a dialog, htmx makes the whole page follow."""
    return _lead_to(request, reverse(view_name, args=arguments) + query)


def write_own_address(request: HttpRequest, view_name: str) -> str:
    """Return the whole address of a view, as others reach it."""
    return public_base_url(request).removesuffix(reverse("overview").rstrip("/")) + reverse(view_name)


def return_from(request: HttpRequest, view_name: str, *arguments: Any) -> HttpResponse:
    """Redirect to the page from which the dialog, or the form with a `next` field, was used; otherwise to the view."""
    opened_on: str = request.htmx.current_url_abs_path or request.POST.get("next", "")  # type: ignore[attr-defined]
    if not url_has_allowed_host_and_scheme(opened_on, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return redirect_to(request, view_name, *arguments)
    return _lead_to(request, urlsplit(opened_on)._replace(scheme="", netloc="", fragment="").geturl())


def _lead_to(request: HttpRequest, url: str) -> HttpResponse:
    """Redirect to `url`. A browser that already shows that address, `#part` included, would not move, so it reloads."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(url)
    if url == request.htmx.current_url_abs_path:  # type: ignore[attr-defined]
        return HttpResponseClientRefresh()
    return HttpResponseClientRedirect(url)


def read_query(request: HttpRequest, name: str) -> str:
    """Read a search text from the address, at most 255 characters. PostgreSQL refuses NUL characters, so they are removed."""
    return request.GET.get(name, "").replace("\0", "").strip()[:255]


def read_tab(request: HttpRequest, tabs: tuple[str, ...]) -> str:
    """Return the tab named in the address, or the first one."""
    tab = request.GET.get("tab", "")
    return tab if tab in tabs else tabs[0]


def paginate(
    request: HttpRequest, rows: QuerySet[Any] | Sequence[Any], size: int = PAGE_SIZE, count: int | None = None
) -> Page[Any]:
    """Return the requested page; a number out of range gives the nearest page. `count` is the number of rows, if known."""
    paginator = Paginator(rows, size)
    if count is not None:
        paginator.count = count
    return paginator.get_page(request.GET.get("page"))
