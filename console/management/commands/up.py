"""`manage.py up`: prepares everything, then becomes the supervisor of web, worker and watcher."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from console.checks import check_allowed_hosts, check_public_url
from console.process import preparation
from console.process.preparation import EngineChoice, PreparationError
from console.version import VERSION


class Command(BaseCommand):
    help = "Start all parts of the console, and a private Docker engine if there is none. Ctrl-C or SIGTERM stops them."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o077)
        try:
            lock, password, engine = prepare()
        except PreparationError as error:
            sys.exit(str(error))
        self.announce(password, engine)
        become_supervisor(lock, choose_parts(engine))

    def announce(self, password: str | None, engine: EngineChoice | None) -> None:
        lines = [f"Windlass {VERSION} is starting at {preparation.console_url()}"]
        if password is not None:
            lines.append(f"  login     {preparation.ADMIN}\n  password  {password}")
        lines.append(f"  data      {settings.DATA_DIR}")
        if engine:
            lines.append(f"  engine    {engine.url}")
            if engine.remark:
                lines.append(engine.remark)
        lines.extend(message.msg for message in (*check_public_url(), *check_allowed_hosts()))
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def prepare() -> tuple[int, str | None, EngineChoice | None]:
    """Prepare the start. Returns the lock's descriptor, the password to print if the user `admin` was created, and the local
    engine. Raises PreparationError."""
    preparation.make_data_directory()
    lock = preparation.lock_data_directory()
    preparation.check_listen_address()
    preparation.migrate_database()
    preparation.collect_static_files()
    engine = preparation.choose_engine()
    if engine:
        preparation.register_local_cluster(engine.url)
    return lock, preparation.create_admin(), engine


def choose_parts(engine: EngineChoice | None) -> list[str]:
    parts = ["web", "worker", "watch"]
    if engine and engine.private:
        parts.append("run_engine")
    if engine and settings.SAMPLE and not preparation.has_applications():
        parts.append("start_sample")
    return parts


def become_supervisor(lock: int, parts: list[str]) -> None:
    os.environ.pop("WINDLASS_ADMIN_PASSWORD", None)  # the parts do not need it
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # saves memory in processes with many threads
    os.environ["PYTHONPATH"] = str(settings.BASE_DIR)
    command = [sys.executable, "-m", "console.process.supervisor", str(settings.BASE_DIR / "manage.py"), str(lock), *parts]
    os.execv(sys.executable, command)
