"""The console's own processes: the sums of what they count, and when each was last seen; who has a generated password; who is
signed in where; which versions the database suits; and who may sign in by which identity provider."""

from django.conf import settings
from django.db import models

from clusters.encryption import EncryptedTextField
from clusters.models import Cluster
from clusters.roles import Role


class Total(models.Model):
    """A sum of what all processes counted. It never decreases. `console.telemetry.totals` is the only writer."""

    name = models.CharField(max_length=64)
    labels = models.CharField(max_length=255, help_text='As JSON: `{"action": "redeploy", "state": "failed"}`.')
    value = models.FloatField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="total_by_series")]

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"


class Process(models.Model):
    """A web, worker or watch process on any host. The row of a killed process stays for an hour."""

    part = models.CharField(max_length=12)
    host = models.CharField(max_length=64)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    resident_bytes = models.BigIntegerField(default=0)
    silent = models.CharField(
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text="Its threads that stand still (clusters.steady).",
    )

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["host", "pid", "started_at"], name="process_of_host")]

    def __str__(self) -> str:
        return f"{self.part} {self.host}:{self.pid}"


class DatabaseVersion(models.Model):
    """The newest version whose migrations were applied, and the oldest that its database suits. One row, with the key 1.
    `console.database_version` is the only writer."""

    version = models.CharField(max_length=32)
    suits = models.CharField(max_length=32)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.version


class FirstPassword(models.Model):
    """The user's password was generated at the first start and printed. `console.pages.account.first_password` deletes the row
    when the password changes."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)


class UserSession(models.Model):
    """Who is signed in with a session, and where. Django's own row of the session holds no user that could be looked for.

    The key is not a foreign key: versions that do not know this table delete sessions too. `console.sessions` and
    `console.session_list` are the only writers; what has no session any more is pruned with the sessions."""

    session_key = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    address = models.GenericIPAddressField(null=True, help_text="Of the last use, as far as it was noted.")
    user_agent = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(help_text="When the user signed in.")
    used_at = models.DateTimeField(help_text="When it was used last, to a few minutes.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"session of {self.user}"


class IdentityProvider(models.Model):
    """A provider of OpenID Connect that people sign in by. `console.identity.providers` reads it; one more can be in the
    environment. The issuer never changes: identities and given roles are kept by it."""

    class Admits(models.TextChoices):
        EVERYBODY = "everybody", "Everybody of the provider"
        MAPPED = "mapped", "Only people with a role"
        KNOWN = "known", "Only known users"

    issuer = models.CharField(max_length=200, unique=True)
    name = models.CharField(max_length=60)
    client_id = models.CharField(max_length=255)
    client_secret = EncryptedTextField(blank=True)
    scopes = models.CharField(max_length=255, default="openid profile email")
    groups_claim = models.CharField(max_length=255, default="groups")
    admits = models.CharField(max_length=16, choices=Admits.choices, default=Admits.MAPPED)
    is_enabled = models.BooleanField(default=True)

    class Meta:
        default_permissions = ()
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class GroupMapping(models.Model):
    """The role that a provider's group gives, on one cluster or, without one, on all."""

    issuer = models.CharField(max_length=200, db_index=True)
    group = models.CharField(max_length=255, help_text="Exactly as the provider sends it.")
    role = models.CharField(max_length=16, choices=Role.choices)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, null=True, blank=True, related_name="+")

    class Meta:
        default_permissions = ()
        ordering = ["group", "pk"]

    def __str__(self) -> str:
        return f"{self.group}: {self.get_role_display()} on {self.cluster or 'all clusters'}"


class Invitation(models.Model):
    """A link by which somebody who signs in at a provider is linked to the user. Its key is kept as a hash. A user has one."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key, in hex.")
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)
