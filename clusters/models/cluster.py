"""A Docker endpoint: its settings, and what was last seen of its engine."""

import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError


def make_cluster_uid() -> str:
    """Return `c` and 32 hex digits, the cluster's name in trigger links."""
    return f"c{uuid.uuid4().hex}"


class Cluster(models.Model):
    """One Docker endpoint. What kind of engine it is (version, Swarm or plain) is read from the engine, never entered."""

    class Status(models.TextChoices):
        UNKNOWN = "unknown", _("Not seen yet")
        REACHABLE = "reachable", _("Reachable")
        UNREACHABLE = "unreachable", _("Unreachable")

    # Whoever sets these chooses which engine this is and how the console reaches it: a right for all clusters.
    CONNECTION = ("url", "other_urls", "tls_ca", "tls_cert", "tls_key", "uses_docker_config")
    KEYS = ("tls_ca", "tls_cert", "tls_key")  # long, or decrypted on reading: lists omit them (clusters.selectors.without_keys)

    uid = models.CharField(max_length=33, unique=True, default=make_cluster_uid, editable=False)
    name = models.CharField(max_length=64, unique=True)
    url = models.CharField(
        "address",
        max_length=255,
        help_text="unix:///var/run/docker.sock, tcp://host:2376 with TLS certificates, or ssh://user@host.",
    )
    other_urls = models.TextField(
        "other managers",
        blank=True,
        help_text="Addresses of further managers of the same Swarm, one a line: the next is tried when one is lost.",
    )
    tls_ca = models.TextField("CA certificate", blank=True, help_text="PEM; for tcp:// addresses.")
    tls_cert = models.TextField("client certificate", blank=True, help_text="PEM")
    tls_key = EncryptedTextField("client key", blank=True, help_text="PEM; stored encrypted.")
    uses_docker_config = models.BooleanField(
        "Docker config of the console's user",
        default=True,
        db_default=True,
        help_text="Credentials from the Docker config of the console's user (docker login) may go to its engine.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    status = models.CharField(max_length=12, choices=Status.choices, default=Status.UNKNOWN, editable=False)
    status_reason = models.CharField(max_length=500, blank=True, editable=False)
    status_changed_at = models.DateTimeField(null=True, editable=False)
    synced_at = models.DateTimeField(null=True, editable=False)
    engine_id = models.CharField(max_length=128, blank=True, editable=False)
    engine_name = models.CharField(
        max_length=16, blank=True, default="", db_default="", editable=False, help_text="Docker or Podman."
    )
    engine_version = models.CharField(max_length=64, blank=True, editable=False)
    api_version = models.CharField(max_length=16, blank=True, editable=False)
    hostname = models.CharField(max_length=255, blank=True, editable=False)
    operating_system = models.CharField(max_length=255, blank=True, editable=False)
    architecture = models.CharField(max_length=32, blank=True, editable=False)
    cpus = models.PositiveIntegerField(default=0, editable=False)
    memory_bytes = models.BigIntegerField(default=0, editable=False)
    swarm_manager = models.BooleanField(default=False, editable=False)
    swarm_notice = models.CharField(
        max_length=500, blank=True, editable=False, help_text="Why its stacks and services cannot be seen any more."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            self.endpoint.validate()
        except EngineError as error:
            found: dict[str, list[str]] = {"url": [error.message]} if error.code == "bad_address" else {}
            if wrong := self.endpoint.find_wrong_others():
                found["other_urls"] = wrong
            raise ValidationError(found) from error

    @property
    def is_podman(self) -> bool:
        return self.engine_name == "Podman"

    @property
    def endpoint(self) -> EngineEndpoint:
        others = tuple(self.other_urls.split())
        return EngineEndpoint(
            url=self.url, ca=self.tls_ca, cert=self.tls_cert, key=self.tls_key, others=others, cluster_uid=self.uid
        )

    @property
    def api_version_tuple(self) -> tuple[int, ...]:
        """The version as numbers, such as (1, 41). Empty until the engine is first seen."""
        return tuple(int(part) for part in self.api_version.split(".") if part.isdecimal())
