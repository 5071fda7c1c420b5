"""Freeze windows: times in which an application is not redeployed. `triggers.freeze_changes` writes them."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models import Application, Cluster
from triggers.timing.rules import FreezeRule
from triggers.timing.spans import WEEK, YEARS, SingleTime, WeeklyTimes, list_zones, write_times


class Behaviour(models.TextChoices):
    """What becomes of a call within a freeze window."""

    WAIT = "wait", _("Wait for its end")
    REFUSE = "refuse", _("Are refused")


class FreezeWindow(models.Model):
    """Times in which the redeploys of an application, or of everything on a cluster, wait or are refused.

    It is weekly (`days`, `start_time`, `end_time`, perhaps `end_day`; Monday is 0), or from `starts_at` to `ends_at`."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="freeze_windows")
    application = models.ForeignKey(
        Application,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="freeze_windows",
        help_text="Empty: every application of the cluster.",
    )
    name = models.CharField(max_length=64, help_text="weekend, for example.")
    reason = models.CharField(max_length=200, blank=True, help_text="For those whose calls wait.")
    behaviour = models.CharField(max_length=8, choices=Behaviour.choices, default=Behaviour.WAIT)
    includes_scaling = models.BooleanField(default=False, help_text="Scalings are frozen too.")
    days = models.JSONField(default=list, blank=True, help_text="On which it begins each week, from 0 for Monday. Empty: once.")
    start_time = models.TimeField(null=True, blank=True)
    end_day = models.PositiveSmallIntegerField(null=True, blank=True)
    end_time = models.TimeField(null=True, blank=True)
    zone = models.CharField("time zone", max_length=64, default="UTC")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if problems := find_window_problems(self):
            raise ValidationError(problems)

    @property
    def place(self) -> Application | Cluster:
        """What it freezes."""
        return self.application or self.cluster

    @property
    def times(self) -> WeeklyTimes | SingleTime:
        if self.days:
            assert self.start_time is not None
            assert self.end_time is not None
            return WeeklyTimes(tuple(self.days), self.start_time, self.end_time, self.zone, self.end_day)
        assert self.starts_at is not None
        assert self.ends_at is not None
        return SingleTime(self.starts_at, self.ends_at, self.zone)

    @property
    def rule(self) -> FreezeRule:
        return FreezeRule(self.name, self.times, self.behaviour == Behaviour.REFUSE, self.includes_scaling, self.reason)

    @property
    def written_times(self) -> str:
        return write_times(self.times)


def find_window_problems(window: FreezeWindow) -> dict[str, str]:
    """Return why the window cannot hold, as a sentence by field; empty when it can."""
    problems: dict[str, str] = {}
    if not window.name.strip():
        problems["name"] = "Give it a name, such as weekend."
    if window.zone not in list_zones():
        problems["zone"] = "This is not the name of a time zone, such as Europe/Berlin or UTC."
    return problems | (find_weekly_problems(window) if window.days else find_single_problems(window))


def find_weekly_problems(window: FreezeWindow) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not isinstance(window.days, list) or any(not is_day(day) for day in window.days):
        problems["days"] = "Days are numbers from 0 for Monday to 6 for Sunday."
    for name in ("start_time", "end_time"):
        if getattr(window, name) is None:
            problems[name] = "A weekly window needs a start and an end."
    for name in ("starts_at", "ends_at"):
        if getattr(window, name) is not None:
            problems[name] = "A weekly window has no date."
    if window.end_day is not None and not is_day(window.end_day):
        problems["end_day"] = "From 0 for Monday to 6 for Sunday."
    return problems


def find_single_problems(window: FreezeWindow) -> dict[str, str]:
    problems: dict[str, str] = {}
    for name in ("start_time", "end_time", "end_day"):
        if getattr(window, name) is not None:
            problems[name] = "Give the days on which it begins each week."
    for name in ("starts_at", "ends_at"):
        moment = getattr(window, name)
        if moment is None:
            problems[name] = "A window without days needs a start and an end."
        elif moment.year not in YEARS:
            problems[name] = "The year must be from 2000 to 2199."
    if window.starts_at and window.ends_at and window.starts_at >= window.ends_at:
        problems["ends_at"] = "It must end after it starts."
    return problems


def is_day(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < WEEK
