"""A worker that Celery ended because of an error fails, so that whatever supervises it starts another one."""

from contextlib import nullcontext

import pytest

from console.management.commands import worker
from triggers.run.stopping import Stopping


@pytest.fixture
def run(monkeypatch):
    """`run(exit_code, is_stopping)` runs the command with a worker that ends so."""

    def run(exit_code, is_stopping=False):
        stopping = Stopping()
        if is_stopping:
            stopping.begin(0)

        class Ended:
            exitcode = exit_code

            def start(self):
                pass

        monkeypatch.setattr(worker.app, "Worker", lambda **options: Ended())
        monkeypatch.setattr(worker, "reporting", lambda part: nullcontext())
        monkeypatch.setattr(worker, "stopping", stopping)
        worker.Command().handle()

    return run


@pytest.mark.parametrize(("exit_code", "is_stopping"), [(0, False), (None, False), (0, True), (1, True)])
def test_a_worker_that_was_stopped_has_not_failed(run, exit_code, is_stopping):
    run(exit_code, is_stopping)


def test_a_worker_that_ended_by_an_error_has_failed(run):
    with pytest.raises(SystemExit) as ended:
        run(1)
    assert ended.value.code == 1
