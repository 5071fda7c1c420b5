"""TLS to the broker. The server's certificate is verified unless BROKER_URL says otherwise. kombu alone would accept any
certificate from Redis, and one for any host from RabbitMQ."""

import os
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.core.exceptions import ImproperlyConfigured

CERT_REQS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def split_tls(broker_url: str) -> tuple[str, dict[str, Any] | None]:
    """Return the URL without its TLS parameters, and Celery's `broker_use_ssl` for it; None for a URL without TLS.

    The parameters are those of kombu's Redis URLs, here for RabbitMQ too: `ssl_cert_reqs` (`required`, `optional`, `none`), the
    paths FILES, and `ssl_check_hostname` (`true`, `false`). Raises ImproperlyConfigured.
    """
    scheme = urlsplit(broker_url).scheme
    if scheme not in {"rediss", "amqps"}:
        return broker_url, None
    given: dict[str, str] = {}
    urls = [_take_parameters(url, given) for url in broker_url.split(";")]  # of a broker with several addresses
    reqs = given.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    check_host = given.pop("ssl_check_hostname", "true").lower()
    if reqs not in CERT_REQS or check_host not in {"true", "false"} or given.keys() - set(FILES):
        raise ImproperlyConfigured(
            "BROKER_URL has a TLS parameter that is not known. There are ssl_cert_reqs=required, optional or none, "
            f"ssl_check_hostname=true or false, and the paths {', '.join(FILES)}."
        )
    for name, path in given.items():
        if not os.access(path, os.R_OK):
            raise ImproperlyConfigured(f"{name} of BROKER_URL is {path!r}, but this file cannot be read.")
    checks = reqs != "none" and check_host == "true"
    if scheme == "rediss":
        return ";".join(urls), {"ssl_cert_reqs": CERT_REQS[reqs], "ssl_check_hostname": checks, **given}
    options: dict[str, Any] = {name.removeprefix("ssl_"): value for name, value in given.items()}
    if checks:
        # None is kombu's word for the host of the URL that is in use, but it makes an address of `localhost`.
        options["server_hostname"] = urlsplit(urls[0]).hostname if len(urls) == 1 else None
    return ";".join(urls), {"cert_reqs": CERT_REQS[reqs], **options}


def _take_parameters(url: str, taken: dict[str, str]) -> str:
    """Move the TLS parameters of the URL into `taken`, and return the rest of it."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    taken |= {name: value for name, value in query if name.startswith("ssl_")}
    rest = urlencode([(name, value) for name, value in query if not name.startswith("ssl_")])
    return urlunsplit(parts._replace(query=rest))
