"""`manage.py run_engine`: becomes a private Docker engine in the data folder."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from clusters.child_environment import ENGINE
from console.process import preparation, private_engine


class Command(BaseCommand):
    help = "Run a private Docker engine in the data folder, unless an engine answers at /var/run/docker.sock."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Become the daemon. Ends at once if installing the package started an engine, as it does under an init system."""
        try:
            if not private_engine.daemon_is_installed():
                self.stderr.write("Installing docker.io.")
                private_engine.install_daemon()
            if private_engine.engine_answers(preparation.DEFAULT_SOCKET):
                preparation.register_local_cluster(preparation.DEFAULT_URL)
                return
            private_engine.prepare_directory(preparation.ENGINE_DIR)
        except private_engine.EngineStartError as error:
            raise CommandError(str(error)) from error
        connection.close()
        become_daemon()


def become_daemon() -> None:
    log = os.open(preparation.ENGINE_DIR / "dockerd.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    command = private_engine.daemon_command(preparation.ENGINE_DIR)
    os.execvpe(command[0], command, private_engine.daemon_environment(*ENGINE))
