"""System checks for what an operator can get wrong beyond one value's form."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_public_url(**_: Any) -> list[CheckMessage]:
    if settings.PUBLIC_URL or settings.HOST in {"127.0.0.1", "localhost", "::1", "[::1]"}:
        return []
    return [
        Warning(
            "WINDLASS_PUBLIC_URL is not set, so links carry the address the page was opened at.",
            hint="Set WINDLASS_PUBLIC_URL to the address callers reach the console by, such as https://windlass.example.com.",
            id="windlass.W001",
        )
    ]
