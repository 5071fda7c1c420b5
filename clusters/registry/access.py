"""How to reach a registry, and what it answers, as plain values."""

from dataclasses import dataclass, field

from clusters.registry.reference import DOCKER_HUB

HUB_API_HOST = "registry-1.docker.io"
HUB_SERVER = "https://index.docker.io/v1/"  # Docker Hub's name in engines' and credential helpers' stores
TOKEN_USER = "<token>"  # noqa: S105 - the user name from credential helpers where the secret is a refresh token


@dataclass(frozen=True)
class RegistryAccess:
    """How to reach a registry.

    `host` is that of an ImageReference; Docker Hub's API host follows from `docker.io`. `ca` is in PEM and trusted in addition
    to the system's own. `plain_http` is for the loopback, and for another host with `clear_text`: somebody has agreed to send
    everything to it in clear. Without `username` and `password`, requests are anonymous; with
    TOKEN_USER, the password is a refresh token (OAuth 2).
    """

    host: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    plain_http: bool = False
    clear_text: bool = False

    @property
    def api_url(self) -> str:
        """The API's address such as `https://registry.example.com:5000`, without a slash at the end."""
        host = HUB_API_HOST if self.host == DOCKER_HUB else self.host
        return f"{'http' if self.plain_http else 'https'}://{host}"

    @property
    def is_anonymous(self) -> bool:
        return not (self.username and self.password)


@dataclass(frozen=True)
class PullLimit:
    """A registry's own pull limit, from Docker Hub's `RateLimit-Limit` and `RateLimit-Remaining`."""

    limit: int
    remaining: int
    window_seconds: int

    def __str__(self) -> str:
        window = f" in {describe_seconds(self.window_seconds)}" if self.window_seconds else ""
        return f"{self.remaining} of {self.limit} pulls{window} remain"


@dataclass(frozen=True)
class TagState:
    """The present state of a tag. `digest` is empty where the registry reports no change since `etag`."""

    digest: str
    etag: str = ""
    limit: PullLimit | None = None


def name_server(host: str) -> str:
    """Return the host in the form that engines and credential helpers use."""
    return HUB_SERVER if host == DOCKER_HUB else host


def describe_seconds(seconds: int) -> str:
    """Return such as `6 hours`, `35 minutes`, `1 second`, in the largest unit that fits at least twice or exactly."""
    for word, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or seconds == length:
            return count_units(round(seconds / length), word)
    return count_units(seconds, "second")


def count_units(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
