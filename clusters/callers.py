"""The address and the user that a request came from, and the address at which callers reach the console."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject


def client_address(request: HttpRequest) -> str | None:
    return find_client_address(request.META)


def find_client_address(environ: Mapping[str, Any]) -> str | None:
    """Return the caller's address: the right-most entry of X-Forwarded-For that is no trusted proxy, else the connection's.
    `environ` is WSGI's."""
    address = environ.get("REMOTE_ADDR") or ""
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if not (_is_trusted_proxy(address) and hop.strip()):
            break
        address = hop.strip()
    return address if _parse_address(address) else None


def public_base_url(request: HttpRequest) -> str:
    """Return WINDLASS_PUBLIC_URL, or else the address that the request names, without a trailing slash. It is one that somebody
    chose: console.hosts has refused all others."""
    return settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"


def find_loaded_user(request: HttpRequest) -> Any:
    """Return the signed-in user of a request, or None if there is none or if nothing has asked for the user. Makes no query."""
    user = getattr(request, "user", None)  # links have none
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)  # of Django's middleware
    return user if user is not None and user.is_authenticated else None


@lru_cache(maxsize=1024)
def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_trusted_proxy(text: str) -> bool:
    address = _parse_address(text)
    return address is not None and any(address in ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES)
