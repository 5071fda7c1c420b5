"""What a monitor's message says: that an alert begins, that it has ended, or something else. Shared by the dialects beside."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from triggers.payloads.fields import clean, quote_value, text
from triggers.payloads.payload import Body, Headers

FIRING, RESOLVED = "firing", "resolved"
OTHER = "other"  # a test, an acknowledgement, a maintenance: neither of the two, and never acted on
ALERTS_MAXIMUM = 500  # alerts of one group that are remembered
NAME_LENGTH, EVENT_LENGTH, OCCURRENCE_LENGTH = 60, 60, 500

# Words for a state, in lower case, as the dialects with a free text use them.
STATES = {
    **dict.fromkeys(("firing", "fired", "alert", "alerting", "alarm", "problem", "triggered", "trigger"), FIRING),
    **dict.fromkeys(
        ("down", "critical", "warning", "error", "failing", "failed", "open", "opened", "activated", "active"), FIRING
    ),
    **dict.fromkeys(
        ("resolved", "resolve", "recovered", "recovery", "ok", "up", "clear", "cleared", "closed", "normal"), RESOLVED
    ),
    **dict.fromkeys(("deactivated", "success", "healthy"), RESOLVED),
}


@dataclass(frozen=True)
class Notification:
    """A message of a monitor about one alert, or about one group of alerts.

    `state` is FIRING, RESOLVED or OTHER; `event` is the sender's own word for it, and `reason` says why OTHER is neither.
    `name` is the name of the rule, empty if there are several. `group` identifies the group and never changes. `alerts`
    names the alerts that are in this state; an alert that ends and fires again gets a new name. `start` is the earliest start
    of these alerts, as text that is equal for equal moments; empty if the message has none.

    `lasts` is true for a sender whose messages do not identify an occurrence: it lasts until the other state is reported.
    `kept` is what is stored of the message in place of its redacted body."""

    sender: str
    state: str
    name: str = ""
    group: str = ""
    alerts: frozenset[str] = frozenset()
    start: str = ""
    lasts: bool = False
    event: str = ""
    reason: str = ""
    kept: str = ""


class Dialect(Protocol):
    """The interface of a dialect's module."""

    NAME: str  # "uptime_kuma"
    LABEL: str  # "Uptime Kuma"

    def read(self, headers: Headers, body: Body) -> Notification | None:
        """Read a notification; None for any other message. Never raises, whatever it contains."""


def make_notification(
    dialect: tuple[str, str],
    word: Any,
    states: Mapping[str, str] = STATES,
    *,
    group: Iterable[Any],
    name: Any = "",
    occurrence: Any = "",
    lasts: bool = False,
) -> Notification:
    """Return the notification of a sender that reports one alert at a time.

    `dialect` is NAME and LABEL of the sender. `word` is its word for the state, which `states` explains by lower case; any
    other word is OTHER. `group` identifies what is watched, and `occurrence` this occurrence of it. Without an occurrence it
    lasts until the other state is reported; with `lasts` as well, `occurrence` begins a new one."""
    sender, label = dialect
    said = clean(show(word), EVENT_LENGTH)
    state = states.get(said.lower(), OTHER)
    if state == OTHER:
        return pass_over(dialect, said, f"{label} reports {quote_value(said)}, which neither begins nor ends an alert.")
    identity = digest(sender, *map(show, group))
    start = show(occurrence)[:OCCURRENCE_LENGTH]
    return Notification(
        sender=sender,
        state=state,
        name=clean(show(name), NAME_LENGTH),
        group=identity,
        alerts=frozenset({digest(identity, start)[:16]} if start else ()),
        start=start,
        lasts=lasts or not start,
        event=said,
    )


def pass_over(dialect: tuple[str, str], event: Any, reason: str, kept: str = "") -> Notification:
    """Return a notification that never acts. `reason` is a sentence."""
    return Notification(sender=dialect[0], state=OTHER, event=clean(show(event), EVENT_LENGTH), reason=reason, kept=kept)


def show(value: Any) -> str:
    """Return a text or a number as text; nothing for any other type. Equal values give equal texts."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text(value).strip()


def normalize_moment(start: str) -> str:
    """Return the moment in UTC, so that equal moments are equal texts and texts sort by time. Keep any other text."""
    try:
        moment = datetime.fromisoformat(start)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return start


def write_canonical(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return ""


def digest(*parts: str) -> str:
    """Return a hash of the parts, different for the same text split into other parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
