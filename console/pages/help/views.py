"""The help: the project's documents in the console's look, their search, their pictures, and the list of keys."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.pages.help.documents import PICTURES, find_picture, read_documents
from console.pages.help.search import search_documents
from console.pages.shared.page import console_page, is_partial, read_query, render_page

KEPT = 3600  # seconds for which a browser keeps a picture


@require_safe
@console_page
def help_index(request: HttpRequest) -> HttpResponse:
    """List the documents with their sections, or what `?q=` finds in them."""
    documents = read_documents()
    query = read_query(request, "q")
    context = {
        "title": "Help",
        "query": query,
        "documents": documents.values(),
        "found": search_documents(documents.values(), query),
    }
    return render_page(request, "console/help/help.html", context)


@require_safe
@console_page
def help_page(request: HttpRequest, page: str) -> HttpResponse:
    """Show one document. Raises Http404 if there is none with this name."""
    documents = read_documents()
    if page not in documents:
        raise Http404
    document = documents[page]
    context = {
        "title": document.title,
        "crumbs": [("Help", reverse("help"))],
        "document": document,
        "documents": documents.values(),
        "sections": [section for section in document.sections if section.level > 1],
    }
    return render(request, "console/help/help_page.html", context)


@require_safe
@console_page
def help_keys(request: HttpRequest) -> HttpResponse:
    """Show the keys of the pages, in a dialog or as a page."""
    context = {"title": "Keys", "crumbs": [("Help", reverse("help"))], "back": reverse("help")}
    if is_partial(request, "dialog"):
        return render(request, "console/help/_help_keys.html", context | {"in_dialog": True})
    return render(request, "console/help/help_keys.html", context)


@require_safe
@login_required
def help_picture(request: HttpRequest, name: str) -> HttpResponse:
    """Send a picture that a document shows. Raises Http404 for any other name."""
    path = find_picture(name)
    if path is None:
        raise Http404
    headers = {"Cache-Control": f"private, max-age={KEPT}"}
    return HttpResponse(path.read_bytes(), content_type=PICTURES[path.suffix], headers=headers)
