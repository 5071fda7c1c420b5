"""Words for durations, ids, calls and senders, for templates and for Python."""

from datetime import timedelta

from clusters.badges import find_badge
from clusters.models import Application
from triggers.models import Action, TriggerCall
from triggers.payloads import alerts, forges
from triggers.payloads.senders import SENDERS


def describe_age(age: timedelta) -> str:
    """Return a rounded age in one unit: 5 s, 12 min, 3 h, 20 d."""
    seconds = max(int(age.total_seconds()), 0)
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"


def duration(value: timedelta | None) -> str:
    """Return a duration such as 6.2 s, 1 min 12 s or 2 h 5 min."""
    if value is None:
        return "–"
    seconds = max(value.total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def short_id(value: str) -> str:
    """Return the first 12 characters of an image or container id, without `sha256:`."""
    return str(value).removeprefix("sha256:")[:12]


def parts(application: Application, count: int = 2) -> str:
    """Return what the application consists of: `tasks` on a Swarm, otherwise `containers`; in the singular if `count` is 1."""
    word = "task" if application.is_swarm else "container"
    return word if count == 1 else f"{word}s"


def request_of(call: TriggerCall) -> str:
    """Return what was requested: `Redeploy`, `Redeploy with the previous image`, `Scale out by 5`, `Scale to 3`, `Stop`,
    `Remove container`."""
    return " ".join(filter(None, split_request(call)))


def split_request(call: TriggerCall) -> tuple[str, str]:
    """Return the words before and after the target's name, such as `Scale` and `out by 5` for `Scale web out by 5`."""
    if call.returns_to:
        return "Redeploy", f"with the previous {'image' if len(call.returns_to) == 1 else 'images'}"
    if call.action != Action.SCALING:
        label = call.get_action_display()
        return (f"{'Remove' if call.action == Action.DELETE else label} container" if call.container else label), ""
    if call.replicas is not None:
        return "Scale", f"to {call.replicas}"
    if call.step is None:
        return "Scale", ""
    return "Scale", f"{'out' if call.step > 0 else 'in'} by {abs(call.step)}"


def describe_decision(decision: str) -> str:
    """Return the words for a decision about a delivery, as its badge has them."""
    return find_badge(decision, "delivery")[2]


def list_senders() -> list[tuple[str, str]]:
    """Return name and label of every sender of deliveries."""
    return [*((sender.NAME, sender.LABEL) for sender in SENDERS), *alerts.LABELS.items(), *forges.LABELS.items()]
