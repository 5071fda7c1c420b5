"""Following conditions that last, so that each is reported once: when it has lasted for a while, and when it is over.

What is known is a row (Episode). A report is written in the transaction that changes the row, and only by whoever changes it:
several watchers report an episode once, and a restart neither forgets nor repeats it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Generic, TypeVar

from django.db import transaction

from triggers.models import Episode

# After so long without a look nothing is known about the time between: what was not reported yet begins anew.
BLIND = timedelta(seconds=90)

Row = TypeVar("Row")


class Condition(ABC, Generic[Row]):
    """A condition that is followed by looking at rows again and again. Subjects are texts that name the rows."""

    kind: ClassVar[Episode.Kind]
    patience: ClassVar[timedelta]  # for which it has to last until it is reported
    calm: ClassVar[timedelta] = timedelta(0)  # for which it must not have been seen until it is over

    @abstractmethod
    def find_lasting(self) -> Mapping[str, Row]:
        """Return the rows for which the condition holds now, by subject."""

    @abstractmethod
    def find_ended(self, subjects: Collection[str]) -> Mapping[str, Row | None]:
        """Return those of the subjects for which it no longer holds, with their rows; None where the end is no news, as of what
        was deleted. What cannot be judged now is left out."""

    @abstractmethod
    def report_begin(self, row: Row) -> None:
        """Record the news that the condition lasts."""

    @abstractmethod
    def report_end(self, row: Row) -> None:
        """Record the news that it is over. Only called if the beginning was reported."""


def follow(condition: Condition[Row], now: datetime) -> None:
    """Look at the condition once."""
    episodes = {episode.subject: episode for episode in Episode.objects.filter(kind=condition.kind)}
    lasting = condition.find_lasting()
    _note_lasting(condition.kind, episodes, lasting, now)
    for subject, row in lasting.items():
        episode = episodes.get(subject)
        if episode and episode.told_at is None and now - episode.began_at >= condition.patience:
            report_once(episode, now, partial(condition.report_begin, row))
    if rest := episodes.keys() - lasting.keys():
        for subject, ended in condition.find_ended(sorted(rest)).items():
            if now - episodes[subject].seen_at >= condition.calm:
                end_episode(episodes[subject], None if ended is None else partial(condition.report_end, ended))


def _note_lasting(kind: Episode.Kind, episodes: Mapping[str, Episode], lasting: Collection[str], now: datetime) -> None:
    rows = Episode.objects.filter(kind=kind)
    new = [Episode(kind=kind, subject=subject, began_at=now, seen_at=now) for subject in lasting if subject not in episodes]
    Episode.objects.bulk_create(new, ignore_conflicts=True)
    known = [episodes[subject] for subject in lasting if subject in episodes]
    anew = [episode for episode in known if episode.told_at is None and now - episode.seen_at > BLIND]
    for episode in anew:
        episode.began_at = now
    if anew:
        rows.filter(pk__in=[episode.pk for episode in anew]).update(began_at=now)
    if known:
        rows.filter(pk__in=[episode.pk for episode in known]).update(seen_at=now)


def report_once(episode: Episode, now: datetime, report: Callable[[], object]) -> None:
    """Report that the episode lasts, unless that was done already."""
    with transaction.atomic():
        if Episode.objects.filter(pk=episode.pk, told_at=None).update(told_at=now):
            report()


def end_episode(episode: Episode, report: Callable[[], object] | None) -> None:
    """Forget the episode, and report its end if its beginning was reported. `report` is None where the end is no news."""
    with transaction.atomic():
        ended, _ = Episode.objects.filter(pk=episode.pk, told_at=episode.told_at).delete()
        if ended and episode.told_at and report:
            report()
