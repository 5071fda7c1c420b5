"""The requests that change a service: read it, send the whole spec with its version, and again if someone changed it."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from clusters.engine.errors import EngineRefused
from clusters.engine.swarm.follower import ServiceRun
from clusters.engine.swarm.image_references import STACK_IMAGE_LABEL
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.objects import SwarmService, make_swarm_service
from clusters.engine.swarm.outcomes import describe_warning
from clusters.engine.swarm.plan import PlannedService
from clusters.engine.swarm.task_wording import describe_lost_nodes

VERSION_ATTEMPTS = 5  # for a service that others change at the same time
WOKEN_LABEL = "windlass.update.woken"  # on services


class ServiceRequests:
    """Each request raises EngineRefused, TargetMissing, EngineUnreachable, and what `check` raises.

    An answer can be lost, so each request first reads whether an earlier one got through.
    """

    def __init__(self, manager: SwarmManager) -> None:
        self._manager = manager

    def send_update(self, run: ServiceRun, image: str) -> int:
        """Update the service to the image. Return the ForceUpdate of the update."""
        planned = run.planned
        expected: list[int] = []

        def send(service: SwarmService) -> None:
            if expected and service.force_update == expected[-1] and service.image == image:
                return
            if (planned.replaces or planned.reference) not in {service.reference, service.image}:
                raise EngineRefused(f"its image was changed to {service.reference[:200]} in the meantime", code="superseded")
            spec = with_update(service, image, service.force_update + 1, planned.reference if planned.replaces else "")
            run.image_before, run.stack_image_before = service.image, service.labels.get(STACK_IMAGE_LABEL, "")
            expected.append(service.force_update + 1)
            try:
                self._report_warnings(planned, self._manager.client.update_service(planned.id, service.version, spec))
            except EngineRefused:
                expected.clear()
                raise

        self._change(planned, send)
        return expected[-1]

    def send_rollback(self, run: ServiceRun) -> None:
        """Roll the service back to its version before our update; EngineRefused has the code `no_way_back` if it is lost."""
        planned = run.planned
        self._manager.report("warning", "rollback", f"roll back {planned.full_name} to its previous version")

        def send(service: SwarmService) -> None:
            if service.force_update == run.previous_force_update and service.update_state.startswith("rollback_"):
                return
            previous = (service.previous_spec.get("TaskTemplate") or {}).get("ForceUpdate") or 0
            is_ours = service.force_update == run.previous_force_update + 1
            if is_ours and previous == run.previous_force_update:
                warnings = self._manager.client.roll_back_service(planned.id, service.version, service.spec)
            elif is_ours and run.wakings and run.image_before:  # since it was woken up, the previous spec is the update itself
                spec = with_update(service, run.image_before, run.previous_force_update, run.stack_image_before)
                warnings = self._manager.client.update_service(planned.id, service.version, spec)
            else:
                raise EngineRefused("Swarm no longer has its previous version", code="no_way_back")
            self._report_warnings(planned, warnings)

        self._change(planned, send)

    def send_replicas(self, planned: PlannedService, replicas: int) -> None:
        def send(service: SwarmService) -> None:
            if service.replicas == replicas:
                return
            spec = deepcopy(dict(service.spec))
            spec["Mode"]["Replicated"]["Replicas"] = replicas
            self._report_warnings(planned, self._manager.client.update_service(planned.id, service.version, spec))

        self._change(planned, send)

    def wake_up(self, run: ServiceRun) -> None:
        """Change a label, which restarts no task: Swarm compares specs, so sending the same one again has no effect."""
        planned = run.planned
        lost = run.look and describe_lost_nodes(run.look)
        self._manager.report(
            "warning", "update", f"Swarm's update of {planned.name} does not move ({lost}): a label is set to wake it up."
        )

        def send(service: SwarmService) -> None:
            spec = deepcopy(dict(service.spec))
            spec["Labels"] = {**(spec.get("Labels") or {}), WOKEN_LABEL: str(service.version)}
            self._report_warnings(planned, self._manager.client.update_service(planned.id, service.version, spec))

        self._change(planned, send)

    def _change(self, planned: PlannedService, send: Callable[[SwarmService], None]) -> None:
        """Read the service and call `send(service)`; again while others change it in between."""

        def read_and_send() -> None:
            send(make_swarm_service(self._manager.client.inspect_service(planned.id), planned.name))

        for attempt in range(VERSION_ATTEMPTS):
            self._manager.check()
            try:
                self._manager.ask(read_and_send)
                return
            except EngineRefused as error:
                if error.code != "out_of_sequence" or attempt == VERSION_ATTEMPTS - 1:
                    raise
                self._manager.report("warning", "update", f"{planned.name} was changed at the same time: reading it again.")

    def _report_warnings(self, planned: PlannedService, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self._manager.report("warning", "update", describe_warning(planned, warning))


def with_update(service: SwarmService, image: str, force_update: int, stack_image: str = "") -> dict[str, Any]:
    """Return the whole spec with these values. `stack_image` becomes the value of the stack's image label if there is one."""
    spec = deepcopy(dict(service.spec))
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = image
    spec["TaskTemplate"]["ForceUpdate"] = force_update
    if stack_image and STACK_IMAGE_LABEL in service.labels:
        spec["Labels"] = {**service.labels, STACK_IMAGE_LABEL: stack_image}
    return spec
