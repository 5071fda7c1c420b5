"""Trigger links made ready for people: what the page shows, what it copies, and the quoted line for a shell."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest

from console.templatetags.console import parts
from triggers.models import Action, Trigger
from triggers.selectors import build_trigger_link, public_base_url

EXAMPLE_STEP = 5  # containers
MASK = "•" * 12
TAIL = 4  # characters of the link kept visible before its secret


@dataclass(frozen=True)
class TriggerSnippets:
    """`link` is whole; `head` and `tail` are the link without its secret, in two parts so that its middle can be elided."""

    link: str
    head: str
    tail: str
    curl: str
    masked_curl: str
    example: str


def describe_triggers(request: HttpRequest, triggers: Iterable[Trigger]) -> list[Trigger]:
    """The triggers, each with `snippets`."""
    base_url = public_base_url(request)
    described = list(triggers)
    for trigger in described:
        trigger.snippets = build_snippets(trigger, base_url)  # type: ignore[attr-defined]
    return described


def build_snippets(trigger: Trigger, base_url: str) -> TriggerSnippets:
    link = build_trigger_link(trigger, base_url)
    public = link.removesuffix(trigger.secret)
    curl = build_curl_line(trigger, link)
    return TriggerSnippets(
        link=link,
        head=public[: -TAIL - len("&secret=")],
        tail=public[-TAIL - len("&secret=") :],
        curl=curl,
        masked_curl=curl.replace(trigger.secret, MASK),
        example=_describe_example(trigger),
    )


def _describe_example(trigger: Trigger) -> str:
    if trigger.action != Action.SCALING:
        return ""
    return f"adds {EXAMPLE_STEP} {parts(trigger.application)} to {trigger.service}"


def build_curl_line(trigger: Trigger, link: str) -> str:
    """Quoted for a POSIX shell: unquoted, the shell would cut the link at its first `&`."""
    if trigger.action == Action.SCALING:
        link += f"&type=scale_out&step={EXAMPLE_STEP}"
    return f"curl {shlex.quote(link)}"
