"""API tokens of users."""

from django.conf import settings
from django.db import models
from knox.models import AbstractAuthToken

from clusters.models.cluster import Cluster
from clusters.roles import Role


class ApiToken(AbstractAuthToken):
    """A token of a user, which is shown once and stored as a digest. It never allows more than its user may do, and less if it
    is limited: `clusters.access.limits`. Nobody has permissions on tokens: they are their user's, and `clusters.access.tokens`
    is the only writer."""

    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=128, unique=True, help_text="SHA-512 of the token, as hex digits.")
    # Without constraints: the version before deletes users and clusters and knows no tokens. Nothing finds what it leaves.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens", db_constraint=False)
    name = models.CharField(max_length=64)
    role = models.CharField(max_length=16, choices=Role.choices, help_text="Its role at most.")
    all_clusters = models.BooleanField(
        help_text="It is for all of the user's clusters. Else for `clusters`, and for none when they are deleted."
    )
    clusters = models.ManyToManyField(Cluster, related_name="+", blank=True, db_constraint=False)
    last_used_at = models.DateTimeField(null=True, help_text="The beginning of that minute.")
    last_used_from = models.GenericIPAddressField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="token_by_name")]

    def __str__(self) -> str:
        return self.name
