"""What is known of the engines: clusters and, as last seen, their applications, services and containers; and of registries.

`clusters.inventory` is the only writer of everything but Cluster's and Registry's own settings.
"""

import hashlib
import re
import secrets
import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError
from clusters.registry.client import RegistryAccess
from clusters.registry.reference import BadReference, is_loopback, normalize_host
from clusters.roles import Role


def make_cluster_uid() -> str:
    """`c` and 32 hex digits: the cluster's name in trigger links."""
    return f"c{uuid.uuid4().hex}"


class Cluster(models.Model):
    """One Docker endpoint. What the engine is (version, Swarm or plain) is found out, not asked."""

    class Status(models.TextChoices):
        UNKNOWN = "unknown", _("Not seen yet")
        REACHABLE = "reachable", _("Reachable")
        UNREACHABLE = "unreachable", _("Unreachable")

    KEYS = ("tls_ca", "tls_cert", "tls_key")  # long, or decrypted where they are read: lists leave them out

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
    created_at = models.DateTimeField(auto_now_add=True)

    status = models.CharField(max_length=12, choices=Status.choices, default=Status.UNKNOWN, editable=False)
    status_reason = models.CharField(max_length=500, blank=True, editable=False)
    status_changed_at = models.DateTimeField(null=True, editable=False)
    synced_at = models.DateTimeField(null=True, editable=False)
    engine_id = models.CharField(max_length=128, blank=True, editable=False)
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
    def endpoint(self) -> EngineEndpoint:
        others = tuple(self.other_urls.split())
        return EngineEndpoint(
            url=self.url, ca=self.tls_ca, cert=self.tls_cert, key=self.tls_key, others=others, cluster_uid=self.uid
        )

    @property
    def api_version_tuple(self) -> tuple[int, ...]:
        """(1, 41); empty while the engine was never seen."""
        return tuple(int(part) for part in self.api_version.split(".") if part.isdecimal())


class Node(models.Model):
    """A machine of a Swarm, as its managers see it."""

    class Role(models.TextChoices):
        MANAGER = "manager", _("Manager")
        WORKER = "worker", _("Worker")

    class Availability(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSE = "pause", _("Paused")
        DRAIN = "drain", _("Drained")

    class State(models.TextChoices):
        READY = "ready", _("Ready")
        DOWN = "down", _("Down")
        DISCONNECTED = "disconnected", _("Disconnected")
        UNKNOWN = "unknown", _("Unknown")

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="nodes")
    node_id = models.CharField(max_length=64)
    hostname = models.CharField(max_length=255)
    address = models.CharField(max_length=255, blank=True)
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.WORKER)
    leader = models.BooleanField(default=False)
    reachability = models.CharField(max_length=16, blank=True, help_text="Of a manager: reachable, unreachable, unknown.")
    availability = models.CharField(max_length=12, choices=Availability.choices, default=Availability.ACTIVE)
    state = models.CharField(max_length=16, choices=State.choices, default=State.UNKNOWN)
    state_message = models.CharField(max_length=500, blank=True)
    engine_version = models.CharField(max_length=64, blank=True)
    operating_system = models.CharField(max_length=64, blank=True)
    architecture = models.CharField(max_length=32, blank=True)
    cpus = models.PositiveIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    labels = models.JSONField(default=dict)
    task_count = models.PositiveIntegerField(default=0, help_text="Tasks running on it.")

    class Meta:
        ordering = ["hostname", "node_id"]
        constraints = [models.UniqueConstraint(fields=["cluster", "node_id"], name="node_of_cluster")]

    def __str__(self) -> str:
        return self.hostname


