"""Make the body of POST /containers/create that recreates a container, from its inspect details.

The old image's defaults are removed so that the new image's defaults apply; the user's settings stay. The details do not
distinguish the two: a value that equals the old image's default counts as the image's.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from clusters.engine import names
from clusters.engine.references import is_image_id
from clusters.engine.standalone.inspected import InspectedContainer, read_joined
from clusters.engine.standalone.podman import subtract_podman_defaults

ONE_ENDPOINT_ONLY_BELOW = (1, 44)  # API versions that accept one network at creation and a container-wide MAC address
ENDPOINT_FIELDS = ("Links", "DriverOpts", "GwPriority")
KEPT_LABEL_PREFIXES = ("com.docker.compose.", "windlass.")
ANONYMOUS_VOLUME = re.compile(r"[0-9a-f]{64}")
NETWORK_ID = re.compile(r"[0-9a-f]{64}")
UNIVERSAL_MAC = re.compile(r"[0-9a-f][048c]:(?:[0-9a-f]{2}:){4}[0-9a-f]{2}", re.IGNORECASE)
USER_NETWORKS = {"slirp4netns", "pasta"}  # modes of Podman without root; no network has these names
PLAIN_NETWORKS = {"bridge", "host", "none"}  # the engine refuses aliases there


@dataclass(frozen=True)
class CreateConfig:
    """The body, and the networks to connect and disconnect between the creation and the start."""

    body: dict[str, Any]
    connects: tuple[tuple[str, dict[str, Any]], ...] = ()
    disconnects: tuple[str, ...] = ()


def make_create_config(
    container: InspectedContainer,
    old_image: Mapping[str, Any] | None,
    *,
    image: str,
    api_version: tuple[int, int],
    as_clone: bool = False,
    ambiguous_networks: Collection[str] = (),
    volumes_from: Sequence[str] | None = None,
) -> CreateConfig:
    """Return the config of a container that replaces this one, or of a clone beside it.

    `image`: the reference or id to create it from. `old_image`: the inspected image of this container; without it, all
    settings are kept. `as_clone`: the container gets anonymous volumes of its own. `ambiguous_networks`: names that several
    networks have; the endpoints there have the id of the container's own one. `volumes_from` replaces the entries of
    VolumesFrom; if there are none, the volumes and binds themselves are mounted.
    """
    config = subtract_image(container, (old_image or {}).get("Config") or {})
    config["Image"] = image
    config["Labels"] = make_labels(container, config.get("Labels") or {}, image)
    host_config = make_host_config(container, config, as_clone, volumes_from)
    endpoints = make_endpoints(container, ambiguous_networks)
    place_mac_address(container, config, endpoints, api_version)
    clear_conflicting_fields(config, host_config)
    primary = container.network_mode
    first = (
        endpoints if api_version >= ONE_ENDPOINT_ONLY_BELOW else {key: endpoints[key] for key in endpoints if key == primary}
    )
    body = {**config, "HostConfig": host_config, "NetworkingConfig": {"EndpointsConfig": first}}
    return CreateConfig(
        body=body,
        connects=tuple((network, endpoint) for network, endpoint in endpoints.items() if network not in first),
        disconnects=tuple(find_left_networks(container)),
    )


# The config without the old image's defaults


def subtract_image(container: InspectedContainer, image: Mapping[str, Any]) -> dict[str, Any]:
    config = deepcopy(container.config)
    config["Env"] = [entry for entry in config.get("Env") or [] if entry not in (image.get("Env") or [])]
    published = container.host_config.get("PortBindings") or {}
    config["ExposedPorts"] = {
        port: {}
        for port in config.get("ExposedPorts") or {}
        if port in published or port not in (image.get("ExposedPorts") or {})
    }
    config["Volumes"] = {path: {} for path in config.get("Volumes") or {} if path not in (image.get("Volumes") or {})}
    for key in ("WorkingDir", "User", "StopSignal", "Shell", "ArgsEscaped"):
        if key in config and config[key] == image.get(key):
            del config[key]
    config.pop("OnBuild", None)
    config["Labels"] = subtract_labels(config.get("Labels") or {}, image.get("Labels") or {})
    subtract_command(config, image)
    subtract_health_check(config, image.get("Healthcheck") or {})
    if container.is_podman:
        subtract_podman_defaults(config, image)
    if config.get("Hostname") == container.short_id:
        del config["Hostname"]
    return config


def subtract_labels(labels: Mapping[str, str], image_labels: Mapping[str, str]) -> dict[str, str]:
    """Keep Compose's labels even if the image has them: an image that Compose built carries them too."""
    return {
        key: value for key, value in labels.items() if key.startswith(KEPT_LABEL_PREFIXES) or image_labels.get(key) != value
    }


