"""Where an engine listens. No Docker import here: models use it."""

from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import SplitResult, urlsplit

from clusters.engine.errors import EngineError

SCHEMES = ("unix", "tcp", "ssh")
LONGEST = 255
MOST_OTHERS = 9


@dataclass(frozen=True)
class EngineEndpoint:
    """An address as DOCKER_HOST writes it; for tcp:// the CA, client certificate and key as PEM text (never in its repr).

    `others` are further managers of the same Swarm, reached with the same certificates.
    """

    url: str
    ca: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    others: tuple[str, ...] = ()
    cluster_uid: str = field(default="", repr=False, compare=False)  # for counting its requests; empty: they are not counted

    @property
    def addresses(self) -> tuple[str, ...]:
        """All, in the order in which they are tried."""
        return tuple(dict.fromkeys((self.url, *self.others)))

    def at(self, address: str) -> Self:
        """The same at one address alone."""
        return replace(self, url=address, others=())

    def validate(self) -> None:
        """Raises EngineError (`bad_address`, `bad_other_address`) with a sentence that says what to write instead."""
        check_address(self.url)
        if bool(self.cert) != bool(self.key):
            raise EngineError("A client certificate and its key must be given together.", code="bad_address")
        if wrong := self.find_wrong_others():
            raise EngineError(" ".join(wrong), code="bad_other_address")

    def find_wrong_others(self) -> list[str]:
        """A sentence for each that is no address."""
        wrong = [f"{address[:255]}: {reason}" for address in self.others if (reason := find_fault(address))]
        return wrong or ([f"No more than {MOST_OTHERS} other managers can be given."] if len(self.others) > MOST_OTHERS else [])


def find_fault(address: str) -> str:
    """Empty when there is none."""
    try:
        check_address(address)
    except EngineError as error:
        return error.message
    return ""


def check_address(url: str) -> None:
    """Raises EngineError (`bad_address`)."""
    if len(url) > LONGEST:
        raise EngineError(f"The address is longer than {LONGEST} characters.", code="bad_address")
    parts = split_address(url)
    if parts.scheme not in SCHEMES:
        raise EngineError("The address must start with unix://, tcp:// or ssh://.", code="bad_address")
    if parts.scheme == "unix" and (parts.netloc or not parts.path.startswith("/")):
        raise EngineError(
            "A unix:// address needs the socket's absolute path, such as unix:///var/run/docker.sock.", code="bad_address"
        )
    if parts.scheme != "unix" and not parts.hostname:
        raise EngineError(f"A {parts.scheme}:// address needs a host name.", code="bad_address")
    try:
        parts.port  # noqa: B018 - urlsplit checks the port when it is read
    except ValueError as error:
        raise EngineError("The port of the address is not a number from 0 to 65535.", code="bad_address") from error


def split_address(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # a bracket that is not closed
        raise EngineError("The address cannot be read: is a bracket missing?", code="bad_address") from error
