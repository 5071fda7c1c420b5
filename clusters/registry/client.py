"""Talking to an image registry as the OCI Distribution specification has it: tokens, digests, and whether a push is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class RegistryAccess:
    """How to reach a registry. `host` as ImageReference has it (Docker Hub's API host is found from `docker.io`); `ca` in PEM;
    `plain_http` only for the loopback. Without `username` and `password` it is asked anonymously."""

    host: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    plain_http: bool = False


@dataclass(frozen=True)
class PullLimit:
    """What a registry says of its own limit (Docker Hub's `RateLimit-Limit` and `RateLimit-Remaining`)."""

    limit: int
    remaining: int
    window_seconds: int


@dataclass(frozen=True)
class TagState:
    """What a tag is at this moment. `digest` is empty where the registry says that nothing changed since `etag`."""

    digest: str
    etag: str = ""
    limit: PullLimit | None = None


class RegistryClient:
    """One registry, for as long as the `with` lasts. Every request has a deadline."""

    def __init__(self, access: RegistryAccess, timeout: float = 10.0) -> None:
        self.access, self.timeout = access, timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""

    def check(self) -> PullLimit | None:
        """The credentials are accepted. What the registry says of its limit, where it does. Raises RegistryError."""
        raise NotImplementedError

    def read_tag(self, path: str, tag: str, etag: str = "") -> TagState:
        """HEAD of the manifest (of the index, where there is one). Raises RegistryError."""
        raise NotImplementedError

    def may_push(self, path: str) -> bool:
        """Whether the registry itself grants these credentials a push to the repository: by a token that has the scope, else by
        an upload that is opened and cancelled. Raises RegistryError when that cannot be found out."""
        raise NotImplementedError


def read_helper_credentials(helper: str, host: str, environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """User name and password from `docker-credential-<helper> get`, as Docker's credential helpers answer. Raises RegistryError
    (`helper_failed`)."""
    raise NotImplementedError
