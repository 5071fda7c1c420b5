"""Remove the images that a good redeploy has replaced, where a label says so. What goes wrong is noted, and is no failure."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from clusters.engine.driver import Observation
from clusters.engine.errors import EngineError
from clusters.engine.inspection.images import read_images
from clusters.engine.inspection.replaced_images import choose_replaced, read_limits, remove_replaced
from clusters.models import Application
from clusters.waits import release_connection
from triggers.image_needs import gather_needs

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

REPORTED = 5  # kept images with a line of their own


def remove_replaced_images(
    client: "EngineClient", application: Application, before: Observation, report: Callable[[str, str, str], None]
) -> None:
    """`before`: the application as the redeploy found it. `report`: see CallRun.report. Without a label, nothing is asked."""
    labels = before.list_keep_labels()
    if not labels:
        return
    limits, problems = read_limits(labels)
    for problem in problems:
        report("warning", "remove", problem)
    if not limits:
        return
    needs = gather_needs(application.cluster, besides=application)
    release_connection()
    services = before.snapshot().services.values()
    replaced = {key for service in services for key in service.images}
    try:
        images = read_images(client, needs, swarm=application.cluster.swarm_manager)
        removal = remove_replaced(client, images, choose_replaced(images, limits, replaced))
    except (EngineError, LookupError, TypeError, ValueError) as error:  # the redeploy is good, whatever an engine answers now
        reason = error.message if isinstance(error, EngineError) else f"its answer is odd ({type(error).__name__})."
        report("warning", "remove", f"The engine did not say which images can be removed: {reason}")
        return
    for kept in removal.kept[:REPORTED]:
        report(
            "warning", "remove", f"The replaced image {kept.image.name} ({kept.image.hexadecimal[:12]}) is kept: {kept.reason}."
        )
    for image in removal.removed:
        size = f"up to {image.size / 1e6:.0f} MB"
        report("info", "remove", f"removed the replaced image {image.name} ({image.hexadecimal[:12]}), {size}")
