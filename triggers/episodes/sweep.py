"""What the watchers look at again and again to report it. One of them does so at a time."""

from django.utils import timezone

from clusters.leases import claim_leases, make_lease_owner
from clusters.steady import run_safely
from triggers.episodes.conditions import ApplicationFailing, ClusterAway
from triggers.episodes.links import LinkExpiring
from triggers.episodes.polling import forget_unpolled
from triggers.episodes.tracking import follow

LOOK_SECONDS = 14.0  # between two looks, by whichever watcher


def follow_clusters() -> None:
    follow(ClusterAway(), timezone.now())


def follow_applications() -> None:
    follow(ApplicationFailing(), timezone.now())


def follow_links() -> None:
    follow(LinkExpiring(), timezone.now())


CHORES = (follow_clusters, follow_applications, follow_links, forget_unpolled)


def follow_conditions() -> None:
    """Look at all conditions, unless a watcher did so within the last LOOK_SECONDS: its lease is kept until it expires."""
    if claim_leases({"episodes"}, make_lease_owner(), LOOK_SECONDS):
        for chore in CHORES:
            run_safely(chore)
