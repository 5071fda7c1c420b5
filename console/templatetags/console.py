"""Tags and filters of the pages: icons, status badges, permissions, times and durations."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django import template
from django.db.models import Model
from django.forms import BaseForm
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from clusters import badges
from clusters.access import has_anywhere
from clusters.access.audit import ACTIONS
from clusters.models import Application, Service
from console.wording import describe_age, duration, list_senders, parts, request_of, short_id, split_request
from triggers.models import TriggerCall
from triggers.selectors import call_duration

register = template.Library()


@register.simple_tag
@lru_cache(maxsize=512)  # a long table has few different icons
def icon(name: str, css_class: str = "") -> SafeString:
    return format_html('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>', css_class, icons_file(), name)


@register.simple_tag(takes_context=True)
def may(context: template.Context, permission: str, row: Model | None = None) -> bool:
    """Return whether to offer an action on the row, or without a row on any cluster.

    Use it as `{% may "triggers.add_trigger" application as can_add %}`. It costs no query per row
    if the relations from the row to its cluster (clusters.access.PATHS) are selected with it.
    """
    user = context["request"].user
    return has_anywhere(user, permission) if row is None else user.has_perm(permission, row)


@register.simple_tag
def icons_file() -> str:
    return static(badges.ICONS)


for _words in (duration, short_id, parts, request_of):
    register.filter(_words)

register.simple_tag(badges.render_badge, name="badge")
register.simple_tag(badges.render_shape, name="shape")


@register.inclusion_tag("console/shared/_sort_heading.html", takes_context=True)
def sort_heading(context: template.Context, column: str, label: str, css_class: str = "") -> dict[str, str]:
    """Show a column heading as a link that sorts by the column (console.pages.shared.sorting) and keeps the filters."""
    request, sorting = context["request"], context["sorting"]
    query = request.GET.copy()
    query.pop("page", None)
    query["sort"] = sorting.next_word(column)
    address = f"{request.path}?{query.urlencode()}"
    direction = sorting.direction(column)
    return {"column": column, "label": label, "css_class": css_class, "address": address, "direction": direction}


@register.simple_tag(takes_context=True)
def live_address(context: template.Context) -> str:
    """Return the address that a list polls: the page's, with the selected cluster, whatever another tab selects."""
    request = context["request"]
    query = request.GET.copy()
    query["cluster"] = context["selection"].word
    return f"{request.path}?{query.urlencode()}"


@register.simple_tag
def when(moment: datetime | None, empty: str = "–", exact: bool = False) -> SafeString | str:
    """Show a relative time, with the exact one on hover, or with `exact` beside it.

    console.js keeps the words fresh, and writes exact times for the reader's zone; a click on a time shows all exactly."""
    if moment is None:
        return empty
    age = timezone.now() - moment
    if age < timedelta(seconds=5):
        words = "just now"
    elif age < timedelta(days=30):
        words = f"{describe_age(age)} ago"
    else:
        words = moment.strftime("%-d %b %Y")
    shown = format_time(moment, words, "when")
    if not exact:
        return shown
    return format_html('{} <span class="exact-time">{}</span>', shown, format_time(moment, write_exactly(moment), "exact"))


@register.simple_tag
def lasting(moment: datetime | None) -> SafeString | str:
    """Show how long something has lasted: `14 min`."""
    return "" if moment is None else format_time(moment, describe_age(timezone.now() - moment), "lasting")


def format_time(moment: datetime, words: str, wording: str) -> SafeString:
    """Return a `<time>` element. `wording` names the tag whose words console.js keeps up to date."""
    return format_html(
        '<time datetime="{}" data-words="{}" title="{}">{}</time>',
        timezone.localtime(moment).isoformat(timespec="seconds"),
        wording,
        write_exactly(moment),
        words,
    )


def write_exactly(moment: datetime) -> str:
    """Return the time in the console's zone, which it names: `2026-11-30 21:04:05 UTC`."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


@register.filter
def short_digest(reference: str) -> str:
    """Return the short form of the digest in `name@sha256:…`."""
    return short_id(str(reference).rpartition("@")[2])


@register.filter
def published(ports: Any) -> str:
    """List published ports, stored as the inventory has them, as `8080 → 80/tcp`."""
    if not isinstance(ports, list):
        return ""
    shown = [
        f"{port.get('host')} → {port.get('container')}/{port.get('protocol', 'tcp')}"
        for port in ports
        if isinstance(port, dict) and port.get("host")
    ]
    return ", ".join(dict.fromkeys(shown))


@register.filter
def parts_heading(rows: Iterable[Application | Service]) -> str:
    """Return the heading of a column that counts containers or tasks: `Containers`, `Tasks` or both."""
    applications = [row.application if isinstance(row, Service) else row for row in rows]
    words = dict.fromkeys(parts(application) for application in sorted(applications, key=lambda one: one.is_swarm))
    return ", ".join(words).capitalize()


@register.filter
def seconds(value: float) -> str:
    """Write a policy's seconds: 5 s, 0.5 s, 1 min 30 s."""
    return f"{value:g} s" if value < 60 else duration(timedelta(seconds=value))


@register.filter
def interval(value: int) -> str:
    """Write whole seconds without zero units: 5 min, 1 h 30 min; 90 is 1 min 30 s."""
    parts = ((value // 86_400, "d"), (value // 3600 % 24, "h"), (value // 60 % 60, "min"), (value % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


@register.filter
def reason_alone(message: str) -> str:
    """Return what was decided about a delivery without the words that its badge has already."""
    reason = message.removeprefix("Not triggered: ")
    return reason[:1].upper() + reason[1:]


@register.filter
def image_path(repository: str) -> str:
    """Return a repository without its host, which the page shows beside it."""
    host, _, path = str(repository).partition("/")
    return path if path and ("." in host or ":" in host or host == "localhost") else str(repository)


@register.filter
def percent(value: float) -> str:
    return f"{value * 100:g} %"


@register.simple_tag
def until(moment: datetime) -> SafeString:
    """Show when something is due: `in 4 min`, or `now` if that time has passed."""
    left = moment - timezone.now()
    return format_time(moment, f"in {describe_age(left)}" if left > timedelta(0) else "now", "until")


@register.filter
def sender_label(name: str) -> str:
    """Return the label of the sender of a delivery."""
    return dict(list_senders()).get(name, name)


@register.filter
def audit_action(word: str) -> str:
    return ACTIONS.get(word, word)


@register.simple_tag
def call_name(call: TriggerCall, of_application: bool = True) -> SafeString:
    """Write what was requested, with the name of what it is for in its place: `Scale web out by 5`, `Redeploy shop`.

    Without `of_application` the name of a whole application is left out, for lists that show it beside the call."""
    target = call.container or str(call.service or (call.application if of_application else ""))
    before, after = split_request(call)
    return format_html_join(
        " ", "{}", ((word,) for word in (before, target and format_html("<bdi>{}</bdi>", target), after) if word)
    )


@register.filter
def took(call: TriggerCall) -> str:
    return duration(call_duration(call))


@register.simple_tag
def messages_of(form: BaseForm, name: str) -> list[str]:
    """Return the errors of a form field."""
    return [str(error) for error in form.errors.get(name, [])]
