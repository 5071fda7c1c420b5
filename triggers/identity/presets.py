"""The hosts of build jobs whose identity tokens a trigger can trust, and what their claims are called.

Claims by host:
- GitHub: https://docs.github.com/en/actions/reference/security/oidc
- GitLab: https://docs.gitlab.com/ci/secrets/id_token_authentication/
- Forgejo: https://forgejo.org/docs/next/user/actions/security-openid-connect/
- Buildkite: https://buildkite.com/docs/agent/v3/cli-oidc
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from django.db import models
from django.utils.translation import gettext_lazy as _

TEXT_LENGTH = 255  # characters of a claim that are kept
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+", re.ASCII)
NUMBER = re.compile(r"[0-9]{1,20}")


class Preset(models.TextChoices):
    GITHUB = "github", _("GitHub Actions")
    GITLAB = "gitlab", _("GitLab CI")
    FORGEJO = "forgejo", _("Forgejo Actions")
    BUILDKITE = "buildkite", _("Buildkite")
    CUSTOM = "custom", _("Another issuer")


@dataclass(frozen=True)
class JobHost:
    """`issuer` is the host's public one; empty if there is none. The other fields are names of claims, empty for none.
    `fixed` are conditions that the form adds where none names the claim."""

    issuer: str
    repository: tuple[str, ...]
    ref: str
    commit: str
    run: str
    actor: str

    @property
    def required(self) -> tuple[str, ...]:
        """The claims that a trusted job must have conditions on."""
        return (*self.repository, *filter(None, [self.ref]))


HOSTS: Mapping[str, JobHost] = {
    Preset.GITHUB: JobHost("https://token.actions.githubusercontent.com", ("repository",), "ref", "sha", "run_id", "actor"),
    Preset.GITLAB: JobHost("https://gitlab.com", ("project_path",), "ref", "sha", "pipeline_id", "user_login"),
    Preset.FORGEJO: JobHost("https://codeberg.org/api/actions", ("repository",), "ref", "sha", "run_number", "actor"),
    # Everybody's pipelines have the same issuer, so the organization counts as well.
    Preset.BUILDKITE: JobHost(
        "https://agent.buildkite.com",
        ("organization_slug", "pipeline_slug"),
        "build_branch",
        "build_commit",
        "build_number",
        "agent_id",
    ),
    Preset.CUSTOM: JobHost("", (), "ref", "sha", "run_id", "actor"),
}
PUBLIC_ISSUERS = frozenset(host.issuer for host in HOSTS.values()) - {""}

GITHUB_ENTERPRISE = "/_services/token"  # the path of the issuer of a GitHub Enterprise Server
FORGEJO_ACTIONS = "/api/actions"  # the same of a Forgejo


def describe_job(preset: str, issuer: str, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return what a verified token says about its job: `repository`, `ref`, `commit`, `run`, `actor`, and `run_url`, where it
    names a page of its host. The texts are anybody's."""
    host = HOSTS[Preset(preset)]
    repository = "/".join(filter(None, (read_text(claims, name) for name in host.repository or ("repository",))))
    described = {
        "repository": repository[:TEXT_LENGTH],
        "ref": read_text(claims, host.ref),
        "commit": read_text(claims, host.commit),
        "run": read_text(claims, host.run),
        "actor": read_text(claims, host.actor),
    }
    described["run_url"] = build_run_url(preset, issuer, described["repository"], described["run"])
    return {name: value for name, value in described.items() if value}


def read_text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value)[:TEXT_LENGTH]
    return "".join(character for character in text.encode("utf-8", "ignore").decode() if character.isprintable())


def build_run_url(preset: str, issuer: str, repository: str, run: str) -> str:
    """Return the address of a run's page at the issuer's own host; empty where none is known. It holds no text that a token
    could choose freely."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not PATH.fullmatch(repository) or not NUMBER.fullmatch(run) or ".." in repository:
        return ""
    path = quote(repository)
    if preset == Preset.GITLAB:
        return f"{issuer.rstrip('/')}/{path}/-/pipelines/{run}"
    if preset == Preset.FORGEJO and parts.path.endswith(FORGEJO_ACTIONS):
        return f"{issuer.removesuffix(FORGEJO_ACTIONS)}/{path}/actions/runs/{run}"
    if preset == Preset.GITHUB and issuer == HOSTS[Preset.GITHUB].issuer:
        return f"https://github.com/{path}/actions/runs/{run}"
    if preset == Preset.GITHUB and parts.path == GITHUB_ENTERPRISE:
        return f"https://{parts.netloc}/{path}/actions/runs/{run}"
    if preset == Preset.BUILDKITE and issuer == HOSTS[Preset.BUILDKITE].issuer:
        return f"https://buildkite.com/{path}/builds/{run}"
    return ""
