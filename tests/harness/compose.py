"""Runs Debian's docker-compose 1.29.2 on a private engine."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.harness.engine import PrivateEngine
from tests.harness.proc import find_program


class ComposeProject:
    """A project in a folder of its own. Every command raises with Compose's message if it fails."""

    def __init__(self, engine: PrivateEngine, folder: Path, name: str, services: dict[str, Any], **top: Any) -> None:
        """Write the Compose file, with `services` and `top` (networks, volumes) as in such a file; JSON is YAML."""
        program = find_program("docker-compose")
        if not program:
            raise AssertionError("These tests need Compose: `apt-get install docker-compose` installs it on Debian.")
        self.engine, self.folder, self.name = engine, folder, name
        self._command = [program, "--project-name", name]
        self.write(services, **top)

    def write(self, services: dict[str, Any], **top: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "docker-compose.yml").write_text(json.dumps({"version": "3.7", "services": services, **top}))

    def run(self, *arguments: str, timeout: float = 120) -> str:
        """Run a command and return its standard output."""
        environment = {
            **os.environ,
            "DOCKER_HOST": self.engine.endpoint_url,
            "COMPOSE_ANSI": "never",
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"docker-compose {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self, *arguments: str) -> None:
        self.run("up", "-d", "--no-color", *arguments)

    def list_ids(self, service: str = "") -> list[str]:
        """Return the ids that Compose lists as the containers of the project or service, including stopped ones."""
        return sorted(self.run("ps", "-q", "-a", *([service] if service else [])).split())
