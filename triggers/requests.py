"""What a call asks for, whoever asks: the hook, the console, the API or a registry's push."""

from dataclasses import dataclass
from typing import Any

from triggers.models import Trigger, TriggerCall

STEP_MINIMUM, STEP_MAXIMUM = 1, 100  # containers, as documented
SCALE_TYPES = {"scale_in": -1, "scale_out": 1}


@dataclass(frozen=True, kw_only=True)
class CallRequest:
    """For scaling give `service_id` and either `step` (signed, 1-100 in size) or `replicas` (a wanted count)."""

    source: TriggerCall.Source
    action: str
    application_id: int
    service_id: int | None = None
    trigger: Trigger | None = None
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
