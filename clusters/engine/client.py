"""The only code that speaks to Docker. Thin: one method, one engine request, plain dicts as the Engine API gives them.

`clusters.engine.testing.FakeEngine` has the same methods and passes the same contract suite.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig

from clusters.engine.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError, EngineRefused, EngineUnreachable, TargetMissing

REQUEST_TIMEOUT = 30.0  # seconds for one answer; a stop gets its grace period on top


@contextmanager
def translated_errors() -> Iterator[None]:
    """SDK and transport errors become EngineError."""
    try:
        yield
    except EngineError:
        raise
    except APIError as error:
        message = str(error.explanation or error).strip()
        if error.status_code == 404:
            raise TargetMissing(message) from error
        raise EngineRefused(message) from error
    except (requests.exceptions.RequestException, DockerException, OSError) as error:
        raise EngineUnreachable(describe_failure(error)) from error


def describe_failure(error: BaseException) -> str:
    """The innermost reason, as one sentence: "Connection refused" rather than four wrapped reprs."""
    seen = error
    while (inner := seen.__cause__ or seen.__context__ or next((a for a in seen.args if isinstance(a, BaseException)), None)) and inner is not seen:
        seen = inner
    text = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return f"The engine does not answer: {text}."


class EngineClient:
    """A connection to one engine; use as a context manager. Not shared between threads."""

    def __init__(self, endpoint: EngineEndpoint, timeout: float = REQUEST_TIMEOUT) -> None:
        """Connects and negotiates the API version. Raises EngineUnreachable, EngineError (`bad_address`)."""
        endpoint.validate()
        self.endpoint = endpoint
        self._resources = ExitStack()
        try:
            with translated_errors():
                self.api = docker.APIClient(
                    base_url=endpoint.url,
                    version="auto",
                    timeout=timeout,
                    tls=self._tls_config(endpoint),
                    use_ssh_client=urlsplit(endpoint.url).scheme == "ssh",
                )
        except BaseException:
            self._resources.close()
            raise
        self._resources.callback(self.api.close)

    def _tls_config(self, endpoint: EngineEndpoint) -> TLSConfig | bool:
        if not (endpoint.ca or endpoint.cert):
            return False
        folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="windlass-tls-")))
        for name, text in (("ca.pem", endpoint.ca), ("cert.pem", endpoint.cert), ("key.pem", endpoint.key)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
        return TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")) if endpoint.cert else None,
            ca_cert=str(folder / "ca.pem") if endpoint.ca else None,
            verify=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()

    @property
    def api_version(self) -> tuple[int, int]:
        """The negotiated Engine API version: (1, 41)."""
        major, minor = self.api.api_version.split(".")[:2]
        return int(major), int(minor)

    # Reading

    def version(self) -> dict[str, Any]:
        with translated_errors():
            return self.api.version()

    def info(self) -> dict[str, Any]:
        with translated_errors():
            return self.api.info()

    def list_containers(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """All containers, stopped ones too."""
        with translated_errors():
            return self.api.containers(all=True, filters=filters)

    def list_images(self) -> list[dict[str, Any]]:
        with translated_errors():
            return self.api.images()

    def inspect_container(self, container: str) -> dict[str, Any]:
        with translated_errors():
            return self.api.inspect_container(container)

    def inspect_image(self, image: str) -> dict[str, Any]:
        with translated_errors():
            return self.api.inspect_image(image)
