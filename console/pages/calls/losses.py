"""The losses of a delete: read from the engine when the dialog opens, or as last seen where the engine does not answer."""

from dataclasses import dataclass

from django.db.models import QuerySet

from clusters.engine.driver import Losses, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineError
from clusters.engine.names import base_name
from clusters.models import Application, Container, Service
from console.pages.shared.live import open_application_engine

NAMED = 20  # parts that are listed by name
LONGEST = 120  # characters of a name


@dataclass(frozen=True)
class ShownLosses:
    """The losses of a delete, as its dialog shows them.

    `count` is the number of all parts; `parts` names at most NAMED of them. `problem` says why the engine could not be read:
    then only `parts` and `count` are known, as last seen."""

    parts: list[str]
    count: int
    volumes: int = 0
    networks: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def more(self) -> int:
        """The number of parts that are not listed by name."""
        return self.count - len(self.parts)


def describe_losses(application: Application, container: str = "") -> ShownLosses:
    target = Target(application.name, application.source)
    try:
        with open_application_engine(application) as client:
            return name_losses(driver_for(application.source).read_losses(client, target, container))
    except EngineError as error:
        known = [container] if container else list_known_parts(application)
        return ShownLosses(known[:NAMED], len(known), problem=error.message)


def name_losses(losses: Losses) -> ShownLosses:
    return ShownLosses(
        parts=shorten_names(losses.parts),
        count=len(losses.parts),
        volumes=len(losses.volumes),
        networks=tuple(shorten_names(losses.networks)),
        configs=tuple(shorten_names(losses.configs)),
        secrets=tuple(shorten_names(losses.secrets)),
        kept_volumes=tuple(shorten_names(losses.kept_volumes)),
    )


def shorten_names(names: tuple[str, ...]) -> list[str]:
    return [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in names[:NAMED]]


def list_known_parts(application: Application) -> list[str]:
    """Return the names of the application's containers, or of a stack's services, as last seen."""
    rows: QuerySet[Service] | QuerySet[Container]
    if application.is_swarm:
        rows = Service.objects.filter(application=application).exclude(status=Application.Status.ABSENT)
    else:
        rows = Container.objects.filter(service__application=application)
    return [base_name(name) for name in rows.values_list("name", flat=True)]
