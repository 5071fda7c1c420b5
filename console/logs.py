"""Structured logs: one line an event, with the request's or the call's id where there is one (structlog contextvars)."""

import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

INBOUND_LINK = re.compile(r"(/hook/registry/)[^/?\s]+")


def hide_tokens(logger: Any, method: str, event: EventDict) -> EventDict:
    """The path of a registry's inbound link is its secret."""
    return {name: INBOUND_LINK.sub(r"\1…", value) if isinstance(value, str) else value for name, value in event.items()}


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

structlog.configure(
    processors=[
        *SHARED,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

_RENDERER = (
    structlog.dev.ConsoleRenderer(colors=True)
    if sys.stderr.isatty()
    else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"])
)

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": SHARED,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hide_tokens,
                _RENDERER,
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Each request has its line from console.middleware; Django's own would repeat it with the query, and so the secret.
        "django.request": {"level": "ERROR"},
        "django.server": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        "docker": {"level": "WARNING"},
    },
}
