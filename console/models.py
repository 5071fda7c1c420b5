"""The console's own processes: the sums of what they count, and when each was last seen; who has a generated password; who is
signed in where; and which versions the database suits."""

from django.conf import settings
from django.db import models


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