class Application(models.Model):
    """A Compose project, Swarm stack, lone Swarm service or lone container, by its name on its cluster.

    The row outlives the containers while a trigger or a call refers to it (status `absent`), so that a link keeps
    meaning the same application after it was taken down and brought up again.
    """

    class Source(models.TextChoices):
        COMPOSE = "compose", _("Compose project")
        CONTAINER = "container", _("Container")
        STACK = "stack", _("Swarm stack")
        SERVICE = "service", _("Swarm service")

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        DEGRADED = "degraded", _("Degraded")  # some wanted containers do not run, or one is unhealthy
        STOPPED = "stopped", _("Stopped")
        ABSENT = "absent", _("Absent")  # nothing of it is on the engine any more

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="applications")
    name = models.CharField(max_length=255)
    source = models.CharField(max_length=12, choices=Source.choices)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.RUNNING)
    wanted = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    system = models.BooleanField(default=False, help_text="Part of the platform, hidden by default.")
    protected = models.BooleanField(default=False, help_text="The console runs in it, or its label says so: never touched.")
    created_at = models.DateTimeField(null=True, help_text="When its oldest container was created.")
    updated_at = models.DateTimeField(null=True, help_text="When its newest container was created.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "source", "name"], name="application_name_on_cluster"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def stopped(self) -> int:
        return max(self.wanted - self.running, 0)

    @property
    def is_swarm(self) -> bool:
        """Whether it is a stack or a service of a Swarm, and has tasks instead of containers."""
        return self.source in {self.Source.STACK, self.Source.SERVICE}

    @property
    def can_be_changed(self) -> bool:
        """Whether there is something to act on, and acting is allowed to anybody."""
        return not self.protected and self.status != self.Status.ABSENT

    @property
    def endpoint(self) -> EngineEndpoint:
        """Where to work at it: what runs on the engine at the cluster's first address is on no other manager."""
        endpoint = self.cluster.endpoint
        return endpoint if self.is_swarm else endpoint.at(endpoint.url)


class Service(models.Model):
    """A part of an application: the containers that run one image for one purpose."""

    class Mode(models.TextChoices):
        REPLICATED = "replicated", _("Replicated")
        GLOBAL = "global", _("Global")
        REPLICATED_JOB = "replicated-job", _("Replicated job")
        GLOBAL_JOB = "global-job", _("Global job")

    class Health(models.TextChoices):
        NONE = "", _("No health check")
        STARTING = "starting", _("Starting")
        HEALTHY = "healthy", _("Healthy")
        UNHEALTHY = "unhealthy", _("Unhealthy")

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="services")
    name = models.CharField(max_length=255)
    status = models.CharField(max_length=12, choices=Application.Status.choices, default=Application.Status.RUNNING)
    mode = models.CharField(max_length=16, choices=Mode.choices, default=Mode.REPLICATED)
    replicas = models.PositiveIntegerField(default=0, help_text="Wanted.")
    running = models.PositiveIntegerField(default=0)
    image = models.CharField(max_length=512, blank=True, help_text="The image reference, as written at creation.")
    image_id = models.CharField(max_length=80, blank=True)
    image_digests = models.JSONField(default=list, help_text="`name@sha256:…` of that image.")
    ports = models.JSONField(default=list, help_text='Published ports: `{"host": 8080, "container": 80, "protocol": "tcp"}`.')
    health = models.CharField(max_length=12, choices=Health.choices, blank=True, default=Health.NONE)

    # Of a Swarm service only.
    swarm_id = models.CharField(max_length=64, blank=True)
    update_state = models.CharField(
        max_length=24,
        blank=True,
        help_text="Swarm's word: updating, paused, completed, rollback_started, rollback_paused, rollback_completed.",
    )
    update_message = models.CharField(max_length=500, blank=True)
    update_started_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True, help_text="Of its newest task that failed or cannot be placed.")
    update_config = models.JSONField(
        default=dict,
        help_text='`{"parallelism": 1, "order": "stop-first", "delay": 0, "monitor": 5, "failure_action": "pause", '
        '"max_failure_ratio": 0}`; delay and monitor in seconds.',
    )
    rollback_config = models.JSONField(default=dict, help_text="As update_config.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["application", "name"], name="service_name_in_application"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def stopped(self) -> int:
        return max(self.replicas - self.running, 0)

    @property
    def can_be_scaled(self) -> bool:
        """As far as the inventory knows; its engine may be too old for it."""
        return (
            self.mode == self.Mode.REPLICATED and self.status != Application.Status.ABSENT and self.application.can_be_changed
        )

    @property
    def is_job(self) -> bool:
        return self.mode in {self.Mode.REPLICATED_JOB, self.Mode.GLOBAL_JOB}

    @property
    def is_global(self) -> bool:
        """Whether it has a task on each node instead of slots."""
        return self.mode in {self.Mode.GLOBAL, self.Mode.GLOBAL_JOB}


class Container(models.Model):
    """A container of a service, as last seen."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="containers")
    container_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    state = models.CharField(max_length=16, help_text="The engine's word: created, running, paused, restarting, exited, dead.")
    status_text = models.CharField(max_length=255, blank=True, help_text='The engine\'s sentence: "Up 3 minutes (healthy)".')
    health = models.CharField(max_length=12, choices=Service.Health.choices, blank=True, default="")
    image = models.CharField(max_length=512, blank=True)
    image_id = models.CharField(max_length=80, blank=True)
    ports = models.JSONField(default=list)
    addresses = models.JSONField(default=dict, help_text="Network name to IP address.")
    created_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["service", "container_id"], name="container_of_service"),
        ]
        permissions = [
            ("view_logs", "Can read logs"),
            ("reveal_environment", "Can reveal secret values of environments"),
        ]

    def __str__(self) -> str:
        return self.name


class Task(models.Model):
    """A Swarm task of a service, present or past, as last seen. Swarm keeps some past tasks of each slot."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="tasks")
    task_id = models.CharField(max_length=64)
    slot = models.PositiveIntegerField(default=0, help_text="Of a replicated service, from 1; 0 for a global one.")
    node_id = models.CharField(max_length=64, blank=True)
    node_name = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=16, help_text="Swarm's word: pending, preparing, starting, running, failed, …")
    desired_state = models.CharField(max_length=16)
    message = models.CharField(max_length=500, blank=True)
    error = models.CharField(max_length=500, blank=True)
    exit_code = models.IntegerField(null=True)
    image = models.CharField(max_length=512, blank=True)
    container_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True, help_text="When it came into its state.")

    class Meta:
        ordering = ["slot", "node_name", "-created_at"]
        constraints = [models.UniqueConstraint(fields=["service", "task_id"], name="task_of_service")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """`web.2`, or `web.node1` for a global service. A replicated job's slots begin with 0."""
        place = (self.node_name or self.node_id[:12]) if self.service.is_global else self.slot
        return f"{self.service.name}.{place}"

    @property
    def is_present(self) -> bool:
        """Whether Swarm wants it to run, or a job's task to complete; the others are its slot's history."""
        return self.desired_state not in {"shutdown", "remove"}


def make_hook_token() -> str:
    """48 hex digits: the secret in a registry's inbound link."""
    return secrets.token_hex(24)


def hash_hook_token(token: str) -> str:
    """The look-up key of an inbound link. A hash, so that the look-up's own time tells nothing about the token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Registry(models.Model):
    """An image registry: its credentials for pulls, digests and Swarm, and its inbound link for pushes.

    It belongs to no cluster. `clusters.registries` chooses the one for an image and writes what was last seen of it.
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
    hook_token = EncryptedTextField(default=make_hook_token, editable=False)
    hook_key = models.CharField(max_length=64, unique=True, editable=False)
    signing_secret = EncryptedTextField(
        blank=True, help_text="The webhook's secret at senders that sign: without its signature a push is then refused."
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
        """`hook_key` follows the token."""
        self.hook_key = hash_hook_token(self.hook_token)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        validate_registry(self)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its own and the others', normalised."""
        return (self.host, *(normalize_host(line) for line in self.aliases.split()))

    @property
    def access(self) -> RegistryAccess:
        """With the stored password; `clusters.registries.open_access` asks a credential helper where there is one."""
        return RegistryAccess(self.host, self.username, self.password, self.ca, self.plain_http)

    def rotate_token(self) -> None:
        """Give the inbound link a new token; the old link is dead at once."""
        self.hook_token = make_hook_token()
        self.save(update_fields=["hook_token", "hook_key"])


HELPER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def validate_registry(registry: Registry) -> None:
    """Brings the hosts into one form. Raises ValidationError by field."""
    problems: dict[str, str] = {}
    try:
        registry.host = normalize_host(registry.host)
    except BadReference as error:
        problems["host"] = str(error)
    try:
        registry.aliases = "\n".join(dict.fromkeys(normalize_host(line) for line in registry.aliases.split()))
    except BadReference as error:
        problems["aliases"] = str(error)
    if registry.plain_http and not is_loopback(registry.host):
        problems["plain_http"] = "Only a registry on this machine's loopback (127.0.0.1, localhost) may be used without TLS."
    if registry.credential_helper and not HELPER_NAME.fullmatch(registry.credential_helper):
        problems["credential_helper"] = "Lower-case letters, digits, dots and dashes: the end of a program's name, no path."
    if registry.username and not (registry.password or registry.credential_helper):
        problems["password"] = "A user name needs a password or a token."  # noqa: S105 - a sentence
    if problems:
        raise ValidationError(problems)


class ClusterGrant(models.Model):
    """A role on one cluster, for a user or for all users of a group. For all clusters there are the roles' own groups."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="cluster_grants"
    )
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, null=True, blank=True, related_name="cluster_grants")
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        ordering = ["cluster__name", "role"]
        constraints = [
            models.CheckConstraint(condition=Q(user__isnull=True) ^ Q(group__isnull=True), name="grant_to_user_or_group"),
            models.UniqueConstraint(fields=["cluster", "user"], condition=Q(user__isnull=False), name="one_role_a_user"),
            models.UniqueConstraint(fields=["cluster", "group"], condition=Q(group__isnull=False), name="one_role_a_group"),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} on {self.cluster}: {self.user or self.group}"

    def clean(self) -> None:
        if bool(self.user_id) == bool(self.group_id):
            raise ValidationError("Give the role either to a user or to a group.")


class Lease(models.Model):
    """Who does what only one process of all should do: follow a cluster, delete what is old. `clusters.leases` is the only
    writer; without a row nobody does."""

    name = models.CharField(max_length=64, primary_key=True)
    owner = models.CharField(max_length=64)
    expires_at = models.DateTimeField(help_text="By the database's clock.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.owner}"


class AuditEntry(models.Model):
    """One line of who did what. Append-only; `clusters.access.audit` is the only writer."""

    time = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=150, help_text="The user's name then; of a failed sign-in the name that was tried.")
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=32)
    target_type = models.CharField(max_length=32, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target = models.CharField(max_length=255, blank=True, help_text="Its name then.")
    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, related_name="+")
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-time", "-pk"]
        verbose_name_plural = "audit entries"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-time", "-id"], name="audit_by_time"),
            models.Index(fields=["actor", "-time", "-id"], name="audit_by_actor"),
            models.Index(fields=["action", "-time", "-id"], name="audit_by_action"),
            models.Index(fields=["cluster", "-time", "-id"], name="audit_by_cluster"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}".rstrip()

    @property
    def shown_details(self) -> list[tuple[str, str]]:
        """Name and text of each detail."""
        return [
            (str(name), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
            for name, value in self.details.items()
        ]
