"""`manage.py start_sample`: starts the sample application on an empty engine."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from clusters.models import Cluster
from console.process.preparation import LOCAL_CLUSTER
from console.process.sample import start_sample_if_empty


class Command(BaseCommand):
    help = "Start the sample application hello on the local engine, if the engine has no container at all."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        cluster = Cluster.objects.filter(name=LOCAL_CLUSTER).first()
        connection.close()
        if cluster and (sentence := start_sample_if_empty(cluster.endpoint)):
            self.stderr.write(sentence)
