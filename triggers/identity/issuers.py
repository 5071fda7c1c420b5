"""Reads the public keys of an issuer of identity tokens, as OpenID Connect Discovery publishes them
(https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig).

Only issuers that somebody entered at a trigger are asked: over TLS, or on the loopback, within a deadline and a size, without
redirects, and never at a link-local address, where clouds serve credentials.
"""

import ipaddress
import json
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import urllib3

from clusters.registry.errors import RegistryError
from clusters.registry.transport import (
    HeldHTTPConnection,
    HeldHTTPPool,
    HeldHTTPSConnection,
    HeldHTTPSPool,
    RegistryAdapter,
    RegistryTransport,
    find_origin,
)
from triggers.identity.tokens import IssuerKey, read_key_set

DISCOVERY_PATH = "/.well-known/openid-configuration"
SECONDS = 5.0  # for both documents
BODY_LIMIT = 256 * 1024  # bytes of each
ISSUER_LENGTH = 255  # characters
ISSUER = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+(?:/[\w.~/-]*)?", re.ASCII)


class IssuerFailed(Exception):
    """The issuer gave no keys. The message says why, for the log and for people who may see the trigger."""


class ForbiddenAddress(OSError):
    """The name of the issuer leads to an address that is not asked."""


def explain_bad_issuer(issuer: str) -> str:
    """Say why this cannot be the address of an issuer, as a sentence; empty when it can."""
    if len(issuer) > ISSUER_LENGTH or not ISSUER.fullmatch(issuer):
        return "An issuer is an address such as https://gitlab.example.com, without a query."
    try:
        parts = urlsplit(issuer)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "An issuer is an address such as https://gitlab.example.com, without a query."
    address = read_address(host)
    if address and is_forbidden(address):
        return "This address is link-local, where clouds serve credentials. Windlass does not ask it."
    if parts.scheme == "http" and not (host == "localhost" or (address and address.is_loopback)):
        return "An issuer without TLS is only accepted on this host itself. Use https://."
    return "" if host else "The issuer's address has no host."


def read_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_forbidden(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified


def check_peer(connected: socket.socket, *, loopback_only: bool) -> None:
    """Raise ForbiddenAddress if the connection, on which nothing was sent yet, leads where issuers are not asked."""
    address = read_address(str(connected.getpeername()[0]))
    if address is None or is_forbidden(address) or (loopback_only and not address.is_loopback):
        connected.close()
        raise ForbiddenAddress("it has an address that is not asked")


class IssuerHTTPConnection(HeldHTTPConnection):
    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        check_peer(connected, loopback_only=True)
        return connected


class IssuerHTTPSConnection(HeldHTTPSConnection):
    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        check_peer(connected, loopback_only=False)
        return connected


class IssuerHTTPPool(HeldHTTPPool):
    ConnectionCls = IssuerHTTPConnection


class IssuerHTTPSPool(HeldHTTPSPool):
    ConnectionCls = IssuerHTTPSConnection


class IssuerAdapter(RegistryAdapter):
    pools = {"http": IssuerHTTPPool, "https": IssuerHTTPSPool}


class IssuerTransport(RegistryTransport):
    adapter = IssuerAdapter
    body_limit = BODY_LIMIT

    def find_proxies(self, url: str) -> dict[str, str]:
        """Without TLS, only the loopback is asked, which no proxy reaches."""
        return super().find_proxies(url) if url.startswith("https://") else {}


def fetch_keys(issuer: str) -> dict[str, IssuerKey]:
    """Return the keys of the issuer, by id. Takes up to SECONDS. Raises IssuerFailed."""
    if problem := explain_bad_issuer(issuer):
        raise IssuerFailed(problem)
    transport, deadline = IssuerTransport(), time.monotonic() + SECONDS
    try:
        discovery = read_document(transport, issuer.rstrip("/") + DISCOVERY_PATH, deadline)
        if discovery.get("issuer") != issuer:
            raise IssuerFailed("Its discovery document is of another issuer.")
        address = discovery.get("jwks_uri")
        if not isinstance(address, str) or not is_same_origin(address, issuer):
            raise IssuerFailed("Its discovery document names no keys at the issuer's own host.")
        return read_key_set(read_document(transport, address, deadline))
    finally:
        transport.close()


def is_same_origin(address: str, issuer: str) -> bool:
    try:
        return find_origin(address) == find_origin(issuer) and "@" not in urlsplit(address).netloc
    except ValueError:
        return False


def read_document(transport: RegistryTransport, url: str, deadline: float) -> dict[str, Any]:
    """Raises IssuerFailed."""
    try:
        answer = transport.exchange("GET", url, {"Accept": "application/json", "User-Agent": "Windlass"}, deadline, None)
    except (RegistryError, urllib3.exceptions.LocationParseError) as error:
        words = {"timeout": "It did not answer in time.", "tls": "Its certificate is not trusted, or TLS failed."}
        raise IssuerFailed(words.get(getattr(error, "code", ""), "It cannot be reached.")) from error
    if answer.status != 200:
        raise IssuerFailed(f"It answered {answer.status} for one of its documents.")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise IssuerFailed("One of its documents is not JSON.") from error
    if not isinstance(document, dict):
        raise IssuerFailed("One of its documents is not a JSON object.")
    return document
