"""The exceptions of `clusters.engine`, one small tree. The SDK's own exceptions never leave the package."""


class EngineError(Exception):
    """A failed request. `message` is a sentence for people, `code` a word for machines that becomes a call's `reason`."""

    code = "engine_error"

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code


class EngineUnreachable(EngineError):
    """The engine did not answer: the connection was refused or timed out, or TLS or SSH failed.

    With the code `busy` it was not asked, because too many requests wait for it.
    """

    code = "engine_unreachable"


class SwarmUnavailable(EngineUnreachable):
    """A manager answers, but its Swarm has no leader at the moment: it lost its quorum, or an election is under way."""

    code = "swarm_unavailable"


class NotManager(EngineError):
    """The engine is not, or is no longer, a Swarm manager: it does not know stacks and services."""

    code = "not_a_manager"


class EngineRefused(EngineError):
    """The engine answered with an error. Codes: `conflict`, `out_of_sequence` (the service changed since it was read),
    `has_dependents` (Podman: other containers have to be removed before).
    """

    code = "engine_refused"


class TargetMissing(EngineError):
    """The engine does not have the application, service, container or image."""

    code = "not_found"


class PullFailed(EngineError):
    """The registry or the engine refused a pull, or the credentials for it could not be read.

    Codes: `pull_unauthorized`, `pull_not_found`, `pull_rate_limited`, `pull_failed`, `credentials_failed`.
    `had_credentials`: the request contained credentials. `withheld`: why credentials that exist may not go to this engine.
    """

    code = "pull_failed"

    def __init__(self, message: str, code: str = "", *, had_credentials: bool = False, withheld: str = "") -> None:
        super().__init__(message, code)
        self.had_credentials = had_credentials
        self.withheld = withheld


class PlanRefused(EngineError):
    """The request cannot be planned on this target. Nothing was touched.

    Codes: `fixed_port`, `static_address`, `container_name`, `host_network`, `shared_network`, `global_mode`, `protected`,
    `no_image_reference`, `auto_remove`, `stopped`, `paused`, `below_one`, `not_found`, `job_mode`, `dependency_cycle`,
    `several_repositories`, `copied_files`, `bind_source`, `missing_container`, `missing_image`, `platform`, `no_room`, `podman`
    (its Docker API cannot recreate the container), `predeploy_label`, `check_label`, `check_impossible`.
    """

    code = "refused"


class Cancelled(EngineError):
    """A Check raises it when somebody cancelled the call: stop, and roll back what was started."""

    code = "cancelled"


class TimedOut(Cancelled):
    """A Check raises it past the call's limit: a failure like any other, so what was started is rolled back."""

    code = "timed_out"


class HandOver(Exception):
    """A Check raises it when this worker is shutting down: stop, and let another worker resume from what it finds."""
