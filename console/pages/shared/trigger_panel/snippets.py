"""Trigger links made ready for people: what a page shows to anybody, and what it shows only to who asked for the secret.

A page's source holds no secret before it was asked for; each asking is recorded (triggers.audited.reveal_secret).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from django.http import HttpRequest

from console.pages.shared.trigger_panel import pipelines
from console.wording import parts
from triggers.models import Action, AlertState, Trigger
from triggers.selectors import build_trigger_link, public_base_url

EXAMPLE_STEP = 5  # containers
MASK = "•" * 12
TAIL = 4  # characters of the link kept visible before its secret
SHOWN = "shown_trigger"  # the session's key
OPEN_TAB = "curl"


@dataclass(frozen=True)
class Snippet:
    """A way to call a trigger. `text` holds no secret; `revealed` does, where the text needs it and it was asked for."""

    key: str
    label: str
    text: str
    masked: bool = False
    revealed: str = ""

    @property
    def is_open(self) -> bool:
        return self.key == OPEN_TAB


@dataclass(frozen=True)
class TriggerSnippets:
    """What may be seen: the link without its secret, in two parts so that its middle can be elided; the ways to call it."""

    head: str
    tail: str
    example: str
    list_ways: Callable[[], list[Snippet]]

    @cached_property
    def ways(self) -> list[Snippet]:
        """Made when they are shown: of a long list of triggers one at most is open."""
        return self.list_ways()


@dataclass(frozen=True)
class TriggerSecrets:
    """What must be asked for: the secret, and by their keys the snippets that hold it."""

    secret: str
    link: str
    curl: str
    alertmanager: str
    grafana: str


def describe_triggers(request: HttpRequest, triggers: Iterable[Trigger], shown: int | None = None) -> list[Trigger]:
    """The triggers, each with `snippets` and `secrets`: None but for that with the id `shown`, if the reader may see them."""
    described = list(triggers)
    for trigger in described:
        secrets = None
        if trigger.pk == shown and request.user.has_perm("triggers.reveal_trigger", trigger):
            secrets = build_secrets(request, trigger)
        trigger.secrets = secrets  # type: ignore[attr-defined]
        trigger.snippets = build_snippets(request, trigger, secrets)  # type: ignore[attr-defined]
    return described


def build_snippets(request: HttpRequest, trigger: Trigger, secrets: TriggerSecrets | None = None) -> TriggerSnippets:
    public = build_trigger_link(trigger, public_base_url(request)).removesuffix(trigger.secret)
    return TriggerSnippets(
        head=public[: -TAIL - len("&secret=")],
        tail=public[-TAIL - len("&secret=") :],
        example=_describe_example(trigger),
        list_ways=lambda: _list_ways(
            trigger, public.removesuffix("&secret="), _fill_link(trigger, public + MASK, MASK), secrets
        ),
    )


def build_secrets(request: HttpRequest, trigger: Trigger) -> TriggerSecrets:
    return _fill_link(trigger, build_trigger_link(trigger, public_base_url(request)), trigger.secret)


def _fill_link(trigger: Trigger, link: str, secret: str) -> TriggerSecrets:
    """The snippets that hold the link with its secret, or with what stands for it."""
    example = link + _example_parameters(trigger)
    resolved = trigger.alert_state == AlertState.RESOLVED
    return TriggerSecrets(
        secret=secret,
        link=link,
        curl=pipelines.write_curl_line(example),
        alertmanager=pipelines.write_alertmanager_receiver(example, resolved=resolved),
        grafana=pipelines.write_grafana_contact_point(example, trigger.public_id, resolved=resolved),
    )


def _list_ways(trigger: Trigger, address: str, masked: TriggerSecrets, secrets: TriggerSecrets | None) -> list[Snippet]:
    """`address`: the link up to its secret."""
    address += _example_parameters(trigger)
    return [
        Snippet("link", "Link", masked.link, True, secrets.link if secrets else ""),
        Snippet("curl", "curl", masked.curl, True, secrets.curl if secrets else ""),
        Snippet("jenkins", "Jenkinsfile", pipelines.write_jenkins_stage(address)),
        Snippet("github", "GitHub Actions", pipelines.write_github_step(address)),
        Snippet("gitlab", "GitLab CI", pipelines.write_gitlab_job(address)),
        Snippet("alertmanager", "Alertmanager", masked.alertmanager, True, secrets.alertmanager if secrets else ""),
        Snippet("grafana", "Grafana", masked.grafana, True, secrets.grafana if secrets else ""),
    ]


def _describe_example(trigger: Trigger) -> str:
    if trigger.action != Action.SCALING:
        return ""
    return f"adds {EXAMPLE_STEP} {parts(trigger.application)} to {trigger.service}"


def _example_parameters(trigger: Trigger) -> str:
    return f"&type=scale_out&step={EXAMPLE_STEP}" if trigger.action == Action.SCALING else ""


def remember_shown_trigger(request: HttpRequest, trigger: Trigger) -> None:
    """The next page of an application shows this trigger's secret: it was made or asked for just now, and recorded."""
    request.session[SHOWN] = trigger.pk


def forget_shown_trigger(request: HttpRequest) -> int | None:
    """The id of the trigger to show. Once: a reload shows it no more."""
    shown: int | None = request.session.pop(SHOWN, None)
    return shown
