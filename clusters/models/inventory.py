"""Rows of what runs on the engines, as last seen. `clusters.inventory` is the only writer."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.models.cluster import Cluster


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
    """A Compose project, Swarm stack, lone Swarm service or lone container, identified by its name on its cluster.

    The row outlives the containers (status `absent`) while a trigger or a call refers to it. A link therefore means the same
    application after it was taken down and brought up again.
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
        ABSENT = "absent", _("Absent")  # the engine no longer has any part of it

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="applications")
    name = models.CharField(max_length=255)
    source = models.CharField(max_length=12, choices=Source.choices)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.RUNNING)
    wanted = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    system = models.BooleanField(default=False, help_text="Part of the platform, hidden by default.")
    protected = models.BooleanField(default=False, help_text="The console runs in it, or its label says so: never touched.")
    freeze_label = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        db_default="",
        help_text="What its labels windlass.freeze say, joined by semicolons.",
    )
    created_at = models.DateTimeField(null=True, help_text="When its oldest container was created.")
    updated_at = models.DateTimeField(null=True, help_text="When its newest container was created.")
    left_stopped = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="The containers as the last Stop left them; see triggers.run.stop_records.",
    )
    left_images = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="The images that were left for a previous one, by service; see triggers.images.left.",
    )

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
        """Whether this is a Swarm stack or service, which has tasks instead of containers."""
        return self.source in {self.Source.STACK, self.Source.SERVICE}

    @property
    def can_be_changed(self) -> bool:
        """Whether it exists on the engine and is not protected."""
        return not self.protected and self.status != self.Status.ABSENT

    @property
    def endpoint(self) -> EngineEndpoint:
        """The endpoint to work through. Plain containers exist only on the engine at the cluster's first address."""
        endpoint = self.cluster.endpoint
        return endpoint if self.is_swarm else endpoint.at(endpoint.url)


class Service(models.Model):
    """A part of an application: the containers that run one image for one purpose, or a Swarm service."""

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
    image_facts = models.JSONField(  # null, for rows that the version before adds
        null=True,
        blank=True,
        help_text='What that image says about itself: `{"version": "1.4", "revision": "4f1c…", "source": "https://…", '
        '"created": "2026-11-30T09:00:00+00:00"}`, as far as it does.',
    )
    ports = models.JSONField(default=list, help_text='Published ports: `{"host": 8080, "container": 80, "protocol": "tcp"}`.')
    health = models.CharField(max_length=12, choices=Health.choices, blank=True, default=Health.NONE)
    least_age_label = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="What its label windlass.least-age says."
    )

    # The fields below are filled for Swarm services only.
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
        """Whether the inventory shows no obstacle to scaling. The engine may still be too old for it."""
        return (
            self.mode == self.Mode.REPLICATED and self.status != Application.Status.ABSENT and self.application.can_be_changed
        )

    @property
    def is_job(self) -> bool:
        return self.mode in {self.Mode.REPLICATED_JOB, self.Mode.GLOBAL_JOB}

    @property
    def is_global(self) -> bool:
        """Whether the service has one task on each node instead of numbered slots."""
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
    """A present or past Swarm task of a service, as last seen. Swarm keeps a few past tasks of each slot."""

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
        """The task's name: `web.2`, or `web.node1` for a global service. The slots of a replicated job begin at 0."""
        place = (self.node_name or self.node_id[:12]) if self.service.is_global else self.slot
        return f"{self.service.name}.{place}"

    @property
    def is_present(self) -> bool:
        """Whether Swarm wants the task to run, or to complete if it belongs to a job. Other tasks are history of their slot."""
        return self.desired_state not in {"shutdown", "remove"}
