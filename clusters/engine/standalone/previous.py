"""Choose what a redeploy that returns to previous images creates the containers from: what the engine kept, else a digest."""

from collections.abc import Mapping, Sequence

from clusters.engine.errors import PlanRefused
from clusters.engine.platforms import differ
from clusters.engine.previous_images import PreviousImage
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.observed import StandaloneTarget, find_platform
from clusters.engine.standalone.plan import Pull


def choose_previous_images(
    observed: StandaloneTarget, chosen: Sequence[InspectedContainer], returns_to: Mapping[str, PreviousImage]
) -> tuple[dict[str, str], dict[str, str], list[Pull], list[str]]:
    """Return what redeploy.choose_images returns. An image is pulled only where the engine no longer has it: by its digest.

    Raises PlanRefused.
    """
    if not chosen:
        raise PlanRefused(f"There is no container of {', '.join(sorted(returns_to))} any longer.", code="not_found")
    references = {item.id: returns_to[item.place.service].reference or item.image for item in chosen}
    sources: dict[str, str] = {}
    pulls: dict[str, Pull] = {}
    notes: dict[str, None] = {}
    for container in chosen:
        service, platform = container.place.service, find_platform(observed, container)
        image = returns_to[service]
        source = find_kept(observed, image)
        if source:
            notes[f"{image.short} is not pulled: it is the image that {service} ran before, and the engine has it"] = None
        elif image.digests:
            source = image.digests[0]
            pulls[source] = Pull(
                reference=source,
                platform=platform if differ(platform, observed.platform) else "",
                expected=platform,
                cause=f"{service} ran it before, and the engine no longer has it",
            )
        else:
            what = f"The image that {service} ran before, {image.short}, is no longer on the engine"
            raise PlanRefused(f"{what}, and no registry ever had it.", code="missing_image")
        sources[container.id] = source
    return references, sources, list(pulls.values()), list(notes)


def find_kept(observed: StandaloneTarget, image: PreviousImage) -> str:
    """Return the id or the digest by which the engine knows the image; empty if it no longer has it."""
    return next((source for source in image.sources if source in observed.images), "")
