"""Image references in one form, so that two ways of writing the same image are equal.

The grammar is that of the Distribution project's `reference` package. Whether the first part is a host follows Docker's rule.
"""

import ipaddress
import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
HUB_ALIASES = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
DEFAULT_TAG = "latest"
LENGTH_LIMIT = 512  # characters of a whole reference; the specification allows 255 for the name

HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,128}")


class BadReference(ValueError):
    """The text is not an image reference; the message says why, for people."""


@dataclass(frozen=True)
class ImageReference:
    """`host` is such as `docker.io` or `registry.example.com:5000`, `path` such as `library/app`.

    `tag` and `digest` are empty where the reference has none.
    """

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The key that images are matched by, such as `docker.io/library/app`."""
        return f"{self.host}/{self.path}"

    @property
    def wanted_tag(self) -> str:
        """The tag that a pull requests, or "" for a reference by digest alone."""
        return self.tag or ("" if self.digest else DEFAULT_TAG)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def normalize_host(host: str) -> str:
    """Return the host in lower case, without a scheme, a path, the default port 443 or a trailing dot.

    Docker Hub's other names become `docker.io`. Raises BadReference.
    """
    text = host.strip().lower()
    text = re.sub(r"^[a-z]+://", "", text).partition("/")[0].removesuffix(":443").rstrip(".")
    if not HOST.fullmatch(text) or len(text) > 255:
        raise BadReference(f"'{host[:60]}' is not the host of a registry, such as registry.example.com:5000.")
    return DOCKER_HUB if text in HUB_ALIASES else text


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine's loopback."""
    name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) and host.count(":") == 1 or "]:" in host else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_reference(text: str) -> ImageReference:
    """Parse such as `app`, `ns/app:1`, `host:5000/app`, `app@sha256:…`.

    A repository in upper case is read as lower case, as registries that accept both do. Raises BadReference.
    """
    if len(text) > LENGTH_LIMIT:
        raise BadReference(f"An image reference has at most {LENGTH_LIMIT} characters.")
    name, _, digest = text.strip().partition("@")
    if digest and not DIGEST.fullmatch(digest):
        raise BadReference(f"'{digest[:80]}' is not a digest. A digest is such as sha256: and 64 hex digits.")
    head, slash, tail = name.rpartition("/")
    tail, colon, tag = tail.partition(":")
    if colon and not is_tag(tag):
        raise BadReference(f"'{tag[:60]}' is not a tag.")
    return make_reference(f"{head}{slash}{tail}", tag, digest)


def make_reference(name: str, tag: str = "", digest: str = "") -> ImageReference:
    """Make a reference from a name without tag and digest, with or without a host. Raises BadReference."""
    first, slash, rest = name.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first.lower() == "localhost" or first != first.lower())
    host, path = (normalize_host(first), rest.lower()) if has_host else (DOCKER_HUB, name.lower())
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if not PATH.fullmatch(path):
        raise BadReference(f"'{name[:80]}' is not the name of an image, such as registry.example.com/team/app.")
    return ImageReference(host, path, tag, digest)


def is_tag(text: str) -> bool:
    return bool(TAG.fullmatch(text))


def is_digest(text: str) -> bool:
    return bool(DIGEST.fullmatch(text))
