"""The environment of the programs that the console starts: what they need to work, and none of the console's own secrets.

A credential helper, ssh (with whatever its configuration runs) and a Docker engine are others' code. They would inherit the
database's password and the key that decrypts every stored secret. This module knows no Django.
"""

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase

# Patterns of names, as fnmatch reads them. Everything that a program needs to find its files and the network:
COMMON = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*", "XDG_*"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
# The agent with the keys, Kerberos, and what keeps ssh from asking at a terminal.
SSH = ("SSH_*", "KRB5*")
# What helpers find their own credentials by: clouds' accounts and metadata services, Docker's config, pass and keyrings.
HELPERS = (
    *("DOCKER_*", "AWS_*", "AZURE_*", "ACR_*", "IDENTITY_*", "MSI_*", "GOOGLE_*", "CLOUDSDK_*", "GCE_*", "NO_GCE_CHECK"),
    *("GH_*", "GITHUB_TOKEN", "GITLAB_*", "PASSWORD_STORE_*", "GNUPGHOME", "GPG_*", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY"),
)
ENGINE = ("DOCKER_*", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG")
PACKAGE_TOOLS = ("APT_*", "DEB*", "DPKG_*")
# The console's own. No pattern passes them on, not even `*`.
OWN = ("WINDLASS_*", "DATABASE_URL*", "DATABASE_PASSWORD*", "BROKER_URL*")

_chosen: tuple[str, ...] = ()


def pass_on(patterns: Iterable[str]) -> None:
    """Also give ssh and helpers the variables whose names match, such as `VAULT_*`: what the operator chose
    (WINDLASS_PASS_ENVIRONMENT)."""
    global _chosen  # noqa: PLW0603 - set once, when the process starts
    _chosen = tuple(patterns)


def build_child_environment(*patterns: str, chosen: bool = True) -> dict[str, str]:
    """Return this process's variables whose names match COMMON or `patterns`; with `chosen` also those of `pass_on`."""
    wanted = (*COMMON, *patterns, *(_chosen if chosen else ()))
    return {name: value for name, value in os.environ.items() if _matches(name, wanted) and not _matches(name, OWN)}


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
