"""Podman's dialect of the Engine API, in Docker's words: the only place that knows how Podman's answers differ.

Podman answers the Engine API beside its own, the libpod API, under the same address. Sources: the answers of `podman system
service` 4.3.1, and https://docs.podman.io/en/latest/_static/api.html for the libpod API.
"""

import json
import signal
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

ENGINE_COMPONENT = "Podman Engine"
DEFAULT_NETWORK = "podman"  # what Docker calls `bridge`; only containers name it so, the list of networks says `bridge`
PODMAN_KEY = "Podman"  # of inspected containers and list entries: what only the libpod API reports, see the readers
STATES = {
    "stopped": "exited",  # ended, and not cleaned up yet
    "stopping": "running",
    "configured": "created",
    "initialized": "created",
    "unknown": "dead",
}
RLIMIT = "RLIMIT_"
# Podman adds these to the variables of every container and reports them as if somebody had set them.
OWN_VARIABLES = {"container=podman", "TERM=xterm", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
OWN_RUNTIME = "oci"  # the word for whichever runtime is configured
DEFAULT_GRACE = 10  # seconds; Docker's own default stop timeout
# Docker answers these with status 409 and Podman with 500.
CONFLICTS = ("that name is already in use", "container state improper", "by id with more than one tag")
HAS_DEPENDENTS = "has dependent containers"  # Docker removes a container whose network others share


def find_libpod_version(version: Mapping[str, Any]) -> str:
    """Return the version of Podman's own API from an answer to GET /version, such as "4.3.1"; "" where no Podman answers."""
    for component in version.get("Components") or []:
        if (component or {}).get("Name") == ENGINE_COMPONENT:
            details = component.get("Details") or {}
            return str(details.get("APIVersion") or component.get("Version") or version.get("Version") or "")
    return ""


# Answers


def translate_entries(entries: Iterable[Json], libpod_entries: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Translate the list of containers. `libpod_entries` is the libpod API's list; only it knows pods and health."""
    known = {str(entry.get("Id")): entry for entry in libpod_entries}
    return [translate_entry(entry, known.get(str(entry["Id"]), {})) for entry in entries]


def translate_entry(entry: Json, libpod_entry: Mapping[str, Any]) -> Json:
    """Return the entry with PODMAN_KEY: {"Pod": its name, "IsInfra": bool}."""
    status = str(entry.get("Status") or "")
    health = str(libpod_entry.get("Status") or "")
    if entry.get("State") == "running" and health in {"healthy", "unhealthy", "starting"} and "(" not in status:
        status += " (health: starting)" if health == "starting" else f" ({health})"
    settings = entry.get("NetworkSettings") or {}
    return {
        **entry,
        "State": translate_state(entry.get("State")),
        "Status": status,
        "NetworkSettings": {**settings, "Networks": translate_networks(settings.get("Networks") or {}, "", "")},
        PODMAN_KEY: {
            "Pod": str(libpod_entry.get("PodName") or libpod_entry.get("Pod") or ""),
            "IsInfra": bool(libpod_entry.get("IsInfra")),
        },
    }


def translate_details(details: Json, libpod_details: Mapping[str, Any], name: str) -> Json:
    """Translate an inspected container. `name` is the name by which other containers are to find it on its networks.

    The answer has PODMAN_KEY: {"Pod": id, "IsInfra": bool, "Secrets": names, "CreateCommand": words of the command line that
    created it}.
    """
    config = libpod_details.get("Config") or {}
    return {
        **details,
        "State": translate_details_state(details),
        "Config": translate_config(details.get("Config") or {}),
        "HostConfig": translate_host_config(details),
        "NetworkSettings": {
            **(details.get("NetworkSettings") or {}),
            "Networks": translate_networks(read_networks(details), name, str(details["Id"])[:12]),
        },
        PODMAN_KEY: {
            "Pod": str(libpod_details.get("Pod") or ""),
            "IsInfra": bool(libpod_details.get("IsInfra")),
            "Secrets": [str((secret or {}).get("Name") or "") for secret in config.get("Secrets") or []],
            "CreateCommand": [str(word) for word in config.get("CreateCommand") or []],
        },
    }


def translate_state(word: Any) -> str:
    return STATES.get(str(word or ""), str(word or ""))


def translate_details_state(details: Mapping[str, Any]) -> Json:
    state = {**details["State"], "Status": translate_state(details["State"].get("Status"))}
    if not (state.get("Health") or {}).get("Status"):
        state.pop("Health", None)
    return state


def translate_config(config: Mapping[str, Any]) -> Json:
    """Leave out what Podman itself adds to the variables, and a stop timeout that nobody set; name the stop signal."""
    own = {*OWN_VARIABLES, f"HOSTNAME={config.get('Hostname')}"}
    translated = {**config, "Env": [entry for entry in config.get("Env") or [] if entry not in own]}
    if config.get("StopSignal"):
        translated["StopSignal"] = name_signal(config["StopSignal"])
    if not config.get("StopTimeout"):  # 0 is what a container has that was created through this API without one
        translated.pop("StopTimeout", None)
    return translated


def name_signal(word: Any) -> str:
    """Return `SIGTERM` for 15, "15", "TERM" and "SIGTERM"; an unknown word unchanged."""
    text = str(word or "").strip().upper()
    try:
        return signal.Signals(int(text)).name if text.isdecimal() else signal.Signals[f"SIG{text.removeprefix('SIG')}"].name
    except (ValueError, KeyError):
        return str(word or "")


def translate_host_config(details: Mapping[str, Any]) -> Json:
    host_config = dict(details.get("HostConfig") or {})
    limits = host_config.get("Ulimits") or []
    host_config["Ulimits"] = [{**one, "Name": str(one.get("Name") or "").removeprefix(RLIMIT).lower()} for one in limits]
    if host_config.get("Runtime") == OWN_RUNTIME:
        host_config["Runtime"] = ""
    swappiness = host_config.get("MemorySwappiness")
    if swappiness == -1 or (swappiness == 0 and not host_config.get("Memory")):  # not set
        host_config["MemorySwappiness"] = None
    networks = list(translate_networks(read_networks(details), "", ""))
    if host_config.get("NetworkMode") == "bridge" and networks:  # that is said for every network, whatever its name
        host_config["NetworkMode"] = "bridge" if "bridge" in networks else networks[0]
    return host_config


def read_networks(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container's own networks. Podman also shows those of a container whose network it shares."""
    if str((details.get("HostConfig") or {}).get("NetworkMode") or "").startswith("container:"):
        return {}
    return (details.get("NetworkSettings") or {}).get("Networks") or {}


def translate_networks(networks: Mapping[str, Any], name: str, short_id: str) -> Json:
    """Name the default network as Docker does. With `name`, each other one also has that as an alias.

    Podman knows a container by the name that it was started under, and does not notice when it is renamed.
    """
    translated: Json = {}
    for network, endpoint in sorted(networks.items()):
        settings = dict(endpoint or {})
        if network == DEFAULT_NETWORK:
            settings["Aliases"] = None
        elif name:
            others = [alias for alias in settings.get("Aliases") or [] if alias not in {name, short_id}]
            settings["Aliases"] = [*others, name]
        translated["bridge" if network == DEFAULT_NETWORK else network] = settings
    return translated


def read_stats(text: str) -> Json:
    """Return the sample in the body of an answer, or {} where the body is empty or an error."""
    try:
        stats = json.loads(text)
    except ValueError:
        return {}
    return stats if isinstance(stats, dict) and stats.get("cpu_stats") else {}


def translate_images(images: Iterable[Json]) -> list[Json]:
    """Write the parents' ids as those of images, and say that shared sizes are not known: Podman gives 0."""
    return [
        {**image, "ParentId": f"sha256:{parent}" if (parent := image.get("ParentId")) else "", "SharedSize": -1}
        for image in images
    ]


def translate_disk_usage(usage: Mapping[str, Any]) -> Json:
    """Podman lists an image once for each tag, with a shorter id than elsewhere, and gives no size of all layers.

    The layers' size is a little too small where unrelated groups of images share layers.
    """
    ids = (f"sha256:{str(image.get('Id') or '').removeprefix('sha256:')}" for image in usage.get("Images") or [])
    images = {image_id: {**image, "Id": image_id} for image_id, image in zip(ids, usage.get("Images") or [], strict=True)}
    sizes = [(int(image.get("Size") or 0), int(image.get("SharedSize") or 0)) for image in images.values()]
    layers = sum(max(size - shared, 0) for size, shared in sizes) + max((shared for _, shared in sizes), default=0)
    return {**usage, "Images": list(images.values()), "LayersSize": usage.get("LayersSize") or layers}


# Requests


def write_create_body(config: Mapping[str, Any]) -> Json:
    """Return the body of a creation with Podman's name for the default network, and with a stop timeout.

    Without one, Podman would kill the container at once whenever it is stopped.
    """
    networking = config.get("NetworkingConfig") or {}
    endpoints = networking.get("EndpointsConfig") or {}
    return {
        **config,
        "StopTimeout": DEFAULT_GRACE if config.get("StopTimeout") is None else config["StopTimeout"],
        "NetworkingConfig": {
            **networking,
            "EndpointsConfig": {write_network(network): endpoint for network, endpoint in endpoints.items()},
        },
    }


def write_network(network: str) -> str:
    return DEFAULT_NETWORK if network == "bridge" else network


# Errors


def classify_message(message: str) -> str:
    """Return the code of an EngineRefused for the message of an error with status 500; "" where no other fits."""
    lowered = message.lower()
    if HAS_DEPENDENTS in lowered:
        return "has_dependents"
    return "conflict" if any(words in lowered for words in CONFLICTS) else ""
