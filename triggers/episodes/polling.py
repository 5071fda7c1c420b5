"""A registry that cannot be polled for an hour is reported once, until it can be polled again."""

from datetime import timedelta
from functools import partial

from django.utils import timezone

from triggers.episodes.tracking import end_episode, report_once
from triggers.models import Episode, News
from triggers.notifications.outbox import record_news

PATIENCE = timedelta(hours=1)
FORGOTTEN = timedelta(days=3)  # nobody polls it any longer: the longest interval is a day


def note_polled(host: str, problem: str) -> None:
    """Note the outcome of a round of polling at a registry. `problem` is a sentence; empty if the registry answered."""
    now = timezone.now()
    rows = Episode.objects.filter(kind=Episode.Kind.REGISTRY, subject=host)
    episode = rows.first()
    if episode is None:
        if problem:
            new = Episode(kind=Episode.Kind.REGISTRY, subject=host, began_at=now, seen_at=now)
            Episode.objects.bulk_create([new], ignore_conflicts=True)
    elif problem:
        rows.update(seen_at=now)
        if episode.told_at is None and now - episode.began_at >= PATIENCE:
            sentence = f"{host} cannot be polled since {episode.began_at:%Y-%m-%d %H:%M} UTC: {problem}"
            facts = {"sentence": sentence}
            report_once(episode, now, partial(record_news, News.REGISTRY_AWAY, subject=host, facts=facts))
    else:
        end_episode(episode, None)


def forget_unpolled() -> None:
    """Forget registries that nobody polls any longer."""
    Episode.objects.filter(kind=Episode.Kind.REGISTRY, seen_at__lt=timezone.now() - FORGOTTEN).delete()
