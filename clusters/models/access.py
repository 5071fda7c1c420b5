"""Roles on single clusters, and the audit log."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from clusters.models.cluster import Cluster
from clusters.roles import Role


class ClusterGrant(models.Model):
    """A role on one cluster, for a user or for all users of a group. A role on all clusters is membership in its group."""

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
            raise ValidationError("Choose either a user or a group.")


class GivenRole(models.Model):
    """A role that a group of an identity provider gave at a sign-in. `clusters.access.given_roles` is the only writer: it takes
    away what these rows say was given, and nothing else."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="given_roles")
    issuer = models.CharField(max_length=200)
    group = models.CharField(max_length=255, help_text="As the provider names it.")
    role = models.CharField(max_length=16, choices=Role.choices)
    cluster = models.ForeignKey(
        Cluster, on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="Empty: all clusters."
    )
    by_hand = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="The role that people had given there, which stays."
    )
    was_staff = models.BooleanField(default=False, db_default=False, help_text="The user could use the Django admin before.")

    class Meta:
        default_permissions = ()
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "issuer", "cluster"], condition=Q(cluster__isnull=False), name="one_given_role_a_cluster"
            ),
            models.UniqueConstraint(
                fields=["user", "issuer"], condition=Q(cluster__isnull=True), name="one_given_role_for_all"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} on {self.cluster or 'all clusters'}: {self.group}"


class AuditEntry(models.Model):
    """One act in the audit log: who did what, when and from where. `clusters.access.audit` only adds rows; of refusals, which
    come by the thousand, `clusters.access.counted_acts` counts the equal ones in one row."""

    time = models.DateTimeField(auto_now_add=True)
    count = models.PositiveIntegerField(default=1, db_default=1, help_text="How often it happened.")
    last_at = models.DateTimeField(null=True, help_text="When it happened last, if it happened more than once.")
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
    def subject(self) -> str:
        """What it was about, in few words: its target, or the request that was refused."""
        return self.target or str(self.details.get("request", ""))

    @property
    def shown_details(self) -> list[tuple[str, str]]:
        """The name and the text of each detail that is no change."""
        return [(str(name), _write(value)) for name, value in self.details.items() if not self._is_changes(name, value)]

    @property
    def shown_changes(self) -> list[tuple[str, str | None, str]]:
        """The name of each changed field, its old value, and its new one. Without an old one the new value says it all: the
        field of a new row, or what happened to a secret."""
        changes = self.details.get("changes")
        if not self._is_changes("changes", changes):
            return []
        return [(str(name), *_split_change(value)) for name, value in sorted(changes.items())]

    @staticmethod
    def _is_changes(name: str, value: object) -> bool:
        return name == "changes" and isinstance(value, dict)


def _split_change(value: object) -> tuple[str | None, str]:
    """Return the old and the new value, as clusters.access.changes.list_changes has written them."""
    if not isinstance(value, list):
        return None, str(value)
    return (_write(value[0]) if len(value) > 1 else None), _write(value[-1] if value else None)


def _write(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