def subtract_command(config: dict[str, Any], image: Mapping[str, Any]) -> None:
    """Remove the command only together with the entrypoint: another entrypoint voids the image's command."""
    entrypoint, image_entrypoint = config.get("Entrypoint") or [], image.get("Entrypoint") or []
    if not entrypoint and image_entrypoint:
        config["Entrypoint"] = [""]  # the user's reset, which the details show as null
        return
    command, image_command = config.get("Cmd") or [], image.get("Cmd") or []
    if entrypoint != image_entrypoint or (image_command and not command):
        return  # a user's entrypoint without a command voids the image's command, even if it equals the image's entrypoint
    config["Entrypoint"] = None
    if command == image_command:
        config["Cmd"] = None


def subtract_health_check(config: dict[str, Any], image_check: Mapping[str, Any]) -> None:
    """Remove the parts that the engine filled in from the image, since the user left them out. NONE is the user's."""
    check = config.get("Healthcheck")
    if not check or check.get("Test") == ["NONE"]:
        return
    kept = {key: value for key, value in check.items() if value and value != image_check.get(key)}
    config["Healthcheck"] = kept or None


def make_labels(container: InspectedContainer, labels: Mapping[str, str], image: str) -> dict[str, str]:
    made = {key: value for key, value in labels.items() if key not in {names.COMPOSE_REPLACE_LABEL, names.REFERENCE_LABEL}}
    if is_image_id(image, container.image_id) and not is_image_id(container.image, container.image_id):
        made[names.REFERENCE_LABEL] = container.image
    return made


# The host config, unchanged except for references to the old container or its volumes


def make_host_config(
    container: InspectedContainer, config: dict[str, Any], as_clone: bool, volumes_from: Sequence[str] | None
) -> dict[str, Any]:
    host_config = deepcopy(container.host_config)
    if volumes_from is not None and host_config.get("VolumesFrom"):
        host_config["VolumesFrom"] = list(volumes_from) or None
    if "RestartPolicy" in host_config:  # an unfinished recreate can have changed the old container's own
        host_config["RestartPolicy"] = dict(container.restart_policy)
    if host_config.get("Links"):
        host_config["Links"] = [rewrite_link(link) for link in host_config["Links"]]
    if as_clone:
        give_own_volumes(host_config, config)
    else:
        keep_anonymous_volumes(container, host_config)
    if container.host_config.get("VolumesFrom") and not host_config["VolumesFrom"]:
        mount_lent_volumes(container, host_config)
    return host_config


def rewrite_link(link: str) -> str:
    """Convert a link from the form of the details, `/db:/web/database`, to that of a creation, `db:database`."""
    target, _, alias = link.partition(":")
    return f"{target.lstrip('/')}:{alias.rsplit('/', 1)[-1]}"


def keep_anonymous_volumes(container: InspectedContainer, host_config: dict[str, Any]) -> None:
    """Attach the volumes that the engine created for it by name. Those of VolumesFrom need nothing."""
    bound = {read_bind_destination(bind) for bind in host_config.get("Binds") or []}
    mounts = {mount.get("Target"): mount for mount in host_config.get("Mounts") or []}
    own = container.config.get("Volumes") or {}
    for mount in container.mounts:
        destination = mount.get("Destination")
        if mount.get("Type") != "volume" or not mount.get("Name") or destination in bound:
            continue
        if destination in mounts:
            if mounts[destination].get("Type") == "volume":
                mounts[destination]["Source"] = mount["Name"]
        elif destination in own or not host_config.get("VolumesFrom"):
            mode = mount.get("Mode") or ("" if mount.get("RW", True) else "ro")
            bind = f"{mount['Name']}:{destination}{f':{mode}' if mode else ''}"
            host_config["Binds"] = [*(host_config.get("Binds") or []), bind]


def mount_lent_volumes(container: InspectedContainer, host_config: dict[str, Any]) -> None:
    """Mount what VolumesFrom gave the container by itself, since the container that lent it no longer exists."""
    taken = {read_bind_destination(bind) for bind in host_config.get("Binds") or []}
    taken |= {mount.get("Target") for mount in host_config.get("Mounts") or []} | set(container.config.get("Volumes") or {})
    for mount in container.mounts:
        source = mount.get("Name") if mount.get("Type") == "volume" else mount.get("Source")
        if mount.get("Type") in {"volume", "bind"} and source and mount.get("Destination") not in taken:
            bind = f"{source}:{mount['Destination']}{'' if mount.get('RW', True) else ':ro'}"
            host_config["Binds"] = [*(host_config.get("Binds") or []), bind]


