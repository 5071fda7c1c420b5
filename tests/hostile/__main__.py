"""`python -m tests.hostile --table` runs the suite and prints its table. The suite uses `attack`, `hold` and `control`."""

import json
import subprocess
import sys


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--table"]:
            command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "tests/hostile"]
            return subprocess.run(command, check=False).returncode
        case ["attack", name, target]:
            from tests.hostile import bodies, connections, framing, fuzz, heads  # noqa: F401 - they make their attacks known
            from tests.hostile.tally import Target, run

            run(name, Target(**json.loads(target)))
        case ["hold" | "control", *_]:
            from tests.hostile.holder import main as run_holder

            run_holder(arguments)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
