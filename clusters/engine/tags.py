"""Change the tag of image references, and refuse a tag that cannot apply to all of them."""

from collections.abc import Iterable

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.registry.reference import BadReference, parse_reference


def with_tag(reference: str, tag: str) -> str:
    """Return the reference with this tag and without a digest; the unchanged reference if the tag is empty."""
    if not tag:
        return reference
    head, slash, tail = reference.partition("@")[0].rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}:{tag}"


def describe_image_choice(intent: Intent) -> str:
    """Return the end of a plan's title: which images a redeploy uses other than the newest of the same tags."""
    if intent.returns_to:
        return f" with the previous {'image' if len(intent.returns_to) == 1 else 'images'}"
    return f" with the tag {intent.tag}" if intent.tag else ""


def refuse_several_repositories(subject: str, references: Iterable[str]) -> None:
    """Raise PlanRefused if the references have several repositories: a tag belongs to one."""
    found = sorted({find_repository(reference) for reference in references})
    if len(found) > 1:
        listed = f"{', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
        raise PlanRefused(
            f"A tag belongs to one repository, but {subject} has images from {len(found)} ({listed}). Choose one service.",
            code="several_repositories",
        )


def is_one_repository(references: Iterable[str]) -> bool:
    try:
        return len({find_repository(reference) for reference in references}) == 1
    except PlanRefused:
        return False


def find_repository(reference: str) -> str:
    """Raises PlanRefused."""
    try:
        return parse_reference(reference).repository
    except BadReference as error:
        raise PlanRefused(f"The tag of {reference[:200]} cannot be changed. {error}", code="no_image_reference") from error
