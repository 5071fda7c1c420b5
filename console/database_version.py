"""Which versions the database suits. Migrations suit the version before theirs, so one step back works and two do not."""

from django.db import Error as DatabaseFailure

from console.models import DatabaseVersion
from console.version import SUITS, VERSION, order


def note_version() -> None:
    """Record that this version's migrations were applied. An older version, which had none to apply, changes nothing."""
    row, _ = DatabaseVersion.objects.get_or_create(pk=1, defaults={"version": VERSION, "suits": SUITS})
    if order(VERSION) > order(row.version):
        row.version, row.suits = VERSION, SUITS
        row.save()


def explain_misfit() -> str:
    """Return why this version cannot work with the database, and what to do; empty text if nothing says so."""
    try:
        row = DatabaseVersion.objects.filter(pk=1).first()
    except DatabaseFailure:  # it has no such table yet, or does not answer, which others report
        return ""
    if row is None or order(VERSION) >= order(row.suits):
        return ""
    return (
        f"The database is from a newer version, {row.version}, and suits versions from {row.suits} on. This is {VERSION}. "
        "Start one of those, or restore the backup from before the upgrade."
    )
