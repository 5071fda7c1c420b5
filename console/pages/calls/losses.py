"""What a delete would take away, asked of the engine at the moment the dialog opens; where it does not answer, as last seen."""

from dataclasses import dataclass

from django.db.models import QuerySet

from clusters.engine.driver import Losses, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineError
from clusters.engine.names import base_name
from clusters.models import Application, Container, Service
from console.pages.shared.live import open_application_engine

NAMED = 20  # parts that are named one by one
LONGEST = 120  # characters of a name


@dataclass(frozen=True)
class ShownLosses:
    """`problem`: why the engine could not be asked, so that only `parts` are known, as last seen. `more`: parts beyond those
    that are named."""

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
        return self.count - len(self.parts)


def read_losses(application: Application, container: str = "") -> ShownLosses:
    target = Target(application.name, application.source)
    try:
        with open_application_engine(application) as client:
            return show(driver_for(application.source).read_losses(client, target, container))
    except EngineError as error:
        known = [container] if container else list_known_parts(application)
        return ShownLosses(known[:NAMED], len(known), problem=error.message)


def show(losses: Losses) -> ShownLosses:
    return ShownLosses(
        parts=shorten(losses.parts),
        count=len(losses.parts),
        volumes=len(losses.volumes),
        networks=tuple(shorten(losses.networks)),
        configs=tuple(shorten(losses.configs)),
        secrets=tuple(shorten(losses.secrets)),
        kept_volumes=tuple(shorten(losses.kept_volumes)),
    )


def shorten(names: tuple[str, ...]) -> list[str]:
    return [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in names[:NAMED]]


def list_known_parts(application: Application) -> list[str]:
    """Containers, of a stack services."""
    rows: QuerySet[Service] | QuerySet[Container]
    if application.is_swarm:
        rows = Service.objects.filter(application=application).exclude(status=Application.Status.ABSENT)
    else:
        rows = Container.objects.filter(service__application=application)
    return [base_name(name) for name in rows.values_list("name", flat=True)]
