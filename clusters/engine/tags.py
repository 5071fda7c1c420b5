"""A redeploy to another tag: what an image reference becomes, and where one tag cannot be meant for all."""

from collections.abc import Iterable

from clusters.engine.errors import PlanRefused
from clusters.registry.reference import BadReference, parse_reference


def with_tag(reference: str, tag: str) -> str:
    """The repository as it is written, with this tag; a digest goes. Without a tag the reference as it is."""
    if not tag:
        return reference
    head, slash, tail = reference.partition("@")[0].rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}:{tag}"


def refuse_several_repositories(subject: str, references: Iterable[str]) -> None:
    """A tag belongs to one repository. Raises PlanRefused."""
    found = sorted({find_repository(reference) for reference in references})
    if len(found) > 1:
        listed = f"{', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
        raise PlanRefused(
            f"A tag belongs to one repository, and {subject} runs images of {len(found)} ({listed}): name one service of it.",
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
