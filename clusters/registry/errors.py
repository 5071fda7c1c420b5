"""What can go wrong between Windlass and a registry. Errors of HTTP libraries never leave `clusters.registry`."""

from clusters.registry.access import PullLimit


class RegistryError(Exception):
    """`message` is a sentence for people, `code` a word for machines; `permanent`: trying again will not help.

    Codes: unreachable, timeout, tls, unauthorized, forbidden, not_found, rate_limited, server_error, bad_answer, helper_failed.
    `retry_after`: seconds that the registry asked to wait, if it did. `limit`: what it said of its own limit, if it did.
    """

    def __init__(
        self,
        message: str,
        code: str,
        *,
        permanent: bool = False,
        retry_after: int | None = None,
        limit: PullLimit | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.permanent = message, code, permanent
        self.retry_after, self.limit = retry_after, limit
