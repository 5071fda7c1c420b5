"""Refuses requests whose `Host` nobody chose, before anything else happens. Links are built from `Host`, and a name that an
attacker points at this machine (DNS rebinding) would make a visitor's browser a way in.

Chosen are the hosts in CHOSEN_HOSTS (console/settings.py), and an IP address that leads nobody elsewhere: one of this machine,
or one of a private network. An address cannot be rebound, since a browser connects to exactly the address that it names.
"""

import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.template.loader import render_to_string

log = structlog.get_logger("windlass.request")

OPEN_PATHS = {"/healthz", "/readyz"}  # a load balancer can use any name, and the answers reveal nothing
LINE_SECONDS = 60.0  # between two log lines about refused hosts
LONGEST = 262  # characters of a host with its port
DISCARD_PORT = 9  # connecting a datagram socket to it sends nothing

Address = IPv4Address | IPv6Address


class ChosenHosts:
    """The middleware. It answers 400 with what to set; a refused host costs no session and no query."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._lock = threading.Lock()
        self._line_at = float("-inf")
        self._unlogged = 0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in OPEN_PATHS:
            return self.get_response(request)
        host = read_host(request)
        if is_chosen(host):
            return self.get_response(request)
        self._report(host)
        return answer_refused_host(request, host)

    def _report(self, host: str) -> None:
        """Write one line a minute at most. The next one counts the requests that had none."""
        with self._lock:
            now = time.monotonic()
            if now - self._line_at < LINE_SECONDS:
                self._unlogged += 1
                return
            self._line_at, more, self._unlogged = now, self._unlogged, 0
        log.warning("host refused", host=host, more=more)


def read_host(request: HttpRequest) -> str:
    """Return the request's host in lower case, without port; empty if there is none or if it is malformed."""
    named = request.META.get("HTTP_HOST", request.META.get("SERVER_NAME", ""))
    return split_domain_port(named)[0] if len(named) <= LONGEST else ""


def is_chosen(host: str) -> bool:
    """Return whether links can be built from this host. `host` as `read_host` returns it."""
    if not host:
        return False
    return validate_host(host, settings.CHOSEN_HOSTS) or _leads_nobody_elsewhere(host)


def _leads_nobody_elsewhere(host: str) -> bool:
    try:
        address: Address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return not address.is_global or is_own_address(address)


def is_own_address(address: Address) -> bool:
    """Return whether this machine has the address: then the kernel would also send from it. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), DISCARD_PORT))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False


def answer_refused_host(request: HttpRequest, host: str) -> HttpResponse:
    """Say which setting to set: as a page, as JSON to callers of links and of the API, or as plain text."""
    message = explain_refused_host(host)
    path = request.path_info
    if path.startswith("/hook/"):
        return JsonResponse({"code": "400", "message": message, "requestId": None}, status=400)
    if path.startswith("/api/"):
        return JsonResponse({"detail": message}, status=400)
    if "text/html" in request.headers.get("Accept", ""):
        return HttpResponse(render_to_string("400_host.html", {"host": host}), status=400)
    return HttpResponse(f"{message}\n", content_type="text/plain; charset=utf-8", status=400)


def explain_refused_host(host: str) -> str:
    if not host:
        return "The request names no valid host. Nothing was done."
    return (
        f"The console does not know the host {host}, so nothing was done. If it is an address of this console, "
        f"add {host} to WINDLASS_ALLOWED_HOSTS, or set WINDLASS_PUBLIC_URL to the address at which callers reach the console."
    )
