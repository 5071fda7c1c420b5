"""System checks for mistakes of configuration that the check of a single value cannot find."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_public_url(**_: Any) -> list[CheckMessage]:
    if settings.PUBLIC_URL or settings.HOST in {"127.0.0.1", "localhost", "::1", "[::1]"}:
        return []
    return [
        Warning(
            "WINDLASS_PUBLIC_URL is not set. Trigger links contain the address at which the page was opened. "
            "Only this machine's name and IP addresses, and private IP addresses, are served.",
            hint="Set WINDLASS_PUBLIC_URL to the address at which callers reach the console, "
            "such as https://windlass.example.com.",
            id="windlass.W001",
        )
    ]


@register
def check_allowed_hosts(**_: Any) -> list[CheckMessage]:
    if "*" not in settings.CHOSEN_HOSTS:
        return []
    return [
        Warning(
            "WINDLASS_ALLOWED_HOSTS is *, so requests can name any host, and a web page on the internet can have its visitors' "
            "browsers send requests here.",
            hint="List the hosts at which the console is reached.",
            id="windlass.W002",
        )
    ]
