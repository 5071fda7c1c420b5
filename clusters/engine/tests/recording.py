"""Inspect answers recorded from a Docker engine 20.10 (API 1.41), and observations made from them."""

import copy
import json
from pathlib import Path
from typing import Any

from clusters.engine.driver import Target
from clusters.engine.standalone.inspected import InspectedContainer, make_container
from clusters.engine.standalone.observed import StandaloneTarget

FOLDER = Path(__file__).parent / "recorded"


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def load_container(
    recorded: str,
    name: str = "",
    container_id: str = "",
    state: str = "",
    labels: dict[str, str] | None = None,
    **host_config: Any,
) -> dict[str, Any]:
    """Load a recorded container and change its name, id (the first digits), state, labels or host config entries."""
    details = load(recorded)
    if container_id:
        details["Id"] = container_id.ljust(64, "0")
        if details["Config"].get("Hostname"):
            details["Config"]["Hostname"] = details["Id"][:12]
    if name:
        details["Name"] = f"/{name}"
    if state:
        details["State"] |= {"Status": state, "Running": state == "running"}
    details["Config"]["Labels"] |= labels or {}
    details["HostConfig"] |= host_config
    return details


def observed_container(details: dict[str, Any]) -> InspectedContainer:
    container = make_container(details)
    assert container is not None
    return container


def observe(
    application: str, source: str, *inspected: dict[str, Any], service: str = "", images: Any = None
) -> StandaloneTarget:
    """Return what observe_target would return for an engine with only these containers."""
    containers = [observed_container(copy.deepcopy(details)) for details in inspected]
    ours = [item for item in containers if (item.place.source, item.place.application) == (source, application)]
    known = {"app:1": load("app_1"), "app:2": load("app_2")} if images is None else images
    return StandaloneTarget(
        target=Target(application, source, service),
        api_version=(1, 41),
        containers=tuple(ours),
        others=tuple(item for item in containers if item not in ours),
        images={**known, **{image["Id"]: image for image in known.values()}},
        taken_names=frozenset(item.engine_name for item in containers),
    )


def web(number: int = 1, container_id: str = "", **changes: Any) -> dict[str, Any]:
    """Load a container of the service `web` of the recorded project `hello`; see load_container for `changes`."""
    labels = {"com.docker.compose.container-number": str(number), **changes.pop("labels", {})}
    return load_container("hello_web_1", f"hello_web_{number}", container_id or f"{number:x}" * 12, labels=labels, **changes)


def hello(*containers: dict[str, Any], **options: Any) -> StandaloneTarget:
    """Observe the project `hello`; see observe for `options`."""
    return observe("hello", "compose", *containers, **options)
