"""Images for the tests."""

from clusters.engine.inspection.images import EngineImage, ImageUser

RUNNING = ImageUser("c1", "web", True)
STOPPED = ImageUser("c2", "job", False)


def image(number, *tags, **values):
    return EngineImage(f"sha256:{number:064x}", tags, **values)


def names(found):
    return [one.name for one in found]
