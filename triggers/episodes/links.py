"""Links that are about to expire are reported twice: a week before, and a day before."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from django.utils import timezone

from clusters.selectors import without_keys
from triggers.episodes.tracking import Condition
from triggers.models import Episode, News, Trigger
from triggers.notifications.outbox import record_news

STAGES = (timedelta(days=1), timedelta(days=7))


class LinkExpiring(Condition[Trigger]):
    """A trigger's link expires within a stage. A trigger that was made for a shorter time than the stage is no news."""

    kind = Episode.Kind.EXPIRY
    patience = timedelta(0)

    def find_lasting(self) -> Mapping[str, Trigger]:
        now = timezone.now()
        rows = Trigger.objects.filter(enabled=True, expires_at__gt=now, expires_at__lte=now + STAGES[-1])
        rows = without_keys(rows, "application__cluster").defer("secret", "old_secret", "signature_key")
        return {
            f"{row.pk} {row.expires_at:%Y-%m-%dT%H:%M:%S} {stage.days} d": row
            for row in rows
            for stage in STAGES
            if row.expires_at and _is_in_stage(row.expires_at - now, stage) and row.expires_at - row.created_at > stage
        }

    def find_ended(self, subjects: Collection[str]) -> Mapping[str, Trigger | None]:
        return dict.fromkeys(subjects)

    def report_begin(self, row: Trigger) -> None:
        application = row.application
        sentence = (
            f"The link of the trigger {row} of {application} on {application.cluster} expires on "
            f"{row.expires_at:%Y-%m-%d at %H:%M} UTC; then only people can call it."
        )
        facts = {"subject": "", "sentence": sentence}
        record_news(News.LINK_EXPIRES, application=application, subject=f"trigger {row.pk}", facts=facts)

    def report_end(self, row: Trigger) -> None:
        """The end of a stage is no news."""


def _is_in_stage(left: timedelta, stage: timedelta) -> bool:
    """Return whether `stage` is the shortest one that the time left fits into."""
    return left <= stage and not any(left <= shorter for shorter in STAGES if shorter < stage)
