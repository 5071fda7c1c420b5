"""What became different at an application while a call ran, in words."""

from clusters.engine.snapshot import ServiceSnapshot, Snapshot


def describe_differences(before: Snapshot | None, after: Snapshot | None) -> list[str]:
    """Name each service whose number of containers or whose images have changed: `web runs 2 (before: 3)`."""
    old, new = (snapshot.services if snapshot else {} for snapshot in (before, after))
    texts = []
    for name in sorted(old.keys() | new.keys()):
        was, now = (side.get(name, ServiceSnapshot()) for side in (old, new))
        if (was.running or 0) != (now.running or 0):
            texts.append(f"{name} runs {now.running or 0} (before: {was.running or 0})")
        elif was.images != now.images:
            texts.append(f"{name} does not run the previous images, or not everywhere")
    return texts
