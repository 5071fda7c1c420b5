"""What the views share: who may see a page, dialogs that are pages too, redirects that htmx follows, and paging."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

PAGE_SIZE = 50  # rows
View = Callable[..., HttpResponse]


def console_page(view: View) -> View:
    """Only for those signed in, and kept by no cache: pages show secrets, and a partial shares its page's address."""
    return never_cache(login_required(view))


def console_action(permission: str) -> Callable[[View], View]:
    """console_page for those who have the permission, such as "triggers.add_trigger": the API's rule, and the admin's."""

    def restrict(view: View) -> View:
        return console_page(permission_required(permission, raise_exception=True)(view))

    return restrict


def is_partial(request: HttpRequest, target: str) -> bool:
    """Whether htmx asks for the element `target` alone."""
    return bool(request.htmx) and request.htmx.target == target  # type: ignore[attr-defined]


def render_dialog(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The piece `template` in the page's `<dialog>`, or as a page of its own where htmx did not ask."""
    if is_partial(request, "dialog"):
        return render(request, template, context | {"in_dialog": True})
    return render(request, "console/dialog.html", context | {"piece": template})


def redirect_to(request: HttpRequest, view_name: str, *arguments: Any, query: str = "") -> HttpResponse:
    """A redirect; from a dialog htmx makes the whole page follow it."""
    url = reverse(view_name, args=arguments) + query
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]


def read_query(request: HttpRequest, name: str) -> str:
    """A value of the address, of a length to search for. PostgreSQL refuses NUL characters."""
    return request.GET.get(name, "").replace("\0", "").strip()[:255]


def read_tab(request: HttpRequest, tabs: tuple[str, ...]) -> str:
    """The tab that the address asks for, else the first."""
    tab = request.GET.get("tab", "")
    return tab if tab in tabs else tabs[0]


def paginate(request: HttpRequest, rows: QuerySet[Any] | list[Any], size: int = PAGE_SIZE) -> Page[Any]:
    """The asked page; a number that is wrong or beyond the end gives the nearest one."""
    return Paginator(rows, size).get_page(request.GET.get("page"))
