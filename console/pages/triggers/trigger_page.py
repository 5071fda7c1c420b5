"""What a trigger's own page says: what narrows its link, in words, who called it lately, and what was refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from django.db.models import QuerySet

from clusters.callers import is_trusted_proxy
from console.pages.shared.keyset import PagePosition, continue_behind
from triggers.allowed_addresses import BadAddress, is_allowed, normalize_addresses
from triggers.models import Decision, Delivery, Trigger, TriggerCall
from triggers.selectors import calls_with_relations

CALLS_SHOWN = 20  # of a page, and from which the callers' addresses are taken
CALLS_SEARCHED = 200  # the newest, of which registries and people may have made many
REFUSED_SHOWN = 10


@dataclass(frozen=True)
class LinkCaller:
    """An address from which the link was called lately. `number` counts its calls among the last ones."""

    address: str
    number: int
    last_at: datetime
    is_allowed: bool


@dataclass(frozen=True)
class LastCallers:
    """`suspected_proxy` is the one private address from which all calls seem to come; else empty."""

    callers: Sequence[LinkCaller]
    suspected_proxy: str = ""


@dataclass(frozen=True)
class CallPage:
    """A page of a trigger's calls. `older` is where the next page begins; None at the end."""

    calls: list[TriggerCall]
    older: PagePosition | None


def find_last_callers(trigger: Trigger, listed: str) -> LastCallers:
    """Find the addresses of the last CALLS_SHOWN calls of the link. `listed` are the allowed ones, as somebody wrote them. Runs
    one query."""
    newest = TriggerCall.objects.filter(trigger=trigger).order_by("-queued_at")
    rows = newest.values_list("source", "proof", "source_address", "queued_at")[:CALLS_SEARCHED]
    by_link = [
        (address, at) for source, proof, address, at in rows if address and (proof or source == TriggerCall.Source.HOOK)
    ][:CALLS_SHOWN]
    last_at: dict[str, datetime] = {}
    for address, at in by_link:
        last_at.setdefault(address, at)
    counts = Counter(address for address, _ in by_link)
    kept = read_list(listed)
    callers = [
        LinkCaller(address, counts[address], at, bool(kept) and is_allowed(kept, address)) for address, at in last_at.items()
    ]
    return LastCallers(callers, find_suspected_proxy(last_at))


def read_list(listed: str) -> str:
    """Return the list as a row keeps it; empty for one that is wrong."""
    try:
        return normalize_addresses(listed)
    except BadAddress:
        return ""


def find_suspected_proxy(addresses: Any) -> str:
    """Return the only one of the addresses if it is private and no trusted proxy: then callers may stand behind a proxy that
    nobody has named in WINDLASS_TRUSTED_PROXIES. Else return an empty text."""
    if len(addresses) != 1:
        return ""
    (address,) = addresses
    return address if ip_address(address).is_private and not is_trusted_proxy(address) else ""


def find_call_page(trigger: Trigger, before: PagePosition | None) -> CallPage:
    rows = calls_with_relations().filter(trigger=trigger).order_by("-queued_at", "-pk")
    found = list(continue_behind(rows, "queued_at", before)[: CALLS_SHOWN + 1])
    if len(found) <= CALLS_SHOWN:
        return CallPage(found, None)
    last = found[CALLS_SHOWN - 1]
    return CallPage(found[:CALLS_SHOWN], PagePosition(last.queued_at, last.pk))


def list_refused(trigger: Trigger) -> QuerySet[Delivery]:
    """Return the newest refused calls of the link."""
    rows = Delivery.objects.filter(trigger=trigger, decision=Decision.REFUSED).order_by("-received_at")
    return rows.only("received_at", "repeated", "repeated_at", "event", "message", "source_address", "user_agent")[
        :REFUSED_SHOWN
    ]


def describe_calls_left(calls_left: int | None) -> str:
    if calls_left is None:
        return "any number"
    return {0: "none is left", 1: "1 is left"}.get(calls_left, f"{calls_left} are left")


def describe_rate(calls_a_minute: int | None) -> str:
    return "any number" if calls_a_minute is None else f"at most {calls_a_minute}"
