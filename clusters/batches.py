"""Deletes many rows without blocking other writers, and keeps the number of rows bounded while they are added."""

import itertools
import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

log = structlog.get_logger("windlass.prune")

BATCH = 500  # rows of one transaction
SURPLUS = 100  # the part of the kept number of rows, a hundredth, that a process adds between two prunes
SURPLUS_LEAST = 10  # rows


def delete_in_batches(rows: QuerySet) -> int:
    """Delete the rows, in their order, in transactions so small that nobody waits long for a lock. Call it outside of a
    transaction. Returns the number of rows, not counting those deleted by cascade."""
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        began = time.monotonic()
        _, by_model = rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += by_model.get(rows.model._meta.label, 0)
        if len(batch) == BATCH:
            time.sleep(time.monotonic() - began)  # SQLite admits waiting writers by chance: half of the time is theirs
    return deleted


class SurplusPruner:
    """Prunes whenever this process has added a hundredth of the number of rows that is kept, in a thread of its own.

    So a flood fills no disk until the watcher prunes, and no caller waits for the deletion. `setting` names the setting that
    says how many rows are kept; `prune` deletes the others."""

    def __init__(self, setting: str, prune: Callable[[], int]) -> None:
        self._setting, self._prune = setting, prune
        self._added = itertools.count(1)
        self._is_running = threading.Lock()

    def note_added(self) -> None:
        """Note one more row. Costs a microsecond; every so often a prune begins once the row is committed."""
        interval = max(getattr(settings, self._setting) // SURPLUS, SURPLUS_LEAST)
        if next(self._added) % interval == 0:
            transaction.on_commit(self.start, robust=True)

    def start(self) -> None:
        """Start a prune, unless one is running in this process."""
        if self._is_running.acquire(blocking=False):
            try:
                threading.Thread(target=self._run, name="surplus-pruner", daemon=True).start()
            except RuntimeError:  # too many threads: the next one may start
                self._is_running.release()

    def _run(self) -> None:
        try:
            if deleted := self._prune():
                log.info("surplus rows deleted", deleted=deleted, kept=getattr(settings, self._setting))
        except DatabaseError as error:
            log.warning("surplus rows could not be deleted; the next prune does it", error=str(error))
        finally:
            connection.close()
            self._is_running.release()
