"""Where an engine listens. No Docker import here: models use it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from clusters.engine.errors import EngineError

SCHEMES = ("unix", "tcp", "ssh")


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

    def validate(self) -> None:
        """Raises EngineError (`bad_address`) with a sentence that says what to write instead."""
        parts = urlsplit(self.url)
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
        if bool(self.cert) != bool(self.key):
            raise EngineError("A client certificate and its key must be given together.", code="bad_address")
