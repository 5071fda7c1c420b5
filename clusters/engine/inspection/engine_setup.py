"""How an engine is set up, from GET /info: storage, cgroups, logging, runtimes, registries and warnings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusters.engine.cleaning import NAME_LENGTH, TEXT_LENGTH, clean_text

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

LISTED = 20  # at most so many mirrors, registries, options and warnings


@dataclass(frozen=True)
class EngineSetup:
    storage_driver: str
    file_system: str
    root: str
    cgroup_version: str
    cgroup_driver: str
    logging_driver: str
    kernel: str
    runtime: str
    other_runtimes: tuple[str, ...]
    live_restore: bool
    security: tuple[str, ...]
    mirrors: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    warnings: tuple[str, ...]


def read_engine_setup(client: "EngineClient") -> EngineSetup:
    """Raises EngineError."""
    return describe_engine_setup(client.info())


def describe_engine_setup(info: Mapping[str, Any]) -> EngineSetup:
    registries = info.get("RegistryConfig") or {}
    indexes = (registries.get("IndexConfigs") or {}).items()
    insecure = [name for name, index in indexes if (index or {}).get("Secure") is False]
    runtime = read_word(info, "DefaultRuntime")
    return EngineSetup(
        storage_driver=read_word(info, "Driver"),
        file_system=read_status(info.get("DriverStatus") or [], "Backing Filesystem"),
        root=read_word(info, "DockerRootDir"),
        cgroup_version=read_word(info, "CgroupVersion"),
        cgroup_driver=read_word(info, "CgroupDriver"),
        logging_driver=read_word(info, "LoggingDriver"),
        kernel=read_word(info, "KernelVersion"),
        runtime=runtime,
        other_runtimes=tuple(name for name in list_words(sorted(info.get("Runtimes") or {})) if name != runtime),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        security=list_words(read_option(option) for option in info.get("SecurityOptions") or []),
        mirrors=list_words(registries.get("Mirrors") or []),
        insecure_registries=list_words([*(registries.get("InsecureRegistryCIDRs") or []), *insecure]),
        warnings=tuple(read_warning(one) for one in (info.get("Warnings") or [])[:LISTED]),
    )


def read_word(info: Mapping[str, Any], name: str) -> str:
    return clean_text(info.get(name), NAME_LENGTH)


def read_status(status: Iterable[Any], name: str) -> str:
    """Return a value from the storage driver's list of pairs."""
    return next((clean_text(pair[1], NAME_LENGTH) for pair in status if len(pair) == 2 and pair[0] == name), "")


def read_option(option: Any) -> str:
    """Return the option's name: `seccomp` for "name=seccomp,profile=default"."""
    return str(option).partition(",")[0].removeprefix("name=")


def read_warning(text: Any) -> str:
    return clean_text(text, TEXT_LENGTH).removeprefix("WARNING: ")


def list_words(words: Iterable[Any]) -> tuple[str, ...]:
    return tuple(clean_text(word, NAME_LENGTH) for word in list(words)[:LISTED])
