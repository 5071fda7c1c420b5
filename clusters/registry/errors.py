"""The error of every failure with a registry. Errors of HTTP libraries never leave `clusters.registry`."""

from clusters.registry.access import PullLimit

MESSAGE_LIMIT = 500  # characters, as many as the database rows keep


class RegistryError(Exception):
    """`message` is for people, in one line; `code` is a word for machines; `permanent` means that a retry will not help.

    Codes: unreachable, timeout, tls, unauthorized, forbidden, not_found, rate_limited, server_error, bad_answer, helper_failed,
    busy (the registry was not asked, because too many requests wait for it).
    `retry_after` is how many seconds the registry asked to wait, and `limit` its own pull limit, where it sent them.
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
