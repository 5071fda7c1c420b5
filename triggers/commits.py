"""Commits and repositories of forges, as callers and channels name them."""

import re

# The whole id, of SHA-1 or SHA-256.
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# An owner and a name, and on GitLab groups within groups. No part begins with a dot, so none is `..`.
REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,20}")
REPOSITORY_LENGTH = 255


def is_commit(text: str) -> bool:
    return COMMIT.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    return len(text) <= REPOSITORY_LENGTH and REPOSITORY.fullmatch(text) is not None
