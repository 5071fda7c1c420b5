"""Which news become messages now, which wait, and which are joined: decided from values, without a database.

Equal news within a window are one message with a count: the first is sent at once, and what comes until the window ends is
sent together then. What a channel gets in a minute is limited; beyond that, everything that waits becomes one digest. Then the
channel is flooded, until no digest was needed for a while: whatever comes is sent together, with a pause after each message.
`Works again` says all that the failures before it could, so these join it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from triggers.models import ALONE, News

WINDOW = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
MOST = 10  # messages over a channel in a minute
PAUSE = timedelta(minutes=5)  # between two messages over a flooded channel
FLOOD = WINDOW  # for which a channel is flooded after a digest


@dataclass(frozen=True)
class Waiting:
    """News that were not sent yet. `pk` grows with time."""

    pk: int
    group: str
    news: str
    application_id: int | None = None


@dataclass(frozen=True)
class Sent:
    """What was sent over the channel within WINDOW: when each group, the last message and the last digest; and how many
    messages within MINUTE."""

    groups: Mapping[str, datetime] = field(default_factory=dict)
    messages: int = 0
    last_at: datetime | None = None
    digest_at: datetime | None = None


@dataclass(frozen=True)
class Group:
    """News for one message. The newest leads it."""

    lead: int
    others: tuple[int, ...] = ()
    is_digest: bool = False

    @property
    def pks(self) -> tuple[int, ...]:
        return (self.lead, *self.others)


@dataclass
class Decision:
    """Messages to send now, the oldest first; and ids of what waits, by the time until when."""

    messages: list[Group] = field(default_factory=list)
    held: dict[datetime, list[int]] = field(default_factory=dict)

    def hold(self, groups: Iterable[list[Waiting]], until: datetime) -> None:
        pks = [each.pk for group in groups for each in group]
        if pks:
            self.held.setdefault(until, []).extend(pks)


def decide(waiting: Iterable[Waiting], sent: Sent, now: datetime) -> Decision:
    decision = Decision()
    groups: dict[str, list[Waiting]] = {}
    for each in sorted(waiting, key=lambda found: found.pk):
        if each.news in ALONE:
            decision.messages.append(Group(each.pk))
        else:
            groups.setdefault(each.group, []).append(each)
    absorb_failures(groups, sent, now)
    ready = []
    for name, group in groups.items():
        until = find_end(name, sent, now)
        if until > now:
            decision.hold([group], until)
        else:
            ready.append(group)
    limit(ready, sent, now, decision)
    return decision


def find_end(name: str, sent: Sent, now: datetime) -> datetime:
    """Return when the group's window ends. A time in the future, from a clock that was set back, opens none."""
    begun = sent.groups.get(name)
    return begun + WINDOW if begun and begun <= now else now


def absorb_failures(groups: dict[str, list[Waiting]], sent: Sent, now: datetime) -> None:
    """Move failures into the news that their application works again, where those came later and are sent now."""
    for name, group in groups.items():
        last = group[-1] if group else None
        if not last or last.news != News.WORKS_AGAIN or find_end(name, sent, now) > now:
            continue
        for other in groups.values():
            if other and other[-1].news == News.FAILED and other[-1].application_id == last.application_id:
                group[:0] = [each for each in other if each.pk < last.pk]
                other[:] = [each for each in other if each.pk > last.pk]
    for name in [name for name, group in groups.items() if not group]:
        del groups[name]


def limit(ready: list[list[Waiting]], sent: Sent, now: datetime, decision: Decision) -> None:
    """Send what a minute has room for, or everything as a digest."""
    if not ready:
        return
    if sent.digest_at and sent.digest_at <= now < sent.digest_at + FLOOD:
        until = (sent.last_at or sent.digest_at) + PAUSE
        if now < until:
            decision.hold(ready, until)
        else:
            decision.messages.append(join(ready))
    elif len(ready) <= MOST - sent.messages:
        decision.messages += [join([group]) for group in ready]
    elif sent.messages:
        decision.hold(ready, (sent.last_at or now) + MINUTE)
    else:
        decision.messages.append(join(ready))


def join(groups: list[list[Waiting]]) -> Group:
    pks = sorted(each.pk for group in groups for each in group)
    return Group(pks[-1], tuple(pks[:-1]), is_digest=len(groups) > 1)
