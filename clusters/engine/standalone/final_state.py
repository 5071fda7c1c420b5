"""What the engine says at the end of a plan. The messages count from this alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from clusters.engine import names
from clusters.engine.driver import Target
from clusters.engine.standalone.health import NotHealthy
from clusters.engine.standalone.observed import read_own_name, read_plain_name
from clusters.engine.wording import cut

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

WORDS = {"running": "running", "restarting": "restarting again and again", "paused": "paused", "gone": "removed"}
STOPPED = "stopped"


@dataclass(frozen=True)
class FinalState:
    """The engine's containers, as its list shows them."""

    entries: Sequence[Mapping[str, Any]] = field(repr=False)

    @classmethod
    def read(cls, client: "EngineClient") -> Self:
        """Send one list request. Raises EngineError."""
        return cls(client.list_containers())

    def state_of(self, container_id: str) -> str:
        """Return the engine's word for the container's state; `gone` if it no longer exists."""
        return next((str(entry["State"]) for entry in self.entries if entry["Id"] == container_id), "gone")

    def state_of_name(self, name: str) -> str:
        """Return the state of the container with this name."""
        return next((str(entry["State"]) for entry in self.entries if read_own_name(entry) == name), "gone")

    def image_of(self, container_id: str) -> str:
        return next((str(entry["ImageID"]) for entry in self.entries if entry["Id"] == container_id), "")

    def list_states(self, target: Target) -> list[str]:
        """Return the states of the target's containers, an unfinished pair as one."""
        found = [entry for entry in self.entries if is_part(entry, target)]
        merged = names.merge_pairs(found, read_plain_name, lambda entry: entry["State"] == "running")
        return [str(entry["State"]) for entry in merged]

    def refuse_ended(self, healthy: Mapping[str, str]) -> None:
        """Raise NotHealthy if one of the containers that were healthy does not run any more. `healthy`: names by ids."""
        for container_id, name in healthy.items():
            entry = next((entry for entry in self.entries if entry["Id"] == container_id), None)
            if entry is None:
                raise NotHealthy(f"{name} was healthy, and then somebody removed it.", code="exited")
            if entry["State"] != "running":
                status = cut(str(entry.get("Status") or entry["State"]))
                raise NotHealthy(f"{name} was healthy, and then it ended: {status}.", code="exited")


def is_part(entry: Mapping[str, Any], target: Target) -> bool:
    place = names.find_place(read_own_name(entry), entry.get("Labels") or {})
    if place is None or entry["State"] == "removing":
        return False
    return (place.source, place.application) == (target.source, target.application) and target.service in {"", place.service}


def count_states(states: Iterable[str]) -> dict[str, int]:
    """Count the engine's words for states by the words for people, in a fixed order: `{"running": 2, "stopped": 1}`."""
    counts = Counter(WORDS.get(state, STOPPED) for state in states)
    return {word: counts[word] for word in ("running", STOPPED, *list(WORDS.values())[1:]) if counts[word]}
