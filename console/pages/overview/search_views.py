"""The search page, and the piece of it that the palette shows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from clusters.access import has_no_role
from console.pages.overview.search import find_groups
from console.pages.shared.page import console_page, is_partial, read_query
from console.pages.shared.selection import select_cluster


@require_safe
@console_page
def search(request: HttpRequest) -> HttpResponse:
    """Find what `?q=` names: words of a name, optionally after an action, such as `redeploy shop`."""
    query = read_query(request, "q")
    in_palette = is_partial(request, "palette-results")
    context = {
        "title": "Search",
        "query": query,
        "groups": find_groups(request, query),
        "in_palette": in_palette,
        "has_no_role": has_no_role(request.user),
        "has_no_cluster": not select_cluster(request).clusters,
    }
    if in_palette or is_partial(request, "list"):
        return render(request, "console/overview/_search.html", context)
    return render(request, "console/overview/search.html", context)
