"""The rules of freeze windows, and which of them are in force at a moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from triggers.timing.spans import SingleTime, WeeklyTimes, find_end, write_moment

REDEPLOY, SCALING = "redeploy", "scaling"  # values of triggers.models.Action
WORDS = {REDEPLOY: "Redeploys", SCALING: "Scalings"}


@dataclass(frozen=True)
class FreezeRule:
    """A window. `refuses`: calls are refused in it, instead of waiting until its end."""

    name: str
    times: WeeklyTimes | SingleTime
    refuses: bool = False
    includes_scaling: bool = False
    reason: str = ""

    def concerns(self, action: str) -> bool:
        """Return whether it freezes the action. Stop, start, restart and delete are never frozen."""
        return action == REDEPLOY or (action == SCALING and self.includes_scaling)


@dataclass(frozen=True)
class Freeze:
    """The windows that freeze an action now. `ends_at` is when none of them holds any longer, in the `zone` of the one that
    ends last; None if they are endless."""

    action: str
    names: tuple[str, ...]
    reasons: tuple[str, ...]
    ends_at: datetime | None
    zone: str
    refuses: bool = False

    @property
    def end(self) -> str:
        """`Mon 2026-11-30 06:00 (Europe/Berlin)`, or what to do where there is no end."""
        return write_moment(self.ends_at, self.zone) if self.ends_at else "the window is changed or deleted"

    @property
    def title(self) -> str:
        """`weekend`, or `weekend: Nobody is on duty`, to be continued by a full stop."""
        named = " and ".join(self.names)
        return f"{named}: {' '.join(self.reasons)}".rstrip(".") if self.reasons else named

    def describe_wait(self) -> str:
        return f"Waits until {self.end}. Frozen by {self.title}."

    def describe_refusal(self, application: str) -> str:
        return f"{WORDS[self.action]} of {application} are refused until {self.end}. Frozen by {self.title}."

    def describe(self) -> str:
        """Say it for the application's page."""
        act = "are refused" if self.refuses else "wait"
        return f"{WORDS[self.action]} {act} until {self.end}."


def find_freeze(rules: Iterable[FreezeRule], action: str, now: datetime) -> Freeze | None:
    """Return what freezes a new call of `action`; None if nothing does. Where some windows refuse calls, these alone count:
    when they end, a call is accepted, and perhaps waits."""
    concerned = [rule for rule in rules if rule.concerns(action)]
    refusing = [rule for rule in concerned if rule.refuses]
    return _join(refusing, action, now) or _join(concerned, action, now)


def find_hold(rules: Iterable[FreezeRule], action: str, now: datetime) -> Freeze | None:
    """Return what holds back a call of `action` that was accepted before; None if nothing does. A window that refuses calls
    holds those back that waited when it began."""
    return _join([rule for rule in rules if rule.concerns(action)], action, now)


def _join(rules: Sequence[FreezeRule], action: str, now: datetime) -> Freeze | None:
    held = [(rule, span) for rule in rules if (span := rule.times.find_span(now))]
    if not held:
        return None
    last = max(held, key=lambda one: one[1].end)[0]
    return Freeze(
        action=action,
        names=tuple(dict.fromkeys(rule.name for rule, _ in held)),
        reasons=tuple(dict.fromkeys(rule.reason for rule, _ in held if rule.reason)),
        ends_at=find_end([rule.times for rule in rules], now),
        zone=last.times.zone,
        refuses=any(rule.refuses for rule, _ in held),
    )
