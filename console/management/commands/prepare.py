"""`manage.py prepare`: prepares an installation whose parts start on their own. Run it once, and after each upgrade."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from clusters.models import Cluster
from console.process import preparation
from console.process.preparation import PreparationError


class Command(BaseCommand):
    help = "Migrate the database. The first time, also create the user admin and a cluster for DOCKER_HOST."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare the database. Any number of hosts can do so at the same time."""
        try:
            preparation.migrate_database()
            if not Cluster.objects.exists():
                preparation.register_local_cluster(settings.DOCKER_HOST)
            password = preparation.create_admin()
        except PreparationError as error:
            sys.exit(str(error))
        if password is not None:
            self.stdout.write(f"login     {preparation.ADMIN}\npassword  {password}")
