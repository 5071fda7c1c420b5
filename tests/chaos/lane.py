"""A process with a machine of its own. It reads names of trials, one per line, and writes results as JSON."""

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.chaos.machine import run_machine
from tests.harness.postgres import run_postgres

DISK = "192m"  # for a machine's data folder; small, because some trials fill it


def main(place: str) -> None:
    """Run a lane. `place` is plain, swarm or postgres."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    with ExitStack() as resources:
        folder = Path(tempfile.mkdtemp(prefix="windlass-chaos-"))
        resources.callback(shutil.rmtree, folder, ignore_errors=True)
        mount_disk(folder / "data", resources)
        url = resources.enter_context(run_postgres()) if place == "postgres" else ""
        machine = resources.enter_context(run_machine(folder, on_swarm=place == "swarm", database_url=url))

        from tests.chaos.applications import make_images
        from tests.chaos.stage import run_trial
        from tests.chaos.trials import parse_trial

        if machine.engine:
            with machine.connect() as api:
                make_images(api)
        for line in sys.stdin:
            result = run_trial(machine, parse_trial(line.strip()))
            if result.faults:
                result.notes.append((folder / "console.log").read_text(errors="replace")[-6000:])
            print(json.dumps(asdict(result)), file=answers, flush=True)


def mount_disk(folder: Path, resources: ExitStack) -> None:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "chaos", str(folder)], check=True)
    resources.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False)


if __name__ == "__main__":
    main(sys.argv[1])
