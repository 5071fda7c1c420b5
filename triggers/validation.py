"""What makes a trigger acceptable, for whoever creates one: the API, the console and the admin ask these same questions.

Trigger.clean() calls `validate_trigger`; the create dialog asks `explain_scaling_refusal` before it offers scaling.
"""

from typing import TYPE_CHECKING, Any

import re2
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from clusters.engine.driver import ACTS
from clusters.engine.swarm.lifecycle import explain_refusal
from clusters.models import Application, Cluster, Service
from clusters.registry.reference import BadReference, is_tag, parse_reference

if TYPE_CHECKING:
    from triggers.models import ImageSubscription, Trigger

SCALING_API_VERSION = (1, 41)
REPLICAS_MAXIMUM = 10_000
COOLDOWN_MAXIMUM = 86_400  # seconds: a day
TAGS_MAXIMUM = 10  # of a subscription
PATTERN_MEMORY = 1 << 20  # bytes that an expression may take
POLL_MINIMUM, POLL_MAXIMUM = 60, 86_400  # seconds between two looks at a registry


def explain_scaling_refusal(cluster: Cluster) -> str:
    """Why nothing on this cluster can be scaled, as a sentence; empty when scaling is possible."""
    if not cluster.api_version_tuple:
        return f"The engine of cluster {cluster.name} has not been reached yet, so it is not known whether it can scale."
    if cluster.api_version_tuple < SCALING_API_VERSION:
        return (
            f"Resource scaling needs engine API 1.41 or newer, and cluster {cluster.name} has {cluster.api_version}: "
            "upgrade the engine first."
        )
    return ""


def explain_service_refusal(service: Service) -> str:
    """Why this service cannot be scaled, as a sentence; empty when it can."""
    if service.mode == Service.Mode.GLOBAL:
        return f"Service {service.name} runs once on every node (global mode), so it cannot be scaled."
    if service.is_job:
        return f"Service {service.name} is a job: it runs to its end and cannot be scaled."
    return explain_scaling_refusal(service.application.cluster)


def explain_act_refusal(application: Application, act: str, container: str = "") -> str:
    """Why this cannot be done to the application, or to that container of it, as a sentence; empty when it can."""
    return explain_refusal(act, container) if application.is_swarm else ""


def find_problems(trigger: "Trigger") -> dict[str, str]:
    """Why the trigger could not work, as a sentence by field; empty when it can."""
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
    }


def validate_trigger(trigger: "Trigger") -> None:
    """Raises ValidationError by field; what is wrong with the application counts for the whole, as forms lack that field."""
    problems = find_problems(trigger)
    if problems:
        raise ValidationError({NON_FIELD_ERRORS if name == "application" else name: text for name, text in problems.items()})


def find_action_problems(trigger: "Trigger") -> dict[str, str]:
    return {"action": "A trigger redeploys or scales; the rest is for people to ask for."} if trigger.action in ACTS else {}


def find_target_problems(trigger: "Trigger") -> dict[str, str]:
    application = trigger.application
    if application.protected:
        return {"application": f"{application.name} is protected: it is never redeployed or scaled."}
    if application.status == Application.Status.ABSENT:
        return {"application": f"{application.name} is no longer on its cluster."}
    if trigger.service is not None and trigger.service.status == Application.Status.ABSENT:
        return {"service": f"{trigger.service.name} is no longer part of {application.name}."}
    return {}


def find_service_problems(trigger: "Trigger") -> dict[str, str]:
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


def find_bound_problems(trigger: "Trigger") -> dict[str, str]:
    minimum, maximum = trigger.min_replicas, trigger.max_replicas
    if trigger.action != "scaling":
        given = [name for name in ("min_replicas", "max_replicas") if getattr(trigger, name) is not None]
        return dict.fromkeys(given, "Only a scaling trigger has bounds.")
    problems = {}
    for name in ("min_replicas", "max_replicas"):
        if (getattr(trigger, name) or 0) > REPLICAS_MAXIMUM:
            problems[name] = f"At most {REPLICAS_MAXIMUM}."
    if minimum == 0 and not trigger.application.is_swarm:
        problems["min_replicas"] = "At least 1: on a plain engine the last container of a service stays."
    if maximum is not None and maximum < 1:
        problems["max_replicas"] = "At least 1."
    elif minimum is not None and maximum is not None and minimum > maximum:
        problems["max_replicas"] = f"Not below the lower bound ({minimum})."
    return problems


