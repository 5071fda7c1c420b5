"""From a registry's message to calls: read, match, decide, call, and write the access log. The only writer of Delivery."""

from typing import Any

from clusters.models import Registry
from triggers.models import Delivery, Trigger


def receive_delivery(request: Any, registry: Registry | None = None, trigger: Trigger | None = None) -> Delivery:
    """Of an HTTP request at a registry's inbound link, or at a trigger's own link. Raises BodyTooLarge."""
    raise NotImplementedError


def replay_delivery(delivery: Delivery, user: Any) -> Delivery:
    """Decide again about what it brought, and call what matches now; a new Delivery."""
    raise NotImplementedError


def prune_deliveries() -> int:
    """Delete deliveries by age and count (settings). Returns how many went."""
    raise NotImplementedError
