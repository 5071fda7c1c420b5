from datetime import timedelta

from django.db.models import F

from clusters.models import Lease


def move_database_clock(by: timedelta) -> None:
    """Make leases expire earlier, as if the database's clock had moved ahead."""
    Lease.objects.update(expires_at=F("expires_at") - by)
