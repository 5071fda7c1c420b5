"""The links of triggers and the ways to call them: what a page shows to every reader, and what only after a reveal.

A page's source holds no secret before the reader reveals it, and each reveal is recorded (triggers.audited.reveal_secret).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from console.pages.shared.trigger_panel import proof_texts, snippet_texts
from console.pages.shared.trigger_panel.proofs import TriggerProofs, write_signed_curl
from console.wording import parts
from triggers.expiry import describe_notice
from triggers.models import Action, AlertState, Signature, Trigger
from triggers.selectors import build_trigger_link, public_base_url

MASK = "•" * 12
TAIL = 4  # characters of the link kept visible before its secret
SHOWN = "shown_trigger"  # the session's key
OPEN_TAB = "curl"
MONITORS = ("alertmanager", "grafana")  # their snippets hold the secret in the address


@dataclass(frozen=True)
class Snippet:
    """A way to call a trigger. `text` holds no secret. `revealed` holds it, if the text needs it and the reader revealed it."""

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
    """The ways to call a link that every reader sees, and the link without its secret, in two parts to elide its middle.
    `link` is whole, and empty where it needs a secret."""

    head: str
    tail: str
    example: str
    list_ways: Callable[[], list[Snippet]]
    link: str = ""

    @cached_property
    def ways(self) -> list[Snippet]:
        """The ways to call it, written only when they are shown: of a long list of triggers at most one is open."""
        return self.list_ways()


@dataclass(frozen=True)
class TriggerSecrets:
    """A trigger's secret and the snippets that hold it, by their keys. A reader must reveal them."""

    secret: str
    link: str
    curl: str
    alertmanager: str
    grafana: str


def describe_triggers(request: HttpRequest, triggers: Iterable[Trigger], shown: int | None = None) -> list[Trigger]:
    """Return the triggers, each with `terms`, `notice`, `snippets` and `secrets`.

    `secrets` is None except on the trigger with the id `shown`, if the reader may see them."""
    described, now = list(triggers), timezone.now()
    for trigger in described:
        secrets = None
        if trigger.pk == shown and request.user.has_perm("triggers.reveal_trigger", trigger):
            secrets = build_secrets(request, trigger)
        trigger.terms = describe_terms(trigger)  # type: ignore[attr-defined]
        trigger.notice = describe_notice(trigger.expires_at, trigger.calls_left, now)  # type: ignore[attr-defined]
        trigger.secrets = secrets  # type: ignore[attr-defined]
        trigger.snippets = build_snippets(request, trigger, secrets)  # type: ignore[attr-defined]
        trigger.proofs = TriggerProofs(request, trigger)  # type: ignore[attr-defined]
    return described


def describe_terms(trigger: Trigger) -> str:
    """Return what the trigger does and its limits, such as `Resource Scaling of web, at least 2, cool-down 60 s`."""
    terms = [trigger.get_action_display() + (f" of {trigger.service.name}" if trigger.service else "")]
    if trigger.min_replicas is not None:
        terms.append(f"at least {trigger.min_replicas}")
    if trigger.max_replicas is not None:
        terms.append(f"at most {trigger.max_replicas}")
    if trigger.cooldown_seconds:
        terms.append(f"cool-down {trigger.cooldown_seconds} s")
    if trigger.alert_state == AlertState.RESOLVED:
        terms.append("acts when an alert is resolved")
    if trigger.post_only:
        terms.append("POST only")
    if trigger.signature != Signature.OFF:
        terms.append("signed calls only")
    return ", ".join(terms)


def build_snippets(request: HttpRequest, trigger: Trigger, secrets: TriggerSecrets | None = None) -> TriggerSnippets:
    if trigger.needs_no_secret:
        return build_public_snippets(request, trigger)
    public = build_trigger_link(trigger, public_base_url(request)).removesuffix(trigger.secret)
    return TriggerSnippets(
        head=public[: -TAIL - len("&secret=")],
        tail=public[-TAIL - len("&secret=") :],
        example=_describe_example(trigger),
        list_ways=lambda: keep_signed_ways(
            request,
            trigger,
            _list_ways(trigger, public.removesuffix("&secret="), _fill_link(trigger, public + MASK, MASK), secrets),
        ),
    )


