"""The address of an engine. This module does not import the Docker SDK, because models use it."""

from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import SplitResult, urlsplit

from clusters.engine.errors import EngineError

SCHEMES = ("unix", "tcp", "ssh")
LONGEST = 255
MOST_OTHERS = 9


@dataclass(frozen=True)
class EngineEndpoint:
    """An address in DOCKER_HOST's form; for tcp://, the CA, client certificate and key as PEM text (never in its repr).

    `others` are further managers of the same Swarm, reached with the same certificates.
    """

    url: str
    ca: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    others: tuple[str, ...] = ()
    cluster_uid: str = field(
        default="", repr=False, compare=False
    )  # to count its requests; they are not counted where it is empty

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, in the order in which they are tried."""
        return tuple(dict.fromkeys((self.url, *self.others)))

    @property
    def is_plain(self) -> bool:
        """Whether requests to `url` travel without TLS: tcp:// without certificates. Credentials never do."""
        try:
            scheme = urlsplit(self.url).scheme
        except ValueError:
            return True  # no engine can be reached there
        return scheme == "tcp" and not (self.ca or self.cert)

    def at(self, address: str) -> Self:
        """Return the same endpoint with one address alone."""
        return replace(self, url=address, others=())

    def validate(self) -> None:
        """Raises EngineError (`bad_address`, `bad_other_address`) with a sentence that says what to enter instead."""
        check_engine_address(self.url)
        if bool(self.cert) != bool(self.key):
            raise EngineError("Enter a client certificate and its key together.", code="bad_address")
        if wrong := self.find_wrong_others():
            raise EngineError(" ".join(wrong), code="bad_other_address")

    def find_wrong_others(self) -> list[str]:
        """Return a sentence for each of the others that is not an address."""
        wrong = [f"{address[:255]}: {reason}" for address in self.others if (reason := find_address_fault(address))]
        return wrong or ([f"Enter at most {MOST_OTHERS} other managers."] if len(self.others) > MOST_OTHERS else [])


def find_address_fault(address: str) -> str:
    """Return what is wrong with an address, or "" when nothing is."""
    try:
        check_engine_address(address)
    except EngineError as error:
        return error.message
    return ""


def check_engine_address(url: str) -> None:
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
        raise EngineError("The port of the address must be a number from 0 to 65535.", code="bad_address") from error


def split_address(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # a bracket that is not closed
        raise EngineError("The address cannot be read: is a bracket missing?", code="bad_address") from error
