"""A message: what is sent of one delivery, as words for people and as JSON for programs. The same at each attempt.

Names, sentences and error lines can come from engines and from programs that somebody attacks. Here they lose what steers
terminals and the direction of text; a sender for a chat takes away what would call people or hide a link.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from triggers.models import News, Notification, NotificationDelivery

DIGEST_LINES = 20  # of a digest's text
DIGEST_NEWS = 50  # of a digest's JSON
TITLE_LENGTH = 150  # characters
LINE_LENGTH = 400

GOOD = {News.WORKS_AGAIN, News.SUCCEEDED, News.CLUSTER_BACK}
NEUTRAL = {News.TEST, News.LINK_EXPIRES, News.COMMIT_STATUS}
TITLES = {
    News.WORKS_AGAIN: "{name} works again",
    News.OVER_MOST: "{name} wants more than the most",
    News.QUEUE_FULL: "Too many calls wait for {name}",
    News.CRASHING: "{name} crashes or is unhealthy",
    News.CLUSTER_AWAY: "{name} is unreachable",
    News.CLUSTER_BACK: "{name} is reachable again",
    News.REGISTRY_AWAY: "{name} cannot be polled",
    News.LINK_EXPIRES: "A link of {name} is about to expire",
    News.SIGN_IN_LOCK: "Sign-in is locked",
    News.COMMIT_STATUS: "Status of a commit of {name}",
    News.TEST: "Test of a channel",
}


@dataclass(frozen=True)
class Message:
    """`level` is failure, success or info. `payload` is for JSON. `facts` are those of its newest news, and `count` how many
    news it is about."""

    webhook_id: str
    title: str
    text: str
    level: str
    payload: dict[str, Any]
    url: str | None
    facts: dict[str, Any]
    count: int


def compose_message(delivery: NotificationDelivery) -> Message:
    """Return the message of a delivery that others may be joined into."""
    notification = delivery.notification
    if delivery.is_digest:
        return compose_digest(delivery)
    facts = notification.facts
    url = find_url(facts)
    payload = {**facts, "count": delivery.count, "since": find_since(delivery), "url": url}
    lines = list_lines(facts, notification.news)
    if delivery.count > 1:
        lines.insert(0, f"{delivery.count} times since {write_time(payload['since'])}. The last time:")
    return Message(
        webhook_id=notification.webhook_id,
        title=write_title(notification),
        text="\n".join([*lines, *([url] if url else [])]),
        level=find_level(notification.news),
        payload=payload,
        url=url,
        facts=facts,
        count=delivery.count,
    )


def compose_digest(delivery: NotificationDelivery) -> Message:
    joined = Notification.objects.filter(deliveries__joined_into=delivery).order_by("-pk")
    found = [delivery.notification, *joined[: DIGEST_NEWS - 1]]
    title = f"{delivery.count} news"
    titles: dict[str, int] = {}
    for each in found:
        titles[write_title(each)] = titles.get(write_title(each), 0) + 1
    lines = [f"{line} ({number} times)" if number > 1 else line for line, number in titles.items()]
    shown = lines[:DIGEST_LINES]
    if delivery.count > len(found) or len(lines) > len(shown):
        shown.append("… and more.")
    url = f"{settings.PUBLIC_URL}/activity/" if settings.PUBLIC_URL else None
    payload = {
        "type": "digest",
        "time": delivery.notification.facts.get("time"),
        "count": delivery.count,
        "since": find_since(delivery),
        "news": [{**each.facts, "url": find_url(each.facts)} for each in found],
        "url": url,
    }
    level = "failure" if any(find_level(each.news) == "failure" for each in found) else "info"
    text = "\n".join([f"Since {write_time(payload['since'])}:", *shown, *([url] if url else [])])
    return Message(
        delivery.notification.webhook_id, title, text, level, payload, url, delivery.notification.facts, delivery.count
    )


def find_since(delivery: NotificationDelivery) -> str | None:
    """Return the time of the oldest news in the message, as its own facts have it."""
    oldest = delivery.joined.select_related("notification").order_by("pk").first() if delivery.count > 1 else None
    time = (oldest or delivery).notification.facts.get("time")
    return str(time) if time else None


def find_url(facts: dict[str, Any]) -> str | None:
    """Return the address of the call's page; None without a call, or where nobody said what the console's address is."""
    call = facts.get("call")
    return f"{settings.PUBLIC_URL}/calls/{call['id']}/" if call and settings.PUBLIC_URL else None


def find_level(news: str) -> str:
    return "success" if news in GOOD else "info" if news in NEUTRAL else "failure"


def write_title(notification: Notification) -> str:
    facts, news = notification.facts, News(notification.news)
    name = name_subject(facts)
    if news in {News.FAILED, News.SUCCEEDED}:
        call = facts.get("call") or {}
        end = "succeeded" if news == News.SUCCEEDED else "was rolled back" if call.get("state") == "rolled_back" else "failed"
        return clean_line(f"{name}: {call.get('action', 'call')} {end}", TITLE_LENGTH)
    return clean_line(TITLES[news].format(name=name), TITLE_LENGTH)


def name_subject(facts: dict[str, Any]) -> str:
    """Return what the news are about, in a few words: a service and its application, or an application, and its cluster."""
    if facts.get("subject"):
        return str(facts["subject"])
    cluster = (facts.get("cluster") or {}).get("name", "")
    application = (facts.get("application") or {}).get("name", "")
    service = (facts.get("call") or {}).get("service")
    name = f"{application}/{service}" if service else application
    return f"{name} on {cluster}" if name and cluster else name or cluster or "Windlass"


def list_lines(facts: dict[str, Any], news: str) -> list[str]:
    lines = [clean_line(str(facts.get("sentence") or ""), LINE_LENGTH)]
    call = facts.get("call") or {}
    error = clean_line(str(call.get("first_error") or ""), LINE_LENGTH)
    if error and error not in lines[0]:
        lines.append(f"First error line: {error}")
    before, after = facts.get("image_before"), facts.get("image_after")
    if after or before:
        label = "Image tried" if news == News.FAILED else "Image"
        earlier = f" (before: {before})" if before and after and before != after else ""
        lines.append(clean_line(f"{label}: {after or before}{earlier}", LINE_LENGTH))
    lines.append(f"Time: {write_time(facts.get('time'))}")
    return [line for line in lines if line]


def write_time(text: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(text)):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return "an unknown time"


def clean_line(text: str, length: int) -> str:
    """Return text as one line of printable characters, cut."""
    words = "".join(each if each.isprintable() else " " for each in text).split()
    line = " ".join(words)
    return line if len(line) <= length else f"{line[: length - 1]}…"
