"""What is sent about news, as JSON. It names no link of a trigger, no token and no secret.

`{"type": "failed", "time": "2026-01-31T03:00:12.345+00:00", "cluster": {"id", "name"}, "application": {"id", "name"},
"call": {"id", "action", "service", "state", "reason", "sentence", "first_error"}, "image_before": "app:1",
"image_after": "app:2", "sentence": "…"}`. What does not apply is null.
"""

from typing import Any

from clusters.engine.snapshot import Snapshot
from clusters.models import Application, Cluster
from triggers.models import CallState, TriggerCall

TEXT_LENGTH = 4000  # characters of a text


def describe_place(cluster: Cluster | None, application: Application | None) -> dict[str, Any]:
    return {
        "cluster": {"id": cluster.uid, "name": cluster.name} if cluster else None,
        "application": {"id": application.pk, "name": application.name} if application else None,
        "call": None,
        "image_before": None,
        "image_after": None,
        "sentence": "",
    }


def describe_call(call: TriggerCall) -> dict[str, Any]:
    """Return what is said about a call as it is now. The application and the service are read where they are not loaded."""
    failure = call.failure or {}
    return {
        "call": {
            "id": str(call.pk),
            "action": str(call.action),
            "service": call.service.name if call.service else None,
            "state": str(call.state),
            "reason": str(call.reason),
            "sentence": call.message,
            "first_error": str(failure.get("firstErrorLine", "")) or None,
        },
        "image_before": name_images(call.before),
        "image_after": (call.state != CallState.SUCCEEDED and str(failure.get("image", ""))) or name_images(call.after),
        "sentence": call.message,
    }


def name_images(stored: Any) -> str | None:
    """Return the images of a stored snapshot, joined by commas; None if none is known."""
    snapshot = Snapshot.from_json(stored)
    found = [service.image for service in snapshot.services.values() if service.image] if snapshot else []
    return ", ".join(dict.fromkeys(found))[:1000] or None


def clean_facts(value: Any) -> Any:
    """Return the facts with every text as a database can keep it: cut, and without NUL and lone surrogates."""
    if isinstance(value, dict):
        return {str(name): clean_facts(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_facts(each) for each in value]
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:TEXT_LENGTH] if isinstance(value, str) else value