def find_cooldown_problems(trigger: "Trigger") -> dict[str, str]:
    if (trigger.cooldown_seconds or 0) > COOLDOWN_MAXIMUM:
        return {"cooldown_seconds": f"At most {COOLDOWN_MAXIMUM} seconds, which is a day."}
    return {}


def find_failure_problems(trigger: "Trigger") -> dict[str, str]:
    if trigger.on_failure == "pause" and not trigger.application.is_swarm:
        return {"on_failure": "A plain engine always goes back to how it was; only on a Swarm can a failure be left as it is."}
    return {}


def find_tag_problems(trigger: "Trigger") -> dict[str, str]:
    if not trigger.tag_pattern:
        return {}
    if trigger.action != "redeploy":
        return {"tag_pattern": "Only a redeploy can change the tag."}
    problem = explain_bad_pattern(trigger.tag_pattern)
    return {"tag_pattern": problem} if problem else {}


def validate_subscription(subscription: "ImageSubscription") -> None:
    """Brings the repository into its one form. Raises ValidationError by field."""
    problems: dict[str, str] = {}
    try:
        reference = parse_reference(subscription.repository)
    except BadReference as error:
        problems["repository"] = str(error)
    else:
        if reference.tag or reference.digest:
            problems["repository"] = "The repository alone, without a tag or a digest."
        subscription.repository = reference.repository
    if subscription.condition == "pattern" and (problem := explain_bad_pattern(subscription.pattern)):
        problems["pattern"] = problem
    if subscription.condition == "tags" and (problem := explain_bad_tags(subscription.tags)):
        problems["tags"] = problem
    if subscription.poll_seconds and not POLL_MINIMUM <= subscription.poll_seconds <= POLL_MAXIMUM:
        problems["poll_seconds"] = f"0, or from {POLL_MINIMUM} to {POLL_MAXIMUM} seconds."
    if problems:
        raise ValidationError(problems)


def explain_bad_tags(tags: Any) -> str:
    if not isinstance(tags, list) or not tags:
        return "Give at least one tag."
    if len(tags) > TAGS_MAXIMUM:
        return f"At most {TAGS_MAXIMUM} tags; an expression can match more."
    wrong = next((tag for tag in tags if not isinstance(tag, str) or not is_tag(tag)), None)
    return f"'{str(wrong)[:60]}' is not a tag." if wrong is not None else ""


def explain_bad_pattern(pattern: str) -> str:
    """Why the expression cannot be used, as a sentence; empty when it can. RE2 takes none whose time could explode."""
    if not pattern:
        return "Give an expression, such as v[0-9]+."
    try:
        compile_pattern(pattern)
    except re2.error as error:
        return f"This expression cannot be used: {error_text(error)}."
    return ""


def explain_tag_refusal(pattern: str, tag: str) -> str:
    """Why a trigger with these allowed tags does not change the image to this one, as a sentence; empty when it does."""
    if not pattern:
        return "This trigger changes no tags; Allowed tags, in the console, names those that it may change to."
    try:
        is_allowed = compile_pattern(pattern).fullmatch(tag) is not None
    except re2.error:
        is_allowed = False
    if not is_allowed:
        return f"This trigger does not change to the tag {tag}: the expression in its Allowed tags does not match it."
    return ""


def compile_pattern(pattern: str) -> Any:
    """`compile_pattern(text).fullmatch(tag)`. Raises re2.error. Time is linear in the tag, memory bounded."""
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options=options)


def error_text(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).rstrip(".")
