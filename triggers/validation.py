"""The rules for triggers and their subscriptions, and the reasons why a target can be neither scaled nor stopped.

Models call `validate_trigger` and `validate_subscription` in clean(), so that forms and the admin obey them; the API calls
`find_problems`. The rules read the fields of a model and import no model of this app: the models import them.
"""

from typing import Any, Protocol

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from clusters.engine.driver import ACTS
from clusters.engine.swarm.lifecycle import explain_refusal
from clusters.models import Application, Cluster, Service
from clusters.registry.reference import BadReference, is_tag, parse_reference
from triggers.allowed_addresses import BadAddress, normalize_addresses
from triggers.tag_patterns import explain_bad_pattern

SCALING_API_VERSION = (1, 41)
REPLICAS_MAXIMUM = 10_000
COOLDOWN_MAXIMUM = 86_400  # seconds: a day
CALLS_MAXIMUM = 1_000_000  # that a link can be limited to
RATE_MAXIMUM = 1000  # calls a minute
TAGS_MAXIMUM = 10  # of a subscription
LEAST_AGE_MAXIMUM = 2160  # hours: 90 days
POLL_MINIMUM, POLL_MAXIMUM = 60, 86_400  # seconds between two checks of a registry


class TriggerFields(Protocol):
    """The fields of triggers.models.Trigger that the rules read."""

    _state: Any  # Django's: `adding` is true until the row is saved
    action: str
    on_failure: str
    tag_pattern: str
    allowed_addresses: str

    @property
    def calls_left(self) -> int | None: ...
    @property
    def calls_a_minute(self) -> int | None: ...
    @property
    def application_id(self) -> int | None: ...
    @property
    def application(self) -> Application: ...
    @property
    def service(self) -> Service | None: ...
    @property
    def min_replicas(self) -> int | None: ...
    @property
    def max_replicas(self) -> int | None: ...
    @property
    def cooldown_seconds(self) -> int | None: ...


class SubscriptionFields(Protocol):
    """The fields of triggers.models.ImageSubscription that the rules read; `repository` is also written."""

    repository: str
    condition: str
    pattern: str

    @property
    def tags(self) -> Any: ...
    @property
    def poll_seconds(self) -> int: ...
    @property
    def least_age_hours(self) -> int: ...


def explain_scaling_refusal(cluster: Cluster) -> str:
    """Say why nothing on this cluster can be scaled, as a sentence; empty when scaling is possible."""
    if not cluster.api_version_tuple:
        return f"The engine of cluster {cluster.name} has not been reached yet, so it is not known whether it can scale."
    if cluster.api_version_tuple < SCALING_API_VERSION:
        return (
            f"Resource scaling needs engine API 1.41 or newer, and cluster {cluster.name} has {cluster.api_version}: "
            "upgrade the engine first."
        )
    return ""


def explain_service_refusal(service: Service) -> str:
    """Say why this service cannot be scaled, as a sentence; empty when it can."""
    if service.mode == Service.Mode.GLOBAL:
        return f"Service {service.name} runs once on every node (global mode), so it cannot be scaled."
    if service.is_job:
        return f"Service {service.name} is a job: it runs to its end and cannot be scaled."
    return explain_scaling_refusal(service.application.cluster)


def explain_act_refusal(application: Application, act: str, container: str = "") -> str:
    """Say why `act` is not possible for the application, or for that container of it, as a sentence; empty when it is."""
    return explain_refusal(act, container) if application.is_swarm else ""


def find_problems(trigger: TriggerFields) -> dict[str, str]:
    """Return why the trigger could not work, as a sentence by field; empty when it can."""
    if trigger.application_id is None:
        return {}  # the field itself says that it is required
    target = find_target_problems(trigger) if trigger._state.adding else {}
    return {
        **find_action_problems(trigger),
        **target,
        **find_service_problems(trigger),
        **find_bound_problems(trigger),
        **find_cooldown_problems(trigger),
        **find_failure_problems(trigger),
        **find_tag_problems(trigger),
        **find_narrowing_problems(trigger),
    }


def validate_trigger(trigger: TriggerFields) -> None:
    """Raise ValidationError by field. A problem with the application counts for the whole form, which has no such field."""
    problems = find_problems(trigger)
    if problems:
        raise ValidationError({NON_FIELD_ERRORS if name == "application" else name: text for name, text in problems.items()})


def find_action_problems(trigger: TriggerFields) -> dict[str, str]:
    if trigger.action in ACTS:
        return {"action": "A trigger redeploys or scales; only people can request other actions."}
    return {}


def find_target_problems(trigger: TriggerFields) -> dict[str, str]:
    application = trigger.application
    if application.protected:
        return {"application": f"{application.name} is protected: it is never redeployed or scaled."}
    if application.status == Application.Status.ABSENT:
        return {"application": f"{application.name} is no longer on its cluster."}
    if trigger.service is not None and trigger.service.status == Application.Status.ABSENT:
        return {"service": f"{trigger.service.name} is no longer part of {application.name}."}
    return {}


