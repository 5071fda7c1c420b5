"""The freeze windows that concern an application: its own, its cluster's, and what its labels say."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db.models import Q
from django.utils import timezone

from clusters.models import Application
from triggers.models import FreezeWindow, Trigger
from triggers.timing.labels import BadFreeze, read_freezes
from triggers.timing.rules import Freeze, FreezeRule, find_freeze

log = structlog.get_logger("windlass.calls")


@dataclass(frozen=True)
class FrozenPlace:
    """What it takes of an application to find its windows."""

    application_id: int
    cluster_id: int
    label: str = ""


def place_of(application: Application) -> FrozenPlace:
    return FrozenPlace(application.pk, application.cluster_id, application.freeze_label)


def load_rules(place: FrozenPlace) -> list[FreezeRule]:
    """Return the rules that concern the application. Runs one query."""
    windows = FreezeWindow.objects.filter(Q(application=None) | Q(application=place.application_id), cluster=place.cluster_id)
    return [window.rule for window in windows] + read_label(place.label)


def load_many_rules(application_ids: Iterable[int]) -> Mapping[int, list[FreezeRule]]:
    """Return the rules of many applications, by id. Runs two queries."""
    rows = Application.objects.filter(pk__in=list(application_ids)).values_list("pk", "cluster_id", "freeze_label")
    places = [FrozenPlace(*row) for row in rows]
    of_clusters: dict[int, list[FreezeRule]] = defaultdict(list)
    of_applications: dict[int, list[FreezeRule]] = defaultdict(list)
    for window in FreezeWindow.objects.filter(cluster__in={place.cluster_id for place in places}):
        if window.application_id is None:
            of_clusters[window.cluster_id].append(window.rule)
        else:
            of_applications[window.application_id].append(window.rule)
    return {
        place.application_id: of_clusters[place.cluster_id] + of_applications[place.application_id] + read_label(place.label)
        for place in places
    }


def read_label(label: str) -> list[FreezeRule]:
    """Return the windows that the label states. One that cannot be read freezes nothing; the application's page says so."""
    if not label:
        return []
    try:
        return read_freezes(label)
    except BadFreeze as error:
        log.warning("a freeze label cannot be read", reason=str(error))
        return []


def explain_label(label: str) -> str:
    """Say why the label cannot be read, as a sentence; empty when it can."""
    try:
        read_freezes(label)
    except BadFreeze as error:
        return str(error)
    return ""


def find_present_freeze(application: Application, action: str, now: datetime | None = None) -> Freeze | None:
    """Return what freezes a call of `action` on the application now; None if nothing does. Runs one query."""
    return find_freeze(load_rules(place_of(application)), action, now or timezone.now())


def refuses_now(trigger: Trigger) -> bool:
    """Return whether a freeze window refuses a call of the trigger now. Runs one query at most."""
    freeze = None if trigger.during_freezes else find_present_freeze(trigger.application, trigger.action)
    return freeze is not None and freeze.refuses


def list_windows(application: Application) -> list[FreezeWindow]:
    """Return the application's own windows and its cluster's, the cluster's first."""
    rows = FreezeWindow.objects.filter(Q(application=None) | Q(application=application), cluster=application.cluster_id)
    return sorted(rows, key=lambda window: (window.application_id is not None, window.name.lower(), window.pk))


def describe_window(window: FreezeWindow) -> dict[str, Any]:
    """Return what people chose, for the audit log."""
    return {
        "name": window.name,
        "times": window.written_times,
        "calls": window.behaviour,
        "scaling": window.includes_scaling,
        "reason": window.reason,
    }