def keep_signed_ways(request: HttpRequest, trigger: Trigger, ways: list[Snippet]) -> list[Snippet]:
    """Return the ways that also sign, if the trigger demands that besides its secret: the link itself, and a shell's."""
    if trigger.signature != Signature.REQUIRED:
        return ways
    return [way for way in ways if way.key == "link"] + [Snippet("curl", "curl", write_signed_curl(request, trigger))]


def build_public_snippets(request: HttpRequest, trigger: Trigger) -> TriggerSnippets:
    """Return the same for a link without a secret, each of whose calls is signed."""
    link = build_trigger_link(trigger, public_base_url(request))
    example, resolved = link + _example_parameters(trigger), trigger.alert_state == AlertState.RESOLVED
    return TriggerSnippets(
        head=link[:-TAIL],
        tail=link[-TAIL:],
        example=_describe_example(trigger),
        link=link,
        list_ways=lambda: [
            Snippet("link", "Link", link),
            Snippet("curl", "curl", write_signed_curl(request, trigger)),
            Snippet("grafana", "Grafana", proof_texts.write_signed_grafana(example, trigger.public_id, resolved=resolved)),
        ],
    )


def build_secrets(request: HttpRequest, trigger: Trigger) -> TriggerSecrets:
    return _fill_link(trigger, build_trigger_link(trigger, public_base_url(request)), trigger.secret)


def _fill_link(trigger: Trigger, link: str, secret: str) -> TriggerSecrets:
    """Return the snippets that hold the link with its secret, or with the mask in its place."""
    example = link + _example_parameters(trigger)
    resolved = trigger.alert_state == AlertState.RESOLVED
    if trigger.header_only:
        link = link.removesuffix(f"&secret={secret}")
        example = link + _example_parameters(trigger)
    return TriggerSecrets(
        secret=secret,
        link=link,
        curl=snippet_texts.write_curl_line(example, post=trigger.post_only, secret=secret if trigger.header_only else ""),
        alertmanager=snippet_texts.write_alertmanager_receiver(example, resolved=resolved),
        grafana=snippet_texts.write_grafana_contact_point(example, trigger.public_id, resolved=resolved),
    )


def _list_ways(trigger: Trigger, address: str, masked: TriggerSecrets, secrets: TriggerSecrets | None) -> list[Snippet]:
    """Return the ways to call the trigger. `address` is the link up to its secret."""
    address += _example_parameters(trigger)
    post = trigger.post_only
    ways = [
        Snippet("link", "Link", masked.link, True, secrets.link if secrets else ""),
        Snippet("curl", "curl", masked.curl, True, secrets.curl if secrets else ""),
        Snippet("jenkins", "Jenkinsfile", snippet_texts.write_jenkins_stage(address, post=post)),
        Snippet("github", "GitHub Actions", snippet_texts.write_github_step(address, post=post)),
        Snippet("gitlab", "GitLab CI", snippet_texts.write_gitlab_job(address, post=post)),
        Snippet("alertmanager", "Alertmanager", masked.alertmanager, True, secrets.alertmanager if secrets else ""),
        Snippet("grafana", "Grafana", masked.grafana, True, secrets.grafana if secrets else ""),
    ]
    return [way for way in ways if way.key not in MONITORS] if trigger.header_only else ways


def _describe_example(trigger: Trigger) -> str:
    if trigger.action != Action.SCALING:
        return ""
    return f"adds {snippet_texts.EXAMPLE_STEP} {parts(trigger.application)} to {trigger.service}"


def _example_parameters(trigger: Trigger) -> str:
    return snippet_texts.write_example(scales=trigger.action == Action.SCALING)


def remember_shown_trigger(request: HttpRequest, trigger: Trigger) -> None:
    """Make the next page of an application show this trigger's secret. Creating or revealing it was recorded."""
    request.session[SHOWN] = trigger.pk


def forget_shown_trigger(request: HttpRequest) -> int | None:
    """Return the id of the trigger to show, and forget it: a reload shows the secret no longer."""
    shown: int | None = request.session.pop(SHOWN, None)
    return shown
