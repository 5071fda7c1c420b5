"""`manage.py prepare`: what has to be done once before the parts start on their own, and again after each upgrade."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from clusters.models import Cluster
from console.process import preparation
from console.process.preparation import PreparationError


class Command(BaseCommand):
    help = "Bring the database up to date; the first time also make the user admin and the cluster of DOCKER_HOST."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Any number of hosts may do so at the same time."""
        try:
            preparation.migrate_database()
        except PreparationError as error:
            sys.exit(str(error))
        if not Cluster.objects.exists():
            preparation.register_local_cluster(settings.DOCKER_HOST)
        password = preparation.create_admin()
        if password is not None:
            self.stdout.write(f"login     {preparation.ADMIN}\npassword  {password}")
