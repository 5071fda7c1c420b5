"""Find an image on the engine, and create a container from one that its reference no longer means."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.errors import TargetMissing
from clusters.engine.references import is_image_id

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


def pin_image(client: "EngineClient", source: str, config: dict[str, Any]) -> None:
    """Create from the id of the image `source` if the reference means another one. The reference is kept in our own label, so
    that the next redeploy pulls it."""
    reference, image_id = config["Image"], client.inspect_image(source)["Id"]
    known = find_image(client, reference)
    if known and known["Id"] == image_id:
        return
    config["Image"] = image_id
    if not is_image_id(reference, image_id):
        config["Labels"][names.REFERENCE_LABEL] = reference


def find_image(client: "EngineClient", reference: str) -> dict[str, Any] | None:
    with suppress(TargetMissing):
        return client.inspect_image(reference)
    return None
