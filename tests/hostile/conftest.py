"""One console for all attacks, and the table at the end."""

from collections.abc import Iterator

import pytest

from tests.hostile.stage import Stage, set_stage
from tests.hostile.table import format_table

STAGE = pytest.StashKey[Stage]()


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("hostile")) as stage:
        request.config.stash[STAGE] = stage
        yield stage


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if stage := config.stash.get(STAGE, None):
        terminalreporter.section("what the holder of a link noticed (times in ms, memory in MB)")
        terminalreporter.write_line(format_table(stage.figures.values()))