def find_service_problems(trigger: TriggerFields) -> dict[str, str]:
    service = trigger.service
    if service is not None and service.application_id != trigger.application_id:
        return {"service": f"{service.name} is not a service of {trigger.application.name}."}
    if trigger.action != "scaling":
        return {}
    if service is None:
        return {"service": "Choose the service to scale."}
    if service.mode != Service.Mode.REPLICATED:
        return {"service": explain_service_refusal(service)}
    refusal = explain_scaling_refusal(trigger.application.cluster)
    return {"action": refusal} if refusal and trigger._state.adding else {}


def find_bound_problems(trigger: TriggerFields) -> dict[str, str]:
    minimum, maximum = trigger.min_replicas, trigger.max_replicas
    if trigger.action != "scaling":
        given = [name for name in ("min_replicas", "max_replicas") if getattr(trigger, name) is not None]
        return dict.fromkeys(given, "Only a scaling trigger has bounds.")
    problems = {}
    for name in ("min_replicas", "max_replicas"):
        if (getattr(trigger, name) or 0) > REPLICAS_MAXIMUM:
            problems[name] = f"At most {REPLICAS_MAXIMUM}."
    if minimum == 0 and not trigger.application.is_swarm:
        problems["min_replicas"] = "At least 1: on a plain engine the last container of a service is never removed."
    if maximum is not None and maximum < 1:
        problems["max_replicas"] = "At least 1."
    elif minimum is not None and maximum is not None and minimum > maximum:
        problems["max_replicas"] = f"Must not be less than the minimum ({minimum})."
    return problems


def find_cooldown_problems(trigger: TriggerFields) -> dict[str, str]:
    if (trigger.cooldown_seconds or 0) > COOLDOWN_MAXIMUM:
        return {"cooldown_seconds": f"At most {COOLDOWN_MAXIMUM} seconds, which is a day."}
    return {}


def find_failure_problems(trigger: TriggerFields) -> dict[str, str]:
    if trigger.on_failure == "pause" and not trigger.application.is_swarm:
        return {"on_failure": "A plain engine always rolls back; only a Swarm can leave a failed change as it is."}
    return {}


def find_tag_problems(trigger: TriggerFields) -> dict[str, str]:
    if not trigger.tag_pattern:
        return {}
    if trigger.action != "redeploy":
        return {"tag_pattern": "Only a redeploy can change the tag."}
    problem = explain_bad_pattern(trigger.tag_pattern)
    return {"tag_pattern": problem} if problem else {}


def find_narrowing_problems(trigger: TriggerFields) -> dict[str, str]:
    problems = {}
    try:
        normalize_addresses(trigger.allowed_addresses)
    except BadAddress as error:
        problems["allowed_addresses"] = str(error)
    if (trigger.calls_left or 0) > CALLS_MAXIMUM:
        problems["calls_left"] = f"At most {CALLS_MAXIMUM}."
    rate = trigger.calls_a_minute
    if rate is not None and not 1 <= rate <= RATE_MAXIMUM:
        problems["calls_a_minute"] = f"From 1 to {RATE_MAXIMUM}, or empty for any number."
    return problems


def validate_subscription(subscription: SubscriptionFields) -> None:
    """Set `repository` to its normalised form. Raises ValidationError by field."""
    problems: dict[str, str] = {}
    try:
        reference = parse_reference(subscription.repository)
    except BadReference as error:
        problems["repository"] = str(error)
    else:
        if reference.tag or reference.digest:
            problems["repository"] = "Give the repository alone, without a tag or a digest."
        subscription.repository = reference.repository
    if subscription.condition == "pattern" and (problem := explain_bad_pattern(subscription.pattern)):
        problems["pattern"] = problem
    if subscription.condition == "tags" and (problem := explain_bad_tags(subscription.tags)):
        problems["tags"] = problem
    if subscription.poll_seconds and not POLL_MINIMUM <= subscription.poll_seconds <= POLL_MAXIMUM:
        problems["poll_seconds"] = f"0, or from {POLL_MINIMUM} to {POLL_MAXIMUM} seconds."
    if not 0 <= subscription.least_age_hours <= LEAST_AGE_MAXIMUM:
        problems["least_age_hours"] = f"From 0 to {LEAST_AGE_MAXIMUM} hours."
    if problems:
        raise ValidationError(problems)


def explain_bad_tags(tags: Any) -> str:
    if not isinstance(tags, list) or not tags:
        return "Give at least one tag."
    if len(tags) > TAGS_MAXIMUM:
        return f"At most {TAGS_MAXIMUM} tags; to follow more, use an expression."
    wrong = next((tag for tag in tags if not isinstance(tag, str) or not is_tag(tag)), None)
    return f"'{str(wrong)[:60]}' is not a tag." if wrong is not None else ""
