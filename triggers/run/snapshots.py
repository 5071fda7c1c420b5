"""Reading what `Observation.snapshot()` gave, as it is kept with a call."""

from typing import Any


def read_count(snapshot: Any, service: str) -> int | None:
    """The service's running containers; None where the snapshot does not say."""
    count = _read_services(snapshot).get(service, {}).get("running")
    return count if isinstance(count, int) else None


def describe_differences(before: Any, after: Any) -> list[str]:
    """Of each service whose number of containers or whose images are others by now: `web runs 2 (before: 3)`."""
    old, new = _read_services(before), _read_services(after)
    texts = []
    for name in sorted(old.keys() | new.keys()):
        was, runs = (side.get(name, {}).get("running", 0) for side in (old, new))
        if was != runs:
            texts.append(f"{name} runs {runs} (before: {was})")
        elif old.get(name, {}).get("images") != new.get(name, {}).get("images"):
            texts.append(f"{name} does not run the images from before, or not everywhere")
    return texts


def _read_services(snapshot: Any) -> dict[str, dict[str, Any]]:
    services = snapshot.get("services") if isinstance(snapshot, dict) else None
    return {name: value for name, value in (services or {}).items() if isinstance(value, dict)}
