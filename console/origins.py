"""Answers forms that Django's CSRF protection refuses."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def refuse_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The view that CSRF_FAILURE_VIEW names. `reason` is Django's, for developers."""
    return render(request, "403_csrf.html", {"public_url": find_unknown_proxy(request)}, status=403)


def find_unknown_proxy(request: HttpRequest) -> str:
    """Return the page's origin if it is this host by HTTPS and the console takes the request for HTTP: then a proxy speaks TLS,
    and no form is accepted before WINDLASS_PUBLIC_URL says so. Otherwise return empty text."""
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
    except ValueError:
        return ""
    is_unknown = origin.scheme == "https" and not request.is_secure() and origin.netloc == request.get_host()
    return f"https://{origin.netloc}" if is_unknown else ""
