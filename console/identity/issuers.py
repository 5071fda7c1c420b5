"""Addresses of issuers: what they may look like. Settings use it, so it knows no models."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

ISSUER_LENGTH = 200  # characters, as many as allauth's identities keep


def explain_issuer(issuer: str) -> str:
    """Return what is wrong with an issuer's address, or empty text. https only, except on this machine."""
    try:
        parts = urlsplit(issuer)
        port = parts.port
    except ValueError:
        return "It is not an address."
    if not parts.hostname or parts.scheme not in {"http", "https"} or port == 0 or not re.fullmatch(r"[!-~]+", issuer):
        return "It must be an address such as https://id.example.com/realms/main."
    if parts.query or parts.fragment or "@" in parts.netloc or "?" in issuer or "#" in issuer:
        return "It must have no user name, no ? and no #."
    if len(issuer) > ISSUER_LENGTH:
        return f"It must have at most {ISSUER_LENGTH} characters."
    if issuer.partition("?")[0].endswith("/.well-known/openid-configuration"):
        return "Enter the part before /.well-known/openid-configuration."
    return "" if is_protected(issuer) else "It must start with https://. Only a provider on this machine can do without."


def is_protected(url: str) -> bool:
    """Return whether nobody on the network can read along: TLS, or this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
