"""Trigger links made ready for people: what a page shows to anybody, and what it shows only to who asked for the secret.

A page's source holds no secret before it was asked for; each asking is recorded (triggers.acts.reveal_secret).
"""

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
SHOWN = "shown_trigger"  # the session's key


@dataclass(frozen=True)
class TriggerSnippets:
    """What may be seen: the link without its secret, in two parts so that its middle can be elided; the curl line, masked."""

    head: str
    tail: str
    link: str
    curl: str
    example: str


@dataclass(frozen=True)
class TriggerSecrets:
    """What must be asked for."""

    secret: str
    link: str
    curl: str


def describe_triggers(request: HttpRequest, triggers: Iterable[Trigger], shown: int | None = None) -> list[Trigger]:
    """The triggers, each with `snippets`; that with the id `shown` with `secrets` too, if the reader may see them."""
    described = list(triggers)
    for trigger in described:
        trigger.snippets = build_snippets(request, trigger)  # type: ignore[attr-defined]
        if trigger.pk == shown and request.user.has_perm("triggers.reveal_trigger", trigger):
            trigger.secrets = build_secrets(request, trigger)  # type: ignore[attr-defined]
    return described


def build_snippets(request: HttpRequest, trigger: Trigger) -> TriggerSnippets:
    public = build_trigger_link(trigger, public_base_url(request)).removesuffix(trigger.secret)
    return TriggerSnippets(
        head=public[: -TAIL - len("&secret=")],
        tail=public[-TAIL - len("&secret=") :],
        link=public + MASK,
        curl=_build_curl_line(trigger, public + MASK),
        example=_describe_example(trigger),
    )


def build_secrets(request: HttpRequest, trigger: Trigger) -> TriggerSecrets:
    link = build_trigger_link(trigger, public_base_url(request))
    return TriggerSecrets(trigger.secret, link, _build_curl_line(trigger, link))


def _describe_example(trigger: Trigger) -> str:
    if trigger.action != Action.SCALING:
        return ""
    return f"adds {EXAMPLE_STEP} {parts(trigger.application)} to {trigger.service}"


def _build_curl_line(trigger: Trigger, link: str) -> str:
    """Quoted for a POSIX shell: unquoted, the shell would cut the link at its first `&`."""
    if trigger.action == Action.SCALING:
        link += f"&type=scale_out&step={EXAMPLE_STEP}"
    return f"curl {shlex.quote(link)}"


def remember_shown_trigger(request: HttpRequest, trigger: Trigger) -> None:
    """The next page of an application shows this trigger's secret: it was made or asked for just now, and recorded."""
    request.session[SHOWN] = trigger.pk


def forget_shown_trigger(request: HttpRequest) -> int | None:
    """The id of the trigger to show. Once: a reload shows it no more."""
    shown: int | None = request.session.pop(SHOWN, None)
    return shown
