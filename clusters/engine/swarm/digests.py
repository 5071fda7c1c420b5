"""Resolve a plan's image references to digests before the first service is touched."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from clusters.engine.errors import EngineError, EngineUnreachable, PullFailed
from clusters.engine.lanes import LaneRunner
from clusters.engine.swarm.image_references import pin
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.outcomes import describe_unresolved
from clusters.engine.swarm.plan import Resolve

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


class Unresolved(EngineError):
    """An update without this digest, or without these credentials, must not begin. The `code` is that of its cause."""


def is_final(operation: Resolve, error: EngineError) -> bool:
    """Return whether an update without the digest would be useless or would run another image.

    Otherwise each node may know more than the manager: an image that no registry has, or credentials that Swarm holds.
    """
    if operation.required or error.code == "credentials_failed":
        return True
    is_refused = error.code == "pull_unauthorized" and isinstance(error, PullFailed) and error.had_credentials
    return operation.pinned and (error.code == "pull_not_found" or is_refused)


class DigestResolver:
    """Resolves references and remembers the pinned images.

    `warnings` has a sentence for each reference that could not be resolved, so that each node has to do it.
    """

    def __init__(self, manager: SwarmManager) -> None:
        self._manager = manager
        self._images: dict[str, str] = {}  # pinned, by reference
        self.warnings: list[str] = []

    def find_image(self, reference: str) -> str:
        """Return the pinned image, or the reference itself if its digest is not known."""
        return self._images.get(reference, reference)

    def resolve(self, operations: Sequence[Resolve]) -> None:
        """Resolve the references side by side.

        Raises Unresolved where `is_final` says so, EngineUnreachable if the manager is silent, and what `check` raises.
        """
        found: dict[str, str | EngineError] = {}
        for operation in operations:
            self._manager.report("info", operation.word, operation.describe())
        jobs = [self._make_job(operation.reference, found) for operation in operations]
        LaneRunner(self._manager.client, self._manager.report, self._manager.check).run(jobs, may_leave=True)
        for operation in operations:
            digest = found[operation.reference]
            if isinstance(digest, str):
                self._images[operation.reference] = pin(operation.reference, digest)
                self._manager.report("info", operation.word, f"{operation.reference} is {digest}")
                continue
            if isinstance(digest, EngineUnreachable):
                self._manager.ask(self._manager.client.version)  # if the manager answers, only the registry is silent
            if is_final(operation, digest):
                raise Unresolved(digest.message, code=digest.code)
            self.warnings.append(warning := describe_unresolved(operation.reference, digest))
            self._manager.report("warning", operation.word, warning)

    def _make_job(self, reference: str, found: dict[str, str | EngineError]) -> Callable[["EngineClient"], None]:
        def work(client: "EngineClient") -> None:
            try:
                found[reference] = client.resolve_digest(reference)
            except EngineError as error:
                found[reference] = error

        return work

    def check_credentials(self, references: Iterable[str]) -> None:
        """Make sure that an update whose image is not resolved does not miss its credentials after others were updated.

        Raises Unresolved.
        """
        for reference in references:
            try:
                self._manager.client.check_credentials(reference)
            except PullFailed as error:
                raise Unresolved(error.message, code=error.code) from error
