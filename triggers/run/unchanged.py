"""Words about a call that found nothing to do."""

from clusters.engine.snapshot import Snapshot

UNCHANGED = {
    "stop": "is stopped",
    "start": "is running",
    "restart": "has no running containers",
    "delete": "is not on the engine",
}


def describe_crashing(now: Snapshot, container: str) -> str:
    """Continue the sentence about a Start that found nothing to start, where some of it does not run all the same. `container`
    is the only one that was to be started; empty for all."""
    found = [item for service in now.services.values() for item in service.containers]
    states = [item.state for item in found if container in {"", item.name}]
    crashing = sum(state != "running" for state in states)
    if not crashing:
        return ""
    are = "restarts" if crashing == 1 else "restart"
    return f"is started, but {crashing} of {len(states)} container{'s' if len(states) > 1 else ''} {are} again and again"
