"""An image registry and the rules that its settings must meet."""

import hashlib
import re
import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models.cluster import Cluster
from clusters.registry.client import RegistryAccess
from clusters.registry.reference import BadReference, is_loopback, normalize_host

HELPER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def make_hook_token() -> str:
    """Return 48 hex digits, the secret in a registry's inbound link."""
    return secrets.token_hex(24)


def hash_hook_token(token: str) -> str:
    """Return the look-up key of an inbound link. It is a hash, so the duration of a look-up reveals nothing about the token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Registry(models.Model):
    """An image registry: its credentials for pulls, digests and Swarm, and its inbound link for pushes.

    Registries belong to no cluster. `clusters` are those whose engines may get the credentials (`clusters.allowances`).
    `clusters.registries` finds the registry of an image and stores what was last seen of it.
    """

    class Kind(models.TextChoices):
        DISTRIBUTION = "distribution", _("Distribution (registry:2, registry:3)")
        DOCKERHUB = "dockerhub", _("Docker Hub")
        HARBOR = "harbor", _("Harbor")
        QUAY = "quay", _("Quay")
        GHCR = "ghcr", _("GitHub Packages")
        GITEA = "gitea", _("Gitea or Forgejo")
        GITLAB = "gitlab", _("GitLab")
        ACR = "acr", _("Azure Container Registry")
        ALIBABA = "alibaba", _("Alibaba Cloud ACR")
        ECR = "ecr", _("Amazon ECR")
        ARTIFACT_REGISTRY = "artifact_registry", _("Google Artifact Registry")
        ARTIFACTORY = "artifactory", _("JFrog Artifactory")
        NEXUS = "nexus", _("Sonatype Nexus")
        OTHER = "other", _("Another")

    host = models.CharField(max_length=255, unique=True, help_text="As images name it: docker.io, registry.example.com:5000.")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.DISTRIBUTION)
    aliases = models.TextField(
        "other hosts",
        blank=True,
        help_text="Further hosts of the same registry, one a line: an internal name, for example.",
    )
    username = models.CharField("user name", max_length=255, blank=True)
    password = EncryptedTextField("password or token", blank=True, help_text="Stored encrypted.")
    password_expires_at = models.DateTimeField(null=True, blank=True, help_text="For tokens that are refreshed from outside.")
    credential_helper = models.CharField(
        max_length=64,
        blank=True,
        help_text="The end of a docker-credential-… program's name on the worker's PATH, asked anew for each use: ecr-login.",
    )
    ca = models.TextField("CA certificate", blank=True, help_text="PEM; for a certificate that the system does not trust.")
    plain_http = models.BooleanField("plain HTTP", default=False, help_text="Without TLS: on this machine's loopback only.")
    clear_text = models.BooleanField(
        "sent in clear",
        default=False,
        db_default=False,
        help_text="Plain HTTP to another machine: credentials, tokens and the names of images can be read on the network.",
    )
    hook_token = EncryptedTextField(default=make_hook_token, editable=False)
    hook_key = models.CharField(max_length=64, unique=True, editable=False)
    signing_secret = EncryptedTextField(
        blank=True, help_text="The webhook's secret at senders that sign: without its signature a push is then refused."
    )
    # Without constraints in the database: the version before knows no such rows and still deletes clusters and registries.
    clusters = models.ManyToManyField(
        Cluster,
        blank=True,
        related_name="registries",
        db_constraint=False,
        verbose_name="clusters that get the credentials",
        help_text="Only the engines of these clusters get the user name and the password, and never by tcp:// without TLS.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    checked_at = models.DateTimeField(null=True, editable=False)
    problem = models.CharField(max_length=500, blank=True, editable=False, help_text="What the last test or use met.")
    pull_limit = models.PositiveIntegerField(null=True, editable=False, help_text="Of the registry's own: pulls in a window.")
    pull_remaining = models.PositiveIntegerField(null=True, editable=False)
    pull_window_seconds = models.PositiveIntegerField(null=True, editable=False)

    class Meta:
        ordering = ["host"]
        verbose_name_plural = "registries"
        permissions = [("reveal_registry", "Can reveal inbound link and its secret")]

    def __str__(self) -> str:
        return self.host

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Derive `hook_key` from the token, then save."""
        self.hook_key = hash_hook_token(self.hook_token)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        validate_registry(self)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The registry's own host and its aliases, normalised."""
        return (self.host, *(normalize_host(line) for line in self.aliases.split()))

    @property
    def has_credentials(self) -> bool:
        return bool(self.credential_helper) or not self.access.is_anonymous

    @property
    def access(self) -> RegistryAccess:
        """The access with the stored password. `clusters.registries.open_access` uses the credential helper if there is one."""
        return RegistryAccess(self.host, self.username, self.password, self.ca, self.plain_http, self.clear_text)

    def rotate_token(self) -> None:
        """Give the inbound link a new token. The old link stops working immediately."""
        self.hook_token = make_hook_token()
        self.save(update_fields=["hook_token", "hook_key"])


def validate_registry(registry: Registry) -> None:
    """Normalise the hosts in place and check the settings. Raises ValidationError with a message for each field."""
    problems: dict[str, str] = {}
    try:
        registry.host = normalize_host(registry.host)
    except BadReference as error:
        problems["host"] = str(error)
    try:
        registry.aliases = "\n".join(dict.fromkeys(normalize_host(line) for line in registry.aliases.split()))
    except BadReference as error:
        problems["aliases"] = str(error)
    if not registry.plain_http or is_loopback(registry.host):
        registry.clear_text = False  # what was agreed to for plain HTTP ends with it
    elif not registry.clear_text:
        problems["plain_http"] = (
            "Without TLS everything goes to this host in clear. That needs the consent of an administrator of all clusters, "
            "except on this machine's loopback (127.0.0.1, localhost)."
        )
    if registry.credential_helper and not HELPER_NAME.fullmatch(registry.credential_helper):
        problems["credential_helper"] = (
            "Use only the part after docker-credential-: lower-case letters, digits, dots, dashes and underscores, no path."
        )
    if registry.username and not (registry.password or registry.credential_helper):
        problems["password"] = "A user name needs a password or a token."  # noqa: S105 - a sentence
    if problems:
        raise ValidationError(problems)
