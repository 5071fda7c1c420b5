"""The address and the user that a request came from, and the address at which callers reach the console."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

ADDRESS_LENGTH = 120
PORT = re.compile(r"(?::[0-9]{1,5})?")


def client_address(request: HttpRequest) -> str | None:
    return find_client_address(request.META)


def find_client_address(environ: Mapping[str, Any]) -> str | None:
    """Return the caller's address: the right-most entry of X-Forwarded-For that is no trusted proxy, else the connection's.
    `environ` is WSGI's. The address is normalised (`normalize_address`)."""
    address = environ.get("REMOTE_ADDR") or ""
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if not (is_trusted_proxy(address) and hop.strip()):
            break
        address = hop.strip()
    return normalize_address(address) or None


def normalize_address(text: str) -> str:
    """Return the address in the one form in which two ways of writing it are equal; empty if the text is no address.

    Proxies write it with a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`), in brackets, in quotes, with a zone (`fe80::1%eth0`)
    or as IPv4 within IPv6 (`::ffff:192.0.2.1`). Source: RFC 7239, section 6, and RFC 4291, 2.5.5.2."""
    found = _parse_address(text)
    return str(found) if found else ""


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
    value = text.strip().strip('"')
    if len(value) > ADDRESS_LENGTH:
        return None
    if value.startswith("["):
        value, bracket, port = value[1:].partition("]")
    else:
        bracket, port = "]", ""
        if value.count(":") == 1:
            value, _, digits = value.partition(":")
            port = f":{digits}"
    try:
        address = ip_address(value) if bracket and PORT.fullmatch(port) else None
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A zone names an interface of one machine alone, and no database column takes it.
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def is_trusted_proxy(text: str) -> bool:
    address = _parse_address(text)
    return address is not None and any(address in ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES)
