"""Perform single operations of a standalone plan on an engine."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from clusters.engine import names
from clusters.engine.errors import EngineError, EngineRefused, PlanRefused, PullFailed, TargetMissing
from clusters.engine.evidence import EvidenceReader, Keep
from clusters.engine.lanes import LaneRunner
from clusters.engine.operation import Operation
from clusters.engine.platforms import differ, read_platform
from clusters.engine.references import is_digest_pinned, share_digest, shorten_image_id
from clusters.engine.retry import retry_unreachable
from clusters.engine.standalone.checks import ask_check
from clusters.engine.standalone.file_work import check_paths, copy_files
from clusters.engine.standalone.final_state import FinalState
from clusters.engine.standalone.health import (
    POLL_SECONDS,
    NotHealthy,
    Watched,
    describe_failed,
    describe_watched,
    watch_containers,
)
from clusters.engine.standalone.hook_operations import AskCheck, RemoveHelper
from clusters.engine.standalone.images import find_image, pin_image
from clusters.engine.standalone.inspected import RUNNING_STATES
from clusters.engine.standalone.plan import (
    AwaitEnd,
    Connect,
    CopyFiles,
    Create,
    Disconnect,
    Pull,
    Ref,
    Refuse,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Rename,
    Restart,
    SetRestartPolicy,
    Start,
    Stop,
    Watch,
)
from clusters.engine.wording import cut

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

Answer = TypeVar("Answer")

AUTO_REMOVE_SECONDS = 30.0  # the engine's own removal after a stop (AutoRemove)
POLICY_ATTEMPTS = 10  # 0.2 s apart
RESTART_ATTEMPTS = 20  # 0.2 s apart


class OperationHandler:
    """Performs operations in a lane's thread, and remembers the containers that they created.

    `healthy`: the containers that passed their watch and are to run on, names by ids. `remarks`: sentences for the outcome,
    about containers that ended with success.
    """

    def __init__(self, lanes: LaneRunner, keep: Keep) -> None:
        self._lanes, self._keep = lanes, keep
        self._evidence = EvidenceReader()
        self._ids: dict[str, str] = {}  # of the created containers, by the names under which they were created
        self.healthy: dict[str, str] = {}
        self.image_ids: dict[str, str] = {}
        self._pulled: dict[tuple[str, str], str] = {}  # image ids by reference and platform
        self.remarks: list[str] = []
        self._delayed: list[tuple[str, bool]] = []  # removals that Podman refuses until dependants are removed
        self._delayed_lock = threading.Lock()

    def perform(self, client: "EngineClient", operation: Operation) -> None:
        """Report and perform the operation; retry while the engine is unreachable. Raises EngineError."""
        self._lanes.report("info", operation.word, operation.describe())
        if isinstance(operation, AskCheck):
            ask_check(self, self._lanes, client, operation)
            return

        def request(attempt: int) -> None:
            self._apply(client, operation, is_repeated=attempt > 0)

        self._retry(request, operation.word)

    def inspect(self, client: "EngineClient", container: str) -> dict[str, Any]:
        """Inspect the container by its id; retry while the engine is unreachable. Raises EngineError."""
        return self._retry(lambda attempt: client.inspect_container(container), "wait")

    def _retry(self, request: Callable[[int], Answer], word: str) -> Answer:
        return retry_unreachable(request, lambda text: self._lanes.report("warning", word, text), self._lanes.pause)

    def find_id(self, container: Ref) -> str:
        """Raises TargetMissing for a container that the plan has not created."""
        if container.id or container.name in self._ids:
            return container.id or self._ids[container.name]
        raise TargetMissing(f"{container.name} was not created.")

    def find_known_id(self, container: Ref) -> str:
        """Return the container's id; empty if the plan has not created it."""
        return container.id or self._ids.get(container.name, "")

    def forget(self, container: Ref) -> None:
        """The container no longer exists: a rollback has nothing to do with it."""
        self._ids.pop(container.name, None)

    def knows_container(self, operation: Operation) -> bool:
        """Return whether the operation's container exists, as far as is known here; true if it has none."""
        container = getattr(operation, "container", None)
        return not isinstance(container, Ref) or bool(container.id) or container.name in self._ids

    def _apply(self, client: "EngineClient", operation: Operation, is_repeated: bool) -> None:
        """`is_repeated`: an earlier request may have succeeded although its answer was lost."""
        match operation:
            case Pull():
                self._pull(client, operation)
            case Refuse():
                raise PlanRefused(operation.cause, code=operation.code)
            case Create():
                self._create(client, operation, is_repeated)
            case Connect():
                self._connect(client, operation, is_repeated)
            case Disconnect():
                with suppress(TargetMissing):
                    client.disconnect_network(operation.network, self.find_id(operation.container))
            case CopyFiles():
                copy_files(client, operation, self.find_id(operation.source), self.find_id(operation.container))
            case Start():
                with self._keep_refused(client, operation.container):
                    client.start_container(self.find_id(operation.container))
            case Stop():
                self._stop(client, operation)
            case Restart():
                check_paths(client, operation, self.find_id(operation.container))
                with self._keep_refused(client, operation.container):
                    client.restart_container(self.find_id(operation.container), operation.grace)
            case Watch():
                self._watch(client, operation)
            case AwaitEnd():
                self._await_end(client, operation)
            case Rename():
                self._rename(client, operation)
            case Remove():
                self._remove(client, operation)
            case RemoveHelper():
                with suppress(TargetMissing):
                    client.remove_container(self.find_id(operation.container), force=True, volumes=True)
            case RemoveVolume():
                self._remove_volume(client, operation)
            case RemoveNetwork():
                self._remove_network(client, operation)
            case SetRestartPolicy():
                self._set_restart_policy(client, operation)
            case _:
                raise NotImplementedError(type(operation).__name__)

    def _pull(self, client: "EngineClient", operation: Pull) -> None:
        before = find_image(client, operation.reference)
        if operation.if_missing and before:
            return
        try:
            client.pull_image(operation.reference, on_progress=lambda: self._lanes.pause(0), platform=operation.platform)
        except PullFailed as error:
            if not (operation.optional and error.code in {"pull_not_found", "pull_unauthorized"}):
                raise
            self._lanes.report("warning", "pull", f"{error.message} The image on this engine is used instead.")
            return
        after = client.inspect_image(operation.reference)
        if differ(operation.expected, read_platform(after)):
            what = f"its registry has it for {read_platform(after)}, and the container runs {operation.expected}"
            raise PullFailed(f"{operation.reference} could not be pulled: {what}.")
        self._pulled[operation.reference, operation.expected] = after["Id"]
        same = before and (before["Id"] == after["Id"] or share_digest(before["RepoDigests"] or [], after["RepoDigests"] or []))
        news = "is unchanged" if same else "was pulled" if is_digest_pinned(operation.reference) else "is newer"
        self._lanes.report("info", "pull", f"{operation.reference} {news}: {shorten_image_id(after['Id'])}")

    def _create(self, client: "EngineClient", operation: Create, is_repeated: bool) -> None:
        config = deepcopy(dict(operation.config))
        for mode, parent in operation.joins:
            config["HostConfig"][mode] = f"container:{self.find_id(parent)}"
        if operation.source:
            pin_image(client, operation.source, config)
        elif operation.platform:
            self._choose_image(client, operation, config)
        if operation.follows_image:
            config["Labels"][names.COMPOSE_IMAGE_LABEL] = client.inspect_image(config["Image"])["Id"]
        try:
            self._ids[operation.name] = client.create_container(operation.name, config, operation.platform)
        except EngineRefused as error:
            if not (is_repeated and error.code == "conflict"):
                raise
            self._ids[operation.name] = client.inspect_container(operation.name)["Id"]

    def _choose_image(self, client: "EngineClient", operation: Create, config: dict[str, Any]) -> None:
        """Create from the id of what was pulled for this platform, if the reference means another one by now."""
        reference = config["Image"]
        if not differ(operation.platform, read_platform(client.inspect_image(reference))):
            return
        pulled = self._pulled.get((reference, operation.platform))
        if pulled is None:
            raise EngineRefused(f"{reference} is not on this engine for {operation.platform}.")
        config["Image"], config["Labels"][names.REFERENCE_LABEL] = pulled, reference

    def _connect(self, client: "EngineClient", operation: Connect, is_repeated: bool) -> None:
        try:
            network = operation.endpoint.get("NetworkID") or operation.network
            client.connect_network(network, self.find_id(operation.container), operation.endpoint)
        except EngineRefused as error:
            is_there = "already exists" in error.message or "already connected" in error.message  # Docker's words, and Podman's
            if not (is_repeated and is_there):
                raise

    def _stop(self, client: "EngineClient", operation: Stop) -> None:
        container = self.find_id(operation.container)
        try:
            client.stop_container(container, operation.grace)
        except TargetMissing:
            self._lanes.report("warning", "stop", f"{operation.container} was already removed")
        if operation.auto_remove:
            self._await_removal(client, operation.container, container)

    def _await_removal(self, client: "EngineClient", ref: Ref, container: str) -> None:
        give_up_at = time.monotonic() + AUTO_REMOVE_SECONDS
        with suppress(TargetMissing):
            while time.monotonic() < give_up_at:
                client.inspect_container(container)
                self._lanes.pause(0.1)
            raise EngineRefused(f"{ref} stopped, but the engine did not remove it within {AUTO_REMOVE_SECONDS:.0f} s.")

    def _watch(self, client: "EngineClient", operation: Watch) -> None:
        watched = [
            Watched(self.find_id(ref), names.base_name(ref.name), may_end=operation.may_end, must_end=operation.must_end)
            for ref in operation.containers
        ]
        try:
            watch_containers(client, watched, operation.monitor, self._lanes.pause, self._announce)
        except NotHealthy as error:
            for item in watched:
                if error.message.startswith(f"{item.name} "):
                    self.keep_evidence(client, item.container_id, item.name, error.message)
            for item in watched:
                if cause := describe_failed(client, item):
                    self.keep_evidence(client, item.container_id, item.name, cause)
            raise
        for item in watched:
            if item.has_ended:
                self.remarks.append(f"{item.name} completed its work and exited (exit code 0).")
            else:
                self.healthy[item.container_id] = item.name
        self._lanes.report("info", "watch", describe_watched(watched))

    def _await_end(self, client: "EngineClient", operation: AwaitEnd) -> None:
        self._announce(f"Waiting for the end of {names.base_name(operation.container.name)}: others need its success.")
        with suppress(TargetMissing):
            while client.inspect_container(self.find_id(operation.container))["State"]["Status"] in RUNNING_STATES:
                self._lanes.pause(POLL_SECONDS)

    def _announce(self, text: str) -> None:
        self._lanes.report("info", "wait", text)

    @contextmanager
    def _keep_refused(self, client: "EngineClient", container: Ref) -> Iterator[None]:
        """Keep the evidence of a container that the engine does not start."""
        try:
            yield
        except EngineRefused as error:
            self.keep_evidence(client, self.find_id(container), names.base_name(container.name), error.message)
            raise

    def keep_ended(self, client: "EngineClient", final: FinalState, cause: str) -> None:
        """Keep the evidence of the containers that were healthy and do not run any more."""
        for container_id, name in self.healthy.items():
            if final.state_of(container_id) not in {"running", "gone"}:
                self.keep_evidence(client, container_id, name, cause)

    def keep_evidence(self, client: "EngineClient", container_id: str, name: str, cause: str) -> None:
        found = self._evidence.read_container(client, container_id, name, cause)
        if found is None:
            return
        if found.first_error:
            self._lanes.report("warning", "watch", f"{name} printed: {found.first_error}")
        self._lanes.hand_over(partial(self._keep, found))

    def _rename(self, client: "EngineClient", operation: Rename) -> None:
        """Retry while the container's process ends at this very moment: its network is missing then."""
        container = self.find_id(operation.container)
        for attempt in range(POLICY_ATTEMPTS):
            try:
                return self._rename_once(client, operation, container)
            except EngineError as error:
                if attempt == POLICY_ATTEMPTS - 1 or not error.message.startswith("sandbox "):
                    raise
                self._lanes.pause(0.2)
        return None

    def _rename_once(self, client: "EngineClient", operation: Rename, container: str) -> None:
        try:
            client.rename_container(container, operation.name)
        except TargetMissing as error:
            if not operation.if_exists or error.message.startswith("sandbox "):
                raise
        except EngineRefused:
            if client.inspect_container(container)["Name"].lstrip("/") != operation.name:
                raise

    def _remove(self, client: "EngineClient", operation: Remove) -> None:
        container = self.find_id(operation.container)
        try:
            client.remove_container(container, volumes=operation.volumes)
        except TargetMissing:
            pass
        except EngineRefused as error:
            if error.code == "has_dependents":
                self._lanes.report("info", "remove", f"{operation.container} is removed after the containers that depend on it")
                with self._delayed_lock:
                    self._delayed.append((container, operation.volumes))
            elif "already in progress" in error.message:
                self._await_removal(client, operation.container, container)
            elif error.code == "conflict" and client.libpod_version and self._is_discarded(operation):
                self._remove_restarting(client, container, operation)
            elif not (operation.unless_running and client.inspect_container(container)["State"]["Status"] in RUNNING_STATES):
                raise
        self._remove_delayed(client)

    def _is_discarded(self, operation: Remove) -> bool:
        """Return whether the container is a new one that is not wanted, of this plan or of one that was not finished."""
        temporary = names.parse_temporary_name(operation.container.name)
        is_new = operation.container.name in self._ids or (temporary is not None and temporary.role != "old")
        return is_new and not operation.unless_running

    def _remove_restarting(self, client: "EngineClient", container: str, operation: Remove) -> None:
        """Stop and remove a new container that Podman has restarted by its policy, although it was stopped at that moment."""
        for attempt in range(RESTART_ATTEMPTS):
            client.stop_container(container, 0)
            try:
                client.remove_container(container, volumes=operation.volumes)
                return
            except TargetMissing:
                return
            except EngineRefused as error:
                if error.code != "conflict" or attempt == RESTART_ATTEMPTS - 1:
                    raise
                self._lanes.pause(0.2)

    def _remove_delayed(self, client: "EngineClient") -> None:
        """Remove the containers that others depended on, as far as these are removed by now.

        Each lane calls this after each of its own removals, also after one that was refused: another lane may have removed the
        last dependant meanwhile.
        """
        with self._delayed_lock:
            waiting, self._delayed = self._delayed, []
            for container, volumes in waiting:
                try:
                    client.remove_container(container, volumes=volumes)
                except TargetMissing:
                    continue
                except EngineRefused as error:
                    if error.code != "has_dependents":
                        raise
                    self._delayed.append((container, volumes))

    def _remove_volume(self, client: "EngineClient", operation: RemoveVolume) -> None:
        try:
            client.remove_volume(operation.volume)
        except TargetMissing:
            return
        except EngineRefused as error:
            self._lanes.report("warning", "remove", f"the volume {operation.volume[:12]} is kept: {cut(error.message)}")

    def _remove_network(self, client: "EngineClient", operation: RemoveNetwork) -> None:
        try:
            client.remove_network(operation.network)
        except TargetMissing:
            return
        except EngineRefused as error:
            self.remarks.append(f"The network {operation.name} is kept: it is in use.")
            self._lanes.report("warning", "remove", f"the network {operation.name} is kept: {cut(error.message)}")

    def _set_restart_policy(self, client: "EngineClient", operation: SetRestartPolicy) -> None:
        """Retry while the engine refuses: it does so for a crash-looping container whose process ends at this very moment."""
        for attempt in range(POLICY_ATTEMPTS):
            try:
                client.update_restart_policy(self.find_id(operation.container), operation.policy)
                return
            except EngineRefused:
                if attempt == POLICY_ATTEMPTS - 1:
                    raise
                self._lanes.pause(0.2)
