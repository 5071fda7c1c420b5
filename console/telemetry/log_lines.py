"""Structured logs: one line per event, with the ids of the request and the call if there are any (structlog contextvars).

The loggers of Django, Celery and granian use the same format.
"""

import json
import logging
import re
import sys
from typing import Any

import structlog
from django.utils.log import CallbackFilter
from structlog.typing import EventDict, Processor

from console.telemetry.line_limit import line_limit

# Text that is secret anywhere in a line: the token in a registry's inbound link, a trigger's secret, a password in an address,
# a credential in a header, an API token.
SECRETS = re.compile(
    r"(/hook/registry/)[^/?\s\"']+"
    r"|([?&;\s\"'](?:secret|token|password)=)[^&\s\"'\\]+"
    r"|([a-z]://[^/\s:@]*:)[^/\s@]+(?=@)"
    r"|((?:Bearer|Basic|Token) )[A-Za-z0-9._~+/=-]{8,}"
    r"|(wl_)[0-9a-f]{16,}"
)

# Each secret has one.
MARKS = ("/hook/registry/", "secret=", "token=", "password=", "://", "Bearer ", "Basic ", "Token ", "wl_")
CONTROLS = re.compile(r"[\x7f-\x9f\u2028\u2029]")  # control characters that JSON does not escape
ODD = re.compile(r"[\s\"'=\\\x00-\x1f\x7f-\x9f]")


def hide_secrets(logger: Any, method: str, line: str) -> str:
    """Mask secrets in a finished line. Our own code logs none, but an error that quotes a library's message can contain one."""
    if not any(mark in line for mark in MARKS):  # takes a twentieth of the time
        return line
    return SECRETS.sub(lambda found: f"{found[found.lastindex or 0]}…", line)


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
BAD_REQUEST_LENGTH = 300  # characters of what Django says about a request that it does not read
FIRST = ("timestamp", "level", "logger", "event")

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *SHARED,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)


def is_admitted(record: logging.LogRecord) -> bool:
    """Bound the lines that say why Django refused a request: strangers cause them."""
    return not record.name.startswith("django.security.") or line_limit.admit_reason()


def shorten_bad_request(logger: Any, method: str, event: EventDict) -> EventDict:
    """Log a request that Django does not read, because of its host for example, as no error of the console's: without a
    traceback, whatever anybody sends."""
    if event["_record"].name.startswith("django.security."):
        event.pop("exc_info", None)
        event["level"], event["event"] = "warning", event["event"][:BAD_REQUEST_LENGTH]
    return event


def arrange(logger: Any, method: str, event: EventDict) -> EventDict:
    """Put the fields that every line has first, and drop empty ones."""
    first = {name: event.pop(name) for name in FIRST if name in event}
    return first | {name: value for name, value in event.items() if value not in ("", None)}


def render_logfmt(logger: Any, method: str, event: EventDict) -> str:
    """Render `name=value` pairs. Values with special characters become JSON strings, so that text from callers and engines
    can neither begin a line nor move a terminal's cursor."""
    return " ".join([f"{name}={quote_field(value)}" for name, value in event.items()])


def quote_field(value: Any) -> str:
    text = str(value)
    if not ODD.search(text):
        return text
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def choose_renderer(line_format: str) -> list[Processor]:
    if line_format == "AUTO" and sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True)]
    text: list[Processor] = [structlog.processors.format_exc_info, arrange]
    if line_format == "JSON":
        return [*text, structlog.processors.JSONRenderer()]
    return [*text, render_logfmt]


def is_defect(record: logging.LogRecord) -> bool:
    """Return whether the record is about an exception. A response with status 500 alone is none: the hook sends it for a call
    that failed."""
    return bool(record.exc_info)


def build_logging(level: str, line_format: str) -> dict[str, Any]:
    """Return Django's LOGGING. `line_format` is LOGFMT, JSON or AUTO, which is coloured text on a terminal and else LOGFMT."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*SHARED, shorten_bad_request],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *choose_renderer(line_format),
                    hide_secrets,
                ],
            }
        },
        "filters": {
            "defects": {"()": CallbackFilter, "callback": is_defect},
            "reasons": {"()": CallbackFilter, "callback": is_admitted},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["reasons"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # console.telemetry.request_log writes a line for each request. Django's own line would contain the query, and so
            # the secret.
            "django.request": {"level": "ERROR", "filters": ["defects"]},
            "django.server": {"level": "ERROR"},
            # At DEBUG these log statements with their values, addresses and headers.
            "django.db.backends": {"level": "INFO"},
            "kombu": {"level": "WARNING"},
            "amqp": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "apprise": {"level": "CRITICAL"},  # its warnings repeat addresses, which are secrets of channels
            "docker": {"level": "WARNING"},
        },
    }
