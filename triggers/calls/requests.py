"""A request for a call, in the same form from the hook, the console, the API and a registry's push."""

import re
from dataclasses import dataclass
from typing import Any

from clusters.registry.reference import is_tag
from triggers.commits import is_commit, is_repository
from triggers.models import Trigger, TriggerCall
from triggers.refusals import CallRefused

STEP_MINIMUM, STEP_MAXIMUM = 1, 100  # containers, as documented
WAIT_MAXIMUM = 600  # seconds
SCALE_TYPES = {"scale_in": -1, "scale_out": 1}
TAG_RULE = "letters, digits, dots, dashes and underscores, at most 128, not beginning with a dot or a dash."


@dataclass(frozen=True, kw_only=True)
class CallRequest:
    """Everything that is known about a call when it is requested.

    `container` limits a stop, start, restart or delete to the container with that name. `tag` is the tag that a redeploy
    changes the image to; with `start_stopped`, it also starts what was stopped in Windlass. `returns_to` are the images that it
    gives to services instead (TriggerCall.returns_to). A scaling needs `service_id` and
    either `step` (1 to 100, negative to scale in) or `replicas` (the wanted count). `delivery_id` has at most 255 characters
    (see triggers.calls.repetitions). `proof` is a value of Proof for a call by the trigger's own link, and empty for any other.
    `identity` describes the trusted job that calls (triggers.identity.presets.describe_job). `built_from` is the
    commit that the caller names: `{"commit": …}`, with `repository` where it names one. With an `override_reason` of a
    person (at most 200 characters) no freeze window holds the call back. `judged_image`: by what an image with a least age was
    judged (triggers.pushes.ages).
    """

    source: TriggerCall.Source
    action: str
    application_id: int
    service_id: int | None = None
    trigger: Trigger | None = None
    container: str = ""
    tag: str = ""
    start_stopped: bool = False
    returns_to: dict[str, Any] | None = None
    step: int | None = None
    replicas: int | None = None
    requested_by: Any = None
    source_address: str | None = None
    user_agent: str = ""
    delivery_id: str = ""
    proof: str = ""
    identity: dict[str, str] | None = None
    built_from: dict[str, str] | None = None
    override_reason: str = ""
    judged_image: dict[str, Any] | None = None


class InvalidParameter(CallRefused):
    """A parameter is missing or wrong. `parameter` names it; the message says what it accepts."""

    code = "invalid_parameter"

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


def parse_step(type_value: Any, step_value: Any) -> int:
    """Return the signed step of a scaling call, from its two documented parameters. Raises InvalidParameter."""
    sign = SCALE_TYPES.get(type_value) if isinstance(type_value, str) else None
    if sign is None:
        what = "is missing" if type_value in (None, "") else f"is {_shown(type_value)}"
        raise InvalidParameter("type", f"The type parameter {what}; it must be scale_in or scale_out.")
    return sign * _parse_number("step", step_value, STEP_MINIMUM, STEP_MAXIMUM)


def parse_tag(value: Any) -> str:
    """Return the tag that a redeploy changes the image to; empty without the parameter. Raises InvalidParameter."""
    if value is None:
        return ""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not is_tag(text):
        what = "is empty" if value == "" else f"is {_shown(value)}"
        raise InvalidParameter("tag", f"The tag parameter {what}; it must be {TAG_RULE}")
    return text


def parse_commit(commit: str | None, repository: str | None) -> dict[str, str] | None:
    """Return the commit that a call names, and its repository if it names one; None for no commit. Raises InvalidParameter."""
    if commit is None:
        return None
    if not is_commit(commit):
        what = "is empty" if commit == "" else f"is {_shown(commit)}"
        raise InvalidParameter("commit", f"The commit parameter {what}; it must be a whole id: 40 or 64 digits 0-9 and a-f.")
    if repository is None:
        return {"commit": commit}
    if not is_repository(repository):
        what = "is empty" if repository == "" else f"is {_shown(repository)}"
        raise InvalidParameter("repository", f"The repository parameter {what}; it must be owner/name, as in its address.")
    return {"commit": commit, "repository": repository}


def parse_wait(value: Any) -> int:
    """Return how many seconds to hold the answer; 0 without the parameter. Raises InvalidParameter."""
    return 0 if value is None else _parse_number("wait", value, 1, WAIT_MAXIMUM)


def _parse_number(name: str, value: Any, minimum: int, maximum: int) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    valid = isinstance(text, str) and re.fullmatch(r"[0-9]{1,4}", text) and minimum <= int(text) <= maximum
    if not valid:
        what = "is missing" if value in (None, "") else f"is {_shown(value)}"
        raise InvalidParameter(name, f"The {name} parameter {what}; it must be a whole number from {minimum} to {maximum}.")
    return int(text)


def _shown(value: Any) -> str:
    """Quote a caller's value, short enough for an answer."""
    text = str(value).encode("utf-8", "replace").decode()  # a text in JSON can have half a character
    return f"'{text[:40]}…'" if len(text) > 40 else f"'{text}'"
