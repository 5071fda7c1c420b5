"""Links to an image's source and to what changed between two images, from what the images say about themselves.

Builders write these labels as they like, so only http and https addresses become links, of a plain form.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?")
PATH = re.compile(r"(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]*)+")
REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
OWNER_AND_NAME = 2  # parts of a repository's path on GitHub


def find_source_url(facts: Mapping[str, str]) -> str:
    """Return the address of the repository that the image was built from; empty where none is safe to link to."""
    found = read_repository(facts.get("source", ""))
    return f"{found.scheme}://{found.netloc}{found.path}" if found else ""


def read_repository(source: str) -> SplitResult | None:
    try:
        parts = urlsplit(source)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    path = parts.path.rstrip("/").removesuffix(".git")
    if parts.scheme not in ("http", "https") or not HOST.fullmatch(parts.netloc) or not PATH.fullmatch(path):
        return None
    if parts.hostname == "github.com":  # a source can name a folder or a branch in the repository
        path = "/".join(path.split("/")[: OWNER_AND_NAME + 1])
    return SplitResult(parts.scheme, parts.netloc.lower(), path, "", "")


def make_comparison_url(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the address of the comparison of two images' revisions; empty unless both are known, of one repository.

    GitHub, Gitea and Forgejo have one form of it, GitLab and Bitbucket have their own.
    """
    repository = read_repository(new.get("source", ""))
    first, second = old.get("revision", ""), new.get("revision", "")
    if repository is None or first == second or read_repository(old.get("source", "")) != repository:
        return ""
    if not (REVISION.fullmatch(first) and REVISION.fullmatch(second)) or ".." in f"{first} {second}":
        return ""
    base, host = f"{repository.scheme}://{repository.netloc}{repository.path}", repository.hostname or ""
    if "gitlab" in host.split("."):
        return f"{base}/-/compare/{first}...{second}"
    if host == "bitbucket.org":
        return f"{base}/branches/compare/{second}..{first}"
    return f"{base}/compare/{first}...{second}"