def give_own_volumes(host_config: dict[str, Any], config: dict[str, Any]) -> None:
    """Give a clone new anonymous volumes in place of those that an earlier recreate attached by name."""
    binds = host_config.get("Binds") or []
    anonymous = [bind for bind in binds if ANONYMOUS_VOLUME.fullmatch(bind.split(":", 1)[0])]
    if anonymous:
        host_config["Binds"] = [bind for bind in binds if bind not in anonymous]
        config["Volumes"] = {**(config.get("Volumes") or {}), **{read_bind_destination(bind): {} for bind in anonymous}}
    for mount in host_config.get("Mounts") or []:
        if mount.get("Type") == "volume" and ANONYMOUS_VOLUME.fullmatch(mount.get("Source") or ""):
            del mount["Source"]


def read_bind_destination(bind: str) -> str:
    """Return `/data` of `volume:/data:rw`, or of `/data` alone."""
    parts = bind.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def clear_conflicting_fields(config: dict[str, Any], host_config: dict[str, Any]) -> None:
    """Remove the settings that the engine refuses together with another container's or the host's namespace."""
    if read_joined(host_config.get("NetworkMode")) is not None:
        for key in ("Hostname", "Domainname", "ExposedPorts", "MacAddress"):
            config.pop(key, None)
        host_config["PortBindings"] = {}
        host_config["PublishAllPorts"] = False
    if host_config.get("UTSMode") == "host":
        config.pop("Hostname", None)
        config.pop("Domainname", None)


# The networks


def make_endpoints(container: InspectedContainer, ambiguous: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the endpoint settings by network: that of NetworkMode first, then by name."""
    primary = container.network_mode
    if primary in {"host", "none"} or read_joined(primary) is not None:
        return {}
    ordered = sorted(container.networks, key=lambda network: (network != primary, network))
    return {network: make_endpoint(container, network, network in ambiguous) for network in ordered}


def make_endpoint(container: InspectedContainer, network: str, is_ambiguous: bool) -> dict[str, Any]:
    """Keep the user's settings, and only addresses that the user requested: the engine must stay free to choose the others."""
    endpoint = container.networks[network]
    made: dict[str, Any] = {key: endpoint[key] for key in ENDPOINT_FIELDS if endpoint.get(key)}
    if requested := {key: value for key, value in (endpoint.get("IPAMConfig") or {}).items() if value}:
        made["IPAMConfig"] = requested
    if network not in PLAIN_NETWORKS:
        aliases = dict.fromkeys(endpoint.get("Aliases") or [])
        made["Aliases"] = [alias for alias in aliases if alias != container.short_id]
    if is_ambiguous and endpoint.get("NetworkID"):
        made["NetworkID"] = endpoint["NetworkID"]
    return made


def has_static_address(container: InspectedContainer) -> bool:
    """Return whether the user requested an IP or MAC address, which only one container at a time can have."""
    requested = [(endpoint.get("IPAMConfig") or {}).values() for endpoint in container.networks.values()]
    has_ip_address = any(value for values in requested for value in values)
    return has_ip_address or bool(find_configured_mac(container))


def find_configured_mac(container: InspectedContainer) -> str:
    """Return the user's MAC address. The engine's own choice is locally administered and never copied."""
    if configured := container.config.get("MacAddress"):
        return str(configured)
    address = (container.networks.get(container.network_mode) or {}).get("MacAddress") or ""
    return address if UNIVERSAL_MAC.fullmatch(address) else ""


def place_mac_address(
    container: InspectedContainer, config: dict[str, Any], endpoints: dict[str, dict[str, Any]], api_version: tuple[int, int]
) -> None:
    """Set the MAC address: container-wide below API version 1.44, at the endpoint from then on (from 1.52 nowhere else)."""
    configured = find_configured_mac(container)
    config.pop("MacAddress", None)
    if configured and api_version < ONE_ENDPOINT_ONLY_BELOW:
        config["MacAddress"] = configured
    elif configured and container.network_mode in endpoints:
        endpoints[container.network_mode]["MacAddress"] = configured


def find_left_networks(container: InspectedContainer) -> Iterator[str]:
    """Yield the network of NetworkMode if the container was disconnected from it: the engine would connect it again."""
    mode = container.network_mode
    is_by_id = NETWORK_ID.fullmatch(mode)  # cannot be matched to the names of a container that never ran
    is_users = mode.partition(":")[0] in USER_NETWORKS
    if mode not in {"host", "none", *container.networks} and not is_users and not is_by_id and read_joined(mode) is None:
        yield mode
