"""What can go wrong between Windlass and a registry. Errors of HTTP libraries never leave `clusters.registry`."""

from clusters.registry.access import PullLimit

MESSAGE_LIMIT = 500  # characters; what the rows keep


class RegistryError(Exception):
    """`message` is a sentence for people, of one line; `code` a word for machines; `permanent`: trying again will not help.

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
        self.message = "".join(each if each.isprintable() else " " for each in message[:MESSAGE_LIMIT])
        super().__init__(self.message)
        self.code, self.permanent = code, permanent
        self.retry_after, self.limit = retry_after, limit
