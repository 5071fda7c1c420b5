"""What a registry is reached with, and what it answers, as plain values."""

from dataclasses import dataclass, field

from clusters.registry.reference import DOCKER_HUB

HUB_API_HOST = "registry-1.docker.io"
HUB_SERVER = "https://index.docker.io/v1/"  # Docker Hub's name in engines' and credential helpers' stores
TOKEN_USER = "<token>"  # noqa: S105 - what Docker's credential helpers write for a user name where the secret is a refresh token


@dataclass(frozen=True)
class RegistryAccess:
    """How to reach a registry. `host` as ImageReference has it (Docker Hub's API host is found from `docker.io`); `ca` in PEM,
    trusted besides the system's own; `plain_http` only for the loopback. Without `username` and `password` it is asked
    anonymously; with TOKEN_USER the password is a refresh token (OAuth 2)."""

    host: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    plain_http: bool = False

    @property
    def api_url(self) -> str:
        """`https://registry.example.com:5000`, without a slash."""
        host = HUB_API_HOST if self.host == DOCKER_HUB else self.host
        return f"{'http' if self.plain_http else 'https'}://{host}"

    @property
    def is_anonymous(self) -> bool:
        return not (self.username and self.password)


@dataclass(frozen=True)
class PullLimit:
    """What a registry says of its own limit (Docker Hub's `RateLimit-Limit` and `RateLimit-Remaining`)."""

    limit: int
    remaining: int
    window_seconds: int

    def __str__(self) -> str:
        window = f" in {describe_seconds(self.window_seconds)}" if self.window_seconds else ""
        return f"{self.remaining} of {self.limit} pulls{window} remain"


@dataclass(frozen=True)
class TagState:
    """What a tag is at this moment. `digest` is empty where the registry says that nothing changed since `etag`."""

    digest: str
    etag: str = ""
    limit: PullLimit | None = None


def name_server(host: str) -> str:
    """The host as engines and credential helpers write it."""
    return HUB_SERVER if host == DOCKER_HUB else host


def describe_seconds(seconds: int) -> str:
    """`6 hours`, `35 minutes`, `1 second`: the largest unit that it fills twice or exactly."""
    for word, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or seconds == length:
            return count(round(seconds / length), word)
    return count(seconds, "second")


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
