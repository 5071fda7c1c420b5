"""What a call asks for, whoever asks: the hook, the console, the API or a registry's push."""

import re
from dataclasses import dataclass
from typing import Any

from clusters.registry.reference import is_tag
from triggers.models import Trigger, TriggerCall

STEP_MINIMUM, STEP_MAXIMUM = 1, 100  # containers, as documented
WAIT_MAXIMUM = 600  # seconds
SCALE_TYPES = {"scale_in": -1, "scale_out": 1}
TAG_RULE = "letters, digits, dots, dashes and underscores, at most 128, beginning with no dot or dash."


@dataclass(frozen=True, kw_only=True)
class CallRequest:
    """`container`: the name of the only one that a stop, start, restart or delete is about.

    `tag`: a redeploy changes the image to it.

    `delivery_id`: at most 255 characters (triggers.calls.repetitions).

    For scaling give `service_id` and either `step` (signed, 1-100 in size) or `replicas` (a wanted count).
    """

    source: TriggerCall.Source
    action: str
    application_id: int
    service_id: int | None = None
    trigger: Trigger | None = None
    container: str = ""
    tag: str = ""
    step: int | None = None
    replicas: int | None = None
    requested_by: Any = None
    source_address: str | None = None
    user_agent: str = ""
    delivery_id: str = ""


class InvalidParameter(ValueError):
    """A call's parameter is missing or wrong: `parameter` names it, the message says what it accepts."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.message = message


def parse_step(type_value: Any, step_value: Any) -> int:
    """The signed step of a scaling call from its two documented parameters. Raises InvalidParameter."""
    sign = SCALE_TYPES.get(type_value) if isinstance(type_value, str) else None
    if sign is None:
        what = "is missing" if type_value in (None, "") else f"is {_shown(type_value)}"
        raise InvalidParameter("type", f"The type parameter {what}; it must be scale_in or scale_out.")
    return sign * _parse_number("step", step_value, STEP_MINIMUM, STEP_MAXIMUM)


def parse_tag(value: Any) -> str:
    """The tag that a redeploy is to change to; empty without the parameter. Raises InvalidParameter."""
    if value is None:
        return ""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not is_tag(text):
        what = "is empty" if value == "" else f"is {_shown(value)}"
        raise InvalidParameter("tag", f"The tag parameter {what}; it must be {TAG_RULE}")
    return text


def parse_wait(value: Any) -> int:
    """Seconds to hold the answer for; 0 without the parameter. Raises InvalidParameter."""
    return 0 if value is None else _parse_number("wait", value, 1, WAIT_MAXIMUM)


def _parse_number(name: str, value: Any, minimum: int, maximum: int) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    valid = isinstance(text, str) and re.fullmatch(r"[0-9]{1,4}", text) and minimum <= int(text) <= maximum
    if not valid:
        what = "is missing" if value in (None, "") else f"is {_shown(value)}"
        raise InvalidParameter(name, f"The {name} parameter {what}; it must be a whole number from {minimum} to {maximum}.")
    return int(text)


def _shown(value: Any) -> str:
    """What a caller sent, short enough for an answer."""
    text = str(value)
    return f"'{text[:40]}…'" if len(text) > 40 else f"'{text}'"
