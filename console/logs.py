"""Structured logs: one line an event, with the request's and the call's id where there is one (structlog contextvars).

The foreign loggers (Django's, Celery's, granian's) are written the same way.
"""

import re
import sys
from typing import Any, cast

import structlog
from structlog.typing import EventDict, Processor

# What is a secret wherever it stands in a line: the path of a registry's inbound link, a link's secret, a password in an
# address, a credential in a header.
SECRETS = re.compile(
    r"(/hook/registry/)[^/?\s\"']+"
    r"|([?&;\s\"'](?:secret|token|password)=)[^&\s\"'\\]+"
    r"|([a-z]://[^/\s:@]*:)[^/\s@]+(?=@)"
    r"|((?:Bearer|Basic|Token) )[A-Za-z0-9._~+/=-]{8,}"
)

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def hide_secrets(logger: Any, method: str, line: str) -> str:
    """Behind those who take care that no secret is logged: what a library quotes in an error may hold one."""
    return SECRETS.sub(lambda found: f"{found[found.lastindex or 0]}…", line)


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
KEYS = ["timestamp", "level", "logger", "event"]

structlog.configure(
    processors=[
        *SHARED,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)


def drop_empty(logger: Any, method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value not in ("", None)}


def escape_controls(logger: Any, method: str, line: str) -> str:
    """What callers and engines send cannot move a terminal's cursor."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", line)


def choose_renderer(line_format: str) -> list[Processor]:
    if line_format == "AUTO" and sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True)]
    text: list[Processor] = [structlog.processors.format_exc_info, drop_empty]
    if line_format == "JSON":
        return [*text, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [*text, structlog.processors.LogfmtRenderer(key_order=KEYS), cast(Processor, escape_controls)]


def build_logging(level: str, line_format: str) -> dict[str, Any]:
    """Django's LOGGING. `line_format`: LOGFMT, JSON, or AUTO: coloured at a terminal, else LOGFMT."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *choose_renderer(line_format),
                    hide_secrets,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Each request has its line from console.middleware; Django's own would repeat it with the query, and so the secret.
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "ERROR"},
            "celery": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "docker": {"level": "WARNING"},
        },
    }
