"""What can go wrong with an engine: one small tree. An SDK error never leaves `clusters.engine`."""


class EngineError(Exception):
    """`message` is a sentence for people, `code` a word for machines (it becomes a call's `reason`)."""

    code = "engine_error"

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code


class EngineUnreachable(EngineError):
    """No answer: refused, timed out, TLS or SSH failed."""

    code = "engine_unreachable"


class SwarmUnavailable(EngineUnreachable):
    """A manager answers, but its Swarm has no leader at the moment (quorum lost, or an election)."""

    code = "swarm_unavailable"


class NotManager(EngineError):
    """The engine is no Swarm manager, or is none any more: it can say nothing about stacks and services."""

    code = "not_a_manager"


class EngineRefused(EngineError):
    """The engine answered with an error. Codes: `conflict`, `out_of_sequence` (a service was changed since it was read)."""

    code = "engine_refused"


class TargetMissing(EngineError):
    """The application, service, container or image is not on the engine."""

    code = "not_found"


class PullFailed(EngineError):
    """The registry or the engine refused a pull, or nobody was asked, for want of credentials that could be read.

    Codes: `pull_unauthorized`, `pull_not_found`, `pull_rate_limited`, `pull_failed`, `credentials_failed`.
    `had_credentials`: some were sent along.
    """

    code = "pull_failed"

    def __init__(self, message: str, code: str = "", *, had_credentials: bool = False) -> None:
        super().__init__(message, code)
        self.had_credentials = had_credentials


class PlanRefused(EngineError):
    """The request cannot be planned on this target, and nothing was touched.

    Codes: `fixed_port`, `static_address`, `container_name`, `host_network`, `shared_network`, `global_mode`, `protected`,
    `no_image_reference`, `stopped`, `paused`, `below_one`, `not_found`, `job_mode`, `dependency_cycle`,
    `several_repositories`.
    """

    code = "refused"


class Cancelled(EngineError):
    """Raised by a Check: somebody wants the call to be given up, and what was begun to be taken back."""

    code = "cancelled"


class HandOver(Exception):
    """Raised by a Check: this worker is to end, and another one goes on from what it finds."""
