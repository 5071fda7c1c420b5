"""Leases of work that one process does for all."""

from django.db import models


class Lease(models.Model):
    """A process's hold on a named piece of work that only one process should do: watching a cluster, pruning old rows.

    `clusters.leases` is the only writer. Work without a row is free. Calls do not use these rows: the lease of a running call
    is in TriggerCall itself (`lease_owner`, `lease_expires_at`).
    """

    name = models.CharField(max_length=64, primary_key=True)
    owner = models.CharField(max_length=64)
    expires_at = models.DateTimeField(help_text="By the database's clock.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.owner}"
